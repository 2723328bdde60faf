# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that have no endpoint: kube-proxy refuses what is sent to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import cures
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.no_endpoints import Cause, NoEndpoints, is_vital
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule
from ansible_collections.kubenode.doctor.plugins.plugin_utils.service_path import ServicePort

_VITAL = "The cluster itself needs this one: without it most pods find neither the API server nor each other."
_OUTSIDE = frozenset({"NodePort", "LoadBalancer"})


def _judge(context: Context) -> Iterator[Answer]:
    if context.paths.refusal:
        yield context.paths.refusal
        return
    search = NoEndpoints(context)
    for service, ports in context.paths.by_service():
        # A port that is wanted by a name which no container has is told by service-named-port-missing.
        bare = [port for port in ports if not port.targets and not port.unnamed]
        if bare:
            yield _fail(service, bare, len(bare) == len(ports), search, context)


def _fail(
    service: dict[str, Any], bare: Sequence[ServicePort], all_ports: bool, search: NoEndpoints, context: Context
) -> Fail:
    cause = search.cause(service, bare)
    return Fail(
        subject=bare[0].subject,
        title=f"Service {bare[0].subject} refuses connections{_ports(bare, all_ports)}: {cause.told}",
        explanation=" ".join(_explanation(bare, cause)),
        evidence=(*(f"{port.words}: no endpoint in use" for port in bare), *cause.facts, *search.events(service)),
        remedies=(*cause.remedies, *_remove(service, cause, context)),
        severity=_severity(service, bare, cause),
    )


def _ports(bare: Sequence[ServicePort], all_ports: bool) -> str:
    """Which ports, where it is not all of them or where they are seen from outside."""
    named = [port.port for port in bare if port.port["node_port"]]
    if all_ports and not named:
        return ""
    if named:
        return " on NodePort " + ", ".join(f"{port['node_port']}/{port['protocol']}" for port in named)
    return " on port " + ", ".join(f"{port.port['port']}/{port.port['protocol']}" for port in bare)


def _explanation(bare: Sequence[ServicePort], cause: Cause) -> Iterator[str]:
    yield 'kube-proxy refuses what is sent to a port without endpoints: a client reads "connection refused" at once.'
    if any(port.port["node_port"] for port in bare):
        yield (
            "For a NodePort it does so on every address of every node (in iptables mode on 127.0.0.1 too), so a program of a node that "
            "listens on this number is refused as well; nodeport-shadows-listener tells where there is one."
        )
    if is_vital(bare[0].service, bare):
        yield _VITAL
    yield cause.text


def _severity(service: dict[str, Any], bare: Sequence[ServicePort], cause: Cause) -> str:
    if is_vital(service, bare):
        return "critical"
    if cause.wanted:
        return "info"
    return "warning" if cause.missed or service["type"] in _OUTSIDE else "info"


def _remove(service: dict[str, Any], cause: Cause, context: Context) -> Iterator[Remedy]:
    if cause.stale:
        key = (service["namespace"], service["name"])
        port = next((port for port in context.opened_ports if (port["namespace"], port["service"]) == key), None)
        remedy = cures.remove_service(port, context) if port else None
        if remedy:
            yield remedy


RULE = Rule(
    id="service-without-endpoints",
    group="services",
    severity="warning",
    claim="every Service has an endpoint for each of its ports",
    why="packets to a Service without endpoints are refused on every node, which looks as if nobody listened or a firewall was in the way",
    sources=(
        "Kubernetes 1.36 pkg/proxy/iptables/proxier.go, syncProxyRules (REJECT, has no endpoints)",
        "kubernetes/kubernetes staging/src/k8s.io/endpointslice/reconciler.go (which pods become endpoints)",
    ),
    judge=_judge,
    scope="cluster",
    thresholds=("service_target_start_seconds",),
    see_also=("nodeport-shadows-listener", "service-named-port-missing"),
)
