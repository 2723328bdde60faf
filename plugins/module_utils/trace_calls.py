# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls that a trace of a program saw: a table that stays small, and who made each."""

from __future__ import annotations

import ast
import errno
import os
import re
from typing import Any, NamedTuple, Optional, Sequence

from ansible_collections.kubenode.doctor.plugins.module_utils import go_names
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain

MOST_CALLS = 500  # a program has some ten listeners; one that opens more of them than this does so in a loop
DEEPEST = 40  # frames of one stack; kubelet has 14 below net.Listen (seed 001)
_LONGEST_NAME = 300
_LONGEST_ADDRESS = 120  # a Unix socket's path has at most 107 bytes (unix(7))

# What C programs reach the kernel through.
_LIBC = re.compile(r"/(?:libc|libpthread|ld-linux[^/]*|ld-musl[^/]*|libc\.musl[^/]*|libnsl)[.-][^/]*$")
_RUNTIME = "runtime."
_TYPES = re.compile(r"\[.+\]")  # of a generic function; Go's own stacks leave them out, too
_ABI = re.compile(
    r"\.abi(?:0|internal)$"
)  # what the symbol table adds to functions in assembler (cmd/link/internal/ld/symtab.go)
_UNKNOWN = "?"


class Frame(NamedTuple):
    """A function, ``?`` where there is no symbol, and its place: ``path:line``, or ``path+offset`` where no line is known."""

    function: str
    file: str


class Calls:
    """The first calls, and how many more there were."""

    def __init__(self, most: int = MOST_CALLS) -> None:
        self.kept: list[dict[str, Any]] = []
        self.more = 0
        self._most = most

    @property
    def full(self) -> bool:
        """Whether only the number of more calls is kept."""
        return len(self.kept) >= self._most

    def add(
        self,
        call: str,
        network: Optional[str],
        address: Optional[str],
        stack: Sequence[Frame],
        goroutine: Optional[int] = None,
        thread: Optional[int] = None,
    ) -> Optional[dict[str, Any]]:
        """A row, whose ``result`` may be set later; None when the table is full."""
        if self.full:
            self.more += 1
            return None
        row = {
            "call": call,
            "network": network,
            "address": address,
            "goroutine": goroutine,
            "thread": thread,
            "opener": opener(stack),
            "stack": [frame._asdict() for frame in stack[:DEEPEST]],
            "result": None,
        }
        self.kept.append(row)
        return row


def frame(function: str, file: str) -> Frame:
    """A frame as a tool printed it."""
    name = _TYPES.sub("[...]", _ABI.sub("", function))
    return Frame(plain(name, _LONGEST_NAME) or _UNKNOWN, plain(file, _LONGEST_NAME))


def address(text: str) -> str:
    """An address in one line."""
    return plain(text, _LONGEST_ADDRESS)


def unquoted(text: str) -> str:
    """What is between two quotes with backslashes, as Go and strace write it: as Python does, but for what is no text."""
    try:
        return address(str(ast.literal_eval(f'"{text}"')))
    except (SyntaxError, ValueError):
        return address(text)


def opener(stack: Sequence[Frame]) -> Optional[str]:
    """The function that is the program's own and nearest to the call; the first of a library when there is none; None without a name."""
    named = [one for one in stack if one.function != _UNKNOWN and not _LIBC.search(one.file)]
    own = [one.function for one in named if not go_names.is_standard(one.function)]
    lent = [one.function for one in named if not one.function.startswith(_RUNTIME)]
    return own[0] if own else lent[-1] if lent else None


def failure(number: int) -> str:
    """An error of the kernel in words, with its name."""
    return f"{os.strerror(number)} ({errno.errorcode.get(number, number)})"


def failure_named(name: str) -> str:
    """The same, by its name, as in EADDRINUSE."""
    number = getattr(errno, name, None)
    return failure(number) if isinstance(number, int) else plain(name, 40)
