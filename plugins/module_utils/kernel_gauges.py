# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gauges of a whole machine, as /proc and /sys print them: from text to numbers (pure functions).

All raise ValueError for what they do not understand.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import decimal, whole

_AVERAGES = ("avg10", "avg60", "avg300")
_MEMORY = {"total": "MemTotal", "available": "MemAvailable", "swap_total": "SwapTotal", "swap_free": "SwapFree"}


class Load(NamedTuple):
    """``averages`` over 1, 5 and 15 minutes; ``threads`` is how many exist on the machine."""

    averages: list[float]
    threads: int


# 0.07 0.14 0.69 1/91 18392
def load(text: str) -> Load:
    """Understand /proc/loadavg."""
    words = text.split()
    if len(words) < 4:
        raise ValueError("fewer than four words")
    _running, _slash, threads = words[3].partition("/")
    return Load([decimal(word) for word in words[:3]], whole(threads))


# some avg10=1.05 avg60=0.79 avg300=0.76 total=1237379922
# full avg10=0.00 avg60=0.00 avg300=0.00 total=0
def pressure(text: str) -> dict[str, Optional[dict[str, float]]]:
    """Understand /proc/pressure/*: percent of the time in which some, or all, tasks waited.

    ``full`` is None where the kernel does not tell it: of the CPU before Linux 5.13.
    """
    lines = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    if "some" not in lines:
        raise ValueError("no line 'some'")
    return {"some": _averages(lines["some"]), "full": _averages(lines["full"]) if "full" in lines else None}


# MemTotal:       24684084 kB
def memory(text: str) -> dict[str, Optional[int]]:
    """Understand /proc/meminfo: bytes by the names of _MEMORY. ``available`` is None before Linux 3.14."""
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    if _MEMORY["total"] not in lines:
        raise ValueError("no line 'MemTotal'")
    return {name: _bytes(lines[told]) if told in lines else None for name, told in _MEMORY.items()}


# 521	0	2466170
def files(text: str) -> dict[str, int]:
    """Understand /proc/sys/fs/file-nr. The number in the middle is 0 since Linux 2.6 (admin-guide/sysctl/fs.rst)."""
    words = text.split()
    if len(words) != 3:
        raise ValueError(f"{len(words)} words, three expected")
    return {"open": whole(words[0]), "max": whole(words[2])}


# 0-3,5
def cpus(text: str) -> int:
    """How many CPUs a list such as /sys/devices/system/cpu/online names (admin-guide/cputopology.rst)."""
    return sum(_width(part) for part in text.split(","))


def _width(part: str) -> int:
    first, dash, last = part.partition("-")
    width = whole(last if dash else first) - whole(first) + 1
    if width < 1:
        raise ValueError(f"the range {part!r} ends before it begins")
    return width


def _averages(line: str) -> dict[str, float]:
    pairs = dict(word.split("=", 1) for word in line.split() if "=" in word)
    unseen = [name for name in _AVERAGES if name not in pairs]
    if unseen:
        raise ValueError(f"no {unseen[0]}")
    return {name: decimal(pairs[name]) for name in _AVERAGES}


def _bytes(value: str) -> int:
    number, _space, unit = value.strip().partition(" ")
    if unit != "kB":
        raise ValueError(f"{value.strip()[:60]!r} is not given in kB")
    return whole(number) * 1024
