# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubelet_dump: whatever listens on kubelet's port, there is a dump or a clear answer in bounded time."""

from __future__ import annotations

import os
import socket
import ssl
import time
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import dump_source, kubelet_dump
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_engine import (
    Scripted,
    answer,
    chunked,
    flood,
    hang,
    trickle,
)

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
DUMP = (FIXTURES / "go_dumps" / "kubelet-1.36.txt").read_bytes()
CERTIFICATE, KEY = str(FIXTURES / "tls" / "client.crt"), str(FIXTURES / "tls" / "client.key")
PATIENCE = 20  # seconds that no test needs
NO_TIME = 0.3
PORT = "PORT"
HERE = f"https://127.0.0.1:{PORT}/debug/pprof/goroutine?debug=2"


class Kubelet(Scripted):
    """Answers over TLS whoever has the certificate of these tests."""

    def __init__(self, *answers):
        super().__init__(*answers, tcp=True)
        self.users = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(CERTIFICATE, KEY)
        self._context.load_verify_locations(CERTIFICATE)
        self._context.verify_mode = ssl.CERT_OPTIONAL  # as kubelet: it answers 401 to those without

    def serve(self, connection):
        with self._context.wrap_socket(connection.dup(), server_side=True) as secured:
            self.users.append(dict(part[0] for part in secured.getpeercert()["subject"])["commonName"])
            super().serve(secured)


class Deaf(Scripted):
    """Says its answer, whatever it is told."""

    def serve(self, connection):
        connection.recv(65536)
        say = self._answers.pop(0)
        say(connection) if callable(say) else connection.sendall(say)


def asked(port, certificate=CERTIFICATE, key=KEY, seconds=PATIENCE):
    """Where a dump is from, its bytes, and why there are no more."""
    with kubelet_dump.ask(port, certificate, key, Deadline(seconds)) as dumped:
        body = b"".join(dumped.blocks())
    assert all(gap["what"] == "goroutines" for gap in dumped.missing)
    return dumped.source, body, [gap["why"].replace(str(port), PORT) for gap in dumped.missing]


def port_of(listener):
    return int(listener.host.rpartition(":")[2])


def test_a_dump():
    with Kubelet(chunked(DUMP[:70000], DUMP[70000:])) as kubelet:
        port = port_of(kubelet)
        assert asked(port) == (HERE.replace(PORT, str(port)), DUMP, [])
        assert kubelet.requests == ["GET /debug/pprof/goroutine?debug=2"]
        assert kubelet.users == ["kube-apiserver-kubelet-client"]


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            401,
            b"Unauthorized",
            "does not accept the certificate {certificate} (401): it has expired, or is of another cluster's CA",
        ),
        (
            403,
            b"Forbidden (user=jane, verb=get, resource=nodes, subresource=proxy)",
            'forbids it (403): the user of {certificate} needs the right "get" on "nodes/proxy"',
        ),
        (404, b"404 page not found\n", "knows no such path (404): is it kubelet's authenticated port?"),
        (
            405,
            b"Debug endpoints are disabled.\n",
            "refuses it (405): enableDebuggingHandlers or enableProfilingHandler is false",
        ),
        (500, b"Authorization error (user=jane, verb=get)", "answered with HTTP status 500: look into kubelet's log"),
        (302, b"", "answered with HTTP status 302: look into kubelet's log"),
    ],
)
def test_refusals(status, body, words):
    with Kubelet(answer(status, body)) as kubelet:
        _source, read, (why,) = asked(port_of(kubelet))
    assert read == b""
    assert why.startswith(f"{HERE} {words.format(certificate=CERTIFICATE)}")
    assert why.endswith(f" (it says: {body.decode().strip()})" if body else "log")


def test_what_a_refusal_says_is_short_and_harmless():
    with Kubelet(answer(403, b"\x1b[31m" + b"x" * 10**6)) as kubelet:
        (why,) = asked(port_of(kubelet))[2]
    assert "\x1b" not in why
    assert len(why) < 600


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (hang, f"did not answer in full within {NO_TIME:g} s: look whether kubelet hangs, or raise the time limit"),
        (trickle, f"did not answer in full within {NO_TIME:g} s"),
        (b"", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "does not speak HTTP: is it kubelet's authenticated port?"),
        (answer(Content_Length=10**12), "sent more than 65 MiB, of which the rest was not read: is it kubelet?"),
        (
            answer(Content_Length=-1, Transfer_Encoding="chunked") + b"zz\r\n",
            "closed the connection before the end of its dump",
        ),
    ],
)
def test_odd_answers(says, words):
    with Kubelet(says) as kubelet:
        assert f"{HERE}: {words}" in asked(port_of(kubelet), seconds=NO_TIME)[2][0]


