# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""http_signature: whoever listens, there is one connection, a clear answer and an end."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import http_signature, local_end, origin_kinds
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

CAPTURED = Path(__file__).resolve().parents[3] / "fixtures" / "cri" / "stream-port-answer.json"
STREAMING_404 = json.loads(CAPTURED.read_text("ascii"))["answer"].encode("ascii")
GO_404 = (
    b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
    b"Content-Length: 19\r\nConnection: close\r\n\r\n404 page not found\n"
)
GO_HTTPS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
GO_1_11_HTTPS = b"\x15\x03\x01\x00\x02\x02\x16"
# What containerd 1.6.20 with [grpc] tcp_address sent before it reset the connection.
GRPC = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00@\x00"
PATIENCE = 20
SHORT = 0.2
TIME_UP = f"did not answer in full within {SHORT:g} s"
HUNG_UP = "hung up without an answer"


def listener(port=1, names=("containerd",), address="127.0.0.1", **more):
    """As listen_ports tells of it."""
    return {
        "protocol": "tcp",
        "family": "ipv6" if ":" in address else "ipv4",
        "state": "listen",
        "address": address,
        "port": port,
        "v6only": None,
        "backlog": 128,
        "processes": [{"pid": 7, "name": name} for name in names],
        "hidden": False,
        "cgroup": None,
        **more,
    }


class Server:
    """Hands each connection to ``serve`` in a thread; counts them."""

    def __init__(self, serve, family=socket.AF_INET, address="127.0.0.1", v6only=True):
        self.serve = serve
        self.connections = 0
        self.socket = socket.socket(family)
        if family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        self.socket.bind((address, 0))
        self.socket.listen(64)
        self.port = self.socket.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _accept(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with connection, contextlib.suppress(OSError):
            self.serve(connection)


def says(data):
    """Read the request, answer with these bytes, hang up."""

    def serve(connection):
        connection.recv(4096)
        connection.sendall(data)

    return serve


def says_and_stays(data):
    def serve(connection):
        connection.sendall(data)
        while connection.recv(4096):
            pass

    return serve


def resets(data):
    def serve(connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.recv(4096)
        connection.sendall(data)
        time.sleep(0.02)

    return serve


def trickles(start, piece=b"x"):
    def serve(connection):
        connection.sendall(start)
        while True:
            connection.sendall(piece)
            time.sleep(0.005)

    return serve


def floods(start, piece):
    def serve(connection):
        connection.sendall(start)
        while True:
            connection.sendall(piece * 1000)

    return serve


def answer_of(serve, seconds=PATIENCE, **more):
    with Server(serve) as server:
        began = time.monotonic()
        signature = http_signature.ask(listener(server.port, **more), Deadline(seconds))
        assert time.monotonic() - began < PATIENCE
        assert server.connections == 1
        assert signature["asked"] == f"GET http://127.0.0.1:{server.port}/"
    assert list(signature) == ["asked", "status", "body", "server", "kind", "looks_like", "why"]
    assert all(text.isprintable() for text in (signature["body"], signature["server"] or "", signature["why"]))
    return signature


def short(signature):
    return {key: value for key, value in signature.items() if value not in (None, "") and key != "asked"}


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(http_signature, "SECONDS", SHORT)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("containerd", origin_kinds.STREAMING),
        ("kubelet", origin_kinds.STREAMING),
        ("crio", origin_kinds.STREAMING),
        ("cri-dockerd", origin_kinds.STREAMING),
        ("virt-handler", None),  # KubeVirt uses go-restful too
    ],
)
def test_the_captured_answer_is_the_streaming_server_of_who_can_have_one(name, kind):
    found = answer_of(says(STREAMING_404), names=(name,))
    assert found["kind"] == kind
    assert (found["status"], found["body"], found["why"]) == (404, "404: Page Not Found", "")
    assert found["looks_like"] == "go-restful, as in the streaming server of a CRI runtime"


def test_a_known_port_of_kubelet_is_no_streaming_server():
    known = listener(10250, names=("kubelet",))
    signature = {"kind": "unchanged", "looks_like": ""}
    http_signature._recognise(404, b"404: Page Not Found", "", known, signature)
    assert signature["kind"] is None


