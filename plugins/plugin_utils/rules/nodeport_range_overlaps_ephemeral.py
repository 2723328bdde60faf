# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel may draw a NodePort for an outgoing connection or a random listener."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import nodeport_verdict, port_ranges
from ansible_collections.kubenode.doctor.plugins.plugin_utils import cures, describe, encounters
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import (
    DEFAULT_RANGE,
    Context,
    NodePortRange,
    local_range,
    reserved,
    unseen_ports,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    Remedy,
    Rule,
    Unknown,
)


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    bystander = encounters.bystander(node, context)
    if bystander:
        yield bystander
        return
    local, unseen = local_range(node.sections), unseen_ports(node.sections)
    if local is None or unseen:
        yield Unknown(unseen)
        return
    kept = reserved(node.sections)
    span = context.nodeport_range
    shared = port_ranges.subtract(port_ranges.intersect([span[:2]], [local]), kept)
    at_risk = [port for port in context.node_ports or () if _drawable(nodeport_verdict.number(port), local, kept)]
    if shared or at_risk:
        yield _fail(node, context, local, shared, at_risk)
    elif span.assumed:
        services = context.why_no_services()
        checked = (
            f"nor are the Services ({services})" if services else "the NodePorts that Services have were looked at"
        )
        yield Unknown(f"the NodePort range is not known ({span.source}); {checked}")


def _drawable(number: int, local: tuple[int, int], kept: port_ranges.Intervals) -> bool:
    return local[0] <= number <= local[1] and not port_ranges.contains(kept, number)


def _fail(
    node: NodeView,
    context: Context,
    local: tuple[int, int],
    shared: port_ranges.Intervals,
    at_risk: list[dict[str, Any]],
) -> Fail:
    span = context.nodeport_range
    evidence = [
        f"NodePort range {span} ({span.source})",
        f"net.ipv4.ip_local_port_range is {local[0]} {local[1]}",
        f"net.ipv4.ip_local_reserved_ports is {node['port_settings']['kernel']['sysctl']['ip_local_reserved_ports'] or 'empty'}",
    ]
    evidence += [f"{describe.service(port)} lies in the ephemeral range" for port in at_risk[:10]]
    if len(at_risk) > 10:
        evidence.append(f"and {len(at_risk) - 10} more NodePorts")
    return Fail(
        # Two faults: that Services have such ports ends when these are reserved.
        subject="NodePorts in the ephemeral range" if at_risk else "NodePort range and ephemeral range",
        title=_title(span, port_ranges.count(shared), at_risk),
        explanation=(
            "Any program that asks for a random port, and any outgoing connection, may get a NodePort. A random listener on it is cut off "
            "from its clients; in IPVS mode outgoing connections from it fail too. Kubernetes never warns about this."
        ),
        evidence=tuple(evidence),
        remedies=tuple(_remedies(node, context, local, shared, at_risk)),
    )


def _title(span: NodePortRange, count: int, at_risk: list[dict[str, Any]]) -> str:
    used = f"{len(at_risk)} NodePorts in use" if len(at_risk) != 1 else "a NodePort in use"
    if not count:  # only where the range was assumed, and Services show that it is another
        return f"the kernel may draw {used} for connections and random listeners"
    among = f", {used} among them," if at_risk else ""
    return f"the kernel may draw {count} ports of NodePort range {span}{among} for connections and random listeners"


def _remedies(
    node: NodeView,
    context: Context,
    local: tuple[int, int],
    shared: port_ranges.Intervals,
    at_risk: list[dict[str, Any]],
) -> Iterator[Remedy]:
    span = context.nodeport_range
    in_use = cures.reserve(node.sections, context) if at_risk else None
    if in_use:
        yield in_use
    if span.open_ended:
        yield Remedy(
            "for the cures that need the whole range, diagnose again with -e nodeport_range=LOW-HIGH", (), "none"
        )
        return
    above = (span.high + 1, local[1])
    if local[1] - span.high >= cures.LEAST_PORTS and not cures.is_skewed(above, reserved(node.sections), context):
        yield cures.let_ephemeral_range_be(*above, "which begins above the NodePort range")
    elif not at_risk:
        yield from _block(node, context, local, shared)
    default = " such as its default 30000-32767," if not port_ranges.intersect([DEFAULT_RANGE], [local]) else ""
    yield Remedy(
        f"give kube-apiserver a --service-node-port-range outside the ephemeral range,{default} and its Services numbers in it",
        (),
        "the API server restarts; Services keep the numbers they have until they are given others",
    )


def _block(node: NodeView, context: Context, local: tuple[int, int], shared: port_ranges.Intervals) -> Iterator[Remedy]:
    """Reserve the whole overlap, unless reserved-ports-skew would then ask to take it back."""
    remedy = cures.reserve(node.sections, context, shared)
    if remedy and not cures.is_skewed(local, cures.to_reserve(node.sections, context, shared), context):
        risk = f"{remedy.risk}; a large reserved block makes the port after it the favourite of automatic selection"
        yield replace(remedy, risk=risk)


RULE = Rule(
    id="nodeport-range-overlaps-ephemeral",
    group="ports",
    severity="warning",
    claim="no NodePort can be drawn by the kernel as a random port",
    why="a random listener or an outgoing connection on a NodePort collides with its Service sooner or later, on one node after the other",
    sources=(
        "kube-apiserver --service-node-port-range: must not overlap with the ephemeral port range (https://github.com/kubernetes/kubernetes/pull/111697)",
        "Linux Documentation/networking/ip-sysctl.rst, ip_local_port_range and ip_local_reserved_ports",
    ),
    judge=_judge,
    needs=("host", "port_settings"),
    settings=("nodeport_range",),
)
