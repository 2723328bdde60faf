# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane runs on a machine with too few CPUs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import host_identity
from ansible_collections.kubenode.doctor.plugins.plugin_utils import cpu_facts, encounters, limits
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    NotApplicable,
    Remedy,
    Rule,
    Unknown,
)


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    section = node["host_pressure"]
    running = sorted(host_identity.CONTROL_PLANE.intersection(node["host"]["components"]))
    cpus = (section["cpus"] or {}).get("online")
    if not running:
        hidden = encounters.unseen_programs(node)
        yield Unknown(hidden) if hidden else NotApplicable("no program of a control plane runs on this host")
    elif not cpus:
        yield Unknown(limits.unseen(section, "the number of CPUs", "/cpu/online", "/proc/stat"))
    elif cpus < context.settings.threshold("control_plane_cpus"):
        yield _fail(section, running, cpus, context.settings.threshold("control_plane_cpus"))


def _fail(section: dict[str, Any], running: list[str], cpus: int, wanted: float) -> Fail:
    return Fail(
        subject="CPUs of the control plane",
        title=f"a control plane runs on {cpus} CPU{'' if cpus == 1 else 's'}",
        explanation=(
            f"{wanted:g} are asked for. With one, API server, etcd, scheduler and controllers take turns: while one of them works, the others "
            "do not even accept connections, and each moment that the hypervisor takes stops all of them at once."
        ),
        evidence=(f"running here: {', '.join(running)}", *cpu_facts.facts(section)),
        remedies=tuple(_remedies(section, cpus, wanted)),
    )


def _remedies(section: dict[str, Any], cpus: int, wanted: float) -> Iterator[Remedy]:
    present = section["cpus"].get("present")
    if present and present > cpus:
        yield Remedy(
            "find out why CPUs are offline (lscpu lists them), then switch them on with chcpu -e",
            ("lscpu -e",),
            "none for what runs; a CPU that was switched off for its faults should stay so",
        )
    yield Remedy(
        f"give the machine {wanted:g} CPUs or more, one control-plane node after the other",
        (),
        "the machine restarts: wait until etcd has all its members again before the next one",
    )


RULE = Rule(
    id="control-plane-single-cpu",
    group="host",
    severity="warning",
    claim="a machine that runs a control plane has CPUs enough for it",
    why="its programs wait for each other, requests time out and leases are lost under load that two CPUs would carry",
    sources=(
        "kubernetes/kubernetes cmd/kubeadm/app/constants/constants.go (ControlPlaneNumCPU), which kubeadm's preflight check NumCPU demands",
    ),
    judge=_judge,
    needs=("host", "host_pressure"),
    thresholds=("control_plane_cpus",),
)
