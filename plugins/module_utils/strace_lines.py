# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""strace's output: who listens where, for programs in any language.

    28433 bind(8<TCPv6:[30900765]>, {sa_family=AF_INET6, sin6_port=htons(0), …, inet_pton(AF_INET6, "::", &sin6_addr), …}, 28 <unfinished ...>
    28434 listen(4<TCP:[127.0.0.1:42535]>, 4096) = 0
     > /usr/local/bin/agent(syscall.Listen+0x2a) [0x710ea]
     > /usr/local/bin/agent(main.openRandom+0x85) [0x213245]
    28433 <... bind resumed>)               = 0
     > /usr/local/bin/agent(syscall.Bind+0x50) [0x6fef0]

A stream socket listens once listen(2) says so; a datagram socket has no listen, so that its bind(2) counts. The port that was drawn is in strace's
words for the descriptor (-yy), else in what getsockname(2) tells the program, if it asks. Stacks (-k) name the functions that are in the
program's symbol table; those of a stripped Go program are in a table of Go's own. What is inlined has no frame.
"""

from __future__ import annotations

import re
from typing import Any, Dict, NamedTuple, Optional, Sequence, TypeVar

from ansible_collections.kubenode.doctor.plugins.module_utils import go_symbols, trace_calls
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain
from ansible_collections.kubenode.doctor.plugins.module_utils.trace_calls import Calls, Frame

_MOST_SOCKETS = 4096  # that were bound and not listened on, and threads within a call; the oldest are forgotten
# Its standard output is the trace; so the shell gives the program another, and becomes the program.
_WRAPPED = ("/bin/sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh")

_LINE = re.compile(r"([0-9]+) +(.*)")
_BEGUN = re.compile(r"(bind|listen|getsockname)\((.*) <unfinished \.\.\.>")
_RESUMED = re.compile(r"<\.\.\. (bind|listen|getsockname) resumed>(.*)")
_NAMED = re.compile(r"(?:<\.\.\. )?(?:bind|listen|getsockname)\b")
_CALL = re.compile(r"(bind|listen|getsockname)\((.*)\) += (-?[0-9]+)(?: ([A-Z]+) \(.*)?")
# A name of C++ may hold parentheses: the object's path ends at the first one, the name at the offset.
_FRAME = re.compile(r" > ([^(]+)\((?:(.*)\+0x([0-9a-f]{1,16}))?\) \[0x([0-9a-f]{1,15})\]")
# A stripped program has few symbols left, and libunwind names the nearest one below, however far. Functions are smaller than this.
_FARTHEST = 0x8000
# 3<TCP:[127.0.0.1:80]>, 3<TCPv6:[[::]:80]>, 3<UDP:[30900140]>, 3<UNIX-STREAM:[30900140,"/run/x.sock"]>, 3<socket:[30900140]>, or 3
_SOCKET = re.compile(r"([0-9]+)(?:<([A-Za-z0-9_-]+):\[(.*?)\]>)?(?:, |$)")
_V4 = re.compile(r'sa_family=AF_INET, sin_port=htons\(([0-9]{1,5})\), sin_addr=inet_addr\("([0-9.]{7,15})"\)')
_V6 = re.compile(
    r'sa_family=AF_INET6, sin6_port=htons\(([0-9]{1,5})\).*?inet_pton\(AF_INET6, "([0-9a-fA-F:.]{2,45})", &sin6_addr\)'
)
_UNIX = re.compile(r'sa_family=AF_UNIX, sun_path=(@?)"((?:[^"\\]|\\.)*)"')
_RESOLVED = re.compile(r"(?:[0-9.]{7,15}|\[[0-9a-fA-F:.]{2,45}\]):[0-9]{1,5}")
_NETWORKS = {
    "TCP": "tcp",
    "TCPv6": "tcp6",
    "UDP": "udp",
    "UDPv6": "udp6",
    "UNIX-STREAM": "unix",
    "UNIX-DGRAM": "unixgram",
}
_NETWORKS["UNIX-SEQPACKET"] = "unixpacket"
_DATAGRAMS = frozenset({"udp", "udp6", "unixgram"})
# Go's net tries what the kernel can, with sockets that it closes at once (net/ipsock_posix.go).
_PROBE = "net.(*ipStackCapabilities).probe"

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Seen(NamedTuple):
    """A frame as strace tells it: ``name`` is empty where there is no symbol, ``offset`` is in the object's file."""

    path: str
    name: str
    offset: int


class _Socket(NamedTuple):
    fd: str
    network: Optional[str]
    address: Optional[str]  # that it has, where strace knows


class _Call(NamedTuple):
    thread: int
    name: str
    arguments: str
    status: int
    error: Optional[str]


def command(strace: str, program: Sequence[str], stacks: bool) -> list[str]:
    """What to run; the trace comes on standard output."""
    flags = ["-f", "-qq", "-yy", "-e", "trace=bind,listen,getsockname", "-e", "signal=none", "-o", "/dev/stdout"]
    return [strace, *flags, *(["-k"] if stacks else []), "--", *_WRAPPED, *program]


