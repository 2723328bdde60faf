# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dump of goroutines on its way to whoever reads it, in blocks: it may have hundreds of megabytes."""

from __future__ import annotations

from types import TracebackType
from typing import Callable, Iterable, Iterator, Optional, Type

WHAT = "goroutines"
# Go stops there: "Give up and use a truncated trace if 64 MB is not enough" (runtime/pprof/pprof.go writeGoroutineStacks).
GO_STOPS_AT = 64 << 20
CUT_BY_GO = "the dump is cut off at 64 MiB, where Go stops: some goroutines are not in it"

Blocks = Iterator[bytes]


def as_pprof_gives(pieces: Iterable[bytes]) -> Blocks:
    """The pieces of a dump of net/http/pprof. Raises DumpError after the last when Go has cut it off."""
    count = 0
    for piece in pieces:
        count += len(piece)
        yield piece
    if count >= GO_STOPS_AT:
        raise DumpError(CUT_BY_GO)


class DumpError(Exception):
    """There is no dump, or no more of it; the text says why, and what to do."""


class Dumped:
    """Where a dump is ``source``, in words, and what is not in it is ``missing``.

    Use it with ``with``, and read ``blocks()`` once: what breaks off under way becomes missing, and is not raised. ``signalled`` is True
    where a process was asked by a signal, also when it did not answer.
    """

    def __init__(
        self, source: str, blocks: Optional[Blocks] = None, close: Optional[Callable[[], None]] = None, why: str = ""
    ) -> None:
        """``close`` frees what ``blocks`` are read from; ``why`` there are none."""
        self.source = source
        self.missing = [{"what": WHAT, "why": why}] if why else []
        self._blocks = blocks
        self._close = close
        self.signalled = False

    def __enter__(self) -> Dumped:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._close is not None:
            self._close()

    def blocks(self) -> Iterator[bytes]:
        """The bytes of the dump."""
        try:
            yield from self._blocks or ()
        except DumpError as error:
            self.missing.append({"what": WHAT, "why": str(error)})
