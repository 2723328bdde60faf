# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a container's log, as a Docker Engine sends it.

Each entry is a frame: a byte for the stream, three zeros, the length in four bytes, big-endian, and the text
(https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach). A container with a terminal has
one stream, and its log no frames.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Deque, NamedTuple

_HEAD = struct.Struct(">B3xI")
_MOST_STREAM = 3  # moby pkg/stdcopy Systemerr: what keeps the engine from reading on
# An entry has 16 KiB (moby daemon/logger/copier.go defaultBufSize), and some drivers put those of one line together.
_LARGEST_ENTRY = 1 << 20


class LogFormError(Exception):
    """It is not made of frames."""


class Log(NamedTuple):
    """The last entries, and whether there were more before them."""

    content: bytes
    cut: bool


def end(pieces: Iterable[bytes], framed: bool, entries: int, most: int) -> Log:
    """At most so many of the last entries, in at most so many bytes. Raises LogFormError."""
    kept: Deque[bytes] = deque()
    size = 0
    cut = False
    for entry in _frames(pieces) if framed else _lines(pieces):
        kept.append(entry)
        size += len(entry)
        while len(kept) > entries or size > most:
            size -= len(kept.popleft())
            cut = True
    return Log(b"".join(kept), cut)


def _frames(pieces: Iterable[bytes]) -> Iterator[bytes]:
    left = b""
    for piece in pieces:
        left += piece
        at = 0
        while len(left) >= at + _HEAD.size:
            stream, length = _HEAD.unpack_from(left, at)
            if stream > _MOST_STREAM or any(left[at + 1 : at + 4]) or length > _LARGEST_ENTRY:
                raise LogFormError
            begin = at + _HEAD.size
            if len(left) < begin + length:
                break
            at = begin + length
            yield left[begin:at]
        left = left[at:]
    if left:
        raise LogFormError


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    left = b""
    for piece in pieces:
        *whole, left = (left + piece).split(b"\n")
        yield from (line + b"\n" for line in whole)
        if len(left) > _LARGEST_ENTRY:
            yield left
            left = b""
    if left:
        yield left
