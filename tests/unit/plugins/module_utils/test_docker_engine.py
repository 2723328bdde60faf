# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docker_engine and bounded_http: whatever is at the other end of the socket, there is a clear answer in bounded time."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import threading
import time

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import bounded_http, docker_engine
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import Engine, EngineError, plain
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_log import Log
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_engine import (
    PING,
    VERSION,
    Scripted,
    answer,
    chunked,
    flood,
    frame,
    hang,
    trickle,
)

ID = "8470235abd66" + "0" * 52
LISTED = {"Id": ID, "Names": ["/a"]}
PATIENCE = 20  # seconds that no test needs
NO_TIME = 0.3
NO_HTTP = "does not speak HTTP: no Docker Engine listens there"
HALF = "closed the connection before the end of its answer: look into the engine's log"
NOTHING = "closed the connection without an answer: the engine is being stopped, or wants TLS"
NO_JSON = "answered GET /containers/json with something else than JSON: no Docker Engine listens there"
NO_LIST = "answered GET /containers/json with something else than a list of containers"
CUT = "gave an answer of more than 32 MiB, which was cut off"
TIME_UP = f"did not answer in full within {NO_TIME:g} s: look whether the engine hangs, or raise timeout"


def begun(host, seconds=PATIENCE):
    engine = Engine(host, Deadline(seconds))
    engine.begin()
    return engine


def refusal(action):
    """What an action is refused with, without the name of the socket."""
    with pytest.raises(EngineError) as caught:
        action()
    assert "Traceback" not in str(caught.value)
    return re.sub(r"^(unix|tcp)://[^ ]*?:? ", "", str(caught.value))


def listing(*answers, seconds=PATIENCE):
    """The list of containers after these answers."""
    with Scripted(PING, VERSION, *answers) as scripted:
        return begun(scripted.host, seconds).containers()


@pytest.mark.parametrize("tcp", [False, True])
def test_what_is_asked(tcp):
    ping = answer(200, b"OK", Api_Version="1.52", Date="Fri, 12 Mar 2021 03:29:07 GMT")
    inspection = {"Id": ID, "Name": "/a"}
    with Scripted(
        ping, VERSION, answer(200, [LISTED]), answer(200, inspection), answer(204, Content_Length=None), tcp=tcp
    ) as scripted:
        engine = begun(scripted.host)
        assert (engine.version, engine.api_version, engine.host) == ("20.10.24", "1.52", scripted.host)
        assert engine.containers() == [LISTED]
        assert engine.inspect(ID) == inspection
        assert engine.remove(ID) is True
    assert scripted.requests == [
        "GET /_ping",
        "GET /version",
        "GET /v1.52/containers/json?all=1",
        f"GET /v1.52/containers/{ID}/json",
        f"DELETE /v1.52/containers/{ID}?v=false&force=false&link=false",
    ]


def test_what_is_not_there():
    gone = answer(404, {"message": f"No such container: {ID}"})
    with Scripted(PING, VERSION, gone, gone) as scripted:
        engine = begun(scripted.host)
        assert engine.inspect(ID) is None
        assert engine.remove(ID) is False


@pytest.mark.parametrize(
    ("ping", "version", "expected"),
    [
        (PING, VERSION, ("20.10.24", "1.41")),
        # Docker 1.12 names its API in /version only.
        (
            answer(200, b"OK", Api_Version=None),
            answer(200, {"Version": "1.12.6", "ApiVersion": "1.24"}),
            ("1.12.6", "1.24"),
        ),
        # What podman 4.3 says has an Api-Version, too.
        (
            answer(200, b"OK", Libpod_API_Version="4.3.1"),
            answer(200, {"Version": "4.3.1", "ApiVersion": "1.41", "Components": []}),
            ("4.3.1", "1.41"),
        ),
        (PING, answer(200, {}), (None, "1.41")),
        (PING, answer(200, []), (None, "1.41")),
        (PING, answer(200, {"Version": ["20"]}), (None, "1.41")),
        (PING, answer(200, {"Version": "20\x1b[2J\n{{ 1 }}"}), ("20?[2J {{ 1 }}", "1.41")),
    ],
)
def test_who_answers(ping, version, expected):
    with Scripted(ping, version) as scripted:
        engine = begun(scripted.host)
    assert (engine.version, engine.api_version) == expected


