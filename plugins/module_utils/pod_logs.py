# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What containers said: the ends of their logs, those of the node's own components first.

A log is read from its end, a small piece first, and a large one only when the small one lies within the window. The window counts
back from the log's last line, because a dead container's last words matter however old they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Callable, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import pod_log_lines, pod_log_tree
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import why_refused
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import POD, LogLine, Origin
from ansible_collections.kubenode.doctor.plugins.module_utils.log_matcher import Matcher
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import (
    BEGINNING,
    BUDGET,
    LIMIT,
    WINDOW,
    Scanned,
    Told,
    Wanted,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.log_tail import LogFile
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_log_tree import WHAT, Log, shown
from ansible_collections.kubenode.doctor.plugins.module_utils.signatures import Signature

# Of what may be read in all, one log of a system namespace gets a 64th, 512 KiB by default: of an API server's log that is
# some minutes to some hours. Others get no more, and only what lets all of them be looked at; but a glance at least.
_SHARE = 64
_GLANCE = 32 << 10  # bytes that are read first
_BLOCK = 16 << 10  # bytes that are searched at once, where something is to be found
_NEAR = 20  # lines at the beginning, and at the end, that are asked for a time
# What stopped it, the worst last.
_STOPS = (BEGINNING, WINDOW, LIMIT, BUDGET)

Interesting = Callable[[bytes], bool]


def collect(
    signatures: Sequence[Signature], matcher: Matcher, wanted: Wanted, deadline: Deadline, told: Told, root: str = "/"
) -> None:
    """Hand the lines that may matter to the matcher, and tell how much was looked at."""
    scanned = Scanned(POD, WHAT)
    scanned.stopped = BEGINNING
    told.scanned.append(scanned)
    _Search(signatures, matcher, wanted, deadline, told, scanned).all(pod_log_tree.logs(root, deadline, told))


class _Attempt:
    """The log of one attempt while it is read: what is left to read of it, and where its window begins."""

    def __init__(self, origin: Origin, interesting: Interesting, left: int) -> None:
        self.origin = origin
        self.interesting = interesting
        self.left = left
        self.seen: set[tuple[int, int]] = set()  # files: one that is rotated meanwhile is met again by another name
        self.begin: Optional[float] = None

    def is_past(self, when: Optional[float]) -> bool:
        """Whether something is older than the window; what has no time is not."""
        return when is not None and self.begin is not None and when < self.begin


class _Search:
    """One search through logs; what is in the way is counted, and told at its end."""

    def __init__(
        self,
        signatures: Sequence[Signature],
        matcher: Matcher,
        wanted: Wanted,
        deadline: Deadline,
        told: Told,
        scanned: Scanned,
    ) -> None:
        self._signatures = signatures
        self._matcher = matcher
        self._wanted = wanted
        self._deadline = deadline
        self._told = told
        self._scanned = scanned
        self._tests: dict[tuple[str, ...], Interesting] = {}
        self._failed: list[str] = []

    def all(self, logs: Sequence[Log]) -> None:
        for number, log in enumerate(logs):
            spent = self._scanned.bytes >= self._wanted.max_bytes
            if spent or self._deadline.passed():
                self._stop(LIMIT if spent else BUDGET)
                cure = "raise max_bytes" if spent else "raise timeout"
                self._told.miss(WHAT, f"{len(logs) - number} of {len(logs)} logs were not looked at: {cure}")
                break
            self._log(log, self._bound(log, len(logs) - number))
        if self._failed:
            self._told.miss(WHAT, f"{len(self._failed)} files could not be read, for instance {self._failed[0]}")

    def _bound(self, log: Log, left: int) -> int:
        """How many bytes of a log to read, when ``left`` are still to be read, with this one."""
        most = self._wanted.max_bytes // _SHARE
        fair = (self._wanted.max_bytes - self._scanned.bytes) // left
        return most if log.is_system else max(_GLANCE, min(most, fair))

    def _log(self, log: Log, bound: int) -> None:
        origin = Origin(POD, None, log.pod)
        attempt = _Attempt(origin, self._test(origin), bound)
        stopped = None
        for path in _files(log.path):
            stopped = self._file(path, attempt)
            if stopped is not None:
                self._stop(stopped)
                break
        if stopped == BUDGET:
            self._told.miss(WHAT, f"there was no time to read {shown(log.path)} in full: raise timeout")

    def _test(self, origin: Origin) -> Interesting:
        """A quick test for what applies to a container: for most that is less than half of all."""
        applying = [signature for signature in self._signatures if signature.applies(origin)]
        key = tuple(signature.id for signature in applying)
        if key not in self._tests:
            self._tests[key] = Matcher(applying).interesting
        return self._tests[key]

    def _file(self, path: str, attempt: _Attempt) -> Optional[str]:
        """Read one file of an attempt; returns what keeps the one before it from being read."""
        try:
            read = self._read(path, attempt)
        except TimeoutError:
            return BUDGET
        if read is None:
            return None
        data, whole = read
        attempt.left -= len(data)
        if not self._search(data if whole else _after_first_line(data), attempt):
            return BUDGET
        if attempt.is_past(_first_time(data, whole)):
            return WINDOW
        return None if whole and attempt.left > 0 else LIMIT

    def _read(self, path: str, attempt: _Attempt) -> Optional[tuple[bytes, bool]]:
        """The end of a file and whether it is all of it; None for one that cannot be read. Raises TimeoutError."""
        try:
            with LogFile(path, self._deadline) as file:
                if file.identity in attempt.seen:
                    return None
                attempt.seen.add(file.identity)
                try:
                    return self._end(file, attempt)
                finally:
                    self._scanned.bytes += file.bytes
        except FileNotFoundError:
            return None  # it was removed, with its pod or because there are newer ones
        except TimeoutError:
            raise
        except OSError as error:
            self._failed.append(f"{shown(path)}: {why_refused(error)}")
            return None

    def _end(self, file: LogFile, attempt: _Attempt) -> tuple[bytes, bool]:
        """As much of a file as lies within the window, or as may be read; and whether that is all of it."""
        data, whole = file.last(attempt.left if file.compressed else min(_GLANCE, attempt.left))
        if attempt.begin is None:
            newest = _last_time(data)
            attempt.begin = None if newest is None else newest - self._wanted.since
        if whole or file.compressed or attempt.is_past(_first_time(data, whole)):
            return data, whole
        return file.last(attempt.left)

    def _search(self, data: bytes, attempt: _Attempt) -> bool:
        """Hand what may matter to the matcher; False when the time is up."""
        self._scanned.lines += data.count(b"\n")
        for when in (_first_time(data, True), _last_time(data)):
            self._scanned.saw(when)
        for block in reversed(_blocks(data, attempt.interesting)):
            if self._deadline.passed():
                return False
            for line in reversed(list(pod_log_lines.lines(block, attempt.interesting))):
                if not attempt.is_past(line.when):
                    self._matcher.feed(LogLine(line.text, line.when, attempt.origin))
        return True

    def _stop(self, stopped: str) -> None:
        self._scanned.stopped = max(self._scanned.stopped, stopped, key=_STOPS.index)


def _files(path: str) -> Iterator[str]:
    """The files of one attempt, the newest first; what was rotated is looked for when it is needed."""
    yield path
    with contextlib.suppress(OSError):  # then the folder is gone
        yield from pod_log_tree.rotated(path)


def _after_first_line(data: bytes) -> bytes:
    """Without the line whose beginning was not read."""
    return data.partition(b"\n")[2]


def _first_time(data: bytes, whole: bool) -> Optional[float]:
    """When the oldest line that is there in full was written."""
    for line in (data if whole else _after_first_line(data)).split(b"\n", _NEAR)[:_NEAR]:
        when = pod_log_lines.time_of(line)
        if when is not None:
            return when
    return None


def _last_time(data: bytes) -> Optional[float]:
    for line in reversed(data.rsplit(b"\n", _NEAR)[-_NEAR:]):
        when = pod_log_lines.time_of(line)
        if when is not None:
            return when
    return None


def _blocks(data: bytes, interesting: Interesting) -> list[bytes]:
    """Blocks of whole lines that have to be looked at, in their order; all of it where lines may be in pieces."""
    if pod_log_lines.may_hold_pieces(data):
        return [data]
    return [block for block in _cut(data) if interesting(block)] if interesting(data) else []


def _cut(data: bytes) -> Iterator[bytes]:
    begin = 0
    while begin < len(data):
        end = data.find(b"\n", begin + _BLOCK) + 1 or len(data)
        yield data[begin:end]
        begin = end
