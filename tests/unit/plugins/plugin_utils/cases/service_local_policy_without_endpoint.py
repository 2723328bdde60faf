# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Case, Scene, no_cluster
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.service_scene import (
    HOSTILE,
    cluster,
    listens,
    made,
    node_a,
    on_node_a,
    pod,
    port,
    service,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.tcp_scene import with_node

PATCH = (
    "kubectl -n shop patch service local --type=json -p '"
    '[{"op": "test", "path": "/spec/externalTrafficPolicy", "value": "Local"}, '
    '{"op": "replace", "path": "/spec/externalTrafficPolicy", "value": "Cluster"}]'
    "'"
)
UNREAD = [{"what": "Nodes", "why": "nodes is forbidden"}]


def local(*nodes, **fields):
    """The captured Service shop/local, with other values, in a cluster with more Nodes."""
    document = cluster()
    for number, (name, ready) in enumerate(nodes, 3):
        document = with_node(document, name, f"192.0.2.{number}", ready=ready)
    for entry in document["services"]:
        if entry["name"] == "local":
            entry.update({"load_balancer_names": [], **fields})
    return document


def node_port(*nodes, **fields):
    return local(*nodes, type="NodePort", health_check_node_port=None, **fields)


B = ("node-b", "True")
MANY = [(f"node-{number:03}", "True") for number in range(25)]


def one(*pods, change=None, **fields):
    """A NodePort Service with the policy, in a cluster of three nodes."""
    ours = service("ui", port(9292, node_port=32530), external_traffic_policy="Local", **fields)
    return made(ours, *pods, change=change)


def of_nodes(changes):
    """Other values of the Nodes, by name."""
    return lambda document: {
        **document,
        "nodes": [{**entry, **changes.get(entry["name"], {})} for entry in document["nodes"]],
    }


def with_events(*events):
    def change(document):
        document = copy.deepcopy(document)
        document["events"] = [
            {
                "kind": "Service",
                "namespace": "shop",
                "name": "local",
                "uid": "shop/local",
                "count": 1,
                "last": 0.0,
                **event,
            }
            for event in events
        ]
        return document

    return change


def unplaced(document):
    """The endpoints were written without the name of a node."""
    document = copy.deepcopy(document)
    for piece in document["endpoint_slices"]:
        for endpoint in piece["endpoints"]:
            endpoint["node_name"] = None
    return document


CASES = [
    Case(
        "captured: a second node has no endpoint",
        "fail",
        on_node_a(of=node_port(B)),
        None,
        "warning",
        words=(
            "Service shop/local (externalTrafficPolicy Local) gives no answer from outside on 1 node without an endpoint of it",
            "drops these packets, so a client from outside waits until it times out; it is not refused",
            "A test from the node itself, or from a pod, lies",
            "Service shop/local, port 80/TCP, NodePort 35776: endpoints on node-a",
            "nodes that drop: node-b",
            "1 of the 2 nodes that count",
            "No more than half of the nodes lack one, which looks accidental",
            "use only the nodes that have an endpoint: today node-a",
        ),
        absent=("healthCheckNodePort",),
        commands=(PATCH,),
    ),
    Case("captured: its only node has an endpoint", "pass", on_node_a(of=node_port()), None),
    Case(
        "captured: a load balancer that nobody made yet",
        "fail",
        on_node_a(of=local(B)),
        None,
        "info",
        words=(
            "healthCheckNodePort 30787 answers 503 on these nodes",
            "the Service has no load balancer yet",
            "type LoadBalancer, and no load balancer has given it an address or a name",
        ),
    ),
    Case(
        "Events say why there is no load balancer",
        "fail",
        on_node_a(of=with_events({"reason": "SyncLoadBalancerFailed", "message": "no subnet"})(local(B))),
        None,
        "info",
        words=("event SyncLoadBalancerFailed, last at 1970-01-01T00:00:00Z: no subnet",),
    ),
    Case(
        "a load balancer with an address asks for the health",
        "pass",
        on_node_a(of=local(B, load_balancer_ips=[{"ip": "198.51.100.9", "ip_mode": "VIP"}])),
        None,
    ),
    Case(
        "a load balancer with a name asks for the health",
        "pass",
        on_node_a(of=local(B, load_balancer_names=["lb.example"])),
        None,
    ),
    Case(
        "whether there is a load balancer is not in the bundle",
        "pass",
        on_node_a(of=local(B, load_balancer_names=None)),
        None,
    ),
    Case(
        "many nodes",
        "fail",
        on_node_a(of=node_port(*MANY)),
        None,
        "info",
        words=(
            "on 25 nodes",
            "node-009 and 15 more",
            "25 of the 26 nodes that count",
            "looks like nodes that are set apart",
        ),
        absent=("node-010",),
    ),
    Case(
        "nodes that are not Ready are not expected to answer",
        "pass",
        on_node_a(of=node_port(("b", "False"), ("c", "Unknown"))),
        None,
    ),
    Case(
        "nodes of the control plane and unschedulable ones are not expected to answer",
        "pass",
        one(
            pod("ui-1", listens(9292)),
            change=of_nodes({"node-b": {"labels_roles": ["control-plane"]}, "node-c": {"unschedulable": True}}),
        ),
        None,
    ),
    Case(
        "of a cluster of nothing but a control plane all nodes count",
        "fail",
        one(
            pod("ui-1", listens(9292)),
            pod("ui-2", listens(9292), node="node-b"),
            change=of_nodes({f"node-{letter}": {"labels_roles": ["master"]} for letter in "abc"}),
        ),
        None,
        "warning",
        words=("nodes that drop: node-c", "1 of the 3 nodes that count"),
    ),
    Case("policy Cluster", "not_applicable", on_node_a(of=node_port(B, external_traffic_policy="Cluster")), None),
    Case(
        "nothing from outside reaches a ClusterIP",
        "not_applicable",
        on_node_a(of=node_port(B) | {"services": [service("in", port(80), external_traffic_policy="Local")]}),
        None,
    ),
    Case(
        "but it does where there are external addresses",
        "fail",
        one(pod("ui-1", listens(9292)), type="ClusterIP", external_ips=["198.51.100.80"]),
        None,
        "info",
        words=("nodes that drop: node-b, node-c",),
    ),
    Case(
        "a pod on each node",
        "pass",
        one(*(pod(f"ui-{letter}", listens(9292), node=f"node-{letter}") for letter in "abc")),
        None,
    ),
    Case(
        "a node whose last pod still serves while it terminates",
        "pass",
        one(
            *(pod(f"ui-{letter}", listens(9292), node=f"node-{letter}") for letter in "ab"),
            pod("ui-c", listens(9292), node="node-c", api={"deleting": True}),
        ),
        None,
    ),
    Case(
        "a node whose only pod is not ready",
        "fail",
        one(*(pod(f"ui-{letter}", listens(9292), node=f"node-{letter}", ready=letter != "c") for letter in "abc")),
        None,
        words=("nodes that drop: node-c",),
    ),
    Case(
        "endpoints without a node are on none",
        "fail",
        one(pod("ui-1", listens(9292)), change=unplaced),
        None,
        words=(
            "endpoints on no node, and 1 without a node, which count nowhere",
            "nodes that drop: node-a, node-b, node-c",
        ),
        absent=("use only the nodes",),
    ),
    Case("no endpoint at all is another rule's", "pass", one(), None),
    Case(
        "hostile names of nodes",
        "fail",
        on_node_a(of=node_port((HOSTILE, "True"))),
        None,
        "warning",
    ),
    Case(
        "the Nodes could not be read",
        "unknown",
        on_node_a(of={**node_port(), "nodes": None, "missing": UNREAD}),
        None,
        words=("the cluster's Nodes are not known (Nodes: nodes is forbidden)",),
    ),
    Case(
        "no Service was read",
        "unknown",
        Scene({"node-a": node_a()}, no_cluster()),
        None,
        words=("Services are not known",),
    ),
]
