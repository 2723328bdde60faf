# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""clock: what adjtimex told, steps, and who keeps the clock."""

from __future__ import annotations

import os
import struct
import sys
import time

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import clock
from ansible_collections.kubenode.doctor.plugins.module_utils.clock import KernelClock

STA_PLL = 0x0001
STA_UNSYNC = 0x0040
STA_CLOCKERR = 0x1000
STA_NANO = 0x2000
TIME_OK = 0
TIME_INS = 1
TIME_ERROR = 5


def timex(offset, max_error, status):
    """The beginning of struct timex, as C lays it out here, with what follows."""
    return struct.pack("@I4li", 0, offset, 7440, max_error, 1774, status) + b"\x11" * 160


@pytest.mark.parametrize(
    ("state", "offset", "max_error", "status", "expected"),
    [
        # From an issue of moby (33126): adjtimex({modes=0, offset=-79766, maxerror=821262, status=STA_PLL|STA_NANO}) = 0
        (TIME_OK, -79766, 821262, STA_PLL | STA_NANO, KernelClock(True, -0.000079766, 0.821262)),
        (TIME_OK, -79766, 821262, STA_PLL, KernelClock(True, -0.079766, 0.821262)),
        # A virtual machine without a time daemon, Linux 6.18.
        (TIME_ERROR, 0, 16000000, STA_UNSYNC, KernelClock(False, 0.0, 16.0)),
        # A leap second is announced: the clock is right.
        (TIME_INS, 0, 500, STA_PLL, KernelClock(True, 0.0, 0.0005)),
        (TIME_ERROR, 0, 500, STA_PLL | STA_CLOCKERR, KernelClock(False, 0.0, 0.0005)),
        (TIME_OK, 0, 500, STA_UNSYNC, KernelClock(False, 0.0, 0.0005)),
    ],
)
def test_understood(state, offset, max_error, status, expected):
    assert clock.understood(state, timex(offset, max_error, status)) == expected


def test_python_without_ctypes(monkeypatch):
    monkeypatch.setitem(sys.modules, "ctypes", None)
    with pytest.raises(clock.ClockError, match=r"adjtimex cannot be called: .*ctypes"):
        clock.kernel_clock()


class Library:
    """A C library whose adjtimex() answers and sets errno."""

    def __init__(self, answer):
        self._answer = answer

    def adjtimex(self, buffer):
        buffer.raw = timex(5, 500, STA_PLL)
        return self._answer


def ctypes_with(monkeypatch, library, errno=0):
    ctypes = pytest.importorskip("ctypes")
    monkeypatch.setattr(ctypes, "CDLL", lambda _name, use_errno: library if use_errno else None)
    monkeypatch.setattr(ctypes, "get_errno", lambda: errno)


def test_adjtimex(monkeypatch):
    ctypes_with(monkeypatch, Library(TIME_OK))
    assert clock.kernel_clock() == KernelClock(True, 0.000005, 0.0005)


def test_adjtimex_that_is_forbidden(monkeypatch):
    # By the seccomp profile of container engines before 2020.
    ctypes_with(monkeypatch, Library(-1), errno=1)
    with pytest.raises(clock.ClockError) as caught:
        clock.kernel_clock()
    assert str(caught.value) == "adjtimex: Operation not permitted"


def test_a_c_library_without_adjtimex(monkeypatch):
    ctypes_with(monkeypatch, object())
    with pytest.raises(clock.ClockError, match="adjtimex cannot be called: "):
        clock.kernel_clock()


class Clocks:
    """CLOCK_MONOTONIC and CLOCK_REALTIME that tell what they are told to, one number a reading."""

    CLOCK_REALTIME = time.CLOCK_REALTIME
    CLOCK_MONOTONIC = time.CLOCK_MONOTONIC

    def __init__(self, readings):
        self._readings = [number for reading in readings for number in reading]

    def clock_gettime_ns(self, _which):
        return self._readings.pop(0)


def test_realtime_ahead_takes_the_reading_that_was_interrupted_least(monkeypatch):
    # (before, realtime, after): the others were interrupted on one side of the realtime, or on both.
    readings = [(0, 9000, 800), (1000, 9100, 1010), (2000, 8000, 2900), (3000, 9999, 5000), (6000, 16000, 8000)]
    monkeypatch.setattr(clock, "time", Clocks(readings))
    assert clock.realtime_ahead() == 9100 - 1005


def test_realtime_ahead_is_the_same_later():
    # Unless something sets the clock between these two lines. A millisecond is what is told of a step.
    assert clock.realtime_ahead() == pytest.approx(clock.realtime_ahead(), abs=1_000_000)


def test_keepers(node):
    for pid, comm in enumerate(["ntpd", "chronyd", "chronyd", "systemd-timesyn", "sshd", "chronyc", ""], 10):
        node.process(pid, comm, [])
    # The clock is one for all: a keeper in another network is one as well.
    node.process(20, "phc2sys", [], netns="other")
    assert clock.keepers(str(node.proc)) == ["chronyd", "ntpd", "phc2sys", "systemd-timesyn"]


def test_nobody_keeps_it(node):
    node.process(10, "sshd", [])
    (node.proc / "1" / "comm").unlink()  # ended under our eyes
    assert clock.keepers(str(node.proc)) == []


def runs_since(node, pid, comm, ticks):
    node.process(pid, comm, [])
    (node.proc / str(pid) / "stat").write_text(f"{pid} ({comm}) S 1 " + "0 " * 17 + f"{ticks} 0 0")


def test_for_how_long_it_is_kept(node):
    hertz = os.sysconf("SC_CLK_TCK")
    runs_since(node, 10, "vmtoolsd", 5 * hertz)
    runs_since(node, 11, "chronyd", 900 * hertz)
    runs_since(node, 12, "sshd", 990 * hertz)
    (node.proc / "uptime").write_text("1000.25 1890.50\n")
    assert clock.kept_seconds(str(node.proc)) == 100.2


@pytest.mark.parametrize("uptime", [None, "", "soon"])
@pytest.mark.parametrize("stat", [None, "10 (chronyd) S"])
def test_for_how_long_it_is_kept_is_not_known(node, uptime, stat):
    node.process(10, "chronyd", [])
    for path, text in ((node.proc / "uptime", uptime), (node.proc / "10" / "stat", stat)):
        if text is not None:
            path.write_text(text)
    assert clock.kept_seconds(str(node.proc)) is None


def test_no_name_is_longer_than_the_kernel_keeps():
    assert [name for name in clock.KEEPERS if len(name) > 15] == []
