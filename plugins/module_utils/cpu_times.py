# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the CPUs did between two looks at /proc/stat, and how many tasks wanted one (pure functions)."""

from __future__ import annotations

import os
import resource
from typing import NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import whole

# The first numbers of the line "cpu" of /proc/stat (fs/proc/stat.c, since Linux 2.6.11). The two that follow, guest and
# guest_nice, are contained in user and nice (kernel/sched/cputime.c, account_guest_time): adding them counts them twice.
_COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
# What is told, and the columns that it adds up.
SHARES = {
    "user": ("user", "nice"),
    "system": ("system",),
    "iowait": ("iowait",),
    "irq": ("irq", "softirq"),
    "steal": ("steal",),
    "idle": ("idle",),
}
# Counters go up in steps of 1/USER_HZ, a hundredth of a second: of less time, shares tell nothing but the steps.
SHORTEST_SECONDS = 0.1
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
# Ticks that a CPU may book late: what it did before the first look and accounts for after it.
_LATE_TICKS = 10


class Own(NamedTuple):
    """Seconds of CPU time that this process itself has used."""

    user: float
    system: float


_NOTHING = Own(0.0, 0.0)


class Stat(NamedTuple):
    """One look at /proc/stat: ticks since boot by column, online CPUs, runnable and blocked tasks of the machine."""

    ticks: dict[str, int]
    cpus: int
    running: int
    blocked: int


# cpu  714318 45175 216831 1263374 8829 0 3736 566 0 0
# cpu0 365013 21733 110003 632541 3928 0 2021 301 0 0
# procs_running 2
# procs_blocked 0
def parse(text: str) -> Stat:
    """Understand /proc/stat. Raises ValueError."""
    lines = dict(_split(line) for line in text.splitlines())
    for name in ("cpu", "procs_running", "procs_blocked"):
        if name not in lines:
            raise ValueError(f"no line {name!r}")
    numbers = [whole(word) for word in lines["cpu"].split()[: len(_COLUMNS)]]
    if len(numbers) < len(_COLUMNS):
        raise ValueError(f"{len(numbers)} numbers in the line 'cpu', {len(_COLUMNS)} expected")
    return Stat(
        dict(zip(_COLUMNS, numbers)),
        len([name for name in lines if name.startswith("cpu")]) - 1,
        whole(lines["procs_running"]),
        whole(lines["procs_blocked"]),
    )


def own() -> Own:
    """Of this process until now, without what it started."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Own(used.ru_utime, used.ru_stime)


def shares(before: Stat, after: Stat, seconds: float, mine: Own = _NOTHING) -> dict[str, float]:
    """The shares (0 to 1) of SHARES in the CPU time between two looks, of which the first began ``seconds`` before the
    second ended. What was ``mine`` of it counts as idle. Raises ValueError, with the reason, when they cannot be told.
    """
    if seconds < SHORTEST_SECONDS:
        raise ValueError(f"only {seconds:.3f} s lie between the two samples: raise sample_seconds")
    # idle and iowait are computed, not counted, and go backwards now and then: proc(5), get_iowait_time in fs/proc/stat.c.
    passed = {name: max(0, after.ticks[name] - before.ticks[name]) for name in _COLUMNS}
    total = sum(passed.values())
    if total == 0:
        raise ValueError(f"the counters stood still for {seconds:.1f} s")
    # One moment can count twice: as idle by the machine's clock and as stolen by the hypervisor's. What is more than that
    # no CPU has lived through: the machine was paused, resumed or moved between the samples.
    cpus = max(1, before.cpus, after.cpus)
    if total > cpus * (2 * seconds * _TICKS_A_SECOND + _LATE_TICKS):
        told = total / _TICKS_A_SECOND
        raise ValueError(f"{told:.0f} s of CPU time in {seconds:.1f} s: the machine was paused or moved, sample again")
    others = _without(passed, mine)
    return {name: round(sum(others[column] for column in columns) / total, 4) for name, columns in SHARES.items()}


def _without(passed: dict[str, int], mine: Own) -> dict[str, float]:
    """As if this process had slept: in place of less time, which would let the shares of others grow. Both are counted in steps, and not in the same ones."""
    others: dict[str, float] = dict(passed)
    for name, used in mine._asdict().items():
        taken = min(others[name], used * _TICKS_A_SECOND)
        others[name] -= taken
        others["idle"] += taken
    return others


def steal_since_boot(stat: Stat) -> float | None:
    """The share (0 to 1) of steal since the machine was booted; None when nothing was counted yet."""
    total = sum(stat.ticks.values())
    return round(stat.ticks["steal"] / total, 4) if total else None


def waiting(stat: Stat) -> int:
    """How many tasks run or could, without the one that reads the file: it runs while it reads."""
    return max(0, stat.running - 1)


def _split(line: str) -> tuple[str, str]:
    name, _space, rest = line.partition(" ")
    return name, rest
