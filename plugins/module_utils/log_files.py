# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of kubelet and containerd that are files of their own, where RKE2 and k3s run them: the ends of these files, newest first.

docs.rke2.io/reference/logging, docs.k3s.io/faq: RKE2's kubelet and containerd, and k3s' containerd, write there and not to the journal;
k3s' kubelet is a part of k3s itself, which writes to the journal. What was rotated is not looked at.

containerd writes its times in full. kubelet's (klog) have neither year nor time zone::

    E1228 08:04:40.994582       1 pod_workers.go:190] "Error syncing pod, skipping" …

The newest line was written when the file was last written to, which tells both. Where that does not fit, because the file was copied or
kubelet writes the rest of something long, the times of its lines are not known. Lines from before the last change to or from summer
time are an hour off.
"""

from __future__ import annotations

import datetime
import os
import re
import time
from collections.abc import Iterator
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import rfc3339
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import why_refused
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import JOURNAL, LogLine, Origin
from ansible_collections.kubenode.doctor.plugins.module_utils.log_matcher import Matcher
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import (
    BEGINNING,
    BUDGET,
    LIMIT,
    WINDOW,
    Scanned,
    Told,
    Wanted,
    moment,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.log_tail import LogFile

# Of what may be read of each source: 4 MiB by default, of a busy kubelet's log that is some hours.
_SHARE = 8
_LATE = 1024  # lines between two looks at the clock
_FIT = 60.0  # seconds between the newest line and the file's own time
_AHEAD = 30 * 86400  # seconds by which lines may be from the future, where the clock was set back since
_ZONES = 900  # seconds: the differences of all time zones are multiples of a quarter of an hour
_FARTHEST_ZONE = 15 * 3600
_KLOG = re.compile(rb"[IWEF]([0-9]{2})([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{6}) ")
_LOGRUS = re.compile(rb'time="([^"]{20,40})"')


class Place(NamedTuple):
    """A file; ``program`` wrote it, and the journal's ``units`` run that."""

    path: str
    program: str
    units: tuple[str, ...]


_RKE2 = ("rke2-agent.service", "rke2-server.service")
PLACES = (
    Place("/var/lib/rancher/rke2/agent/logs/kubelet.log", "kubelet", _RKE2),
    Place("/var/lib/rancher/rke2/agent/containerd/containerd.log", "containerd", _RKE2),
    Place("/var/lib/rancher/k3s/agent/containerd/containerd.log", "containerd", ()),  # none where k3s uses Docker
)


def collect(matcher: Matcher, wanted: Wanted, deadline: Deadline, told: Told, root: str = "/") -> None:
    """Hand the files' lines to the matcher. A file that is not there is a gap where the journal, as ``told``, shows who writes it."""
    units = {scanned.name for scanned in told.scanned}
    for place in PLACES:
        try:
            _read(place, matcher, wanted, deadline, told, os.path.join(root, place.path.lstrip("/")))
        except FileNotFoundError:
            if units.intersection(place.units):
                told.miss(
                    place.program, f"it writes to a file here and not to the journal, but there is no {place.path}"
                )
        except OSError as error:
            told.miss(place.program, f"{place.path}: {why_refused(error)}")


def left_out(told: Told) -> None:
    """Tell which files would belong to the journal that was read, as ``told`` shows: it is another machine's, or of another time."""
    units = {scanned.name for scanned in told.scanned}
    for place in PLACES:
        if units.intersection(place.units):
            told.miss(place.program, f"it writes to {place.path} there and not to the journal")


def _read(place: Place, matcher: Matcher, wanted: Wanted, deadline: Deadline, told: Told, path: str) -> None:
    scanned = Scanned(JOURNAL, place.path)
    with LogFile(path, deadline) as file:
        written = os.lstat(path).st_mtime
        data, whole = file.last(wanted.max_bytes // _SHARE)
        scanned.bytes = file.bytes
    told.scanned.append(scanned)
    lines = (data if whole else data.partition(b"\n")[2]).split(b"\n")
    scanned.stopped = BEGINNING if whole else LIMIT
    origin = Origin(JOURNAL, place.program)
    for number, (line, when) in enumerate(_dated(lines, written)):
        if number % _LATE == 0 and deadline.passed():
            scanned.stopped = BUDGET
            break
        if when is not None and when < wanted.begin:
            scanned.stopped = WINDOW
            break
        scanned.saw(when)
        scanned.lines += bool(line)
        if matcher.interesting(line):
            matcher.feed(LogLine(line.decode("utf-8", "replace"), when, origin))
    if scanned.stopped in (LIMIT, BUDGET):
        cure = "raise max_bytes" if scanned.stopped == LIMIT else "raise timeout"
        part = "its end" if scanned.begin is None else f"what is newer than {moment(scanned.begin)}"
        told.miss(place.path, f"only {part} was read: {cure}")


class _Calendar(NamedTuple):
    """What klog's times lack: they are not long after ``written``; ``zone`` is seconds east of Greenwich."""

    written: float
    zone: int

    def when(self, line: bytes) -> Optional[float]:
        """Epoch seconds; None for a line without a time."""
        year = _year(self.written)
        for seconds in (_wall(line, year + 1), _wall(line, year), _wall(line, year - 1)):
            if seconds is not None and seconds - self.zone <= self.written + _AHEAD:
                return seconds - self.zone
        return None


def _dated(lines: list[bytes], written: float) -> Iterator[tuple[bytes, Optional[float]]]:
    """The lines from the last to the first, each with its time."""
    newest = next((line for line in reversed(lines) if _KLOG.match(line)), b"")
    calendar = _calendar(newest, written)
    for line in reversed(lines):
        found = _LOGRUS.match(line)
        if found:
            told = rfc3339.nanoseconds(found.group(1).decode("ascii", "replace"))
            yield line, None if told is None else told // 1000 / 1e6
        else:
            yield line, None if calendar is None else calendar.when(line)


def _calendar(newest: bytes, written: float) -> Optional[_Calendar]:
    """What makes the newest line as old as its file; None when nothing does."""
    year = _year(written)
    for candidate in (year, year + 1, year - 1):
        wall = _wall(newest, candidate)
        if wall is None:
            continue
        zone = round((wall - written) / _ZONES) * _ZONES
        if abs(zone) <= _FARTHEST_ZONE and abs(wall - written - zone) <= _FIT:
            return _Calendar(written, zone)
    return None


def _year(when: float) -> int:
    return time.gmtime(when).tm_year


def _wall(line: bytes, year: int) -> Optional[float]:
    """What a clock of Greenwich that shows a line's time counts, in that year; None for a line without a time."""
    found = _KLOG.match(line)
    if found is None:
        return None
    month, day, hour, minute, second, micro = (int(number) for number in found.groups())
    try:
        return datetime.datetime(
            year, month, day, hour, minute, second, micro, tzinfo=datetime.timezone.utc
        ).timestamp()
    except ValueError:  # no such time, or no such day in that year
        return None
