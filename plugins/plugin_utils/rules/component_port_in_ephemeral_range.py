# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fixed port that the kernel may give away while its owner is down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import cures, describe, encounters, fixed_ports
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context, unseen_ports
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
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
    unseen = unseen_ports(node.sections)
    if unseen:
        yield Unknown(unseen)
        return
    exposed = fixed_ports.drawable(node.sections)
    if exposed:
        yield _fail(node, context, exposed)
    hidden = missing(node["listen_ports"], "listeners", "processes")
    if hidden:
        yield Unknown(hidden)


def _fail(node: NodeView, context: Context, exposed: list[dict[str, Any]]) -> Fail:
    numbers = [socket["port"] for socket in exposed]
    span = node["port_settings"]["kernel"]["sysctl"]["ip_local_port_range"].split()
    return Fail(
        subject="fixed ports in the ephemeral range",
        title=f"the kernel may give away fixed ports of this node: {describe.listed(numbers)}",
        explanation=(
            "While such a program restarts, an outgoing connection or a random listener may be given its port. The program then cannot listen "
            "(bind: address already in use) until that socket is gone, TIME-WAIT included, and no listener is to be seen."
        ),
        evidence=(
            f"net.ipv4.ip_local_port_range is {' '.join(span)}",
            *(describe.line(socket) for socket in exposed[:10]),
        ),
        remedies=(
            *filter(None, (cures.reserve(node.sections, context),)),
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
