# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fixed port that the kernel may give away while its owner is down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import port_ranges
from ansible_collections.kubenode.doctor.plugins.module_utils.nodeport_verdict import is_streaming
from ansible_collections.kubenode.doctor.plugins.plugin_utils import cures, describe, encounters
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context, local_range, reserved
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

_RANDOM_PROGRAMS = frozenset({"rpc.statd"})  # ask for a random port, so nobody is lost when it changes


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    if not encounters.is_node(node, context):
        yield NotApplicable(encounters.NO_NODE)
        return
    local = local_range(node.sections)
    if local is None:
        yield Unknown(missing(node["port_settings"]["kernel"], "net.ipv4.ip_local_port_range"))
        return
    kept = reserved(node.sections)
    found = {socket["port"]: socket for socket in node["listen_ports"]["listeners"] if _is_fixed(socket)}
    exposed = [
        socket
        for port, socket in sorted(found.items())
        if local[0] <= port <= local[1] and not port_ranges.contains(kept, port)
    ]
    if exposed:
        yield _fail(node, local, exposed)
    elif missing(node["listen_ports"], "processes"):
        yield Unknown(missing(node["listen_ports"], "processes"))


def _is_fixed(socket: dict[str, Any]) -> bool:
    known = socket["known_as"]
    return bool(known) and not is_streaming(socket) and known["component"] not in _RANDOM_PROGRAMS


def _fail(node: NodeView, local: tuple[int, int], exposed: list[dict[str, Any]]) -> Fail:
    numbers = [socket["port"] for socket in exposed]
    remedy = cures.reserve(node.sections, port_ranges.of_numbers(numbers))
    return Fail(
        subject="fixed ports in the ephemeral range",
        title=f"the kernel may give away {len(numbers)} fixed ports of this node: {describe.listed(numbers)}",
        explanation=(
            "While such a program restarts, an outgoing connection or a random listener may be given its port. The program then cannot listen "
            "(bind: address already in use) until that socket is gone, TIME-WAIT included, and no listener is to be seen."
        ),
        evidence=(
            f"net.ipv4.ip_local_port_range is {local[0]} {local[1]}",
            *(describe.line(socket) for socket in exposed[:10]),
        ),
        remedies=(
            Remedy(
                "reserve these ports (the list includes what this node reserves already)", remedy.commands, remedy.risk
            ),
            Remedy(
                "or let the ephemeral range begin above them, such as the kernel's default 32768 60999",
                (),
                "fewer ports for outgoing connections to one destination",
            ),
        ),
    )


RULE = Rule(
    id="component-port-in-ephemeral-range",
    group="ports",
    severity="warning",
    claim="no fixed port of a known program can be drawn by the kernel as a random port",
    why="a program that restarts may find its own port taken by an outgoing connection",
    sources=(
        "Linux net/ipv4/inet_connection_sock.c: a connection's autobound port blocks a later listen",
        "https://github.com/onedr0p/home-ops/issues/11712 (DRBD after ip_local_port_range 1024 65535)",
    ),
    judge=_judge,
    needs=("host", "listen_ports", "port_settings"),
)