def test_what_is_sent():
    heard = []

    def serve(connection):
        heard.append(connection.recv(4096))
        connection.sendall(GO_404)

    with Server(serve) as server:
        http_signature.ask(listener(server.port), Deadline(PATIENCE))
    assert heard == [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: kubenode.doctor\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        % server.port
    ]


CHUNKED = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n404:\r\nf\r\n Page Not Found\r\n0\r\n\r\n"
DOCKER = b'HTTP/1.1 404 Not Found\r\nServer: %s\r\nContent-Length: 29\r\n\r\n{"message":"page not found"}\n'
ANSWERS = {
    "Go": (says(GO_404), {"status": 404, "body": "404 page not found", "looks_like": "Go's net/http: "}),
    "chunks": (says(CHUNKED), {"status": 404, "body": "404: Page Not Found", "kind": "cri-streaming"}),
    # The header Connection is not heeded: the answer has ended all the same.
    "kept open": (says_and_stays(GO_404), {"status": 404, "body": "404 page not found"}),
    "Docker": (
        says(DOCKER % b"Docker/20.10.24 (linux)"),
        {"status": 404, "server": "Docker/20.10.24 (linux)", "kind": "docker-api", "looks_like": "Docker Engine's API"},
    ),
    "not Docker": (says(DOCKER % b"Libpod/4.3.1 (linux)"), {"status": 404, "looks_like": "an HTTP server"}),
    "HTTPS": (says(GO_HTTPS), {"status": 400, "looks_like": "HTTPS, by Go's net/http"}),
    "nginx": (
        says(
            b"HTTP/1.1 400 Bad Request\r\nServer: nginx/1.22.1\r\n\r\n<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title>"
        ),
        {"status": 400, "server": "nginx/1.22.1", "looks_like": "HTTPS, by nginx"},
    ),
    "TLS alert": (says(GO_1_11_HTTPS), {"looks_like": "TLS"}),
    "gRPC": (resets(GRPC), {"looks_like": "HTTP/2 without TLS", "kind": "containerd-grpc"}),
    "SSH": (
        says_and_stays(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
        {"looks_like": "SSH", "body": "SSH-2.0-OpenSSH_9.2p1 Debian-2"},
    ),
    "BGP": (says_and_stays(b"\xff" * 16 + b"\x00\x1d\x01"), {"looks_like": "BGP"}),
    "mail": (says_and_stays(b"220 node-a ESMTP Postfix\r\n"), {"looks_like": "a server of mail or FTP"}),
    "Redis": (says(b"-ERR wrong number of arguments for 'get' command\r\n"), {"looks_like": "Redis"}),
    "VNC": (says_and_stays(b"RFB 003.008\n"), {"looks_like": "VNC"}),
    "binary": (says(bytes(range(256))), {"looks_like": ""}),
    "HTTP/0.9": (says(b"<html>hello</html>"), {"body": "<html>hello</html>", "looks_like": ""}),
    "escapes": (
        says(
            b"HTTP/1.1 200 OK\r\nServer: a\x1b]0;owned\x07b\r\nContent-Length: 40\r\n\r\n\x1b[2J\x1b[31mred\x00\xc2\x9b1mtext\x08\x7f\xe2\x80\xae"
            + b" " * 30
        ),
        {"status": 200, "server": "ab", "looks_like": "an HTTP server"},
    ),
    "a secret": (
        says(b'HTTP/1.1 200 OK\r\n\r\n{"token": "hunter2hunter2"}'),
        {"status": 200, "body": '{"token": [redacted]"}'},
    ),
    "long": (says(b"HTTP/1.1 200 OK\r\n\r\n" + b"long " * 100), {"body": ("long " * 100)[:119] + "…"}),
    "a long answer": (floods(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), {"status": 200, "body": "x" * 119 + "…"}),
    "too large": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\nabc"), {"status": 200, "body": "abc"}),
    "redirect": (says(b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n"), {"status": 302}),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_answers(case):
    serve, expected = ANSWERS[case]
    found = answer_of(serve)
    expected = dict({"kind": None}, **expected)
    assert found["looks_like"].startswith(expected.pop("looks_like", ""))
    assert {key: found[key] for key in expected} == expected
    assert found["why"] == ""


def test_escapes_leave_nothing_behind():
    body = answer_of(ANSWERS["escapes"][0])["body"]
    assert body == "redtext"


def test_grpc_of_another_program_is_not_containerds():
    found = answer_of(says(GRPC), names=("etcd",))
    assert (found["kind"], found["looks_like"]) == (None, "HTTP/2 without TLS, as gRPC speaks it")


NOTHING = {
    "hangs up": (lambda _connection: None, HUNG_UP),
    "hangs up after the question": (says(b""), HUNG_UP),
    "resets": (resets(b""), HUNG_UP),
    "silence": (lambda _connection: time.sleep(5), TIME_UP),
    "a header without end": (trickles(b"HTTP/1.1 200 OK\r\nX: "), TIME_UP),
    "headers without end": (says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200), "its answer is not sound HTTP"),
    "a flood in a header": (
        floods(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        "its answer has more than 64 KiB of headers, and was not read further",
    ),
    "100 for ever": (
        floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        "its answer has more than 64 KiB of headers, and was not read further",
    ),
    "no status": (says(b"HTTP/1.1 twohundred\r\n\r\n"), "its answer is not sound HTTP"),
    "no headers": (says(b"HTTP/1.1 200 OK"), ""),
    "no chunks": (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "its answer is not sound HTTP"),
}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("case", NOTHING)
def test_no_answer(case):
    serve, why = NOTHING[case]
    found = answer_of(serve)
    assert found["why"] == why
    assert found["kind"] is None


@pytest.mark.usefixtures("hasty")
def test_what_came_before_the_time_was_up_is_told_and_proves_nothing():
    found = answer_of(trickles(b"HTTP/1.1 404 Not Found\r\n\r\n404: Page Not Found", b" "))
    assert short(found) == {
        "status": 404,
        "body": "404: Page Not Found",
        "looks_like": "an HTTP server",
        "why": TIME_UP,
    }


@pytest.mark.usefixtures("hasty")
def test_a_greeting_that_trickles_ends_soon():
    assert short(answer_of(trickles(b"SSH-2.0-", b"x")))["looks_like"] == "SSH"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"protocol": "udp"}, "only TCP sockets that listen are"),
        ({"state": "bound"}, "only TCP sockets that listen are"),
        ({"address": "192.0.2.7"}, "it listens at 192.0.2.7 only"),
        ({"address": "fe80::1%eth0"}, "it listens at fe80::1%eth0 only"),
        ({"address": "nonsense"}, "it listens at nonsense only"),
        ({"backlog": 1}, "it looks like a server for one connection"),
        ({"backlog": 0}, "it looks like a server for one connection"),
        ({"names": ("dlv",)}, "it looks like a server for one connection"),
        ({"names": ("systemd",)}, "systemd holds it for a program that it starts"),
        ({"names": ()}, "who owns it is not known"),
        ({"names": (None,)}, "who owns it is not known"),
        ({"names": (), "hidden": True, "cgroup": "/init.scope"}, "who owns it is not known"),
    ],
)
def test_not_asked(more, why, monkeypatch):
    monkeypatch.setattr(http_signature.socket, "socket", lambda *_arguments: pytest.fail("asked"))
    found = short(http_signature.ask(listener(**more), Deadline(PATIENCE)))
    assert list(found) == ["why"]
    assert found["why"].startswith(f"not asked: {why}")


