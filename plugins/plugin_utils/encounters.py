# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a Service's port and a node's socket meet: the ground that several rules of the ports family stand on."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    host_identity,
    nodeport_capture,
    nodeport_sockets,
    nodeport_verdict,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.service_proxy import is_kube_proxy
from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.nodeport_move import Meeting
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import NotApplicable, Unknown, missing

NO_NODE = "this host is none of the cluster's Nodes, and no kubelet, service proxy or control plane runs on it"
STRANGER = "the cluster that was asked has no Node for this host, so its Services may be another cluster's"
# dockerd listens here in the network namespace of each container on a user-defined network, from outside of it.
_DOCKER_RESOLVER = "127.0.0.11"
# Runtimes and etcd also run where there is no Kubernetes.
_NODE_PROGRAMS = host_identity.COMPONENTS - {"containerd", "crio", "cri-dockerd", "dockerd", "etcd"}


class Encounter(NamedTuple):
    """A Service port, a socket with its number and protocol, and one verdict on them; how the proxy mode is known.

    ``harmed`` are all that are harmed by this meeting, over all of its verdicts.
    """

    port: dict[str, Any]
    socket: dict[str, Any]
    verdict: dict[str, Any]
    mode: str
    mode_source: str
    assumed_mode: str
    also_cannot_open: bool
    harmed: frozenset[str]

    @property
    def subject(self) -> str:
        """Names the meeting the same from run to run."""
        return f"{describe.service(self.port)} against {describe.owner_name(self.socket)}"


def refusal(node: NodeView, context: Context) -> Unknown | NotApplicable | None:
    """Why nothing certain can be said of Services and this node; None for a node of the cluster that was asked."""
    return no_ground(node, context) or stranger(node, context)


def no_ground(node: NodeView, context: Context) -> Unknown | NotApplicable | None:
    """Why Services cannot be judged against this host at all; None when they can, if only as a stranger."""
    why = context.why_no_services()
    if why:
        return Unknown(f"the cluster's Services are not known ({why})")
    return bystander(node, context)


def bystander(node: NodeView, context: Context) -> Unknown | NotApplicable | None:
    """Why a host is not judged as a node; None for a node."""
    if is_node(node, context):
        return None
    hidden = unseen_programs(node)
    return Unknown(hidden) if hidden else NotApplicable(NO_NODE)


def unseen_programs(node: NodeView) -> str:
    """Why programs may run here that were not seen; empty when all that run were seen.

    A container with its own pid namespace that shares the host's network shows the host's sockets and not its programs;
    a node that is a container itself shows both.
    """
    why = missing(node["host"], "processes")
    if why or node["host"].get("host_pid_namespace") is not False:
        return why
    for name, key in (("listen_ports", "listeners"), ("nodeport_conflict", "sockets")):
        section = node.sections.get(name) or {}
        if any(socket["hidden"] and socket["address"] != _DOCKER_RESOLVER for socket in section.get(key, ())):
            return missing(section, "processes")
    return ""


def is_stranger(node: NodeView, context: Context) -> bool:
    """True where the cluster that was asked has no Node for this host, so its Services may be another cluster's."""
    return context.cluster["nodes"] is not None and context.node_object(node.host) is None


def stranger(node: NodeView, context: Context) -> Unknown | None:
    """Why a stranger is not judged by these Services; None for the cluster's own nodes."""
    return Unknown(STRANGER) if is_stranger(node, context) else None


def meeting_at(meeting: Encounter, node: NodeView, context: Context) -> Meeting | None:
    """What the fix move-nodeport is told of a meeting; None on a stranger, whose Services may be another cluster's."""
    if is_stranger(node, context):
        return None
    return Meeting(node.host, meeting.socket["protocol"], meeting.socket["address"])


def is_node(node: NodeView, context: Context) -> bool:
    """True for a host that the cluster lists, or on which a kubelet or a service proxy runs."""
    return context.node_object(node.host) is not None or not _NODE_PROGRAMS.isdisjoint(node["host"]["components"])


def of(node: NodeView, context: Context, health_checks: bool) -> Iterator[Encounter]:
    """Yield every meeting of a NodePort (or a healthCheckNodePort) with a socket of this node."""
    section = node["nodeport_conflict"]
    facts = _proxy_facts(section["proxy"], context)
    judged = nodeport_verdict.Node(
        nodeport_capture.proxy_from(facts, _node_ips(node, context)),
        node["host"]["addresses"] or (),
        opens_node_ports(node, context),
        section["proxy"]["program"],
    )
    assumed = "" if facts["mode"] else missing(section["proxy"], "kube-proxy mode") or "nothing told it"
    by_number: dict[int, list[dict[str, Any]]] = {}
    for socket in section["sockets"]:
        by_number.setdefault(socket["port"], []).append(socket)
    for port in context.health_check_ports if health_checks else context.opened_ports:
        near = by_number.get(nodeport_verdict.number(port), [])
        for _index, socket in nodeport_verdict.sharing(port, near):
            others = [other for other in near if other is not socket]
            found = _verdicts(_with_endpoint(port, node, context), socket, judged, others, bool(assumed))
            if is_stranger(node, context):
                found = [{**verdict, "certain": False} for verdict in found]
            cannot_open = any(verdict["effect"] == "cannot open" for verdict in found)
            harmed = frozenset(verdict["harmed"] for verdict in found)
            source = facts["source"] or "assumed"
            for verdict in found:
                yield Encounter(port, socket, verdict, judged.proxy.mode, source, assumed, cannot_open, harmed)


