# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""containerd or CRI-O refuses kubelet a name that is reserved: by a container, or by a request that has not ended."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.plugin_utils import moments, name_cures, name_trouble, name_words
from ansible_collections.kubenode.doctor.plugins.plugin_utils.containers_seen import (
    CONTAINERD,
    CRIO,
    Containers,
    left_open,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logs_seen import Logs
from ansible_collections.kubenode.doctor.plugins.plugin_utils.name_trouble import Trouble
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    NotApplicable,
    Remedy,
    Rule,
)

# Twice kubelet's --runtime-request-timeout of 2 min: a request that goes on for longer was given up by kubelet and tried anew.
_LASTING_SECONDS = 240
_RUNTIMES = (CONTAINERD, CRIO)


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    containers, logs = Containers(node), Logs(node, context.settings)
    for trouble in name_trouble.going_on(containers, logs, context.settings, *_RUNTIMES):
        yield _fail(trouble, node, context, containers, logs)
    yield from left_open(containers, [*containers.gaps(_RUNTIMES), *logs.gaps()])
    if containers.runtime_names().isdisjoint(_RUNTIMES):
        yield NotApplicable("neither containerd nor CRI-O runs containers of Kubernetes here")


def _fail(trouble: Trouble, node: NodeView, context: Context, containers: Containers, logs: Logs) -> Fail:
    words = [name_words.explanation(trouble, containers), *_how_long(trouble), *_stage(trouble)]
    remedies = [*_stage_cure(trouble), *name_cures.remedies(trouble, node, context, containers)]
    return Fail(
        subject=trouble.subject,
        title=name_words.title(trouble)
        if _lasts(trouble)
        else f"{name_words.title(trouble)} (for a short while so far)",
        explanation=" ".join(words),
        evidence=tuple(name_words.evidence(trouble, containers, logs)),
        remedies=tuple(remedies),
        severity=_severity(trouble, logs),
        caused_by=("clock-set-back",) if trouble.is_by_clock else (),
    )


def _lasts(trouble: Trouble) -> bool:
    return bool(trouble.conflict) or trouble.seconds >= _LASTING_SECONDS


def _severity(trouble: Trouble, logs: Logs) -> str:
    if not _lasts(trouble):
        return "info"
    if trouble.kind in (name_trouble.ALIVE, name_trouble.ELSEWHERE) or (not trouble.entries and not logs.gaps()):
        return "warning"
    return "critical"


def _how_long(trouble: Trouble) -> Iterator[str]:
    if _lasts(trouble):
        return
    yield (
        f"The refusals go over {moments.span(trouble.seconds)}: a request that is slow, under load, ends by itself, and kubelet's next try after "
        "it finds the container made."
    )


def _stage(trouble: Trouble) -> Iterator[str]:
    if trouble.stage:
        yield f"CRI-O says that it is at the stage: {trouble.stage}."


def _stage_cure(trouble: Trouble) -> Iterator[Remedy]:
    if "volume" in trouble.stage:
        yield Remedy(
            "let it pass through the volume's files once: fsGroupChangePolicy: OnRootMismatch in the pod's securityContext, and, with SELinux, a "
            "label that the volume has already",
            (),
            "the pod is created anew",
        )


RULE = Rule(
    id="container-name-reserved",
    group="containers",
    severity="critical",
    claim="the names that kubelet gives to new containers in containerd and CRI-O are free, or become so",
    why="the pod stays in CreateContainerError, while the container that it is about may well run",
    sources=(
        "containerd internal/cri/server/container_create.go: failed to reserve container name; issues 4604, 10828, 13867, 6095, 7247",
        "cri-o server/container_create.go, server/utils.go: Creation of … not yet finished. Currently at stage …; issue 7044",
        "kubernetes/kubernetes issues 127948 (sandboxes) and 134153 (a kubelet whose cache is older than its clock)",
    ),
    judge=_judge,
    reads=("containers", "logs", "host", "host_pressure"),
    thresholds=("name_reserved_count", "log_recent_seconds", "clock_max_error_seconds"),
    see_also=("clock-set-back", "container-name-conflict", "container-not-created"),
)
