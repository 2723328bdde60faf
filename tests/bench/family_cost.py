# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program and all that it starts cost: the CPU time of all of them, and the peak of their memory together."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_PAUSE = 0.25  # seconds from one look at the memory to the next


class Cost(NamedTuple):
    """Of one run."""

    seconds: float  # from before the fork until it was reaped
    cpu_seconds: float  # of the program and of all that it and its children have waited for (getrusage)
    peak_bytes: int  # the largest sum of PSS that was seen: what processes share counts once
    own_bytes: int  # the peak of the program's own process, by the kernel's count (VmHWM: unlike ru_maxrss it begins anew with the program)


def cost(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Cost:
    """Run a command in a folder. Raises RuntimeError with what it printed when it fails."""
    log = folder / "log"
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=folder, env=environment
        )
        watch = _Watch(process.pid)
        watch.start()
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.over.set()
        watch.join()
    if process.returncode != 0:
        raise RuntimeError(f"exit status {process.returncode}: {log.read_text('utf-8', 'replace')[-2000:]}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, watch.peak_bytes, watch.own_bytes)


class _Watch(threading.Thread):
    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.peak_bytes = 0
        self.own_bytes = 0
        self._pid = pid

    def run(self) -> None:
        while not self.over.wait(_PAUSE):
            self.peak_bytes = max(self.peak_bytes, sum(_pss(pid) for pid in _family(self._pid)))
            self.own_bytes = max(self.own_bytes, _kib(f"/proc/{self._pid}/status", "VmHWM:"))


def _family(pid: int) -> list[int]:
    """A process, its children, theirs, and so on."""
    found, new = [], [pid]
    while new:
        found += new
        new = [child for parent in new for child in _children(parent)]
    return found


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text("ascii").split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _pss(pid: int) -> int:
    """The bytes of a process, those of shared pages divided by how many share them (proc_pid_smaps_rollup); 0 of one that is gone."""
    return _kib(f"/proc/{pid}/smaps_rollup", "Pss:")


def _kib(file: str, field: str) -> int:
    """The bytes that a file of a process tells in KiB; 0 of one that is gone."""
    try:
        lines = Path(file).read_text("ascii", "replace").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