@pytest.mark.parametrize(
    "framing", [{"Content_Length": "100000"}, {"Content_Length": None, "Transfer_Encoding": "chunked"}]
)
def test_a_dump_that_breaks_off_keeps_what_came(framing):
    start = b"FFFF\r\n" if framing["Content_Length"] is None else b""
    with Kubelet(answer(**framing) + start + DUMP[:5000]) as kubelet:
        _source, body, (why,) = asked(port_of(kubelet))
    assert DUMP.startswith(body)
    assert why == f"{HERE}: closed the connection before the end of its dump: look into kubelet's log"


def test_a_dump_that_never_ends(monkeypatch):
    monkeypatch.setattr(kubelet_dump, "_LARGEST_ANSWER", 3 << 20)
    with Kubelet(flood(b"HTTP/1.1 200 OK\r\n\r\n")) as kubelet:
        _source, body, (why,) = asked(port_of(kubelet))
    assert len(body) <= 3 << 20
    assert why == f"{HERE}: sent more than 3 MiB, of which the rest was not read: is it kubelet?"


def test_a_dump_where_go_stops(monkeypatch):
    monkeypatch.setattr(dump_source, "GO_STOPS_AT", 1000)
    for size, gaps in ((999, 0), (1000, 1)):
        with Kubelet(answer(200, DUMP[:size])) as kubelet:
            _source, body, why = asked(port_of(kubelet))
        assert (len(body), len(why)) == (size, gaps)
    assert why == ["the dump is cut off at 64 MiB, where Go stops: some goroutines are not in it"]


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no TLS connection: "),
        (hang, f"did not answer in full within {NO_TIME:g} s"),
    ],
)
def test_a_port_without_tls(says, words):
    with Deaf(says, tcp=True) as other:
        assert f"{HERE}: {words}" in asked(port_of(other), seconds=NO_TIME)[2][0]


def test_a_port_that_hangs_up():
    with Deaf(b"", tcp=True) as other:
        why = asked(port_of(other))[2][0]
    # With an end, or with a reset, as it happens.
    assert why.startswith((f"{HERE}: no TLS connection: ", f"{HERE}: closed the connection without an answer"))


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert asked(port)[2] == [
        f"{HERE}: connection refused: kubelet does not run, or listens on another address or port"
    ]


def test_addresses_of_ipv6_are_written_as_in_urls():
    dumped = kubelet_dump.ask(1, CERTIFICATE, KEY, Deadline(PATIENCE), "::1")
    assert dumped.source == "https://[::1]:1/debug/pprof/goroutine?debug=2"


def test_a_pipe_is_not_waited_for(tmp_path):
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    for files in ((pipe, KEY), (CERTIFICATE, pipe)):
        (why,) = asked(1, *files)[2]
        assert why.endswith("/pipe is no file: name one that holds a certificate or its key")


@pytest.mark.parametrize(
    ("certificate", "key", "words"),
    [
        ("/nowhere/client.crt", "/nowhere/client.key", "kubeadm keeps one on control-plane nodes"),
        (CERTIFICATE, "/nowhere/client.key", "kubeadm keeps one on control-plane nodes"),
        (KEY, CERTIFICATE, "are no certificate and key that can be used"),
        (CERTIFICATE, str(FIXTURES / "tls" / "client-encrypted.key"), "are no certificate and key that can be used"),
        (str(FIXTURES), KEY, "fixtures is no file: name one that holds a certificate"),
        ("/dev/zero", KEY, "/dev/zero is no file: "),
        (CERTIFICATE, "/dev/null", "/dev/null is no file: "),
        ("a\0b", KEY, "are no certificate and key that can be used"),
    ],
)
def test_certificates_that_are_of_no_use(certificate, key, words):
    began = time.monotonic()
    assert words in asked(1, certificate, key)[2][0]
    assert time.monotonic() - began < PATIENCE


def test_nothing_stays_open():
    before = os.listdir("/proc/self/fd")
    with Kubelet(answer(403), answer(200, DUMP), hang, answer(200, DUMP)) as kubelet:
        inside = len(os.listdir("/proc/self/fd"))
        for _try in range(2):
            asked(port_of(kubelet))
        asked(port_of(kubelet), seconds=NO_TIME)
        unread = kubelet_dump.ask(port_of(kubelet), CERTIFICATE, KEY, Deadline(PATIENCE))
        with unread:
            assert unread.missing == []
        time.sleep(0.05)
        assert len(os.listdir("/proc/self/fd")) <= inside
    assert len(os.listdir("/proc/self/fd")) == len(before)
