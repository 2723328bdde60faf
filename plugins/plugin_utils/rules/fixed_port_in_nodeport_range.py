# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A known program's fixed port lies in the NodePort range, so the API server may give its number to a Service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import known_ports, port_ranges
from ansible_collections.kubenode.doctor.plugins.module_utils.nodeport_verdict import is_streaming
from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe, encounters, fixed_ports, stream_port
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import DEFAULT_RANGE, Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    Remedy,
    Rule,
    Unknown,
    missing,
)

# Ports of these are chosen elsewhere: by Services, by whoever publishes a container's port.
_CHOSEN_ELSEWHERE = frozenset((component, role) for _name, component, role, _source in known_ports.WHATEVER_PORT)


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    bystander = encounters.bystander(node, context)
    if bystander:
        yield bystander
        return
    span = context.nodeport_range
    exposed = {
        socket["port"]: socket for socket in node["listen_ports"]["listeners"] if _exposed(node, context, socket)
    }
    if exposed:
        yield _fail(node, context, [socket for _port, socket in sorted(exposed.items())])
    hidden = missing(node["listen_ports"], "listeners", "processes")
    if hidden:
        yield Unknown(hidden)
    elif span.assumed and not exposed:
        yield Unknown(f"the NodePort range is not known ({span.source})")


def _exposed(node: NodeView, context: Context, socket: dict[str, Any]) -> bool:
    known = socket["known_as"]
    return (
        context.nodeport_range.low <= socket["port"] <= context.nodeport_range.high
        and fixed_ports.is_fixed(node.sections, socket)
        and known["component"] != "kube-proxy"
        and (known["component"], known["role"]) not in _CHOSEN_ELSEWHERE
        # A number that a Service has is nodeport-shadows-listener's and nodeport-cannot-open's to judge.
        and not port_ranges.contains(context.numbers_in_use, socket["port"])
        # Whoever holds it: k3s holds kubelet's port and is also the service proxy, whose own sockets no NodePort harms.
        and not encounters.out_of_reach(node, context, {**socket, "processes": []})
    )


def _fail(node: NodeView, context: Context, exposed: list[dict[str, Any]]) -> Fail:
    span = context.nodeport_range
    evidence = [f"NodePort range {span} ({span.source})", *(describe.line(socket) for socket in exposed[:10])]
    services = context.why_no_services()
    if services:
        evidence.append(f"whether a Service has one of these numbers already is not known ({services})")
    return Fail(
        subject="fixed ports in the NodePort range",
        title=f"fixed ports of this node lie in NodePort range {span}: {describe.listed([socket['port'] for socket in exposed])}",
        explanation=(
            "The API server does not know what listens on nodes, so it may give such a number to a Service. From then on the Service takes the "
            "packets of that program on every node, or cannot be reached itself."
        ),
        evidence=tuple(evidence),
        remedies=tuple(_remedies(node, context, exposed)),
    )


def _remedies(node: NodeView, context: Context, exposed: list[dict[str, Any]]) -> Iterator[Remedy]:
    streaming = [socket for socket in exposed if is_streaming(socket)]
    yield from filter(None, (stream_port.pin(socket, node.sections, context) for socket in streaming))
    if len(streaming) < len(exposed):
        yield Remedy(
            "give the programs ports outside the NodePort range, in their configuration",
            (),
            "their clients must follow",
        )
    yield Remedy(
        "or give kube-apiserver a --service-node-port-range without these ports, such as its default 30000-32767"
        if _default_is_free(exposed)
        else "or give kube-apiserver a --service-node-port-range without these ports",
        (),
        "the API server restarts; Services keep the numbers they have",
    )


def _default_is_free(exposed: list[dict[str, Any]]) -> bool:
    return not any(DEFAULT_RANGE[0] <= socket["port"] <= DEFAULT_RANGE[1] for socket in exposed)


RULE = Rule(
    id="fixed-port-in-nodeport-range",
    group="ports",
    severity="warning",
    claim="no fixed port of a known program lies in the NodePort range",
    why="the API server may give the number to a Service, which then takes the program's packets on every node",
    sources=(
        "Kubernetes 1.36 pkg/registry/core/service/portallocator: numbers are given without a look at any node",
        "https://kubernetes.io/docs/reference/networking/ports-and-protocols/",
    ),
    judge=_judge,
    needs=("host", "listen_ports", "nodeport_conflict", "port_settings"),
    settings=("nodeport_range", "proxy_mode"),
)
