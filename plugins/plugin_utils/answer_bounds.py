# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one node may cost the controller: so many seconds, and so much memory.

Ansible keeps whatever a node prints, and splits and parses it several times. It does so in a worker process of one host, so that a limit of that process
is one of that host. Three things hold it:

* A timer that rings again and again, as Ansible may swallow what it raises. It looks at the time, and at what the process has grown to while
  the answer is read: a limit of the address space would be inherited by ssh and docker, and by the module itself on a local connection.
* The size of what was read.
* A limit of the address space afterwards, while Python alone works with a large answer.

What is still being run is ended first: a write into the pipe of an ssh that hangs would else be tried again, without an end, when the pipe is closed.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

LARGEST_ANSWER = 16 << 20  # a node with 5000 listeners takes 2 MB
_SMALL_ANSWER = 4 << 20  # whatever is in it, it cannot hurt
_READING_GROWTH = 8 * LARGEST_ANSWER  # connection plugins hold what they read several times
_PARSING_GROWTH = 256 << 20  # an honest answer of 16 MiB takes 150 MiB; a list of empty lists 25 times its text
_TICK_SECONDS = 0.5
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # getrusage(2)
_PROC = "/proc"  # without it a program that hangs is left to itself


class BoundsError(Exception):
    """The node took or sent more than it may; the text says what."""


@contextmanager
def bounded(connection: Any, seconds: int) -> Iterator[None]:
    """Hold what is asked over a connection within these limits. Raises BoundsError.

    A timer that is running already, such as Ansible's own for a task, ends it too, with what its handler raises.
    """
    bounds = _Bounds(connection.exec_command, seconds)
    before = signal.signal(signal.SIGALRM, bounds.look)
    left, again = signal.setitimer(signal.ITIMER_REAL, _TICK_SECONDS, _TICK_SECONDS)
    started, space = time.monotonic(), resource.getrlimit(resource.RLIMIT_AS)
    if left and callable(before):
        bounds.outer = (started + left, before)
    connection.exec_command = bounds.execute
    try:
        yield
    except MemoryError:
        raise BoundsError(
            f"to read its answer takes more than {_PARSING_GROWTH >> 20} MiB, which no honest one does"
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, space)
        del connection.exec_command
        signal.signal(signal.SIGALRM, before)
        if left:  # an answer that has just come may still be dealt with
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - started), _TICK_SECONDS), again)


class _Bounds:
    def __init__(self, execute: Callable[..., Any], seconds: int) -> None:
        self._execute = execute
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._space = resource.getrlimit(resource.RLIMIT_AS)
        self._most: int | None = None
        self.outer: tuple[float, Callable[[int, Any], Any]] | None = (
            None  # when another timer would ring, and whom it would call
        )

    def look(self, number: int, frame: Any) -> None:
        """Raise BoundsError when a limit is passed."""
        if self.outer is not None and time.monotonic() >= self.outer[0]:
            end_children()
            self.outer[1](number, frame)
        if time.monotonic() >= self._end:
            end_children()
            raise BoundsError(f"no answer within {self._seconds} s")
        if self._most is not None and _peak() > self._most:
            end_children()
            raise _too_large()

    def execute(self, *arguments: Any, **options: Any) -> Any:
        """The connection's exec_command; without pipelining it is called several times."""
        resource.setrlimit(resource.RLIMIT_AS, self._space)
        self._most = _peak() + _READING_GROWTH
        status, *streams = self._execute(*arguments, **options)
        self._most = None
        size = sum(len(stream) for stream in streams if isinstance(stream, (bytes, str)))
        if size > LARGEST_ANSWER:
            raise _too_large()
        if size > _SMALL_ANSWER:
            _limit_space()
        return status, *streams


def _too_large() -> BoundsError:
    return BoundsError(f"it sent more than {LARGEST_ANSWER >> 20} MiB, which no honest node does")


def _peak() -> int:
    """The most bytes of memory that this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT


def _limit_space() -> None:
    """Let this process take no more than a certain amount of memory from now on, as far as the system tells what it has."""
    with suppress(OSError, ValueError):
        with open(f"{_PROC}/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[0])
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = pages * resource.getpagesize() + _PARSING_GROWTH
        if soft == resource.RLIM_INFINITY or soft > most:
            resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def end_children() -> None:
    """Kill what this process has started, and what that has started."""
    for pid in _below(os.getpid()):
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _below(pid: int) -> list[int]:
    """The processes below one, each before those that it started."""
    found = []
    for child in _children(pid):
        found += [child, *_below(child)]
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"{_PROC}/{pid}/task"):
            with open(f"{_PROC}/{pid}/task/{thread}/children", encoding="ascii") as file:
                children += map(int, file.read().split())
    return children
