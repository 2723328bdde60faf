# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import seed_003_pressure
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    BARE,
    Case,
    captured,
    contained,
    gap,
    live,
    unknowns,
)

ONLINE = "host_pressure.cpus.online"
COMPONENTS = "host.components"


def one_cpu(*changes, **options):
    return live(ONLINE, 1, "host_pressure.cpus.present", 1, *changes, **options)


CASES = [
    Case(
        "seed 003's master",
        "fail",
        live("host_pressure", seed_003_pressure.pressure(seed_003_pressure.WORST_SECOND)),
        "node-a",
        "warning",
        words=(
            "a control plane runs on 1 CPU",
            "2 are asked for",
            "running here: kube-apiserver",
            "steal since boot: 12 % of the CPU time",
            "13 at most",
            "give the machine 2 CPUs or more",
        ),
        absent=("CPUs are offline", "containerd"),
    ),
    Case("etcd on a machine of its own", "fail", one_cpu(COMPONENTS, ["etcd"]), "node-a"),
    Case("k3s", "fail", one_cpu(COMPONENTS, ["k3s-server"]), "node-a"),
    Case(
        "the second CPU is switched off",
        "fail",
        live(ONLINE, 1),
        "node-a",
        words=("CPUs online: 1 of 2 that are present", "find out why CPUs are offline"),
        commands=("lscpu -e",),
    ),
    Case(
        "more were asked for",
        "fail",
        live(thresholds={"control_plane_cpus": 4}),
        "node-a",
        words=("a control plane runs on 2 CPUs", "4 are asked for", "give the machine 4 CPUs or more"),
    ),
    Case("two CPUs", "pass", live(), "node-a"),
    Case("fewer were asked for", "pass", one_cpu(thresholds={"control_plane_cpus": 1}), "node-a"),
    Case("a worker with one CPU", "not_applicable", one_cpu(COMPONENTS, ["containerd", "kubelet"]), "node-a"),
    Case("a program that workers run too", "not_applicable", one_cpu(COMPONENTS, ["k0s"]), "node-a"),
    Case("a host that is no node", "not_applicable", BARE, "bare"),
    Case(
        "programs are hidden",
        "unknown",
        one_cpu(
            COMPONENTS,
            [],
            snapshot=gap(captured("node-a"), "host", "processes", "/proc hides others: run with become (-b)"),
        ),
        "node-a",
        words=("processes: /proc hides others",),
    ),
    Case(
        "a container that does not see the host's programs",
        "unknown",
        contained(),
        "bare",
        words=("processes: 1 sockets have no visible process",),
    ),
    Case(
        "how many CPUs there are was not seen",
        "unknown",
        live(
            ONLINE,
            None,
            snapshot=gap(captured("node-a"), "host_pressure", "/sys/devices/system/cpu/online", "not understood: x"),
        ),
        "node-a",
        words=("/sys/devices/system/cpu/online: not understood: x",),
    ),
    *unknowns(("host", "host_pressure")),
]