def _verdicts(
    port: dict[str, Any],
    socket: dict[str, Any],
    judged: nodeport_verdict.Node,
    others: Sequence[dict[str, Any]],
    assumed: bool,
) -> list[dict[str, Any]]:
    """nodeport_verdict's answers; where the proxy mode is an assumption, only what holds in every mode is certain."""
    found = nodeport_verdict.verdicts(port, socket, judged, others)
    if not assumed:
        return found
    # No mode takes less than nftables: nothing on loopback, and without --nodeport-addresses only the Node's own address.
    least = judged._replace(proxy=judged.proxy._replace(mode="nftables"))
    certain = {
        verdict["harmed"] for verdict in nodeport_verdict.verdicts(port, socket, least, others) if verdict["certain"]
    }
    return [{**verdict, "certain": verdict["certain"] and verdict["harmed"] in certain} for verdict in found]


def proxy_mode(node: NodeView, context: Context) -> str | None:
    """The service proxy's mode on this node, told or found; None when nothing tells it."""
    mode = _proxy_facts(node["nodeport_conflict"]["proxy"], context)["mode"]
    return None if mode is None else str(mode)


def out_of_reach(node: NodeView, context: Context, socket: dict[str, Any]) -> bool:
    """True where no NodePort of this socket's number could touch it: nftables mode leaves loopback alone."""
    proxy = _proxy_facts(node["nodeport_conflict"]["proxy"], context)
    if not proxy["mode"]:
        return False
    judged = nodeport_verdict.Node(
        nodeport_capture.proxy_from(proxy, _node_ips(node, context)), node["host"]["addresses"] or ()
    )
    any_service = {"node_port": socket["port"], "protocol": socket["protocol"].upper(), "has_endpoints": None}
    found = nodeport_verdict.verdicts(any_service, socket, judged)
    return all(verdict["harmed"] == "nobody" and verdict["certain"] for verdict in found)


def gaps(node: NodeView, context: Context) -> Iterator[Unknown]:
    """Yield what of this node's sockets could not be seen and might have met a NodePort."""
    section = node["nodeport_conflict"]
    why = missing(
        section,
        "sockets",
        "sctp sockets" if any(port["protocol"] == "SCTP" for port in context.node_ports or ()) else "sockets",
    )
    if why:
        yield Unknown(why)
    if node["host"]["addresses"] is None:
        yield Unknown(missing(node["host"], "local addresses"))


def opens_node_ports(node: NodeView, context: Context) -> bool:
    """True where the service proxy was seen holding NodePorts itself."""
    program = node["nodeport_conflict"]["proxy"]["program"]
    kept = [socket for socket in node["nodeport_conflict"]["sockets"] if is_kube_proxy(socket, program)]
    numbers = {port["node_port"] for port in context.opened_ports} if kept else ()
    return nodeport_sockets.opens_node_ports(kept, numbers, program)


def _proxy_facts(proxy: dict[str, Any], context: Context) -> dict[str, Any]:
    if context.settings.proxy_mode:
        return {**proxy, "mode": context.settings.proxy_mode, "source": "the variable proxy_mode"}
    return proxy


def _node_ips(node: NodeView, context: Context) -> Sequence[str]:
    found = context.node_object(node.host)
    return found["internal_ips"] if found else ()


def _with_endpoint(port: dict[str, Any], node: NodeView, context: Context) -> dict[str, Any]:
    """Add on which of this node's addresses the Service has endpoints with the very NodePort (hostNetwork pods)."""
    number = nodeport_verdict.number(port)
    slices = context.slices_of(port["namespace"], port["service"])
    local = [entry["address"] for entry in node["host"]["addresses"] or ()] if slices else []
    return {**port, "own_endpoints": [address for address in local if has_endpoint_at(slices, {address}, number)]}


def has_endpoint_at(slices: Sequence[dict[str, Any]], addresses: Container[str], number: int) -> bool:
    """True when one of these addresses, with this port, is an endpoint."""
    return any(
        port["port"] == number and any(address in addresses for address in endpoint["addresses"])
        for piece in slices
        for port in piece["ports"]
        for endpoint in piece["endpoints"]
    )
