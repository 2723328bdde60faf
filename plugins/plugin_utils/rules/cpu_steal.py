# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor gives this machine's CPU time to others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import cpu_facts, limits
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule, Unknown
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings

# A sample of two seconds on a shared host is noise: a neighbour's start costs 40 % for a moment and nobody notices. The average
# since boot is the opposite: it says that steal belongs to this machine, and it forgets nothing, but after months of uptime it also
# hides a bad day. Alone, the sample is therefore never more than a note. Together they are a finding, and so is an average since boot
# that reaches the mark for a sample by itself: no moment can do that.


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    section = node["host_pressure"]
    sample = section["cpu"]["steal"] if section["cpu"] else None
    level = _severity(sample, section["steal_since_boot"], context.settings)
    if level:
        yield _fail(section, level)
    elif sample is None:
        yield Unknown(limits.unseen(section, "what the CPUs do", "CPU shares", "/proc/stat"))
    elif section["steal_since_boot"] is None and sample >= context.settings.threshold("steal_share"):
        yield Unknown(limits.unseen(section, "steal since boot", "/proc/stat"))


def _severity(sample: float | None, since_boot: float | None, settings: Settings) -> str:
    """Empty for none; a figure that is None was not seen and proves nothing."""
    now, always = sample or 0.0, since_boot or 0.0
    share, critical = settings.threshold("steal_share"), settings.threshold("steal_share_critical")
    usual = always >= settings.threshold("steal_since_boot_share")
    if always >= critical or (usual and now >= critical):
        return "critical"
    if always >= share or (usual and now >= share):
        return "warning"
    return "info" if now >= share and since_boot is not None else ""


_TITLES = {
    "critical": "the hypervisor takes a large part of this machine's CPU time",
    "warning": "the hypervisor takes CPU time from this machine",
    "info": "the hypervisor took CPU time from this machine during the sample, and little since boot",
}
_PASSING = (
    "It may have been a moment, or have begun lately: since boot the share is small, which on a machine that has run for long hides days of it. "
    "A longer look tells whether it lasts, before anybody acts on it."
)


def _fail(section: dict[str, Any], level: str) -> Fail:
    return Fail(
        subject="CPU steal",
        title=_TITLES[level],
        explanation=(
            "Steal is the time in which a process of this machine wanted to run and the hypervisor ran another machine instead. Nothing on the "
            "machine shows it but slowness: probes time out, leases are lost, accept queues fill. Instances that live on CPU credits show it when "
            f"these are spent. {_PASSING if level == 'info' else ''}"
        ).rstrip(),
        evidence=tuple(cpu_facts.facts(section)),
        remedies=(
            Remedy("watch the column st for some minutes, to see whether it lasts", ("vmstat 5 60",), "none"),
            Remedy(
                "give the machine CPUs of its own: another instance type, a dedicated or less crowded host, no CPU limit or overcommitment for "
                "this machine in the hypervisor, CPU credits where it lives on them",
                (),
                "the machine restarts or moves; it costs more",
            ),
            Remedy("move work from this machine to others", (), "the others must have room for it"),
        ),
        severity=level,
    )


RULE = Rule(
    id="cpu-steal",
    group="host",
    severity="warning",
    claim="the hypervisor leaves this machine its CPU time",
    why="whatever runs here stalls for moments that no program on it can explain, the control plane and its leases among them",
    sources=(
        "Linux Documentation/filesystems/proc.rst, /proc/stat: the eighth figure of the cpu line",
        "Netdata src/health/health.d/cpu.conf, 20min_steal_cpu",
    ),
    judge=_judge,
    needs=("host_pressure",),
    thresholds=("steal_share", "steal_share_critical", "steal_since_boot_share"),
)
