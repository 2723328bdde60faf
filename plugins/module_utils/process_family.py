# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All processes that come of one, also those that left its group and session to be daemons.

A variable in the environment marks them: it is inherited, and /proc/PID/environ shows what a program was started with. Children, tracees and
the session of one that is marked belong too, also when they clear their environment, as long as the one that is marked lives.
A process that is being replaced by another program (execve(2)) shows no environment for a moment: environ_read in fs/proc/base.c.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time
from typing import Dict, Iterable, NamedTuple, Optional, Set

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs

MARK = "KUBENODE_DOCTOR_FAMILY"
_ENVIRONMENT = 1 << 20  # bytes of one; ARG_MAX is 2 MiB with the arguments, and what we set comes first or soon
_AGAIN_SECONDS = 0.02
_STARTING_SECONDS = 1.0  # our choice: a young process without an environment may be about to have one


class _Process(NamedTuple):
    """``start`` is in clock ticks since boot, and tells a process from a later one of the same number."""

    start: int
    session: int
    parents: Set[int]


class Family:
    """Start the first with ``environment`` added to its own."""

    def __init__(self, proc: str = "/proc") -> None:
        token = secrets.token_hex(16)
        self.environment = {MARK: token}
        self._needle = f"{MARK}={token}".encode()
        self._proc = proc
        self._began = int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
        self._known: Dict[int, int] = {}  # start by pid
        self._starting = False  # whether somebody seen may yet turn out to be marked

    def members(self) -> list[int]:
        """The process ids of all that live."""
        living = self._living()
        marked = {pid: self._is_marked(pid) for pid in living}
        found = {pid for pid, one in living.items() if self._known.get(pid) == one.start or marked[pid]}
        grown = True
        while grown:
            sessions = {living[pid].session for pid in found} - {0, os.getsid(0)}  # 0: of no process here
            more = {
                pid
                for pid, one in living.items()
                if pid not in found and (one.parents & found or one.session in sessions)
            }
            found |= more
            grown = bool(more)
        self._known = {pid: living[pid].start for pid in found}
        self._starting = any(
            marked[pid] is None and pid not in found and one.session and one.start >= self._began
            for pid, one in living.items()
        )
        return sorted(found)

    def signal(self, number: int, spare: Iterable[int] = ()) -> None:
        """Send a signal to all but ``spare``."""
        for pid in set(self.members()) - set(spare):
            seen = self._look(pid)
            if seen is not None and seen.start == self._known[pid]:
                with contextlib.suppress(OSError):  # it ended meanwhile
                    os.kill(pid, number)

    def end(self, seconds: float) -> list[int]:
        """Kill all, and return those that are still there after ``seconds``: they hang in the kernel."""
        began = time.monotonic()
        while True:
            left = self.members()
            passed = time.monotonic() - began
            starting = self._starting and passed < _STARTING_SECONDS
            if passed > seconds or not (left or starting):
                return left
            self.signal(signal.SIGKILL)
            time.sleep(_AGAIN_SECONDS)

    def _living(self) -> Dict[int, _Process]:
        ours = os.getpid()
        seen = {pid: self._look(pid) for pid in procfs.pids(self._proc) if pid != ours}
        return {pid: one for pid, one in seen.items() if one is not None}

    def _look(self, pid: int) -> Optional[_Process]:
        """None for one that ended, also when nobody has waited for it yet (proc(5), /proc/PID/stat)."""
        try:
            fields = procfs.stat_fields(f"{self._proc}/{pid}/stat")
            state, parent, session, start = fields[0], int(fields[1]), int(fields[3]), int(fields[19])
            tracer = procfs.text(f"{self._proc}/{pid}/status").partition("\nTracerPid:")[2].split("\n", 1)[0]
            parents = {parent, int(tracer)} - {0}
        except (OSError, ValueError, IndexError):
            return None
        return None if state in "ZX" else _Process(start, session, parents)

    def _is_marked(self, pid: int) -> Optional[bool]:
        """None for one without an environment."""
        try:
            with open(f"{self._proc}/{pid}/environ", "rb") as file:
                environment = file.read(_ENVIRONMENT)
        except OSError:
            return False
        return self._needle in environment.split(b"\0") if environment else None
