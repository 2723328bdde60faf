# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubelet wants a name from Docker that a container has: mostly the living instance that it overlooks."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.plugin_utils import name_cures, name_trouble, name_words
from ansible_collections.kubenode.doctor.plugins.plugin_utils.containers_seen import DOCKER, Containers, left_open
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logs_seen import Logs
from ansible_collections.kubenode.doctor.plugins.plugin_utils.name_trouble import Trouble
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, NotApplicable, Rule


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    containers, logs = Containers(node), Logs(node, context.settings)
    for trouble in name_trouble.going_on(containers, logs, context.settings, DOCKER):
        yield Fail(
            subject=trouble.subject,
            title=name_words.title(trouble),
            explanation=name_words.explanation(trouble, containers),
            evidence=tuple(name_words.evidence(trouble, containers, logs)),
            remedies=tuple(name_cures.remedies(trouble, node, context, containers)),
            severity=_severity(trouble, logs),
            caused_by=("clock-set-back",) if trouble.is_by_clock else (),
        )
    yield from left_open(containers, [*containers.gaps((DOCKER,)), *logs.gaps()])
    if DOCKER not in containers.runtime_names():
        yield NotApplicable("Docker runs no containers of Kubernetes here")


def _severity(trouble: Trouble, logs: Logs) -> str:
    if trouble.kind == name_trouble.ALIVE:
        return "warning"  # it runs, and nothing of what is there makes kubelet ask again
    if trouble.kind == name_trouble.ELSEWHERE:
        return "warning"  # what was logged and what is there contradict each other
    if not trouble.entries and not logs.gaps():
        return "warning"  # kubelet has not asked for the name: the container may be one that is not to run again
    return "critical"


RULE = Rule(
    id="container-name-conflict",
    group="containers",
    severity="critical",
    claim="the names that kubelet gives to new containers in Docker are free",
    why="the pod stays in CreateContainerError, while the container that it is about may well run",
    sources=(
        "moby/moby daemon/errors.go: Conflict. The container name … is already in use by container …",
        "kubernetes/kubernetes pkg/kubelet/kuberuntime: containerStatusByCreated, startContainer; issues 83050, 90298, 94557, 97153, 40443",
        "Mirantis/cri-dockerd core/sandbox_helpers.go, recoverFromCreationConflictIfNeeded",
    ),
    judge=_judge,
    reads=("containers", "logs", "host", "host_pressure"),
    thresholds=("log_recent_seconds", "clock_max_error_seconds"),
    see_also=("clock-set-back", "container-name-reserved", "container-not-created"),
)
