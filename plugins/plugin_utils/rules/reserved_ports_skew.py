# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A large reserved block makes the port after it the favourite of automatic selection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import port_ranges
from ansible_collections.kubenode.doctor.plugins.plugin_utils import cures
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
    kept = reserved(node.sections)
    if cures.is_skewed(local, kept, context):
        yield _fail(local, kept, context)


def _fail(local: tuple[int, int], kept: port_ranges.Intervals, context: Context) -> Fail:
    worst: Any = cures.worst_skew(local, kept)
    low, high = worst["block"]
    # The search wraps round the end of the range, and so may the block.
    block = f"{low}-{high}" if low <= high else f"{low}-{local[1]} and {local[0]}-{high}"
    return Fail(
        subject="reserved ports",
        title=f"port {worst['port']} gets {worst['share']:.0%} of the ports drawn for {_WORDS[worst['selection']]}, because {block} before it is reserved",
        explanation=(
            "The kernel starts its search at a random port and goes upwards, so the first free port behind a reserved block is chosen for every start "
            "inside the block. Whatever else needs that port finds it taken, and whoever guesses ports guesses it first."
        ),
        evidence=(
            f"net.ipv4.ip_local_port_range is {local[0]} {local[1]}",
            f"net.ipv4.ip_local_reserved_ports holds {block}",
        ),
        remedies=tuple(_remedies(local, kept, worst["block"], context)),
    )


def _remedies(
    local: tuple[int, int], kept: port_ranges.Intervals, block: tuple[int, int], context: Context
) -> Iterator[Remedy]:
    low, high = block
    # Above the block, below it, or, where it wraps round the end of the range, between its two parts.
    sides = [(high + 1, local[1]), (local[0], low - 1)] if low <= high else [(high + 1, low - 1)]
    for side in sorted(sides, key=lambda side: side[0] - side[1]):
        if side[1] - side[0] + 1 >= cures.LEAST_PORTS and not cures.is_skewed(side, kept, context):
            yield cures.let_ephemeral_range_be(*side, "which leaves the block outside")
            break
    yield Remedy(
        "reserve, of the NodePort range, only the NodePorts that are in use",
        (),
        "the kernel may then draw the others, and a Service created later may get one that is taken (nodeport-range-overlaps-ephemeral)",
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
