# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``host_pressure``: how busy a machine is, how near its limits, and whether its clock can be trusted.

Only files of /proc and /sys and one system call are asked, none of which needs a privilege.
"""

from __future__ import annotations

import errno
import time
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    clock,
    clock_traces,
    cpu_times,
    kernel_gauges,
    procfs,
    tcp_limits,
    time_services,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import (
    ABSENT,
    KernelFiles,
    whole,
    why_refused,
)

LONGEST_SECONDS = 100.0
_SLICE_SECONDS = 0.1
_LOOKS_LIMIT = 2000  # at the run queue, however often tick() is called: twice as many as in LONGEST_SECONDS

_STAT = "/proc/stat"
_CPU_FOLDER = "/sys/devices/system/cpu"
# A kernel that was booted with psi=0 has no such files, or ones that cannot be read (psi_show in kernel/sched/psi.c).
_NO_PSI = ABSENT | {errno.EOPNOTSUPP}


def why_not(sample_seconds: float) -> str:
    """What is wrong with a number of seconds to sample for; empty when nothing is."""
    fits = 0 <= sample_seconds <= LONGEST_SECONDS  # False for nan
    return "" if fits else f"sample_seconds: {sample_seconds:g}: 0 to {LONGEST_SECONDS:g} expected"


def collect(sample_seconds: float) -> dict[str, Any]:
    """Take both samples, ``sample_seconds`` apart; see Pressure.finish for what is returned."""
    pressure = Pressure()
    deadline = Deadline(sample_seconds)
    while deadline.left() > _SLICE_SECONDS:
        time.sleep(_SLICE_SECONDS)
        pressure.tick()
    time.sleep(deadline.left())
    return pressure.finish()


class Pressure:
    """Takes the first sample when it is made. ``proc``, ``sys`` and ``root`` are read in place of /proc, /sys and /."""

    def __init__(self, proc: str = "/proc", sys: str = "/sys", root: str = "/") -> None:
        self._files = KernelFiles(proc, sys)
        self._proc = proc
        self._root = root
        self._run_queue: dict[str, list[int]] = {"samples": [], "blocked": []}
        self._began = time.monotonic()
        self._realtime_ahead = clock.realtime_ahead()
        self._own = cpu_times.own()
        self._first = self._look()

    def tick(self) -> None:
        """Look at the run queue once more."""
        if len(self._run_queue["samples"]) < _LOOKS_LIMIT:
            self._look()

    def finish(self) -> dict[str, Any]:
        """Take the second sample and return the section.

        ``{seconds, cpus, cpu, steal_since_boot, run_queue, load, psi, memory, files, conntrack, threads, clock, complete,
        missing}``, as documented in plugins/modules/host_pressure.py. What could not be seen is None and in ``missing``;
        what the kernel does not have is None alone.
        """
        last = self._look()
        seconds = time.monotonic() - self._began
        load = self._files.read("/proc/loadavg", kernel_gauges.load)
        section = {
            "seconds": round(seconds, 3),
            "cpus": self._cpus(last),
            "cpu": self._shares(last, seconds),
            "steal_since_boot": cpu_times.steal_since_boot(last) if last else None,
            "run_queue": self._run_queue,
            "load": load.averages if load else None,
            "psi": self._psi(),
            "memory": self._files.read("/proc/meminfo", kernel_gauges.memory),
            "files": self._files.read("/proc/sys/fs/file-nr", kernel_gauges.files),
            "conntrack": tcp_limits.conntrack(self._files),
            "threads": self._threads(load),
            "clock": self._clock(),
        }
        return {**section, "complete": not self._files.gaps, "missing": self._files.gaps}

    def _look(self) -> Optional[cpu_times.Stat]:
        stat = self._files.read(_STAT, cpu_times.parse)
        if stat:
            self._run_queue["samples"].append(cpu_times.waiting(stat))
            self._run_queue["blocked"].append(stat.blocked)
        return stat

    def _cpus(self, stat: Optional[cpu_times.Stat]) -> dict[str, Optional[int]]:
        """/proc/stat has a line for each CPU that is online, for containers that have no /sys."""
        online = self._files.read(f"{_CPU_FOLDER}/online", kernel_gauges.cpus, ABSENT)
        if online is None and stat:
            online = stat.cpus or None
        return {"online": online, "present": self._files.read(f"{_CPU_FOLDER}/present", kernel_gauges.cpus, ABSENT)}

    def _shares(self, last: Optional[cpu_times.Stat], seconds: float) -> Optional[dict[str, float]]:
        if not self._first or not last:
            return None
        try:
            now = cpu_times.own()
            mine = cpu_times.Own(now.user - self._own.user, now.system - self._own.system)
            return cpu_times.shares(self._first, last, seconds, mine)
        except ValueError as error:
            self._files.note("CPU shares", str(error))
            return None

    def _psi(self) -> Optional[dict[str, Any]]:
        told = {
            name: self._files.read(f"/proc/pressure/{name}", kernel_gauges.pressure, _NO_PSI)
            for name in ("cpu", "memory", "io")
        }
        return told if any(told.values()) else None

    def _threads(self, load: Optional[kernel_gauges.Load]) -> Optional[dict[str, int]]:
        """A thread needs room below both limits: threads-max counts them, and each takes a number below pid_max."""
        threads_max = self._files.read("/proc/sys/kernel/threads-max", whole)
        pid_max = self._files.read("/proc/sys/kernel/pid_max", whole)
        if load is None or threads_max is None or pid_max is None:
            return None
        return {"count": load.threads, "threads_max": threads_max, "pid_max": pid_max}

    def _clock(self) -> dict[str, Any]:
        told = self._kernel_clock()
        from_future, gaps = clock_traces.from_future(time.time_ns(), self._root)
        for gap in gaps:
            self._files.note(gap["what"], gap["why"])
        step = clock.realtime_ahead() - self._realtime_ahead
        return {
            "synchronized": told.synchronized if told else None,
            "offset_seconds": told.offset_seconds if told else None,
            "max_error_seconds": told.max_error_seconds if told else None,
            "step_seconds": round(step / 1e9, 3) + 0.0,  # -0.0 would look like a step back
            "keepers": self._keepers(),
            "kept_seconds": self._kept_seconds(),
            "services": self._time_services(),
            "from_future": from_future,
        }

    def _kernel_clock(self) -> Optional[clock.KernelClock]:
        try:
            return clock.kernel_clock()
        except clock.ClockError as error:
            self._files.note("clock synchronisation", str(error))
            return None

    def _kept_seconds(self) -> Optional[float]:
        try:
            return clock.kept_seconds(self._proc)
        except OSError:  # which the look for who keeps it tells
            return None

    def _time_services(self) -> Optional[list[str]]:
        found = time_services.installed(self._root)
        if found is None:
            self._files.note(
                "time services", "the folders of systemd's units may not be looked into: run with become (-b)"
            )
        return found

    def _keepers(self) -> list[str]:
        """Who keeps the clock; that nobody is seen to do so means something only where everybody is seen."""
        try:
            found = clock.keepers(self._proc)
            why = procfs.why_hidden(procfs.unreadable(self._proc), self._proc)
        except OSError as error:
            found, why = [], f"/proc: {why_refused(error)}"
        if not why and not found and procfs.in_host_pid_namespace(self._proc) is False:
            why = "this is a container with its own pid namespace, a time daemon outside of it is invisible: run on the host"
        if why:
            self._files.note("time daemons", why)
        return found
