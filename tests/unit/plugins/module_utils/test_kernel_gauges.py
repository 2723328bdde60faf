# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kernel_gauges: what Linux 6.18 has printed, what older kernels print, and what none does."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubenode.doctor.plugins.module_utils import kernel_gauges

SOME = "some avg10=1.05 avg60=0.79 avg300=0.76 total=1237379922"
FULL = "full avg10=0.00 avg60=0.01 avg300=0.02 total=0"
MEMINFO = """MemTotal:       24684084 kB
MemFree:        24187324 kB
MemAvailable:   24276340 kB
SwapCached:            0 kB
SwapTotal:       1048572 kB
SwapFree:        1048000 kB
HugePages_Total:       0
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.07 0.14 0.69 1/91 18392", ([0.07, 0.14, 0.69], 91)),
        # A host with a broken network file system.
        ("1207.00 980.21 300.00 3/20512 4194303", ([1207.0, 980.21, 300.0], 20512)),
    ],
)
def test_load(text, expected):
    assert kernel_gauges.load(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{SOME}\n{FULL}",
            {
                "some": {"avg10": 1.05, "avg60": 0.79, "avg300": 0.76},
                "full": {"avg10": 0.0, "avg60": 0.01, "avg300": 0.02},
            },
        ),
        (SOME, {"some": {"avg10": 1.05, "avg60": 0.79, "avg300": 0.76}, "full": None}),
        (f"other avg10=x\n{SOME} new=x", {"some": {"avg10": 1.05, "avg60": 0.79, "avg300": 0.76}, "full": None}),
    ],
)
def test_pressure(text, expected):
    assert kernel_gauges.pressure(text) == expected


@pytest.mark.parametrize(
    ("left_out", "expected"),
    [
        ("", (24684084 * 1024, 24276340 * 1024, 1048572 * 1024, 1048000 * 1024)),
        ("MemAvailable", (24684084 * 1024, None, 1048572 * 1024, 1048000 * 1024)),  # before Linux 3.14
        ("Swap", (24684084 * 1024, 24276340 * 1024, None, None)),
    ],
)
def test_memory(left_out, expected):
    lines = [line for line in MEMINFO.splitlines() if not left_out or left_out not in line]
    told = kernel_gauges.memory("\n".join(lines))
    assert tuple(told[name] for name in ("total", "available", "swap_total", "swap_free")) == expected


def test_files():
    assert kernel_gauges.files("521\t0\t2466170") == {"open": 521, "max": 2466170}
    # systemd sets the limit to this.
    assert kernel_gauges.files("521\t0\t9223372036854775807")["max"] == 2**63 - 1


@pytest.mark.parametrize(("text", "expected"), [("0", 1), ("0-3", 4), ("0-3,5", 5), ("0,2,4-7", 6), ("0-8191", 8192)])
def test_cpus(text, expected):
    assert kernel_gauges.cpus(text) == expected


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (kernel_gauges.load, "", "fewer than four words"),
        (kernel_gauges.load, "0.07 0.14 0.69", "fewer than four words"),
        (kernel_gauges.load, "nan 0.14 0.69 1/91 1", "'nan' is no decimal number"),
        (kernel_gauges.load, "0.07 0.14 0.69 91 1", "'' is no whole number"),
        (kernel_gauges.pressure, "", "no line 'some'"),
        (kernel_gauges.pressure, FULL, "no line 'some'"),
        (kernel_gauges.pressure, "some avg10=1.00 avg60=1.00", "no avg300"),
        (kernel_gauges.pressure, SOME.replace("0.76", "inf"), "'inf' is no decimal number"),
        (kernel_gauges.memory, "", "no line 'MemTotal'"),
        (kernel_gauges.memory, "MemTotal: 1 GB", "'1 GB' is not given in kB"),
        (kernel_gauges.memory, "MemTotal: 1", "'1' is not given in kB"),
        (kernel_gauges.memory, "MemTotal: -1 kB", "'-1' is no whole number"),
        (kernel_gauges.files, "521 2466170", "2 words, three expected"),
        (kernel_gauges.files, "many 0 2466170", "'many' is no whole number"),
        (kernel_gauges.cpus, "", "'' is no whole number"),
        (kernel_gauges.cpus, "0-", "'' is no whole number"),
        (kernel_gauges.cpus, "3-0", "the range '3-0' ends before it begins"),
        (kernel_gauges.cpus, "0,,1", "'' is no whole number"),
        (kernel_gauges.cpus, "all", "'all' is no whole number"),
    ],
)
def test_what_is_not_understood(parse, text, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        parse(text)
    assert str(caught.value) == message


def test_a_range_without_end_costs_nothing():
    assert kernel_gauges.cpus("0-99999999999999999999") == 10**20


PIECES = [
    "some",
    "full",
    "avg10=",
    "avg60=1.0",
    "avg300=",
    "MemTotal",
    ":",
    "kB",
    "=",
    " ",
    "\n",
    "/",
    "-",
    ",",
    "1",
    "x",
]
PARSERS = [kernel_gauges.load, kernel_gauges.pressure, kernel_gauges.memory, kernel_gauges.files, kernel_gauges.cpus]


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_nothing_raises_anything_else(parse, text):
    with contextlib.suppress(ValueError):
        assert parse(text) is not None
