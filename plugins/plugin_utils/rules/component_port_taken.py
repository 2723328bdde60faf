# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Kubernetes component's well-known port is held by another program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import host_identity, known_ports
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_words import endpoint
from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe, encounters
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    Remedy,
    Rule,
    Unknown,
    missing,
)

# Every node needs these; the others only where the control plane runs.
_EVERY_NODE = frozenset({10248, 10249, 10250, 10256})


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    bystander = encounters.bystander(node, context)
    if bystander:
        yield bystander
        return
    by_port: dict[int, list[dict[str, Any]]] = {}
    for socket in node["listen_ports"]["listeners"]:
        if socket["state"] in ("listen", "bound") and known_ports.rightful_owners(socket["protocol"], socket["port"]):
            by_port.setdefault(socket["port"], []).append(socket)
    for port, sockets in sorted(by_port.items()):
        yield from _judge_port(node, port, sockets)
    unseen = missing(node["listen_ports"], "listeners")
    if unseen:
        yield Unknown(unseen)


def _judge_port(node: NodeView, port: int, sockets: list[dict[str, Any]]) -> Iterator[Answer]:
    rightful = known_ports.rightful_owners("tcp", port)
    names = {process["name"] for socket in sockets for process in socket["processes"] if process["name"]}
    if names & rightful:
        return
    component = known_ports.component("tcp", port)
    if any(socket["hidden"] or (socket["processes"] and not names) for socket in sockets):
        why = missing(node["listen_ports"], "processes") or "its process ended while it was looked at: run again"
        yield Unknown(
            f"who holds {endpoint(sockets[0])}, the port of {component}, could not be seen ({why})",
            component,
        )
    elif names:
        yield _fail(node, port, component, sockets[0])


def _fail(node: NodeView, port: int, component: str, socket: dict[str, Any]) -> Fail:
    needed = port in _EVERY_NODE or _has_control_plane(node)
    return Fail(
        subject=f"{component} port {port}",
        title=f"{describe.owner_name(socket)} holds {endpoint(socket)}, the port of {component}",
        explanation=f"{component} cannot open its port while another program has it, and keeps failing at its start.",
        evidence=(describe.line(socket),),
        remedies=(
            Remedy(
                f"stop or move that program, then let {component} start again",
                (f"ss -tlnp sport = :{port}",),
                "depends on that program",
            ),
        ),
        severity="critical" if needed else "warning",
    )


def _has_control_plane(node: NodeView) -> bool:
    return not host_identity.CONTROL_PLANE.isdisjoint(node["host"]["components"])


RULE = Rule(
    id="component-port-taken",
    group="ports",
    severity="critical",
    claim="the well-known ports of Kubernetes components are held by those components",
    why="a component whose port is taken does not start, or is not the one that answers",
    sources=("https://kubernetes.io/docs/reference/networking/ports-and-protocols/",),
    judge=_judge,
    needs=("host", "listen_ports"),
)
