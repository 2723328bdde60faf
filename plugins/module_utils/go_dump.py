# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the stacks of all goroutines that a Go program prints, for the goroutines that wait in Accept: each serves one listener.

    goroutine 74 [IO wait, 2 minutes]:
    internal/poll.(*FD).Accept(0xc0000be480)
            internal/poll/fd_unix.go:614 +0x234
    net.(*TCPListener).Accept(0xc000581f20)
            net/tcpsock.go:288 +0x3d
    net/http.(*Server).Serve(0xc0001a81e0, {0x2528838, 0xc000581f20})
            net/http/server.go:3070 +0x385
    github.com/containerd/containerd/pkg/cri/streaming.(*server).Start(0xc0001a77a0, 0x2e?)
            github.com/containerd/containerd/pkg/cri/streaming/server.go:267 +0xd8
    created by github.com/containerd/containerd/pkg/cri/server.(*criService).Run in goroutine 39
            github.com/containerd/containerd/pkg/cri/server/service.go:244 +0x6aa

The form is no interface of Go's. It is that of runtime/traceback.go (goroutineheader, traceback, printcreatedby) of Go 1.10 to 1.26, and what may be
missing is taken as missing: minutes, arguments, the goroutine of "created by" (since 1.21), gp= and m= (since 1.23), labels (since 1.26).

A dump may have hundreds of megabytes and come from a program that is ill: it is read in pieces, of which only the goroutines with an Accept are looked at.
A goroutine that holds an accept loop but does not accept at this moment, since it sleeps after "too many open files", is not among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import unquote

from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain
from ansible_collections.kubenode.doctor.plugins.module_utils.go_servers import kind_of, server_of

_PIECE = 1 << 20
# Of one goroutine; 100 frames (runtime/traceback.go _TracebackMaxFrames) with long names and paths have 50 KB.
_LONGEST = 256 << 10
_LINES = 500
_LINE = 2000  # characters
_NAME = 200
_FILE = 300
_STACK = 40  # functions that are handed on
_ACCEPTING = 200  # goroutines that are handed on; kubelet has 5, a proxy with a listener a Service has as many as that
# Where /debug/pprof/goroutine ends, however much there is to say (runtime/pprof/pprof.go writeGoroutineStacks).
_LIMIT_OF_PPROF = 64 << 20

_BEGIN = b"\ngoroutine "
# The state ends with "]:", but for labels, which are quoted text (runtime/traceback.go since Go 1.26) and may hold anything but a line's end.
_HEADER = re.compile(rb"\ngoroutine [0-9]{1,20} [^\[\n]{0,100}(\[[^\n]{1,2000}\]):(?=\n|\Z)")
_ACCEPT = b"Accept("
# What accepts: the poller, by which all of net's listeners wait, and types that are called listeners. Not a multiplexed connection's Accept.
_LISTENERS = (b"FD).", b"istener).", b"istener.")
_POLLER = "internal/poll.(*FD).Accept"
_ACCEPTS = re.compile(r"(?:internal/poll\.\(\*FD\)|istener\)?)\.Accept(?:TCP|Unix)?$")
_MINUTES = re.compile(r", ([0-9]{1,9}) minutes")
_PLACE = re.compile(r"[ \t]+(.+:[0-9]+)(?: |$)")
_IN_GOROUTINE = re.compile(r" in goroutine [0-9]+$")
# How a goroutine ends: with its creator (traceback and tracebackothers), which is told of the ancestors that may follow as well.
_ANCESTOR = b"\n[originating from "
_CREATED = re.compile(rb"\ncreated by [^\n]+\n[ \t][^\n]*:[0-9]")
# Without one are the first, which runs main, and those of threads that C started, which are locked to them (newextram, runtime/proc.go).
_HAS_NO_CREATOR = re.compile(rb"\n(?:goroutine|\[originating from goroutine) (?:1[ \]]|[^\n]*locked to thread)")
_ROOT = re.compile(
    rb"\n(?:(?:main\.main|runtime\.main|runtime\.goexit)\([^\n]*\)\n[ \t][^\n]*:[0-9]"
    rb"|\.\.\.additional frames elided\.\.\.|[ \t]+goroutine running on other thread; stack unavailable)"
)
_NETWORKS = (("net.(*TCPListener).", "tcp"), ("net.(*UnixListener).", "unix"))

_TIME = "the time budget ended before the end of the dump: raise budget_seconds"
_CUT = "the dump ends before its end was written, so that goroutines are missing: take it again"
_MANY = f"more than {_ACCEPTING} goroutines accept connections, of which only the first were looked at"
_NONE = "it is no dump of goroutines: no line of it begins like one"


class Dump(NamedTuple):
    """How many goroutines there are, those that accept, whether some may be missing, and why they or all are."""

    goroutines: int
    accepting: List[Dict[str, Any]]
    truncated: bool
    why: str


class _OutOfTimeError(Exception):
    """The deadline passed before the last block."""


def parse(blocks: Iterable[bytes], deadline: Deadline) -> Dump:
    """What a dump says that comes in blocks of any size. Never raises for what is in it, nor for an OSError while it is read."""
    reader = _Reader()
    why = ""
    try:
        for piece in _pieces(blocks, deadline):
            reader.feed(piece)
    except _OutOfTimeError:
        why = _TIME
    except OSError as error:
        why = f"reading the dump failed: {plain(str(error.strerror or error))}"
    return reader.finish(why)


def _pieces(blocks: Iterable[bytes], deadline: Deadline) -> Iterator[bytes]:
    """The blocks, joined or cut to about one size. Raises _OutOfTimeError after the last that came in time."""
    held = bytearray()
    for block in blocks:
        if deadline.passed():
            yield bytes(held)
            raise _OutOfTimeError
        for start in range(0, len(block), _PIECE):
            held += block[start : start + _PIECE]
            if len(held) >= _PIECE:
                yield bytes(held)
                held.clear()
    yield bytes(held)


