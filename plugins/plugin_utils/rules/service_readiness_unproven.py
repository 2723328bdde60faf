# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that are ready because nobody asks them: without a probe, ready says nothing about the port."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import cluster_gaps, describe
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    NotApplicable,
    Remedy,
    Rule,
    Unknown,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.service_path import ServicePort, Target, is_pod
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_verdict import LISTENS

Object = dict[str, Any]

_SHOWN = 10
_PROBES = ("readiness", "startup")  # a container is ready only after its startup probe, which has then seen it answer


def _judge(context: Context) -> Iterator[Answer]:
    paths = context.paths
    if paths.refusal:
        yield paths.refusal
        return
    found = {
        ports[0].subject: [_unproven(port) for port in ports]
        for _service, ports in paths.by_service()
        if ports[0].subject not in paths.deaf
    }
    services = [
        f"Service {subject}: {describe.listed(sorted(set().union(*names)), 2)}"
        for subject, names in found.items()
        if any(names)
    ]
    pods = [target for port in paths.ports for target in port.targets if is_pod(target.endpoint["target"])]
    if services:
        yield _fail(services)
    if any(target.pod is None for target in pods):
        why = cluster_gaps.pods_gap(context.cluster) or "some were gone when the pods were read"
        yield Unknown(f"whether a probe stands behind each endpoint that is ready is not known: {why}")
    elif not pods:
        yield NotApplicable("no Service has a pod for an endpoint")


def _unproven(port: ServicePort) -> set[str]:
    """The names of a port's pods that no probe had to find ready."""
    return {
        target.name
        for target in port.targets
        if target.pod is not None and not _is_proven(target.pod, port.port, target)
    }


def _is_proven(pod: Object, port: Object, target: Target) -> bool:
    """Whether what may serve this port had to pass a probe, or the pod a readiness gate."""
    containers = _serving(pod, port, target)
    return bool(pod["readiness_gates"]) or any(container[probe] for container in containers for probe in _PROBES)


def _serving(pod: Object, port: Object, target: Target) -> Sequence[Object]:
    """The containers that were seen to listen on the port, else those that declare it; all that run where nothing tells."""
    running = [container for container in pod["containers"] if container["kind"] != "init"]
    seen = {one.container for one in target.verdict.instead} if target.verdict.kind == LISTENS else set()
    wanted = {port["target_port"], target.port}
    declaring = [
        container
        for container in running
        for entry in container["ports"]
        if entry["protocol"] == port["protocol"] and wanted & ({entry["name"], entry["port"]} - {None})
    ]
    return [container for container in running if container["name"] in seen] or declaring or running


def _fail(found: Sequence[str]) -> Fail:
    count = "1 Service has" if len(found) == 1 else f"{len(found)} Services have"
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return Fail(
        subject="readiness",
        title=f"{count} endpoints that are ready without any readiness probe",
        explanation=(
            "A container without a readiness probe counts as ready from the moment it is started, so these endpoints prove nothing: a wrong "
            "port, a wrong image or a program that hangs looks healthy, and a rollout of it succeeds."
        ),
        evidence=(*found[:_SHOWN], *more),
        remedies=(
            Remedy(
                "give the pods' templates a readinessProbe on the port that the Service sends to: httpGet where it speaks HTTP, tcpSocket at "
                "least",
                (),
                "a probe that is too strict takes all pods out of the Service at once",
            ),
        ),
    )


RULE = Rule(
    id="service-readiness-unproven",
    group="services",
    severity="info",
    claim="a probe stands behind each endpoint that is ready",
    why="without a readiness probe Kubernetes calls a pod ready as soon as it runs, whatever listens in it, so that endpoints prove nothing",
    sources=(
        "kubernetes/kubernetes pkg/kubelet/prober/prober_manager.go, UpdatePodStatus (ready where no probe exists)",
        "seed 004: pods without probes, ready, and nobody on the Service's port",
    ),
    judge=_judge,
    scope="cluster",
    thresholds=("service_target_start_seconds",),
)
