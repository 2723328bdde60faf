# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CRI runtime's streaming port is drawn anew at each start, from a range that NodePorts reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import nodeport_verdict, port_ranges
from ansible_collections.kubenode.doctor.plugins.module_utils.nodeport_verdict import is_streaming
from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    describe,
    encounters,
    fixed_ports,
    stream_port,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import (
    Context,
    local_range,
    reserved,
    unseen_ports,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    NotApplicable,
    Remedy,
    Rule,
    Unknown,
    missing,
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
    servers = [socket for socket in node["listen_ports"]["listeners"] if is_streaming(socket)]
    drawn = [socket for socket in servers if socket["ephemeral"] and not fixed_ports.is_fixed(node.sections, socket)]
    hidden = missing(node["listen_ports"], "listeners", "processes")
    if hidden:
        yield Unknown(hidden)
    elif not drawn:
        yield NotApplicable("no CRI streaming server on a random port was found")
    reach = port_ranges.subtract(port_ranges.intersect([context.nodeport_range[:2]], [local]), reserved(node.sections))
    taken = {nodeport_verdict.number(port) for port in context.node_ports or ()}
    for socket in drawn:
        if encounters.out_of_reach(node, context, socket):
            continue
        if reach or socket["port"] in taken:
            yield _fail(node, context, socket, reach, socket["port"] in taken)
        elif context.nodeport_range.assumed:
            yield Unknown(f"the NodePort range is not known ({context.nodeport_range.source})")


def _fail(node: NodeView, context: Context, socket: dict[str, Any], reach: port_ranges.Intervals, met: bool) -> Fail:
    component = socket["known_as"]["component"]
    settings = fixed_ports.stream_settings(node.sections, component)
    pending = bool(settings) and all(entry["fixed"] for entry in settings)
    other = Remedy(
        "keep the NodePorts out of the ephemeral range on this node (nodeport-range-overlaps-ephemeral has the commands)",
        (),
        "sockets that have a NodePort already keep it",
    )
    who = describe.owner_name(socket)
    title = f"{who} draws its port at random, and {port_ranges.count(reach)} of the ports it may get are NodePorts"
    if met:
        title = f"{who} has drawn its port at random, and it is a Service's NodePort"
    then = "It draws a new port at each start, so the fault comes and goes with restarts."
    pin = stream_port.pin(socket, node.sections, context)
    if pending:
        title = f"{who} is still on a random port: the fixed port {settings[0]['value']} that is set is not in force until a restart"
        then = f"Its port was drawn before {settings[0]['key']} was set, or it reads another configuration than the one that was seen."
    return Fail(
        subject=f"{component} CRI streaming server",
        title=title,
        explanation=(
            "The server carries kubectl exec, attach and port-forward of this node. When its port and a Service's NodePort meet, all three fail. "
            f"{then}"
        ),
        evidence=(
            describe.line(socket),
            f"NodePort range {context.nodeport_range} ({context.nodeport_range.source})",
            *map(_told, settings[:1]),
        ),
        remedies=(pin, other) if pin else (other,),
        caused_by=("nodeport-range-overlaps-ephemeral",),
    )


def _told(setting: dict[str, Any]) -> str:
    value = (
        f"is {setting['value']}" if setting["value"] is not None else f"is not set, its default is {setting['default']}"
    )
    return f"{setting['key']} {value}{' (' + setting['file'] + ')' if setting['file'] else ''}"


RULE = Rule(
    id="cri-stream-port-random",
    group="ports",
    severity="warning",
    claim="the CRI streaming server cannot draw a NodePort",
    why="the day it does, kubectl exec, attach and port-forward fail on that node",
    sources=(
        "containerd internal/cri/config/config.go (stream_server_port), CRI-O pkg/config/config.go (stream_port)",
        "Kubernetes 1.11 to 1.23 pkg/kubelet/dockershim/docker_service.go",
    ),
    judge=_judge,
    needs=("host", "listen_ports", "nodeport_conflict", "port_settings"),
    settings=("nodeport_range", "proxy_mode"),
)
