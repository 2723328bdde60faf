# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cpu_times: the shares of CPU time, and counters that lie."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubenode.doctor.plugins.module_utils import cpu_times
from ansible_collections.kubenode.doctor.plugins.module_utils.cpu_times import Stat

# From a virtual machine with two CPUs, Linux 6.18; the numbers of interrupts are cut.
TEXT = """cpu  714318 45175 216831 1263374 8829 0 3736 566 4000 7
cpu0 365013 21733 110003 632541 3928 0 2021 301 0 0
cpu1 349305 23442 106828 630833 4901 0 1715 265 0 0
intr 13704653 0 0 0 0 0
ctxt 26584073
btime 1795245513
processes 245568
procs_running 3
procs_blocked 1
softirq 11640278 0 771151 3598 4293841 2315917 0 10 865410 634 3389717
"""
COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


def stat(*ticks, cpus=2, running=1):
    return Stat(dict(zip(COLUMNS, ticks)), cpus, running, 0)


def told(**shares):
    return {**dict.fromkeys(("user", "system", "iowait", "irq", "steal", "idle"), 0.0), **shares}


def test_parse():
    ticks = (714318, 45175, 216831, 1263374, 8829, 0, 3736, 566)
    assert cpu_times.parse(TEXT) == Stat(dict(zip(COLUMNS, ticks)), 2, 3, 1)


def test_a_big_machine():
    # 512 CPUs and 10000 interrupts: nothing of it counts but that the lines behind are found.
    lines = [TEXT.splitlines()[0], *[f"cpu{number} 1 2 3 4 5 6 7 8 9 10" for number in range(512)]]
    text = "\n".join([*lines, "intr " + "0 " * 10000, "procs_running 700", "procs_blocked 2"])
    assert (cpu_times.parse(text).cpus, cpu_times.parse(text).running) == (512, 700)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (TEXT, "", "no line 'cpu'"),
        ("cpu  ", "xpu  ", "no line 'cpu'"),
        ("procs_running 3\n", "", "no line 'procs_running'"),
        ("procs_blocked 1\n", "", "no line 'procs_blocked'"),
        (" 3736 566 4000 7", "", "6 numbers in the line 'cpu', 8 expected"),
        ("714318", "-714318", "'-714318' is no whole number"),
        ("procs_running 3", "procs_running many", "'many' is no whole number"),
        ("procs_running 3", "procs_running", "'' is no whole number"),
    ],
)
def test_what_is_not_understood(old, new, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        cpu_times.parse(TEXT.replace(old, new, 1))
    assert str(caught.value) == message


@given(
    text=st.one_of(
        st.text(),
        st.lists(st.sampled_from(["cpu ", "cpu0", "procs_running", "procs_blocked", " 1", " 9", "\n", "x"])).map(
            "".join
        ),
    )
)
def test_nothing_raises_anything_else(text):
    with contextlib.suppress(ValueError):
        assert cpu_times.parse(text)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            (0,) * 8,
            (20, 10, 40, 80, 10, 4, 6, 30),
            told(user=0.15, system=0.2, idle=0.4, iowait=0.05, irq=0.05, steal=0.15),
        ),
        ((1000,) * 8, (1000, 1000, 1000, 1400, 1000, 1000, 1000, 1000), told(idle=1.0)),
        # iowait went backwards, which says nothing of the others.
        ((0, 0, 0, 0, 500, 0, 0, 0), (100, 0, 0, 300, 490, 0, 0, 0), told(user=0.25, idle=0.75)),
        # So did steal: after the machine was moved to another hypervisor.
        ((0, 0, 0, 0, 0, 0, 0, 10**6), (100, 0, 0, 100, 0, 0, 0, 3), told(user=0.5, idle=0.5)),
        ((0,) * 8, (0, 0, 0, 200, 0, 0, 0, 400), told(idle=0.3333, steal=0.6667)),
    ],
)
def test_shares(before, after, expected):
    assert cpu_times.shares(stat(*before), stat(*after), 2.0) == expected


def test_what_the_look_itself_used_counts_as_idle():
    before, after = stat(*(0,) * 8), stat(50, 0, 30, 100, 0, 0, 0, 20)
    mine = cpu_times.Own(user=0.4, system=0.3)
    assert cpu_times.shares(before, after, 2.0, mine) == told(user=0.05, idle=0.85, steal=0.1)


def test_more_than_was_counted_does_not_count():
    mine = cpu_times.Own(user=0.05, system=0.05)  # counted with the next step
    assert cpu_times.shares(stat(*(0,) * 8), stat(1, 0, 0, 99, 0, 0, 0, 0), 1.0, mine) == told(idle=1.0)


def test_what_this_process_used_grows():
    first = cpu_times.own()
    while cpu_times.own().user + cpu_times.own().system < first.user + first.system + 0.02:
        sum(range(10_000))
    assert cpu_times.own() > first or cpu_times.own().system > first.system


@pytest.mark.parametrize(
    ("ticks", "cpus", "seconds", "message"),
    [
        ((1,) * 8, 2, 0.05, "only 0.050 s lie between the two samples: raise sample_seconds"),
        ((0,) * 8, 2, 2.0, "the counters stood still for 2.0 s"),
        # Two CPUs have at most four seconds in two, or eight when steal is counted twice.
        (
            (0, 0, 0, 100, 0, 0, 0, 1000),
            2,
            2.0,
            "11 s of CPU time in 2.0 s: the machine was paused or moved, sample again",
        ),
        # "18446744072 s of steal": a counter that went below zero (Linux 4.8, guests of Xen).
        (
            (0, 0, 0, 400, 0, 0, 0, 2**64 - 1),
            2,
            2.0,
            "184467440737095520 s of CPU time in 2.0 s: the machine was paused or moved, sample again",
        ),
    ],
)
def test_shares_that_cannot_be_told(ticks, cpus, seconds, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        cpu_times.shares(stat(*(0,) * 8), stat(*ticks, cpus=cpus), seconds)
    assert str(caught.value) == message


def test_a_cpu_that_was_switched_on_meanwhile_counts():
    after = stat(0, 0, 0, 1000, 0, 0, 0, 0, cpus=4)
    assert cpu_times.shares(stat(*(0,) * 8, cpus=1), after, 2.5) == told(idle=1.0)


TICKS = st.tuples(*[st.integers(0, 400) for _column in COLUMNS])


@given(before=TICKS, after=TICKS)
def test_shares_add_up_to_one(before, after):
    try:
        shares = cpu_times.shares(stat(*before), stat(*after), 60.0)
    except ValueError:
        assert all(late <= early for early, late in zip(before, after))
        return
    assert all(0 <= share <= 1 for share in shares.values())
    assert sum(shares.values()) == pytest.approx(1, abs=0.001)


def test_guests_are_not_counted_twice():
    # The last two numbers of the line are contained in the first two.
    assert sum(cpu_times.parse(TEXT).ticks.values()) == 714318 + 45175 + 216831 + 1263374 + 8829 + 3736 + 566


@pytest.mark.parametrize(
    ("ticks", "expected"), [((10, 0, 8, 70, 0, 0, 0, 12), 0.12), ((1,) * 8, 0.125), ((0,) * 8, None)]
)
def test_steal_since_boot(ticks, expected):
    assert cpu_times.steal_since_boot(stat(*ticks)) == expected


@pytest.mark.parametrize(("running", "expected"), [(1, 0), (5, 4), (0, 0)])
def test_waiting(running, expected):
    # 0: behind lxcfs or gVisor, which count otherwise.
    assert cpu_times.waiting(stat(running=running)) == expected
