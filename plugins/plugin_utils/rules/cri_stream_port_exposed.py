# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CRI streaming server that other machines can reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import host_identity, reach
from ansible_collections.kubenode.doctor.plugins.module_utils.nodeport_verdict import is_streaming
from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe, encounters, stream_port
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    NotApplicable,
    Rule,
    Unknown,
    missing,
)

_RUNTIMES = host_identity.COMPONENTS - {
    "kube-apiserver",
    "kube-controller",
    "kube-scheduler",
    "kube-proxy",
    "etcd",
    "dockerd",
}


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    if _RUNTIMES.isdisjoint(node["host"]["components"]) and not encounters.unseen_programs(node):
        yield NotApplicable("no program with a CRI streaming server runs on this host")
        return
    servers = [socket for socket in node["listen_ports"]["listeners"] if is_streaming(socket)]
    hidden = missing(node["listen_ports"], "listeners", "processes")
    if hidden:
        yield Unknown(hidden)
    elif not servers:
        yield NotApplicable("no CRI streaming server was found")
    for socket in servers:
        if reach.of(socket["address"]) != reach.LOOPBACK:
            yield _fail(node, context, socket)


def _fail(node: NodeView, context: Context, socket: dict[str, Any]) -> Fail:
    component = socket["known_as"]["component"]
    pin = stream_port.pin(socket, node.sections, context)
    return Fail(
        subject=f"{component} CRI streaming server",
        title=f"{describe.owner_name(socket)} listens beyond this node, on {socket['address']}",
        explanation=(
            "Whoever reaches the port and knows or guesses a session's token takes over a kubectl exec; by default the connection has no TLS. "
            "Only kubelet on this node needs it."
        ),
        evidence=(describe.line(socket),),
        remedies=(pin,) if pin else (),
    )


RULE = Rule(
    id="cri-stream-port-exposed",
    group="ports",
    severity="warning",
    claim="the CRI streaming server listens on loopback only",
    why="it runs commands in containers for whoever holds a session's token",
    sources=(
        "Mirantis/cri-dockerd config/options.go, streaming/server.go: [::] unless --streaming-bind-addr is given",
    ),
    judge=_judge,
    needs=("host", "listen_ports"),
)
