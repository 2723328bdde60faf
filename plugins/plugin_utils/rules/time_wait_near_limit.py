# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel keeps nearly as many ended connections in TIME-WAIT as it may, or drops some already."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import limits, sysctl
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule, Unknown

_FILE = "/etc/sysctl.d/60-time-wait.conf"
_SHOWN = 3


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    section = node["tcp_states"]
    grown = limits.growth(section, "TCPTimeWaitOverflow")
    now, most = section["counters"]["time_wait"], section["limits"]["tcp_max_tw_buckets"]
    use = None if now is None or most is None else limits.Use(now, most)
    if grown:
        yield _fail(section, use, grown)
    elif use and limits.severity(use, context.settings, "time_wait_share"):
        yield _fail(section, use, 0)
    elif use is None:
        yield Unknown(limits.unseen(section, "the number of TIME-WAIT sockets", "sockstat", "tcp_max_tw_buckets"))
    elif grown is None:
        yield Unknown(limits.unseen_growth(section, "TCPTimeWaitOverflow"))


def _fail(section: dict[str, Any], use: limits.Use | None, grown: int) -> Fail:
    title = "connections end faster than TIME-WAIT holds them: the table is filling up"
    if grown:
        title = "the table of TIME-WAIT sockets is full: the kernel forgets ended connections at once"
    evidence = [f"TCPTimeWaitOverflow grew by {grown} in {section['growth']['seconds']:.0f} s"] if grown else []
    evidence += [f"sockets in TIME-WAIT: {use}"] if use else []
    return Fail(
        subject="TIME-WAIT sockets",
        title=title,
        explanation=(
            "TIME-WAIT guards a port pair for 60 s after the end of a connection, so that a late segment is not taken for a new connection's. "
            "Above tcp_max_tw_buckets the kernel ends connections without it. Nothing is refused; what harms is the number of short connections "
            "behind it, which also costs CPU and, towards one destination, ports."
        ),
        evidence=(*evidence, *_largest(section)),
        remedies=(
            Remedy(
                "keep connections open and use them again (HTTP keep-alive, connection pools) in the program that opens so many; this shows to whom",
                ("ss -Htn state time-wait",),
                "none",
            ),
            *_raise(use),
        ),
        severity="" if grown else "info",
    )


def _largest(section: dict[str, Any]) -> Iterator[str]:
    """The ports with most of them; TIME-WAIT sockets belong to no process any more."""
    groups = [group for group in section["groups"] if group["state"] == "time_wait"]
    for group in sorted(groups, key=lambda group: -group["count"])[:_SHOWN]:
        way = "from" if group["peer_port"] is None else "to"
        port = f"local port {group['local_port']}" if group["peer_port"] is None else f"port {group['peer_port']}"
        addresses = "1 address" if group["peers"] == 1 else f"{group['peers']} addresses"
        yield f"in TIME-WAIT, {'on' if way == 'from' else 'to'} {port}, {way} {addresses}: {group['count']}"


def _raise(use: limits.Use | None) -> Iterator[Remedy]:
    if use and use.limit:
        yield Remedy(
            f"let the kernel keep {use.doubled} of them, now and at each boot",
            sysctl.commands("net.ipv4.tcp_max_tw_buckets", use.doubled, _FILE),
            f"some 250 bytes of kernel memory each; it cures no shortage of ports; {sysctl.LATER}",
            by_hand=limits.BY_HAND,
        )


RULE = Rule(
    id="time-wait-near-limit",
    group="tcp",
    severity="warning",
    claim="there is room for connections in TIME-WAIT in the host's own network",
    why="without TIME-WAIT a late segment of an ended connection can end or damage a new one, and so many ends cost CPU and ports",
    sources=(
        "Linux Documentation/networking/ip-sysctl.rst: tcp_max_tw_buckets; net/ipv4/inet_timewait_sock.c, inet_twsk_alloc; RFC 1337",
    ),
    judge=_judge,
    needs=("tcp_states",),
    thresholds=("time_wait_share",),
)