@pytest.mark.parametrize("told", [None, "", "2", "1.41/../../images", "1.41?x", "one", "1.41\t1.42", "9" * 400])
def test_an_api_version_that_is_none_gets_into_no_path(told):
    version = answer(200, {"ApiVersion": ["1.41"] if told is None else told})
    with Scripted(answer(200, b"OK", Api_Version=told), version) as scripted:
        assert (
            refusal(lambda: begun(scripted.host)) == "does not tell which API it speaks: no Docker Engine listens there"
        )
        assert len(scripted.requests) == 2


@pytest.mark.parametrize(
    "container_id", ["", "a", ID[:12], ID.upper(), f"{ID}?force=1", f"../{ID}", f"{ID}\n", None, 5]
)
@pytest.mark.parametrize("call", [Engine.inspect, Engine.remove, lambda engine, id_: engine.log(id_, True, 1, 1)])
def test_nothing_but_a_full_id_gets_into_a_path(call, container_id):
    engine = Engine("unix:///nowhere", Deadline(PATIENCE))
    assert "not the full id of a container" in refusal(lambda: call(engine, str(container_id)))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("", "docker_host : unix:///var/run/docker.sock or the like expected, or tcp://address:port"),
        ("/var/run/docker.sock", "docker_host /var/run/docker.sock: unix:///var/run/docker.sock or the like expected"),
        ("unix:", "or the like expected"),
        ("ftp://a", "docker_host ftp://a: unix:///var/run/docker.sock or the like expected"),
        ("unix://", "an absolute path is expected after unix://"),
        ("unix://var/run/docker.sock", "an absolute path is expected after unix://, as in unix:///var/run/docker.sock"),
        ("unix:///a\0b", "an absolute path is expected"),
        ("unix:///" + "a" * 107, "the path of a socket has at most 107 bytes"),
        ("unix:///" + "ä" * 60, "the path of a socket has at most 107 bytes"),
        (
            "https://a:2376",
            "https://a:2376: TLS is not supported: run the module on the node itself, where docker_host is a Unix socket",
        ),
        ("tcp://a:2376", "port 2376 is for TLS, which is not supported: run the module on the node itself"),
        ("http://a:2375", "plain HTTP is written as tcp://, where it has to be: run the module on the node itself"),
        ("ssh://root@a", "SSH is not supported, since Ansible itself connects to the node"),
        ("npipe:////./pipe/docker_engine", "named pipes of Windows are not supported"),
        ("fd://", "that is how a daemon is told to listen, not how it is reached"),
        ("tcp://", "tcp://address:port expected"),
        ("tcp://:2375", "tcp://address:port expected"),
        ("tcp://a:0", "tcp://address:port expected"),
        ("tcp://a:2375/v1.41", "tcp://address:port expected"),
        ("tcp://a:2375?x=1", "tcp://address:port expected"),
        ("tcp://me:secret@a:2375", "tcp://address:port expected"),
        ("tcp://a:99999", "Port out of range"),
        ("tcp://a:b", "docker_host tcp://a:b: "),
        ("tcp://[::1", "Invalid IPv6 URL"),
        ("bad\x1b[2J\nhost", "docker_host bad?[2J host: "),
    ],
)
def test_a_docker_host_that_cannot_be_used(host, expected):
    assert expected in refusal(lambda: Engine(host, Deadline(PATIENCE)))


@pytest.mark.parametrize(
    ("host", "expected"),
    [("tcp://a", ("a", 2375)), ("tcp://a:4243", ("a", 4243)), ("tcp://[::1]:2375/", ("::1", 2375))],
)
def test_where_tcp_leads(monkeypatch, host, expected):
    asked = []
    monkeypatch.setattr(bounded_http, "connect_tcp", lambda name, port, _deadline: asked.append((name, port)))
    Engine(host, Deadline(PATIENCE))._connect(Deadline(PATIENCE))
    assert asked == [expected]