class Reader:
    """Understands strace's output, line by line."""

    def __init__(self) -> None:
        self.calls = Calls()
        self.odd = 0  # lines that are none of strace's
        self._begun: Dict[int, str] = {}  # by thread: what an unfinished line said
        self._call: Optional[_Call] = None
        self._stack: list[_Seen] = []
        self._bound: Dict[tuple[int, str], str] = {}  # by thread and descriptor: the address that was asked for
        self._binder: Dict[str, int] = {}  # by descriptor: the thread that bound it last
        self._waiting: Dict[str, dict[str, Any]] = {}  # by descriptor: rows whose address getsockname may tell

    def add(self, line: bytes) -> None:
        """The next line."""
        text = line.decode("utf-8", "replace")
        if text.startswith(" > "):
            if len(self._stack) < trace_calls.DEEPEST:
                self._stack.append(_seen(text))
            return
        self.end()
        found = _LINE.fullmatch(text)
        if found is None:
            self.odd += 1
            return
        self._call = self._understood(int(found[1]), found[2])

    def end(self) -> None:
        """The last call is whole."""
        call, seen = self._call, self._stack
        self._call, self._stack = None, []
        if call is not None:
            self._take(call, seen)

    def _understood(self, thread: int, text: str) -> Optional[_Call]:
        begun, resumed = _BEGUN.fullmatch(text), _RESUMED.fullmatch(text)
        if begun is not None:
            _keep(self._begun, thread, f"{begun[1]}({begun[2]}")
            return None
        if resumed is not None:
            text = self._begun.pop(thread, f"{resumed[1]}(") + resumed[2]
        found = _CALL.fullmatch(text)
        if found is None:
            # Not what a thread was in when it ended or was let go: "= ?", "???( <detached ...>".
            self.odd += 1 if _NAMED.match(text) and not text.endswith("= ?") else 0
            return None
        return _Call(thread, found[1], found[2], int(found[3]), found[4])

    def _take(self, call: _Call, seen: list[_Seen]) -> None:
        socket = _socket(call.arguments)
        if socket is None:  # a number that is no descriptor fails
            self.odd += 1 if call.status == 0 else 0
            return
        if call.name == "getsockname":
            row = self._waiting.pop(socket.fd, None)
            told = _address(call.arguments)
            if row is not None and call.status == 0 and told is not None:
                row["result"] = told
        elif call.name == "listen":
            self._listened(call, socket, seen)
        else:
            self._was_bound(call, socket, seen)

    def _was_bound(self, call: _Call, socket: _Socket, seen: list[_Seen]) -> None:
        asked = _address(call.arguments)
        if asked is None:  # of another family, such as netlink
            return
        if call.error is not None or socket.network in _DATAGRAMS:
            self._row(call, socket, asked, seen)
            return
        _keep(self._bound, (call.thread, socket.fd), asked)
        _keep(self._binder, socket.fd, call.thread)

    def _listened(self, call: _Call, socket: _Socket, seen: list[_Seen]) -> None:
        # A Go program may go on in another thread, and a process's threads share descriptors.
        thread = call.thread if (call.thread, socket.fd) in self._bound else self._binder.get(socket.fd, -1)
        asked = self._bound.pop((thread, socket.fd), None)
        self._row(call, socket, asked, seen)

    def _row(self, call: _Call, socket: _Socket, asked: Optional[str], seen: list[_Seen]) -> None:
        stack = _frames(seen) if not self.calls.full else []
        if any(one.function == _PROBE for one in stack):
            return
        row = self.calls.add(call.name, socket.network, asked, stack, thread=call.thread)
        if row is None:
            return
        if call.error is not None:
            row["result"] = trace_calls.failure_named(call.error)
        elif socket.address is not None and call.name == "listen":
            row["result"] = socket.address
        elif asked is not None and not asked.endswith(":0"):
            row["result"] = asked
        else:
            _keep(self._waiting, socket.fd, row)


def _keep(table: Dict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Remember it, and forget what was remembered longest when there is too much."""
    table.pop(key, None)
    table[key] = value
    if len(table) > _MOST_SOCKETS:
        del table[next(iter(table))]


def refusal(errors: Sequence[str]) -> Optional[str]:
    """Why strace did not trace, in words; None when it does not say."""
    said = [line for line in errors if line.startswith("strace: ")]
    return plain(said[-1][len("strace: ") :]) if said else None


def lacks_stacks(errors: Sequence[str]) -> bool:
    """Whether this strace was built without -k (strace.c: "… is not supported by this build of strace")."""
    return any("not supported by this build" in line for line in errors)


def _seen(text: str) -> _Seen:
    found = _FRAME.fullmatch(text)
    if found is None:
        return _Seen(text[3:], "", 0)
    name = found[2] if found[2] and int(found[3], 16) <= _FARTHEST else ""
    return _Seen(found[1], name, int(found[4], 16))


def _frames(seen: Sequence[_Seen]) -> list[Frame]:
    """The stack with the names that Go's own table knows, where the symbols are not enough."""
    named = [one.name for one in seen]
    path = seen[0].path if seen else ""
    own = [number for number, one in enumerate(seen) if one.path == path]
    if not all(named[number] for number in own):
        told = go_symbols.names(path, [seen[number].offset for number in own])
        for number, name in zip(own, told or []):
            named[number] = name
    return [trace_calls.frame(name, f"{one.path}+0x{one.offset:x}") for name, one in zip(named, seen)]


def _socket(arguments: str) -> Optional[_Socket]:
    found = _SOCKET.match(arguments)
    if found is None:
        return None
    told = found[3] or ""
    return _Socket(found[1], _NETWORKS.get(found[2] or ""), told if _RESOLVED.fullmatch(told) else None)


def _address(arguments: str) -> Optional[str]:
    v4, v6, unix = _V4.search(arguments), _V6.search(arguments), _UNIX.search(arguments)
    if v4 is not None:
        return f"{v4[2]}:{v4[1]}"
    if v6 is not None:
        return f"[{v6[2]}]:{v6[1]}"
    if unix is not None:
        return unix[1] + trace_calls.unquoted(unix[2])
    return None
