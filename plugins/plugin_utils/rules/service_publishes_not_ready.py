# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""publishNotReadyAddresses on a Service with a cluster IP: packets go to pods that say they are not ready."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import cluster_gaps, describe, why_not_ready
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.events_seen import Events
from ansible_collections.kubenode.doctor.plugins.plugin_utils.kubectl import about
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    NotApplicable,
    Remedy,
    Rule,
    Unknown,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.service_path import ServicePort, Target, is_pod

Object = dict[str, Any]

_SHOWN = 5


def _judge(context: Context) -> Iterator[Answer]:
    paths = context.paths
    if paths.refusal:
        yield paths.refusal
        return
    concerned = [(service, ports) for service, ports in paths.by_service() if service["publish_not_ready_addresses"]]
    if not concerned:
        yield NotApplicable("no Service with a cluster IP publishes the addresses of pods that are not ready")
        return
    events, nodes = Events(context.cluster), {node["name"]: node for node in context.cluster["nodes"] or ()}
    unknown: list[str] = []
    for service, ports in concerned:
        pods = _pods(ports)
        waiting = [target for target in pods if _is_ready(target) is False]
        if waiting:
            yield _fail(service, ports, waiting, len(pods), [_words(target, events, nodes) for target in waiting])
        elif any(_is_ready(target) is None for target in pods):
            unknown.append(ports[0].subject)
    if unknown:
        why = cluster_gaps.pods_gap(context.cluster) or "they are gone by now"
        yield Unknown(f"whether all pods behind {describe.listed(unknown, _SHOWN)} are ready is not known: {why}")


def _pods(ports: Sequence[ServicePort]) -> list[Target]:
    """The pods behind a Service, each once however many ports and addresses it has."""
    found: dict[tuple[str, str], Target] = {}
    for port in ports:
        for target in port.targets:
            if is_pod(target.endpoint["target"]):
                found.setdefault((target.endpoint["target"]["namespace"], target.endpoint["target"]["name"]), target)
    return list(found.values())


def _is_ready(target: Target) -> bool | None:
    """What the pod says; else the slice's ``serving``, which unlike its ``ready`` is the pod's own (Kubernetes 1.20 and newer)."""
    if target.pod is not None:
        return bool(target.pod["ready"] == "True")
    serving: bool | None = target.endpoint["serving"]
    return serving


def _words(target: Target, events: Events, nodes: dict[str, Object]) -> str:
    if target.pod is None:
        return f"{target.name} is not ready (serving is false in its EndpointSlice)"
    return f"{target.name}: {'; '.join(why_not_ready.facts(target.pod, events, nodes))}"


def _fail(
    service: Object, ports: Sequence[ServicePort], waiting: Sequence[Target], of: int, facts: Sequence[str]
) -> Fail:
    subject = ports[0].subject
    more = [f"and {len(facts) - _SHOWN} more"] if len(facts) > _SHOWN else []
    return Fail(
        subject=subject,
        title=f"Service {subject} sends packets to pods that are not ready (publishNotReadyAddresses): {len(waiting)} of {of}",
        explanation=(
            "With publishNotReadyAddresses every pod with an address is an endpoint that looks ready, so kube-proxy gives pods that say "
            "they are not ready their share of the connections, which fail or hang. The field is meant for headless Services, by which "
            "the members of a cluster find one another before they are ready."
        ),
        evidence=(f"{ports[0].words}: publishNotReadyAddresses is true", *facts[:_SHOWN], *more),
        remedies=tuple(_remedies(service)),
    )


def _remedies(service: Object) -> Iterator[Remedy]:
    name = service["name"]
    yield Remedy(
        "leave publishNotReadyAddresses out of this Service; give the members that look for one another a headless one beside it",
        about(service["namespace"], "get", "service", name, "-o", "yaml", names=(name,)),
        "the Service has no endpoint while none of its pods is ready",
    )


RULE = Rule(
    id="service-publishes-not-ready",
    group="services",
    severity="warning",
    claim="no Service with a cluster IP sends packets to pods that are not ready",
    why="publishNotReadyAddresses makes readiness probes mean nothing: connections go to pods that have just said they cannot serve",
    sources=(
        "kubernetes/kubernetes staging/src/k8s.io/endpointslice/utils.go, podToEndpoint (ready is publishNotReadyAddresses or the pod's own)",
        "https://github.com/kubernetes/enhancements/tree/master/keps/sig-network/1672-tracking-terminating-endpoints (serving)",
    ),
    judge=_judge,
    scope="cluster",
    thresholds=("service_target_start_seconds",),
)
