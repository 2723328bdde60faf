# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delve's tracepoints on what opens listeners in Go's package net: every call, on every goroutine, with its stack.

    > goroutine(21): [Listen] net.(*ListenConfig).Listen((*net.ListenConfig)(0xc000037700), context.Context(…) 0xbeef000000000108, "tcp", "localhost:0")
        network: "tcp"
        address: "localhost:0"
        Stack:
                0  0x00000000004c612f in net.(*ListenConfig).Listen
                         at /usr/lib/go-1.19/src/net/dial.go:624
                1  0x00000000004c6d4b in net.Listen
                         at /usr/lib/go-1.19/src/net/dial.go:711
                2  0x0000000000613245 in main.openRandom
                         at /src/agent/main.go:8
    > goroutine(21): [Tcp] net.sockaddrToTCP(syscall.Sockaddr(*syscall.SockaddrInet4) 0xbeef000000000008)
        sa: syscall.Sockaddr(*syscall.SockaddrInet4) *{
                Port: 45657,
                Addr: [4]uint8 [127,0,0,1],

``dlv trace`` does the same and was not taken: it leaves the program its own standard error, on which it prints its trace, so that the program can
write what it likes into it (Delve 1.20.2 ignores --redirect there), and it prints no more than the arguments. ``dlv exec`` with a script sets the
same tracepoints, sends the program's output to /dev/null, and prints variables: the real port too.

A function is entered by each call once, whether it is inlined elsewhere or not, and its arguments are in registers there, so that optimised programs tell
them too; return values can rarely be read. net.Listen, http.ListenAndServe and the like all come to ListenConfig (net/dial.go, since Go 1.11).
The port that was drawn is seen where net turns it from the kernel's form into its own: sockaddrToTCP and its sisters, which are reached through
a function's value (net/sock_posix.go, addrFunc), and so are never inlined.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any, Dict, Optional, Sequence

from ansible_collections.kubenode.doctor.plugins.module_utils import trace_calls
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain
from ansible_collections.kubenode.doctor.plugins.module_utils.trace_calls import Calls, Frame

# By the name of its tracepoint: the function, and the variables that say what is asked for.
_OPENERS = {
    "Listen": ("net.(*ListenConfig).Listen", ("network", "address")),
    "ListenPacket": ("net.(*ListenConfig).ListenPacket", ("network", "address")),
    "ListenTCP": ("net.ListenTCP", ("network", "laddr")),
    "ListenUDP": ("net.ListenUDP", ("network", "laddr")),
    "ListenMulticastUDP": ("net.ListenMulticastUDP", ("network", "gaddr")),
    "ListenUnix": ("net.ListenUnix", ("network", "laddr")),
    "ListenUnixgram": ("net.ListenUnixgram", ("network", "laddr")),
    # A socket that another process opened, as systemd does for its units (sd_listen_fds(3)).
    "FileListener": ("net.FileListener", ()),
    "FilePacketConn": ("net.FilePacketConn", ()),
}
_RESULTS = {
    "Tcp": "net.sockaddrToTCP",
    "Udp": "net.sockaddrToUDP",
    "Unix": "net.sockaddrToUnix",
    "Unixgram": "net.sockaddrToUnixgram",
}
_ERROR = "Error"
_ERROR_FUNCTION = "os.NewSyscallError"
# Who calls those for a listener; dial and accept do for connections (net/sock_posix.go, net/file_unix.go).
_FOR_LISTENERS = frozenset({"net.(*netFD).listenStream", "net.(*netFD).listenDatagram", "net.newFileFD"})
_NEAR = 4  # how many frames above it that caller is, at most: a wrapper, and what is inlined

_HIT = re.compile(r"> goroutine\((-?[0-9]+)\):(?:frame\([0-9]+\))? \[([A-Za-z]+)\] ")
_VARIABLE = re.compile(r"\t([a-z]+): (.*)")
_FUNCTION = re.compile(r"\t\t *[0-9]+  ?0x[0-9a-f]+ in (.+)")
_PLACE = re.compile(r"\t\t +at (.+)")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_CUT = re.compile(r"\.\.\.\+[0-9]+ more$")  # of a string of more than 64 characters, as a Unix socket's path may be
_PORT = re.compile(r"\bPort: ([0-9]{1,5}),")
_BYTES = re.compile(r"\b(?:Addr: \[[0-9]+\]uint8|IP: net\.IP len: [0-9]+, cap: [0-9]+,) \[([0-9,]+)\]")
_NAME = re.compile(r'\bName: ("(?:[^"\\]|\\.)*")')
_ERRNO = re.compile(r"\(syscall\.Errno\) \w+ \(([0-9]{1,4})\)")
_SET = re.compile(r"Tracepoint ([A-Za-z]+) set at ")
_NOT_FOUND = re.compile(r'location "([^"]+)" not found')
_EXITED = re.compile(r"Process [0-9]+ has exited with status (-?[0-9]+)")
_MOST_LINES = 4 * trace_calls.DEEPEST  # of one hit; more of them are no stack of ours


def script() -> str:
    """Commands for Delve (Documentation/cli/README.md)."""
    lines: list[str] = []
    points = [(label, function, variables) for label, (function, variables) in _OPENERS.items()]
    points += [(label, function, ("sa",)) for label, function in _RESULTS.items()]
    points += [(_ERROR, _ERROR_FUNCTION, ("err",))]
    for label, function, _variables in points:
        lines.append(f"trace {label} {function}")
    for label, _function, variables in points:
        lines += [f"on {label} print {variable}" for variable in variables]
        lines.append(f"on {label} stack {trace_calls.DEEPEST if label in _OPENERS else _NEAR}")
    lines += [f"condition {_ERROR} err != nil", "continue", "exit"]
    return "\n".join(lines) + "\n"


def command(dlv: str, script_path: str, program: Sequence[str]) -> list[str]:
    """What to run, in a folder whose path no source file has: Delve shortens paths by it."""
    quiet = [word for stream in ("stdin", "stdout", "stderr") for word in ("--redirect", f"{stream}:/dev/null")]
    # A newer Go than Delve knows may well do: what cannot be read is missed, and told.
    flags = ["--allow-non-terminal-interactive", "--check-go-version=false", "--wd", "/", "--init", script_path]
    return [dlv, "exec", *flags, *quiet, program[0], "--", *program[1:]]


class Reader:
    """Understands Delve's output, line by line.

    ``ready`` is set when the program begins to run, ``points`` holds the openers that have a tracepoint, ``exited`` is the program's exit status, or minus
    the signal that ended it.
    """

    def __init__(self) -> None:
        self.calls = Calls()
        self.ready = False
        self.points: list[str] = []
        self.unread = 0  # sockets whose address could not be read
        self.exited: Optional[int] = None
        self._open: Dict[int, dict[str, Any]] = {}  # the last row of each goroutine, until its result is known
        self._hit: Optional[tuple[int, str]] = None
        self._lines: list[str] = []

    def add(self, line: bytes) -> None:
        """The next line."""
        text = line.decode("utf-8", "replace")
        if not text.strip() or text.startswith("\t"):
            if self._hit is not None and len(self._lines) < _MOST_LINES:
                self._lines.append(text)
            return
        self.end()
        found = _HIT.match(text)
        if found is not None:
            self._hit = (int(found[1]), found[2])
            return
        if not self.ready:
            self._prepare(text)
        exited = _EXITED.search(text)
        if exited is not None:
            self.exited = int(exited[1])

    def end(self) -> None:
        """The last hit is whole."""
        if self._hit is None:
            return
        goroutine, label = self._hit
        variables, stack = _understood(self._lines)
        self._hit, self._lines = None, []
        if label in _OPENERS:
            self._begin(goroutine, label, variables, stack)
        elif any(one.function in _FOR_LISTENERS for one in stack):
            self._finish(goroutine, label, variables)

    def _prepare(self, text: str) -> None:
        """Delve answers each command of the script in turn, whether it finds the function or not; the last is the error's."""
        found, missed = _SET.match(text), _NOT_FOUND.search(text)
        if found is not None and found[1] in _OPENERS:
            self.points.append(found[1])
        self.ready = (found is not None and found[1] == _ERROR) or (missed is not None and missed[1] == _ERROR_FUNCTION)

    def _begin(self, goroutine: int, label: str, variables: Dict[str, str], stack: list[Frame]) -> None:
        _function, names = _OPENERS[label]
        network = _string(variables.get("network", ""))
        asked = variables.get(names[1], "") if names else ""
        address = _string(asked) if names[1:] == ("address",) else _asked(asked)
        row = self.calls.add(_called(stack, _OPENERS[label][0]), network, address, stack, goroutine=goroutine)
        self._open.pop(goroutine, None)
        if row is not None:
            self._open[goroutine] = row

    def _finish(self, goroutine: int, label: str, variables: Dict[str, str]) -> None:
        row = self._open.get(goroutine)
        if row is None:
            return
        if label == _ERROR:
            number = _ERRNO.search(variables.get("err", ""))
            result = trace_calls.failure(int(number[1])) if number is not None else None
        else:
            result = _address(variables.get("sa", ""))
        if result is None:
            self.unread += 1
            return
        row["result"] = result
        del self._open[goroutine]


def refusal(errors: Sequence[str]) -> str:
    """Why Delve did not start a program, in words, from its last complaint."""
    said = plain(errors[-1]) if errors else "it said nothing"
    if "could not open debug info" in said:
        return "the program has no debug information (DWARF): it was built with -ldflags='-s -w', or not by Go"
    if "not an executable file" in said:
        return "it is a script or another file that Delve cannot run"
    return said


def _understood(lines: Sequence[str]) -> tuple[Dict[str, str], list[Frame]]:
    """The variables of a hit as Delve prints them, each in one line, and its stack."""
    variables: Dict[str, str] = {}
    stack: list[Frame] = []
    name, function = "", ""
    in_stack = False
    for line in lines:
        if line == "\tStack:":
            in_stack = True
        elif in_stack:
            begun, place = _FUNCTION.fullmatch(line), _PLACE.fullmatch(line)
            if begun is not None:
                function = begun[1]
            elif place is not None and function:
                stack.append(trace_calls.frame(function, place[1]))
                function = ""
        else:
            found = _VARIABLE.fullmatch(line)
            if found is not None:
                name = found[1]
                variables[name] = found[2]
            elif name:
                variables[name] += line.strip()
    return variables, stack


def _called(stack: Sequence[Frame], function: str) -> str:
    """The function of net that the program called: net.Listen calls that of ListenConfig."""
    called = function
    for one in stack:
        if not one.function.startswith("net."):
            break
        called = one.function
    return called


def _string(text: str) -> Optional[str]:
    """A string as Delve prints it; None when it could not read it."""
    found = _QUOTED.match(text)
    return _CUT.sub("…", trace_calls.unquoted(found[1])) if found is not None else None


def _asked(text: str) -> Optional[str]:
    """A *net.TCPAddr or its like: nil is any address and a port drawn at random."""
    if re.fullmatch(r"\*net\.\w+ nil", text):
        return ":0"
    return _address(text)


def _address(text: str) -> Optional[str]:
    """An address of any kind as Delve prints it; None when it could not be read."""
    name, port, octets = _NAME.search(text), _PORT.search(text), _BYTES.search(text)
    if port is None:
        return _string(name[1]) if name is not None else None
    host = _host(octets[1]) if octets is not None else ""
    return f"{host}:{port[1]}"


def _host(octets: str) -> str:
    numbers = [int(number) for number in octets.split(",") if number]
    if len(numbers) not in (4, 16) or max(numbers) > 255:
        return ""
    found = ip_address(bytes(numbers))
    mapped = getattr(found, "ipv4_mapped", None) or found
    return str(mapped) if mapped.version == 4 else f"[{mapped}]"
