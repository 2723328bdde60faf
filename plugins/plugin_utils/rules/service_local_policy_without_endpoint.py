# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""externalTrafficPolicy Local: a node without an endpoint of its own drops what comes from outside, and a test on the node lies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import cluster_gaps, describe, events_seen
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
from ansible_collections.kubenode.doctor.plugins.plugin_utils.service_path import ServicePort

Object = dict[str, Any]
Served = tuple[ServicePort, set[str]]  # a port, and the nodes that have an endpoint of it

_NODES_SHOWN = 10
_CONTROL_PLANE = frozenset({"control-plane", "master"})
_DEDICATED = (
    "Most nodes lack one, which looks like nodes that are set apart for this Service (an ingress behind a load balancer of one's own): as long as "
    "clients use only those, nothing is wrong. It would look accidental if a few lacked one."
)
_ACCIDENTAL = (
    "No more than half of the nodes lack one, which looks accidental; if most lacked one, the others would look like nodes that are set apart for "
    "this Service."
)
_EVENTS = 3


class Lacking(NamedTuple):
    """The nodes without an endpoint, and how many nodes count."""

    names: Sequence[str]
    of: int

    @property
    def most(self) -> bool:
        """Whether these are more than half of them."""
        return 2 * len(self.names) > self.of


def _judge(context: Context) -> Iterator[Answer]:
    paths = context.paths
    if paths.refusal:
        yield paths.refusal
        return
    concerned = [(service, ports) for service, ports in paths.by_service() if _is_local(service)]
    if not concerned:
        yield NotApplicable("no Service that is reached from outside has externalTrafficPolicy Local")
        return
    if context.cluster["nodes"] is None:
        yield Unknown(f"the cluster's Nodes are not known ({cluster_gaps.gap(context.cluster, 'nodes')})")
        return
    events = Events(context.cluster)
    nodes = _for_clients(context.cluster["nodes"])
    for service, ports in concerned:
        # One without any endpoint is told by service-without-endpoints; it refuses, and does so everywhere.
        slices = context.slices_of(service["namespace"], service["name"])
        served = [(port, _own_nodes(port, slices)) for port in ports if port.targets]
        without = sorted({node for _port, own in served for node in nodes - own})
        if without and not _by_design(service):
            yield _fail(service, served, Lacking(without, len(nodes)), events)


def _for_clients(nodes: Sequence[Object]) -> set[str]:
    """The nodes that a client may expect an answer from: Ready, schedulable, and no control plane where there are others."""
    usable = [node for node in nodes if node["ready"] in ("True", None) and not node["unschedulable"]]
    workers = [node for node in usable if not _CONTROL_PLANE.intersection(node["labels_roles"])]
    return {node["name"] for node in workers or usable}


def _is_local(service: Object) -> bool:
    outside = service["type"] in ("NodePort", "LoadBalancer") or bool(service["external_ips"])
    return outside and service["external_traffic_policy"] == "Local"


def _own_nodes(port: ServicePort, slices: Sequence[Object]) -> set[str]:
    """The nodes that have an endpoint of this port: ready, or still serving while it terminates (which each node decides for itself).

    An endpoint without nodeName is on no node, as kube-proxy sees it.
    """
    wanted = (port.port["name"] or "", port.port["protocol"])
    return {
        endpoint["node_name"]
        for piece in slices
        if any((entry["name"], entry["protocol"]) == wanted and entry["port"] for entry in piece["ports"])
        for endpoint in piece["endpoints"]
        if endpoint["node_name"] and _answers(endpoint)
    }


def _answers(endpoint: Object) -> bool:
    return endpoint["ready"] is not False or (endpoint["terminating"] is True and endpoint["serving"] is not False)


def _by_design(service: Object) -> bool:
    """Whether a load balancer asks healthCheckNodePort, and so leaves out the nodes that drop.

    It has an address then, or a name (which bundles of older versions do not hold).
    """
    if service["type"] != "LoadBalancer" or not service["health_check_node_port"]:
        return False
    names = service.get("load_balancer_names")
    return names is None or bool(names or service["load_balancer_ips"])


