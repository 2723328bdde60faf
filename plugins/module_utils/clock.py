# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's clock: does something keep it right, and was it set while we looked?"""

from __future__ import annotations

import os
import struct
import time
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs

# Programs (comm, at most 15 bytes) that set the clock of the machine, whichever container they run in.
KEEPERS = frozenset(
    {
        "chronyd",
        "ntpd",  # of ntp, ntpsec, busybox and OpenNTPD
        "openntpd",
        "systemd-timesyn",
        "ptp4l",
        "phc2sys",
        "ts2phc",
        "timemaster",
        "vmtoolsd",
        "VBoxService",
    }
)
# include/uapi/linux/timex.h: struct timex begins with modes (unsigned int), offset, freq, maxerror, esterror (long) and
# status (int). "@" lays them out as the compiler of this Python does, for longs of 8 bytes or of 4. The C library's
# adjtimex() takes this form also on 32-bit machines that know another one with 64-bit times.
_TIMEX = struct.Struct("@I4li")
_BUFFER_BYTES = 512  # the kernel fills in the whole of struct timex, which has 208 bytes, or 128 with longs of 4
_STA_UNSYNC = 0x0040
_STA_NANO = 0x2000
_TIME_ERROR = 5
_READINGS = 5
_START = 19  # of procfs.stat_fields


class ClockError(Exception):
    """The kernel did not tell the state of its clock."""


class KernelClock(NamedTuple):
    """What the kernel believes of its clock, as its keeper told it.

    ``offset_seconds`` is what is left of a correction that the kernel was told to make bit by bit: chronyd, which corrects
    the clock's speed instead, leaves it at 0. ``max_error_seconds`` grows by 500 ppm while no keeper says anything, up to
    16 (NTP_PHASE_LIMIT), which makes the clock unsynchronized.
    """

    synchronized: bool
    offset_seconds: float
    max_error_seconds: float


def kernel_clock() -> KernelClock:
    """Ask adjtimex(2). Needs no privilege; raises ClockError where Python has no ctypes or the call is forbidden."""
    return understood(*_adjtimex())


def understood(state: int, timex: bytes) -> KernelClock:
    """What adjtimex(2) has told by its return value and in ``struct timex``."""
    _modes, offset, _freq, max_error, _est_error, status = _TIMEX.unpack_from(timex)
    return KernelClock(
        synchronized=not status & _STA_UNSYNC and state != _TIME_ERROR,
        offset_seconds=offset / (1e9 if status & _STA_NANO else 1e6),
        max_error_seconds=max_error / 1e6,
    )


def realtime_ahead() -> int:
    """CLOCK_REALTIME minus CLOCK_MONOTONIC, in nanoseconds: a number that changes only when the clock is set.

    clock_gettime(2): slewing, by adjtime(3) and NTP, moves both clocks alike, and only CLOCK_REALTIME can jump. So what
    changes between two calls is a step: a clock that was set, a leap second, or a suspended machine, for which
    CLOCK_MONOTONIC stands still. Being interrupted between the two readings would look like a step, so the tightest of
    a few is taken.
    """
    return min(_reading() for _number in range(_READINGS))[1]


def keepers(proc: str = "/proc") -> list[str]:
    """Names among KEEPERS that run on this machine, sorted."""
    return sorted({procfs.comm(pid, proc) or "" for pid in procfs.pids(proc)} & KEEPERS)


def kept_seconds(proc: str = "/proc") -> Optional[float]:
    """For how long the last of KEEPERS to be started has run; None where none runs, or that cannot be seen."""
    ages = (_runs_seconds(pid, proc) for pid in procfs.pids(proc))
    found = [age for age in ages if age is not None]
    return round(min(found), 1) if found else None


def _runs_seconds(pid: int, proc: str) -> Optional[float]:
    """The age of one of KEEPERS (proc_pid_stat(5), proc_uptime(5)); None for any other process."""
    if procfs.comm(pid, proc) not in KEEPERS:
        return None
    try:
        ticks = int(procfs.stat_fields(f"{proc}/{pid}/stat")[_START])
        up = float(procfs.text(f"{proc}/uptime").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return max(up - ticks / os.sysconf("SC_CLK_TCK"), 0.0)


def _reading() -> tuple[int, int]:
    """How long it took, and what CLOCK_REALTIME was ahead in the middle of it (ns)."""
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    realtime = time.clock_gettime_ns(time.CLOCK_REALTIME)
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return after - before, realtime - (before + after) // 2


def _adjtimex() -> tuple[int, bytes]:
    try:
        import ctypes  # noqa: PLC0415 - Debian's python3-minimal has none, and only this function needs it

        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (ImportError, OSError, AttributeError) as error:
        raise ClockError(f"adjtimex cannot be called: {error}") from error
    timex = ctypes.create_string_buffer(_BUFFER_BYTES)
    state = adjtimex(timex)  # modes is 0, which changes nothing
    if state < 0:
        raise ClockError(f"adjtimex: {os.strerror(ctypes.get_errno())}")
    return state, timex.raw
