# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A large reserved block makes the port after it the favourite of automatic selection."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import port_ranges
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import (
    Context,
    local_range,
    reserved,
    unseen_ports,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule, Unknown

# What draws ports in each of port_ranges.selection_skew's ways.
_WORDS = {"listen": "random listeners", "bind": "bind() to port 0", "connect": "outgoing connections"}


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    local, unseen = local_range(node.sections), unseen_ports(node.sections)
    if local is None or unseen:
        yield Unknown(unseen)
        return
    worst = _skew(local, reserved(node.sections))
    if worst and worst[0]["share"] >= context.settings.skew_share:
        yield _fail(local, worst[0])


@functools.lru_cache(maxsize=100)  # the nodes of a fleet have few settings between them
def _skew(local: tuple[int, int], kept: port_ranges.Intervals) -> list[dict[str, Any]]:
    return port_ranges.selection_skew(local, kept) if kept else []


def _fail(local: tuple[int, int], worst: Any) -> Fail:
    low, high = worst["block"]
    # The search wraps round the end of the range, and so may the block.
    block = f"{low}-{high}" if low <= high else f"{low}-{local[1]} and {local[0]}-{high}"
    return Fail(
        subject="reserved ports",
        title=f"port {worst['port']} gets {worst['share']:.0%} of the ports drawn for {_WORDS[worst['selection']]}, because {block} before it is reserved",
        explanation=(
            "The kernel starts its search at a random port and goes upwards, so the first free port behind a reserved block is chosen for every start "
            "inside the block. Connections to one destination then run out of ports early, and that port is always in use."
        ),
        evidence=(
            f"net.ipv4.ip_local_port_range is {local[0]} {local[1]}",
            f"net.ipv4.ip_local_reserved_ports holds {block}",
        ),
        remedies=(
            Remedy(
                "reserve single NodePorts rather than a block, or let the ephemeral range begin above the block",
                (),
                "none beyond a sysctl change",
            ),
        ),
    )


RULE = Rule(
    id="reserved-ports-skew",
    group="ports",
    severity="warning",
    claim="no port gets an outsized share of automatic port selection",
    why="one favourite port defeats the randomness that the range is there for",
    sources=(
        "Linux net/ipv4/inet_connection_sock.c, inet_csk_find_open_port; the share is computed, and measured in tests/integration_real",
    ),
    judge=_judge,
    needs=("port_settings",),
    settings=("skew_share",),
)
