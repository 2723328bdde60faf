# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import seed_003_pressure
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    gap,
    live,
    unknowns,
)

NOW = "host_pressure.cpu.steal"
SINCE_BOOT = "host_pressure.steal_since_boot"


def stolen(now, since_boot, **options):
    return live(NOW, now, SINCE_BOOT, since_boot, **options)


def seed_003(second, **options):
    return live("host_pressure", seed_003_pressure.pressure(second), **options)


def not_sampled(since_boot):
    """The counters were read once, or stood still."""
    node = gap(captured("node-a"), "host_pressure", "CPU shares", "the counters stood still for 2.0 s")
    return live("host_pressure.cpu", None, SINCE_BOOT, since_boot, snapshot=node)


CASES = [
    Case(
        "seed 003 in its worst second",
        "fail",
        seed_003(seed_003_pressure.WORST_SECOND),
        "node-a",
        "critical",
        words=(
            "takes a large part of this machine's CPU time",
            "CPUs online: 1",
            "steal during the 1 s sample: 41 % of the CPU time",
            "steal since boot: 12 % of the CPU time",
            "over 59 samples: 1 in the middle one, 13 at most",
            "another instance type",
        ),
        absent=("load averages", "CPU pressure", "little since boot"),
        commands=("vmstat 5 60",),
    ),
    Case(
        "seed 003 in a quiet second",
        "fail",
        seed_003(seed_003_pressure.QUIET_SECOND),
        "node-a",
        "warning",
        words=("takes CPU time from this machine", "steal during the 1 s sample: 4 % of the CPU time"),
    ),
    Case(
        "seed 003 without a sample",
        "fail",
        seed_003(None),
        "node-a",
        "warning",
        words=("steal since boot: 12 %",),
        absent=("steal during",),
    ),
    Case(
        "now, and noticeable since boot",
        "fail",
        stolen(0.1, 0.05),
        "node-a",
        "warning",
        words=("load averages", "CPU pressure"),
    ),
    Case("since boot, whatever it is now", "fail", stolen(0.0, 0.1), "node-a", "warning"),
    Case("much of it since boot", "fail", stolen(0.0, 0.3), "node-a", "critical"),
    Case(
        "a moment of it",
        "fail",
        stolen(0.41, 0.002),
        "node-a",
        "info",
        words=("during the sample, and little since boot", "It may have been a moment, or have begun lately"),
    ),
    Case("lower limits were chosen", "fail", stolen(0.02, 0.02, thresholds={"steal_share": 0.02}), "node-a", "warning"),
    Case(
        "a lower limit since boot was chosen",
        "fail",
        stolen(0.1, 0.02, thresholds={"steal_since_boot_share": 0.02}),
        "node-a",
        "warning",
    ),
    Case(
        "a higher critical limit was chosen",
        "fail",
        seed_003(seed_003_pressure.WORST_SECOND, thresholds={"steal_share_critical": 0.5}),
        "node-a",
        "warning",
    ),
    Case("nothing is taken", "pass", live(), "node-a"),
    Case("a quarter of it, and little since boot", "fail", stolen(0.25, 0.04), "node-a", "info"),
    Case("a tenth of it, and little since boot", "fail", stolen(0.1, 0.04), "node-a", "info"),
    Case("some of it for a moment", "pass", stolen(0.099, 0.04), "node-a"),
    Case("long ago and not now", "pass", stolen(0.09, 0.09), "node-a"),
    Case(
        "no sample, and little since boot",
        "unknown",
        not_sampled(0.05),
        "node-a",
        words=("the counters stood still for 2.0 s",),
    ),
    Case("no sample, and enough since boot", "fail", not_sampled(0.11), "node-a", "warning"),
    Case(
        "a sample that may have been a moment",
        "unknown",
        stolen(0.2, None),
        "node-a",
        words=("steal since boot was not seen",),
    ),
    Case("a sample that clears it without the rest", "pass", stolen(0.05, None), "node-a"),
    *unknowns(("host_pressure",)),
]