@pytest.mark.parametrize(
    "more",
    [
        {"names": ("systemd", "sshd")},  # what systemd would start runs already
        {"names": (), "hidden": True, "cgroup": "/system.slice/containerd.service"},
        {"backlog": None},
        {"address": "0.0.0.0"},
        {"address": "::ffff:127.0.0.1"},
    ],
)
def test_asked(more):
    with Server(says(STREAMING_404)) as server:
        found = http_signature.ask(listener(server.port, **more), Deadline(PATIENCE))
    assert (found["status"], found["why"]) == (404, "")


def test_the_owner_may_be_told_by_its_unit():
    more = {"names": (), "hidden": True, "cgroup": "/system.slice/containerd.service"}
    assert answer_of(says(STREAMING_404), **more)["kind"] == "cri-streaming"


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


@needs_ipv6
@pytest.mark.parametrize("address", ["::", "::1"])
def test_ipv6(address):
    with Server(says(GO_404), socket.AF_INET6, address) as server:
        found = http_signature.ask(listener(server.port, address=address, v6only=True), Deadline(PATIENCE))
    assert (found["asked"], found["status"]) == (f"GET http://[::1]:{server.port}/", 404)


def test_without_an_ipv6_loopback_a_listener_for_both_is_asked_by_ipv4(monkeypatch):
    # TEST-NET-like for IPv6: no route leads there, as to ::1 where IPv6 is switched off.
    monkeypatch.setattr(http_signature, "_addresses", lambda _listener: ["2001:db8::1%lo", "127.0.0.1"])
    with Server(says(GO_404)) as server:
        assert http_signature.ask(listener(server.port, address="::"), Deadline(PATIENCE))["status"] == 404