def test_the_environment_is_not_looked_at(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with Scripted(PING, VERSION) as scripted:
        assert begun(scripted.host).host == scripted.host


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"garbage", NO_JSON),
        (b"", NO_JSON),
        (b"[" * 100_000, NO_JSON),
        (b"\xff\xfe\xfd", NO_JSON),
        (b"null", NO_LIST),
        (b"{}", NO_LIST),
        (b"[1]", NO_LIST),
        (b"[[]]", NO_LIST),
        (b'[{"Id": "8470235abd66"}]', NO_LIST),
        (b'[{"Id": 5}]', NO_LIST),
        (b'[{"id": "%s"}]' % ID.encode(), NO_LIST),
        (b'[{"Id": "%s/../../x"}]' % ID.encode(), NO_LIST),
    ],
)
def test_a_list_that_is_none(body, expected):
    assert refusal(lambda: listing(answer(200, body))) == expected


@pytest.mark.parametrize("told", [None, [], {}, {"Id": "5" * 64}, {"Id": ID[:12]}])
def test_an_inspection_of_something_else(told):
    with Scripted(PING, VERSION, answer(200, told)) as scripted:
        engine = begun(scripted.host)
        expected = f"answered GET /containers/{ID}/json with something else than that container"
        assert refusal(lambda: engine.inspect(ID)) == expected


@pytest.mark.parametrize(
    ("say", "expected"),
    [
        (b"", NOTHING),
        (b"\n", NO_HTTP),
        (b"SSH-2.0-OpenSSH_9.2\r\n", NO_HTTP),
        (b"\x15\x03\x01\x00\x02\x02\x46", NO_HTTP),  # TLS alert
        (b"HTTP/1.1 abc OK\r\n\r\n", NO_HTTP),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", NO_HTTP),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000 + b"\r\n\r\n", NO_HTTP),
        (answer(200, [LISTED])[:-1], HALF),
        (answer(200, [LISTED], Content_Length=10**6), HALF),
        (answer(200, [LISTED], Content_Length=None)[:-1], NO_JSON),
        (chunked(b"[", b"]")[:-12], HALF),
        (chunked(b"[", b"]").replace(b"\r\n1\r\n", b"\r\nzz\r\n", 1), HALF),
        (
            answer(200, b"[]", Content_Length=None, Transfer_Encoding="chunked").replace(b"[]", b"FFFFFFFFFFFF\r\n[]"),
            HALF,
        ),
        (answer(200, b"[]", Content_Length=10**30), CUT),
        (answer(200, b"[]", Content_Length=500 * 10**6), CUT),
        (flood(answer(200, b"", Content_Length=None)), CUT),
        (flood(chunked()[:-5] + b"%x\r\n" % 10**12), CUT),
        (flood(b"HTTP/1.1 200 OK\r\nA: "), NO_HTTP),
        (answer(301, b"", Location="/elsewhere"), "answered GET /containers/json with HTTP status 301"),
        (
            answer(500, {"message": "no\nspace \x1b[31mleft"}),
            "answered GET /containers/json with HTTP status 500: no space ?[31mleft",
        ),
        (
            answer(400, b"client is newer than server"),
            "answered GET /containers/json with HTTP status 400: client is newer than server",
        ),
        (answer(500, {"message": 5}), 'answered GET /containers/json with HTTP status 500: {"message": 5}'),
        (answer(500, b"[" * 10**5), "answered GET /containers/json with HTTP status 500: " + "[" * 299 + "…"),
        (
            answer(404, {"message": "page not found"}),
            "answered GET /containers/json with HTTP status 404: page not found",
        ),
    ],
)
def test_engines_that_do_not_answer_well(say, expected):
    assert refusal(lambda: listing(say)) == expected


@pytest.mark.parametrize("say", [hang, trickle])
@pytest.mark.parametrize("answers", [(), (PING,), (PING, VERSION)])
def test_engines_that_hang(say, answers):
    started = time.monotonic()
    with Scripted(*answers, say) as scripted:
        assert refusal(lambda: begun(scripted.host, NO_TIME).containers()) == TIME_UP
    assert time.monotonic() - started < PATIENCE


def test_interim_answers_without_an_end(monkeypatch):
    """http.client passes over any number of them, and waits for the next."""
    monkeypatch.setattr(docker_engine, "_LARGEST_ANSWER", 2 << 20)

    def go_on(connection):
        while True:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)

    assert refusal(lambda: listing(go_on)) == CUT.replace("32", "2")


