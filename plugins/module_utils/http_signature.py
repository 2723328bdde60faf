# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a listener answers to one ``GET /``, and what is known by it.

Only a listener of this machine that can be reached through loopback is asked, once, with one connection. It is given two seconds and 64 KiB, however
it spends them, and all listeners together the caller's deadline. What it says is somebody else's text: it is
compared with a table, and the little of it that is shown has no control characters and nothing that looks like a secret.

A connection is not free of effects for everybody. Not asked are sockets that systemd or inetd hold for a program that they start at the first
connection, servers that serve one connection and end (nc -l, a debugger that waits for its client; they are told by their names and a backlog of 0
or 1, so another one is asked), and sockets whose owner is not known, since it might be one of these.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import itertools
import re
import socket
import threading
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional, Pattern

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    cgroup,
    known_ports,
    local_end,
    log_sample,
    origin_kinds,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline, shown
from ansible_collections.kubenode.doctor.plugins.module_utils.in_parallel import in_parallel

SECONDS = 2.0  # for one listener
LIMIT = 64 << 10  # bytes of one answer, headers included
_AT_ONCE = 16  # listeners that are asked side by side
_SHOWN = 120  # characters of a body
_SERVER_SHOWN = 60
_COMPARED = 4096  # bytes of a body that are read
_PIECE = 4096
_HTTP = b"HTTP/"
# Of what is no HTTP: the longest start in the table has 16 bytes, and a greeting ends with its line.
_GREETING = 64
_GREETING_SECONDS = 0.25
_SINGLE = 1  # backlog; nc -l, gdbserver and Java's debugger (libdt_socket) call listen(fd, 1)
_SINGLE_PROGRAMS = frozenset({"dlv", "gdbserver", "nc", "nc.openbsd", "nc.traditional", "ncat", "netcat", "socat"})
_STARTERS = frozenset({"systemd", "init", "inetd", "xinetd"})
_WILDCARDS = {"0.0.0.0": "ipv4", "::": "ipv6"}  # noqa: S104
_LOOPBACK = {"ipv4": "127.0.0.1", "ipv6": "::1"}


class Known(NamedTuple):
    """An answer that is known. ``status`` None: it is no HTTP, and ``said`` is how it begins; else ``said`` is searched for in the body.

    It proves ``kind`` only of a program that can be that: ``owner``, by name; None is whoever.
    """

    status: Optional[int]
    said: Pattern[bytes]
    looks_like: str
    source: str
    kind: Optional[str] = None
    owner: Optional[str] = None
    server: str = ""  # how the header Server begins


