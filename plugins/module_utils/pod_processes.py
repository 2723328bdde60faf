# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a node that are in a pod or in a container, in one pass over /proc.

Of each its cgroup is read, and of those that have a pod or a container there, /proc/PID/stat (proc_pid_stat(5))::

    22283 (python3 post.py) S 22260 22283 …    state, field 3; starttime, field 22, in clock ticks since boot

A name may hold anything, ")" too, so the fields are counted from the last one.
"""

from __future__ import annotations

import os
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import cgroup, procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.cgroup import Member
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

BUDGET = "the time budget ended before all processes were looked at: raise budget_seconds"
_NOBODY = Member(None, None, 0)
# Counted from 0 behind the name.
_STATE, _START = 0, 19
_DEAD = frozenset("ZXx")


class Process(NamedTuple):
    """A process. ``started`` are seconds since the machine was started, None where they could not be read.

    Where its first thread has ended and others go on, ``thread`` is one of these: /proc/PID shows neither its network nor its open
    files any more, and /proc/THREAD does.
    """

    pid: int
    name: str
    member: Member
    started: Optional[float]
    thread: Optional[int] = None

    @property
    def shown(self) -> int:
        """The number under which /proc shows what it has."""
        return self.pid if self.thread is None else self.thread


class PodProcesses:
    """``found`` are the processes that have a pod, or a container at least, in ascending order of their pids.

    ``hidden`` counts those that refused to be read, ``timed_out`` says that the pass was not finished.
    """

    def __init__(self, deadline: Deadline, proc: str = "/proc") -> None:
        self.found: list[Process] = []
        self.hidden = 0
        self.timed_out = False
        self._proc = proc
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._members: dict[str, Member] = {}  # by the text of the file, which most processes share with others
        for pid in procfs.pids(proc):
            self.timed_out = deadline.passed()
            if self.timed_out:
                return
            self._look(pid)

    def member(self, pid: int) -> Member:
        """Whose a process is; one that has ended is nobody's. Raises PermissionError."""
        try:
            text = procfs.text(f"{self._proc}/{pid}/cgroup")
        except PermissionError:
            raise
        except OSError:  # the process ended under our eyes
            return _NOBODY
        if text not in self._members:
            self._members[text] = cgroup.member(cgroup.path_of(text))
        return self._members[text]

    def _look(self, pid: int) -> None:
        try:
            member = self.member(pid)
            if member.pod_uid is None and member.container_id is None:
                return
            stat = procfs.text(f"{self._proc}/{pid}/stat")
        except PermissionError:
            self.hidden += 1
            return
        except OSError:
            return
        process = _read(pid, stat, member, self._ticks)
        if process is None:
            thread = _living_thread(pid, self._proc)
            process = _read(pid, stat, member, self._ticks, thread) if thread is not None else None
        if process is not None:
            self.found.append(process)


def uptime(proc: str = "/proc") -> Optional[float]:
    """Seconds since the machine was started, by the clock of ``started``; None where they cannot be read."""
    try:
        return float(procfs.text(f"{proc}/uptime").split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _read(pid: int, stat: str, member: Member, ticks: int, thread: Optional[int] = None) -> Optional[Process]:
    """A process by its stat line; None for one that looks dead, and of which no living ``thread`` is known."""
    name, _bracket, rest = stat.partition("(")[2].rpartition(")")
    fields = rest.split()
    try:
        if fields[_STATE] in _DEAD and thread is None:
            return None
        return Process(pid, name, member, int(fields[_START]) / ticks, thread)
    except (IndexError, ValueError):
        return Process(pid, name, member, None, thread)


def _living_thread(pid: int, proc: str) -> Optional[int]:
    """The first thread of a process that has not ended; None where all have, and it only waits for its parent to notice."""
    try:
        threads = list(procfs.pids(f"{proc}/{pid}/task"))
    except OSError:  # it is gone, or hidden
        return None
    for thread in threads:
        try:
            fields = procfs.stat_fields(f"{proc}/{pid}/task/{thread}/stat")
        except OSError:
            continue
        if fields[:1] and fields[_STATE] not in _DEAD:
            return thread
    return None
