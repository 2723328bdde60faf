# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same work for each of many items, half of it in a second process: a large fleet is then judged in little more than half of the time.

The second process is a fork, so that it has all that was learned until then. It takes every other piece and hands its results back through
a pipe, which is all that is ever ahead: what is in memory does not grow with the items. Results come in the order of the items. What the
second process changes of anything else is lost, so ``work`` returns all that it found out.
"""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, Generic, NoReturn, TypeVar

from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError

LEAST = 256  # items: fewer are done before a second process would pay
PIECE = 16  # items whose results are sent at once
_PIPE_BYTES = 1 << 20  # what a user may have (pipe(7), pipe-max-size); some ten pieces of findings

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(items: Sequence[Item], work: Callable[[Item], Result], fits: Callable[[Result], bool]) -> Iterator[Result]:
    """Yield ``work(item)`` of each item.

    ``fits`` is asked of each result of the second process, when all before it were taken: whether it is what this process would have got. Where
    it is not, the work is done again. Raises BundleError when the second process dies.
    """
    pieces = [items[start : start + PIECE] for start in range(0, len(items), PIECE)]
    yield from map(work, pieces[0] if pieces else ())  # what is made when it is first needed is then there for both
    second = _second(pieces[2::2], work) if len(items) >= LEAST else None
    try:
        for number, piece in enumerate(pieces[1:]):
            if second is not None and number % 2:
                for item, result in zip(piece, second.results(), strict=True):
                    yield result if fits(result) else work(item)
            else:
                yield from map(work, piece)
    finally:
        if second is not None:
            second.end()


def _second(pieces: Sequence[Sequence[Item]], work: Callable[[Item], Result]) -> _Second[Result] | None:
    """A process for these pieces; None where there is no CPU for it, no process to be had, or a fork is not safe: beside threads, or not on Linux."""
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2 or threading.active_count() > 1:
        return None
    reader, writer = multiprocessing.Pipe(duplex=False)
    with contextlib.suppress(OSError):  # a smaller one does, too
        fcntl.fcntl(writer.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    try:
        pid = os.fork()
    except OSError:
        reader.close()
        writer.close()
        return None
    if pid == 0:
        reader.close()  # so that it ends when nobody reads any more
        _serve(writer, pieces, work)
    writer.close()
    return _Second(pid, reader)


def _serve(writer: Connection, pieces: Sequence[Sequence[Item]], work: Callable[[Item], Result]) -> NoReturn:
    """Be the second process. It never returns, and nothing of Ansible's that it has by the fork is closed or flushed by it."""
    try:
        for piece in pieces:
            writer.send([work(item) for item in piece])
    except BaseException as error:
        with contextlib.suppress(OSError):  # nobody reads any more
            writer.send(f"{type(error).__name__}: {error}")
    finally:
        os._exit(0)


class _Second(Generic[Result]):
    def __init__(self, pid: int, reader: Connection) -> None:
        self._pid = pid
        self._reader = reader

    def results(self) -> list[Result]:
        """Those of the next piece. Raises BundleError."""
        try:
            told: Any = self._reader.recv()
        except (EOFError, OSError) as error:
            raise BundleError(
                "the second process, which judged half of the nodes, was killed: if that was for want of memory, "
                "judge again where there is more of it; the bundle is as it was"
            ) from error
        if isinstance(told, str):
            raise BundleError(f"the second process, which judged half of the nodes, has failed: {told}")
        found: list[Result] = told
        return found

    def end(self) -> None:
        """Let it be over, also when its results are not wanted any more."""
        self._reader.close()
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._pid, signal.SIGKILL)  # it has nothing left to do, or nobody to do it for
            os.waitpid(self._pid, 0)