def _fail(service: Object, served: Sequence[Served], lacking: Lacking, events: Events) -> Fail:
    subject = served[0][0].subject
    balanced = service["type"] == "LoadBalancer"
    count = "1 node" if len(lacking.names) == 1 else f"{len(lacking.names)} nodes"
    return Fail(
        subject=subject,
        title=f"Service {subject} (externalTrafficPolicy Local) gives no answer from outside on {count} without an endpoint of it",
        explanation=" ".join(_explanation(service, balanced, lacking)),
        evidence=tuple(_evidence(service, served, lacking, events)),
        remedies=tuple(_remedies(service, served)),
        severity="info" if balanced or lacking.most else "warning",
    )


def _explanation(service: Object, balanced: bool, lacking: Lacking) -> Iterator[str]:
    yield (
        "kube-proxy of such a node drops these packets, so a client from outside waits until it times out; it is not refused. "
        "A test from the node itself, or from a pod, lies: what begins inside the cluster is not bound to the node's own endpoints and "
        "goes through."
    )
    yield _DEDICATED if lacking.most else _ACCIDENTAL
    if service["health_check_node_port"]:
        yield f"healthCheckNodePort {service['health_check_node_port']} answers 503 on these nodes."
    if balanced:
        yield (
            "A load balancer would ask that port and leave these nodes out, but the Service has no load balancer yet: whoever uses its "
            "NodePort today meets this."
        )


def _evidence(service: Object, served: Sequence[Served], lacking: Lacking, events: Events) -> Iterator[str]:
    for port, own in served:
        here = describe.listed(sorted(own), _NODES_SHOWN) or "no node"
        unplaced = sum(not target.endpoint["node_name"] for target in port.targets)
        note = f", and {unplaced} without a node, which count nowhere" if unplaced else ""
        yield f"{port.words}: endpoints on {here}{note}"
    yield f"nodes that drop: {describe.listed(lacking.names, _NODES_SHOWN)}"
    yield (
        f"{len(lacking.names)} of the {lacking.of} nodes that count; nodes of the control plane do not where there are others, nor do those that are "
        "not Ready or unschedulable"
    )
    if service["type"] == "LoadBalancer":
        yield "type LoadBalancer, and no load balancer has given it an address or a name"
    yield from events_seen.lines(events.of("Service", service["namespace"], service["name"]), _EVENTS)


def _remedies(service: Object, served: Sequence[Served]) -> Iterator[Remedy]:
    path = "/spec/externalTrafficPolicy"
    patch = [{"op": "test", "path": path, "value": "Local"}, {"op": "replace", "path": path, "value": "Cluster"}]
    words = ("patch", "service", service["name"], "--type=json", "-p", json.dumps(patch))
    yield Remedy(
        "let every node answer",
        about(service["namespace"], *words, names=(service["name"],)),
        "the pods no longer see the clients' addresses, and packets may take one hop more",
        by_hand="whether the pods need the clients' addresses, as firewalls and logs do, the cluster does not tell",
    )
    yield Remedy("run a pod of it on each node that clients use (a DaemonSet, or topologySpreadConstraints)")
    here = sorted(set.intersection(*(own for _port, own in served)))
    if here:
        yield Remedy(
            f"let clients use only the nodes that have an endpoint: today {describe.listed(here, _NODES_SHOWN)}",
            (),
            "pods move, so only who asks for the health of nodes can keep up",
        )


RULE = Rule(
    id="service-local-policy-without-endpoint",
    group="services",
    severity="warning",
    claim="every node that a client may use has an endpoint of each Service with externalTrafficPolicy Local",
    why="a node without one drops what comes from outside, a client waits for nothing, and a test from inside the cluster works all the same",
    sources=(
        "Kubernetes 1.36 pkg/proxy/iptables/proxier.go, syncProxyRules (has no local endpoints: DROP; KUBE-EXT for src-type LOCAL)",
        "Kubernetes 1.36 pkg/proxy/healthcheck/service_health.go (503 without local endpoints)",
    ),
    judge=_judge,
    scope="cluster",
    thresholds=("service_target_start_seconds",),
    see_also=("service-without-endpoints",),
)