TABLE: tuple[Known, ...] = (
    Known(
        404,
        re.compile(rb"\A404: Page Not Found\Z"),
        "go-restful, as in the streaming server of a CRI runtime",
        "tests/fixtures/cri/stream-port-answer.json; emicklei/go-restful curly.go and jsr311.go (NewError of 404)",
        origin_kinds.STREAMING,
        origin_kinds.STREAMING,
    ),
    Known(
        404,
        re.compile(rb'\A\{"message":"page not found"\}\n?\Z'),
        "Docker Engine's API",
        "moby api/server/server.go (pageNotFoundError)",
        "docker-api",
        server="Docker/",
    ),
    Known(
        404,
        re.compile(rb"\A404 page not found\n?\Z"),
        "Go's net/http: an API, metrics or health checks at other paths",
        "golang/go net/http/server.go (NotFound); containerd's metrics and debug address, kubelet's healthz",
    ),
    Known(
        400,
        re.compile(rb"\AClient sent an HTTP request to an HTTPS server\.?\n?\Z"),
        "HTTPS, by Go's net/http",
        "golang/go net/http/server.go (conn.serve), since Go 1.12",
    ),
    Known(
        400,
        re.compile(rb"The plain HTTP request was sent to HTTPS port"),
        "HTTPS, by nginx",
        "nginx src/http/ngx_http_special_response.c",
    ),
    Known(
        None,
        re.compile(rb"\x15\x03[\x00-\x04]\x00\x02"),
        "TLS",
        "RFC 8446 section 5.1 and 6: a record of type alert; Go before 1.12 answers plain HTTP so",
    ),
    Known(
        None,
        # 24 bits of length, type SETTINGS, no flags, stream 0
        re.compile(rb"\x00[\x00-\xff]{2}\x04\x00\x00\x00\x00\x00"),
        "HTTP/2 without TLS, as gRPC speaks it",
        "RFC 9113 section 4.1 and 6.5; containerd 1.6 with [grpc] tcp_address",
        "containerd-grpc",
        "containerd",
    ),
    Known(None, re.compile(rb"SSH-[0-9.]+-"), "SSH", "RFC 4253 section 4.2"),
    Known(None, re.compile(rb"\xff{16}"), "BGP", "RFC 4271 section 4.1"),
    Known(None, re.compile(rb"220[ -]"), "a server of mail or FTP", "RFC 5321 section 4.2; RFC 959 section 5.4"),
    Known(
        None,
        re.compile(rb"-(?:ERR|NOAUTH|DENIED) "),
        "Redis",
        "https://redis.io/docs/latest/develop/reference/protocol-spec/",
    ),
    Known(None, re.compile(rb"RFB [0-9]{3}\.[0-9]{3}\n"), "VNC", "RFC 6143 section 7.1.1"),
)