def test_answers_in_chunks():
    assert listing(chunked(b'[{"Id": ', b'"%s", "Names"' % ID.encode(), b': ["/a"]}]')) == [LISTED]


def test_an_answer_of_many_pieces():
    names = [f"/{number}" for number in range(100_000)]
    assert listing(answer(200, [{"Id": ID, "Names": names}])) == [{"Id": ID, "Names": names}]


def test_no_time_is_left():
    with Scripted(PING, VERSION) as scripted:
        engine = begun(scripted.host)
        engine._deadline = Deadline(0)
        assert refusal(engine.containers) == TIME_UP.replace(f"{NO_TIME:g} s", "0 s")


@pytest.mark.parametrize("path", ["/nowhere/docker.sock", "/dev/null/docker.sock"])
def test_no_socket(path):
    expected = "no such socket: Docker Engine does not run here (nodes with containerd or CRI-O have none), or docker_host is another"
    assert refusal(lambda: begun(f"unix://{path}")) == expected


def test_a_file_that_is_no_socket():
    assert refusal(lambda: begun("unix:///dev/null")) == "connection refused: that is no socket"


def test_a_socket_that_was_left_behind():
    with Scripted() as scripted, contextlib.closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(scripted.path + "2")
        expected = "connection refused: the engine does not run (systemctl status docker)"
        assert refusal(lambda: begun(scripted.host + "2")) == expected


def test_nobody_listens():
    with contextlib.closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        expected = "connection refused: the engine does not run (systemctl status docker)"
        assert refusal(lambda: begun("tcp://127.0.0.1:%d" % bound.getsockname()[1])) == expected


def test_no_permission(monkeypatch):
    """Not with a real socket: to root nothing is forbidden. That is in tests/integration_real."""

    def connect(_path, _deadline):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(bounded_http, "connect_unix", connect)
    expected = "permission denied: run it as root (become: true), or as a member of the socket's group"
    assert refusal(lambda: begun("unix:///var/run/docker.sock")) == expected


@pytest.mark.parametrize("accepts", [False, True])
def test_an_engine_that_accepts_nobody(accepts):
    """The queue of its socket is full: the kernel does not let anybody wait, it says "try again"."""
    with Scripted() as folder, contextlib.ExitStack() as stack:
        path = folder.path + "2"
        listener = stack.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX)))
        listener.bind(path)
        listener.listen(0)
        for _number in range(3):
            waiting = stack.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX)))
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(path)
        if not accepts:
            assert refusal(lambda: begun(f"unix://{path}", NO_TIME)) == TIME_UP
            return
        thread = threading.Timer(0.2, lambda: [listener.accept()[0].close() for _number in range(2)])
        thread.start()
        assert refusal(lambda: begun(f"unix://{path}")) == NOTHING
        thread.join()


@pytest.mark.parametrize(
    ("look_up", "expected"),
    [
        (lambda *_name, **_how: time.sleep(2 * NO_TIME), TIME_UP),
        (lambda *_name, **_how: [], "cannot be reached: it has no address"),
        (lambda *_name, **_how: "ü".encode("ascii"), "cannot be reached: that is no name of a host"),
    ],
)
def test_names_that_lead_nowhere(monkeypatch, look_up, expected):
    monkeypatch.setattr(bounded_http.socket, "getaddrinfo", look_up)
    assert refusal(lambda: begun("tcp://docker.invalid:2375", NO_TIME)) == expected


def test_the_second_address_of_a_name(monkeypatch):
    with Scripted(answer(200, b"OK", Date="Fri, 12 Mar 2021 03:29:07 GMT"), VERSION, tcp=True) as scripted:
        port = int(scripted.host.rpartition(":")[2])
        addresses = [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)) for address in ("127.0.0.99", "127.0.0.1")
        ]
        monkeypatch.setattr(bounded_http.socket, "getaddrinfo", lambda *_name, **_how: addresses)
        assert begun(f"tcp://docker.invalid:{port}").version == "20.10.24"