class _Reader:
    """Counts goroutines and keeps those that accept. It holds one piece, and the goroutine that may go on in the next."""

    def __init__(self) -> None:
        self._rest = b"\n"
        self._size = 0
        self._ended = True  # with a whole line
        self._goroutines = 0
        self._accepting: List[Dict[str, Any]] = []
        self._more = False

    def feed(self, piece: bytes) -> None:
        """Look at the goroutines that end in this piece."""
        if not piece:
            return
        self._size += len(piece)
        self._ended = piece.endswith(b"\n")
        text = self._rest + piece
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        last = max(text.rfind(_BEGIN), 0)
        self._look(text[:last])
        self._rest = text[last:]
        if len(self._rest) > _LONGEST:
            self._look(self._rest[:_LONGEST])
            self._rest = self._rest[1 - len(_BEGIN) :]

    def finish(self, why: str) -> Dump:
        """All that was found; ``why`` says what stopped the reading early."""
        self._look(self._rest)
        if not why and not self._goroutines:
            return Dump(0, [], False, _NONE)
        if not why and (not self._ended or self._size == _LIMIT_OF_PPROF or not _is_whole(self._rest)):
            why = _CUT
        if not why and self._more:
            why = _MANY
        return Dump(self._goroutines, self._accepting, bool(why), why)

    def _look(self, text: bytes) -> None:
        self._goroutines += sum(1 for _header in _HEADER.finditer(text))
        at = 0
        while not self._more:
            at = text.find(_ACCEPT, at)
            if at < 0:
                return
            if not text.endswith(_LISTENERS, 0, at):
                at += len(_ACCEPT)
                continue
            begin, end = text.rfind(_BEGIN, 0, at), text.find(_BEGIN, at)
            end = end if end >= 0 else len(text)
            if begin >= 0:
                self._add(_accepting(text[begin:end]))
            at = end

    def _add(self, found: Optional[Dict[str, Any]]) -> None:
        if found is not None and len(self._accepting) < _ACCEPTING:
            self._accepting.append(found)
        else:
            self._more = self._more or found is not None


def _is_whole(text: bytes) -> bool:
    """Is the last goroutine told to its end? After one empty line there comes another goroutine, so it must not end with that."""
    if text.endswith(b"\n\n") and not text.endswith(b"\n\n\n"):
        return False
    last = text[max(text.rfind(_ANCESTOR), 0) :]
    return bool(_CREATED.search(last) or (_HAS_NO_CREATOR.match(last) and _ROOT.search(last)))


class _Frame:
    """A function of a stack, and the file and line that its own line tells."""

    def __init__(self, function: str) -> None:
        self.function = plain(unquote(function, errors="replace"), _NAME)
        self.place = ""


def _accepting(text: bytes) -> Optional[Dict[str, Any]]:
    """One goroutine that waits in Accept, None when this one does not."""
    header = _HEADER.match(text)
    if header is None:
        return None
    lines = text[header.end() + 1 :].decode("utf-8", "replace").split("\n", _LINES)[:_LINES]
    frames, creator = _frames(lines)
    stack = _from_accept([frame.function for frame in frames])
    if not stack:
        return None
    server = server_of(stack, creator.function if creator else None) or stack[0]
    places = {frame.function: frame.place for frame in reversed([*frames, *([creator] if creator else [])])}
    file = places.get(server, "")
    network = _network(frames)
    minutes = _MINUTES.search(header[1].decode("utf-8", "replace").partition("{")[0])
    return {
        "network": network,
        "server": server,
        "file": file,
        "creator": creator.function if creator else None,
        "waits_minutes": int(minutes[1]) if minutes else None,
        # The kinds are servers of ports. On a Unix socket the same function serves no port.
        "kind": None if network == "unix" else kind_of(server, stack, file),
        "stack": stack[:_STACK],
    }


def _frames(lines: Iterable[str]) -> Tuple[List[_Frame], Optional[_Frame]]:
    """The functions of a stack, innermost first, and the one that started the goroutine.

    Lines of another form tell no Go function: frames that were left out ("...additional frames elided..."), functions of C, a stack that is not there.
    """
    frames: List[_Frame] = []
    creator = None
    current = None
    for line in lines:
        # The rest of the text is none of this goroutine's; its ancestors follow with GODEBUG=tracebackancestors.
        if not line or line.startswith("[originating from "):
            break
        short = line[:_LINE]
        if short[0] in " \t":
            place = _PLACE.match(short)
            if place and current is not None:
                current.place = plain(place[1], _FILE)
        elif short.startswith("created by "):
            creator = current = _Frame(_IN_GOROUTINE.sub("", short[len("created by ") :]))
        elif line.endswith(")") and "(" in short:
            # No argument holds a bracket of this kind: they are numbers and {}.
            current = _Frame(short.rpartition("(")[0])
            frames.append(current)
        else:
            current = None
    return frames, creator


def _from_accept(functions: List[str]) -> List[str]:
    """The stack from the listener's Accept on; from the poller's where a listener has none."""
    accepts = [number for number, function in enumerate(functions) if _ACCEPTS.search(function)]
    listeners = [number for number in accepts if functions[number] != _POLLER]
    first = (listeners or accepts)[:1]
    return functions[first[0] :] if first else []


def _network(frames: Iterable[_Frame]) -> str:
    for frame in frames:
        for prefix, network in _NETWORKS:
            if frame.function.startswith(prefix):
                return network
    return "other"
