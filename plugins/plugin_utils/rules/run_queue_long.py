# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""More processes want to run than there are CPUs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import cpu_facts, limits
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule, Unknown


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    section = node["host_pressure"]
    # The middle one of the samples: a burst that one sample catches says nothing.
    middle, cpus = cpu_facts.median_run_queue(section), (section["cpus"] or {}).get("online")
    if middle is None:
        yield Unknown(limits.unseen(section, "the run queue", "/proc/stat"))
    elif not cpus:
        yield Unknown(limits.unseen(section, "the number of CPUs", "/cpu/online", "/proc/stat"))
    elif middle >= context.settings.threshold("run_queue_per_cpu") * cpus:
        yield _fail(section, cpus)


def _fail(section: dict[str, Any], cpus: int) -> Fail:
    # The load average looks back a minute. When that needed fewer CPUs than there are, the queue has only just begun.
    passing = bool(section["load"]) and section["load"][0] < cpus
    title = "more processes want to run than the CPUs can serve"
    return Fail(
        subject="run queue",
        title=f"{title}, though not for long" if passing else title,
        explanation=(
            "Whoever becomes ready waits for its turn: probes, heartbeats and accept() come late, and what runs in turns of a few milliseconds "
            "takes many of them."
        ),
        evidence=tuple(cpu_facts.facts(section)),
        remedies=(
            Remedy(
                "look whether it lasts (column r), and who asks for the CPU", ("vmstat 5 60", "top -b -n 1"), "none"
            ),
            Remedy(
                "give the pods that ask for it a CPU limit or another node, or this node more CPUs",
                (),
                "a limit throttles its pod; a machine that is resized restarts",
            ),
        ),
        severity="info" if passing else "",
        caused_by=("control-plane-single-cpu", "cpu-steal"),
    )


RULE = Rule(
    id="run-queue-long",
    group="host",
    severity="warning",
    claim="processes that want to run find a CPU",
    why="everything on the machine is late, and what has a deadline misses it",
    sources=(
        "Linux Documentation/filesystems/proc.rst, /proc/stat: procs_running",
        "node-exporter docs/node-mixin, NodeSystemSaturation: load above twice the CPUs",
    ),
    judge=_judge,
    needs=("host_pressure",),
    thresholds=("run_queue_per_cpu",),
    see_also=("cpu-steal", "control-plane-single-cpu"),
)