def ask_all(
    listeners: Sequence[dict[str, Any]], deadline: Deadline, others: Sequence[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Ask several listeners within one budget; the answers are in their order. See ``ask``."""
    waiting = itertools.count()
    lock = threading.Lock()
    answers: dict[int, dict[str, Any]] = {}

    def work(_lane: int) -> None:
        while True:
            with lock:
                number = next(waiting)
            if number >= len(listeners):
                return
            answers[number] = ask(listeners[number], deadline, others)

    in_parallel(work, range(min(_AT_ONCE, len(listeners))))
    return [answers[number] for number in range(len(listeners))]


def ask(listener: dict[str, Any], deadline: Deadline, others: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Return ``{asked, status, body, server, kind, looks_like, why}`` of one listener of listen_ports' shape; it raises nothing.

    ``asked`` is None when it was left alone. ``why`` tells why it was, or why there is no answer or no whole one. ``others`` are all of
    the node's listeners: one of them may stand in front of this one.
    """
    signature: dict[str, Any] = {"asked": None, "status": None, "body": "", "server": None, "kind": None}
    signature.update(looks_like="", why="")
    addresses = _addresses(listener)
    signature["why"] = _not_to_be_asked(listener, addresses, others)
    if signature["why"]:
        return signature
    own = Deadline(min(SECONDS, deadline.left()))
    if own.passed():
        signature["why"] = "not asked: there was no time left (raise timeout)"
        return signature
    try:
        connection, address = _connected(addresses, listener["port"], own)
        with connection:
            _converse(connection, address, listener, own, signature)
    except (OSError, http.client.HTTPException, ValueError) as error:
        signature["why"] = _in_words(error, own)
    return signature


def _not_to_be_asked(listener: dict[str, Any], addresses: Sequence[str], others: Iterable[dict[str, Any]]) -> str:
    """Why a listener is better left alone; empty when it may be asked."""
    if listener["protocol"] != "tcp" or listener["state"] != "listen":
        return "not asked: only TCP sockets that listen are"
    if not addresses:
        return f"not asked: it listens at {listener['address']} only, and other addresses than loopback are not asked"
    if any(_in_front(other, listener, addresses[0]) for other in others):
        return f"not asked: another socket listens at {addresses[0]} and would answer instead"
    return _harm(listener)


def _harm(listener: dict[str, Any]) -> str:
    names = _names(listener)
    if not names:
        return "not asked: who owns it is not known, and a connection may start or end a program (run it as root)"
    if names <= _STARTERS:
        return f"not asked: {min(names)} holds it for a program that it starts at the first connection"
    backlog = listener.get("backlog")
    if names & _SINGLE_PROGRAMS or (backlog is not None and backlog <= _SINGLE):
        return "not asked: it looks like a server for one connection, which a question would use up"
    return ""


def _addresses(listener: dict[str, Any]) -> list[str]:
    """The addresses of loopback by which a listener is reached, the best first; none for one elsewhere."""
    family = _WILDCARDS.get(listener["address"])
    if family == "ipv6":
        # Both: where IPv6 is switched off, [::] still listens, and there is no ::1.
        return ["::1"] if listener.get("v6only") else ["::1", "127.0.0.1"]
    if family:
        return [_LOOPBACK[family]]
    try:
        address = ipaddress.ip_address(listener["address"].partition("%")[0])
    except ValueError:
        return []
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    return [str(address)] if address.is_loopback else []


def _in_front(other: dict[str, Any], listener: dict[str, Any], address: str) -> bool:
    """Does another socket take the connections to ``address``, for its address is the more exact one?"""
    same = ("protocol", "state", "port")
    return (
        listener["address"] in _WILDCARDS
        and other["address"] == address
        and all(other[key] == listener[key] for key in same)
    )


def _names(listener: dict[str, Any]) -> set[str]:
    """The names of its programs; where they are hidden, of the unit in which it was made."""
    names = {process["name"] for process in listener.get("processes") or () if process.get("name")}
    return names or set(filter(None, [cgroup.program(listener.get("cgroup"))]))


def _connected(addresses: Sequence[str], port: int, deadline: Deadline) -> tuple[socket.socket, str]:
    """A connection, and to which of the addresses. Raises OSError."""
    for address in addresses:
        connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            connection.settimeout(deadline.left() or _GREETING_SECONDS)
            connection.connect((address, port))
            return connection, address
        except OSError as error:
            connection.close()
            if address == addresses[-1] or isinstance(error, (ConnectionError, socket.timeout)):
                raise
    raise ValueError("no address")


def _converse(
    connection: socket.socket, address: str, listener: dict[str, Any], deadline: Deadline, signature: dict[str, Any]
) -> None:
    """Raises OSError, http.client.HTTPException and ValueError, when all that could be told is in ``signature``."""
    if local_end.is_here(connection) is False:
        raise _TakenAwayError
    place = f"[{address}]:{listener['port']}" if ":" in address else f"{address}:{listener['port']}"
    lines = ("GET / HTTP/1.1", f"Host: {place}", "User-Agent: kubenode.doctor", "Accept: */*", "Connection: close")
    try:
        _set_timeout(connection, deadline)
        connection.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii"))
    except ConnectionError:
        pass  # who hangs up at once may have said why before
    signature["asked"] = f"GET http://{place}/"
    incoming = _Incoming(connection, deadline)
    start = incoming.at_least(len(_HTTP), deadline)
    if start.startswith(_HTTP):
        _read_http(incoming, listener, signature)
    else:
        start = incoming.at_least(_GREETING, Deadline(min(_GREETING_SECONDS, deadline.left())))
        signature["body"] = _quoted(start, _SHOWN)
        _recognise(None, start, "", listener, signature)
        if not start:
            raise incoming.ended or ConnectionResetError()


def _read_http(incoming: _Incoming, listener: dict[str, Any], signature: dict[str, Any]) -> None:
    """Raises OSError, http.client.HTTPException and ValueError."""
    response = http.client.HTTPResponse(_AsSocket(incoming))  # type: ignore[arg-type]
    response.begin()
    server = response.getheader("Server") or ""
    signature["status"] = response.status
    signature["server"] = _quoted(server.encode("latin-1", "replace"), _SERVER_SHOWN) or None
    signature["looks_like"] = "an HTTP server"
    body = b""
    try:
        while len(body) < _COMPARED:
            piece = response.read1(_COMPARED - len(body))
            if not piece:
                break
            body += piece
    finally:
        signature["body"] = _quoted(body, _SHOWN)
    # Only now: what has not ended may go on differently.
    _recognise(response.status, body, server, listener, signature)


def _recognise(
    status: Optional[int], said: bytes, server: str, listener: dict[str, Any], signature: dict[str, Any]
) -> None:
    for known in TABLE:
        matches = known.said.match if known.status is None else known.said.search
        if known.status == status and server.startswith(known.server) and matches(said):
            signature["looks_like"] = known.looks_like
            signature["kind"] = known.kind if _can_be(known.owner, listener) else None
            return


def _can_be(owner: Optional[str], listener: dict[str, Any]) -> bool:
    """Can the program that listens there be the one that a row is about?"""
    names = _names(listener)
    if owner != origin_kinds.STREAMING:
        return owner is None or owner in names
    by_name = known_ports.known_as("tcp", listener["address"], listener["port"], names, None)
    return bool(by_name and by_name["role"] == known_ports.STREAMING)


def _quoted(data: bytes, limit: int) -> str:
    """Text that may be shown, of whatever was sent."""
    text = log_sample.redact(log_sample.clean(data[: 4 * _SHOWN].decode("utf-8", "ignore")))
    return text if len(text) <= limit else text[: limit - 1] + "…"


class _TakenAwayError(ValueError):
    """The connection went to somebody else."""


class _TooMuchError(ValueError):
    """More bytes than an answer may have."""


class _Incoming(io.RawIOBase):
    """What comes from a connection, as long as there is time and not more than LIMIT. ``ended`` is what ended it, if not its sender."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = deadline
        self._start = b""  # received and not read yet
        self._left = LIMIT
        self.ended: Optional[Exception] = None

    def at_least(self, count: int, deadline: Deadline) -> bytes:
        """How it begins: so many bytes or a whole line, or as many as came before the deadline. They can still be read."""
        while len(self._start) < count and b"\n" not in self._start:
            try:
                piece = self._receive(_PIECE, deadline)
            except OSError as error:
                self.ended = error
                break
            if not piece:
                break
            self._start += piece
        return self._start

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._start[: len(buffer)] or self._receive(len(buffer), self._deadline)
        self._start = self._start[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def _receive(self, count: int, deadline: Deadline) -> bytes:
        _set_timeout(self._connection, deadline)
        piece = self._connection.recv(count)
        self._left -= len(piece)
        if self._left < 0:
            raise _TooMuchError
        return piece


class _AsSocket:
    """As much of a socket as http.client reads from."""

    def __init__(self, incoming: _Incoming) -> None:
        self._incoming = incoming

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._incoming)


def _set_timeout(connection: socket.socket, deadline: Deadline) -> None:
    left = deadline.left()
    if not left:  # to a socket, 0 means not to wait at all
        raise socket.timeout
    connection.settimeout(left)


def _in_words(error: Exception, deadline: Deadline) -> str:
    """Why there is no answer, or no whole one."""
    words: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
        (
            (_TakenAwayError,),
            "not asked: a connection to it ends elsewhere, as when a Service has its number as NodePort (see nodeport_conflict)",
        ),
        ((_TooMuchError,), f"its answer has more than {LIMIT >> 10} KiB of headers, and was not read further"),
        ((socket.timeout, TimeoutError), f"did not answer in full within {shown(deadline.seconds)} s"),
        (
            (ConnectionRefusedError,),
            "not asked: connection refused, although it listens: a packet filter rejects it, as for a NodePort without endpoints",
        ),
        ((ConnectionError, http.client.RemoteDisconnected), "hung up without an answer"),
        ((OSError,), f"cannot be reached: {getattr(error, 'strerror', None) or error}"),
    )
    return next((text for kinds, text in words if isinstance(error, kinds)), "its answer is not sound HTTP")
