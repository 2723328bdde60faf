# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nearly as many connections as may be have no program any more and still something to send."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import limits, sysctl
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    NotApplicable,
    Remedy,
    Rule,
    Unknown,
)

_FILE = "/etc/sysctl.d/60-tcp-orphans.conf"
# The states in which a closed connection lives on.
_STATES = {"fin_wait1": "FIN-WAIT-1", "fin_wait2": "FIN-WAIT-2", "closing": "CLOSING", "last_ack": "LAST-ACK"}


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    section = node["tcp_states"]
    now, most = section["counters"]["orphans"], section["limits"]["tcp_max_orphans"]
    hidden = limits.gap(section, "tcp_max_orphans")
    if most is None and not hidden:
        yield NotApplicable("the kernel tells tcp_max_orphans in the initial network namespace only")
    elif now is None or most is None:
        yield Unknown(hidden or limits.unseen(section, "the number of orphans", "sockstat"))
    else:
        use = limits.Use(now, most)
        level = limits.severity(use, context.settings, "orphans_share")
        if level:
            yield _fail(section, use, level)


def _fail(section: dict[str, Any], use: limits.Use, level: str) -> Fail:
    states = ", ".join(f"{word} {section['states'][state]}" for state, word in _STATES.items())
    title = "there are many orphaned TCP connections"
    if level == "critical":
        title = "there are nearly as many orphaned TCP connections as the kernel keeps"
    return Fail(
        subject="TCP orphans",
        title=title,
        explanation=(
            "An orphan is a connection that its program has closed and that still waits for the other end: peers that vanished, or that read too "
            "slowly. Above tcp_max_orphans the kernel resets them, and what they had to deliver is lost; an orphan that gets nothing through "
            "counts twice or four times, so that this can begin at a quarter of the limit."
        ),
        evidence=(f"orphans: {use}", f"connections: {states}"),
        remedies=(
            Remedy(
                "look to whom they belong: many of one peer or port tell which client or program it is",
                ("ss -Htn state fin-wait-1",),
                "none",
            ),
            Remedy(
                f"let the kernel keep {use.doubled} of them, now and at each boot",
                sysctl.commands("net.ipv4.tcp_max_orphans", use.doubled, _FILE),
                f"up to 64 KiB of memory each, which cannot be swapped; {sysctl.LATER}",
                by_hand=limits.BY_HAND,
            ),
        ),
        severity=level,
    )


RULE = Rule(
    id="orphans-near-limit",
    group="tcp",
    severity="warning",
    claim="the kernel can keep more connections that wait for their end",
    why="the kernel resets connections before their last data has arrived, and logs: too many orphaned sockets",
    sources=(
        "Linux Documentation/networking/ip-sysctl.rst: tcp_max_orphans; net/ipv4/tcp_timer.c, tcp_out_of_resources",
        "Netdata src/health/health.d/tcp_orphans.conf",
    ),
    judge=_judge,
    needs=("tcp_states",),
    thresholds=("orphans_share", "orphans_share_critical"),
)
