# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import seed_003_pressure
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    captured_section,
    gap,
    live,
    unknowns,
)

SAMPLES = "host_pressure.run_queue.samples"


def busy(*changes, **options):
    """Eight busy processes on two CPUs, for 45 s."""
    return live("host_pressure", captured_section("host-pressure-busy"), *changes, **options)


CASES = [
    Case(
        "eight busy processes on two CPUs",
        "fail",
        busy(),
        "node-a",
        "warning",
        words=(
            "more processes want to run than the CPUs can serve",
            "CPUs online: 2",
            "over 20 samples: 15 in the middle one, 16 at most",
            "load averages over 1, 5 and 15 minutes: 7.41, 2.29, 1.22",
            "some process waited for a CPU 88.31 % of the last 10 s",
        ),
        absent=("not for long",),
        commands=("vmstat 5 60", "top -b -n 1"),
        causes=(),
    ),
    Case(
        "a kernel that tells no pressure", "fail", busy("host_pressure.psi", None), "node-a", absent=("CPU pressure",)
    ),
    Case(
        "it has only just begun",
        "fail",
        busy("host_pressure.load", [1.9, 0.3, 0.2]),
        "node-a",
        "info",
        words=("though not for long",),
    ),
    Case("the load average was not seen", "fail", busy("host_pressure.load", None), "node-a", "warning"),
    Case("exactly two for each CPU", "fail", busy(SAMPLES, [4, 4, 3, 9, 4]), "node-a", "warning"),
    Case(
        "a control plane on one CPU, from which time is stolen",
        "fail",
        busy("host_pressure.cpus.online", 1, "host_pressure.cpu.steal", 0.2, "host_pressure.steal_since_boot", 0.12),
        "node-a",
        causes=("control-plane-single-cpu", "cpu-steal"),
    ),
    Case(
        "a lower limit was chosen",
        "fail",
        busy(SAMPLES, [1, 1, 1], thresholds={"run_queue_per_cpu": 0.5}),
        "node-a",
        "warning",
    ),
    Case("an idle machine", "pass", live(), "node-a"),
    Case(
        "seed 003, where it was long now and then",
        "pass",
        live("host_pressure", seed_003_pressure.pressure(1)),
        "node-a",
    ),
    Case("bursts", "pass", busy(SAMPLES, [0, 40, 1, 40, 3]), "node-a"),
    Case("as many CPUs as that takes", "pass", busy("host_pressure.cpus.online", 8), "node-a"),
    Case(
        "/proc/stat could not be read",
        "unknown",
        busy(
            "host_pressure.run_queue",
            {"samples": [], "blocked": []},
            snapshot=gap(captured("node-a"), "host_pressure", "/proc/stat", "Permission denied"),
        ),
        "node-a",
        words=("the run queue was not seen",),
    ),
    Case(
        "/proc/stat could not be read, and the section says so",
        "unknown",
        live(
            SAMPLES,
            [],
            snapshot=gap(captured("node-a"), "host_pressure", "/proc/stat", "Permission denied"),
        ),
        "node-a",
        words=("/proc/stat: Permission denied",),
    ),
    Case(
        "how many CPUs there are was not seen",
        "unknown",
        busy("host_pressure.cpus.online", None),
        "node-a",
        words=("the number of CPUs was not seen",),
    ),
    *unknowns(("host_pressure",)),
]