def test_no_way_to_the_address(monkeypatch):
    monkeypatch.setattr(http_signature, "_addresses", lambda _listener: ["2001:db8::1%lo"])
    found = short(http_signature.ask(listener(9), Deadline(PATIENCE)))
    assert list(found) == ["why"]
    assert found["why"].startswith("cannot be reached: ")


def test_what_was_said_before_the_question_could_be_sent(monkeypatch):
    connected = threading.Event()

    def serve(connection):
        connection.sendall(b"220 too many connections\r\n")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connected.wait(PATIENCE)  # who hangs up sooner may not even be connected to

    def is_here(_connection):
        connected.set()
        time.sleep(0.1)  # until it has hung up

    monkeypatch.setattr(local_end, "is_here", is_here)
    found = short(answer_of(serve))
    assert found == {"body": "220 too many connections", "looks_like": "a server of mail or FTP"}


def test_a_greeting_without_an_end_is_not_waited_for():
    began = time.monotonic()
    assert answer_of(says_and_stays(b"\xff" * 16))["looks_like"] == "BGP"
    assert time.monotonic() - began < PATIENCE


def test_nobody_answers_there_any_more():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert short(http_signature.ask(listener(port), Deadline(PATIENCE))) == {
        "why": "not asked: connection refused, although it listens: a packet filter rejects it, as for a NodePort without endpoints"
    }


def test_another_listener_is_in_front():
    everywhere, exact = listener(80, address="0.0.0.0"), listener(80)
    found = http_signature.ask(everywhere, Deadline(PATIENCE), [everywhere, exact])
    assert found["why"] == "not asked: another socket listens at 127.0.0.1 and would answer instead"
    assert http_signature._not_to_be_asked(exact, ["127.0.0.1"], [everywhere, exact]) == ""
    assert http_signature._not_to_be_asked(everywhere, ["127.0.0.1"], [everywhere, listener(81)]) == ""


def test_a_connection_that_ends_elsewhere_is_not_used(monkeypatch):
    monkeypatch.setattr(local_end, "is_here", lambda _connection: False)
    with Server(says(GO_404)) as server:
        found = short(http_signature.ask(listener(server.port), Deadline(PATIENCE)))
    assert list(found) == ["why"]
    assert found["why"].startswith("not asked: a connection to it ends elsewhere")


def test_no_time():
    found = http_signature.ask(listener(), Deadline(0))
    assert short(found) == {"why": "not asked: there was no time left (raise timeout)"}


def test_many_at_once_within_one_budget():
    with Server(says(STREAMING_404)) as good, Server(lambda connection: connection.recv(1) and time.sleep(5)) as mute:
        ports = [mute.port] * 20 + [good.port] * 20
        began = time.monotonic()
        found = http_signature.ask_all([listener(port) for port in ports], Deadline(0.3))
        assert time.monotonic() - began < PATIENCE
    assert len(found) == 40
    assert {short(one)["why"] for one in found[:16]} == {"did not answer in full within 0.3 s"}
    assert all(one["why"] for one in found)  # the mute ones took all of the time


def test_many_answers_are_in_order():
    with Server(says(STREAMING_404)) as streaming, Server(says(GO_404)) as other:
        ports = [streaming.port, other.port] * 30
        found = http_signature.ask_all([listener(port) for port in ports], Deadline(PATIENCE))
    assert [one["kind"] for one in found] == ["cri-streaming", None] * 30
    assert [one["asked"] for one in found] == [f"GET http://127.0.0.1:{port}/" for port in ports]


def test_none():
    assert http_signature.ask_all([], Deadline(PATIENCE)) == []


@pytest.mark.parametrize("known", http_signature.TABLE)
def test_each_known_answer_has_its_source(known):
    assert known.source
    assert known.looks_like
    assert known.kind is None or known.kind in origin_kinds.KINDS
    assert "/fixtures/" not in known.source or CAPTURED.name in known.source