class TestClock:
    """Ages are told by the clock of the engine, which may be that of another machine, with another idea of the time."""

    @pytest.mark.parametrize(
        ("date", "expected"),
        [("Fri, 12 Mar 2021 03:29:07 GMT", 1_615_519_747), ("Fri, 12 Mar 2021 11:29:07 +0800", 1_615_519_747)],
    )
    def test_of_another_machine(self, date, expected):
        with Scripted(answer(200, b"OK", Date=date), VERSION, tcp=True) as scripted:
            assert expected <= begun(scripted.host).now_ns() / 1e9 < expected + PATIENCE

    def test_of_this_machine(self):
        with Scripted(answer(200, b"OK", Date="Fri, 12 Mar 2021 03:29:07 GMT"), VERSION) as scripted:
            before = time.time_ns()
            assert before <= begun(scripted.host).now_ns() <= time.time_ns()

    @pytest.mark.parametrize(
        "date", [None, "", "yesterday", "Fri, 99 Mar 2021 03:29:07 GMT", "Fri, 12 Mar 99999 03:29:07 GMT"]
    )
    def test_that_is_not_told(self, date):
        with Scripted(answer(200, b"OK", Date=date), VERSION, tcp=True) as scripted:
            assert "does not tell its time (no usable header Date)" in refusal(lambda: begun(scripted.host))


def log(*answers, entries=2):
    """The end of a log after these answers."""
    with Scripted(PING, VERSION, *answers) as scripted:
        found = begun(scripted.host).log(ID, True, entries, 1000)
    assert scripted.requests[2:] == [
        f"GET /v1.41/containers/{ID}/logs?stdout=1&stderr=1&timestamps=1&tail={entries + 1}"
    ]
    return found


def test_the_end_of_a_log():
    entries = [frame(b"a\n"), frame(b"b\n", stream=2), frame(b"c\n")]
    assert log(chunked(*entries[1:])) == Log(b"b\nc\n", False)
    assert log(chunked(*entries)) == log(answer(200, b"".join(entries))) == Log(b"b\nc\n", True)
    assert log(answer(404, {"message": f"No such container: {ID}"})) is None


@pytest.mark.parametrize(
    ("say", "status", "expected"),
    [
        (
            answer(501, {"message": "configured logging driver does not support reading"}),
            501,
            f"answered GET /containers/{ID}/logs with HTTP status 501: configured logging driver does not support reading",
        ),
        (answer(204, Content_Length=None), 204, f"answered GET /containers/{ID}/logs with HTTP status 204"),
        (chunked(frame(b"a\n"))[:-12], None, HALF),
        (b"\n", None, NO_HTTP),
        (answer(200, b"", Content_Length=200 << 20), None, HALF),
        (answer(200, b"", Content_Length=10**12), None, CUT.replace("32", "256")),
    ],
)
def test_a_log_that_cannot_be_read(say, status, expected):
    with Scripted(PING, VERSION, say) as scripted:
        engine = begun(scripted.host)
        with pytest.raises(EngineError) as caught:
            engine.log(ID, True, 2, 1000)
    assert str(caught.value).endswith(expected)
    assert caught.value.status == status


@pytest.mark.parametrize("status", [409, 500, 503])
def test_a_removal_that_is_refused(status):
    message = f"You cannot remove a running container {ID}."
    with Scripted(PING, VERSION, answer(status, {"message": message})) as scripted:
        engine = begun(scripted.host)
        with pytest.raises(EngineError, match=f"HTTP status {status}: {message}") as caught:
            engine.remove(ID)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("a\n\tb  c", "a b c"),
        ("a\x00b\x1b[2Jc\x9b", "a?b?[2Jc?"),
        ("\u202eevil\ud800", "?evil?"),
        ("ünïcödé", "ünïcödé"),
        ("x" * 301, "x" * 299 + "…"),
    ],
)
def test_plain_text(text, expected):
    assert plain(text) == expected


def test_every_error_has_its_words():
    engine = Engine("unix:///nowhere", Deadline(PATIENCE))
    for error in (OSError(5, "Input/output error"), http.client.HTTPException(), ValueError("x"), socket.timeout()):
        assert engine._in_words(error).startswith("unix:///nowhere: ")
