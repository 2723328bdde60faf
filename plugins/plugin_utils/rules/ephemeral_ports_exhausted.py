# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nearly all ports of the ephemeral range are in use by something, so a program that asks for any port gets none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import ephemeral, tcp_words
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Rule

_SHOWN = 3
_TITLES = {
    "full": "all ports of the ephemeral range are in use, and programs that ask for any free port get none",
    "nearly": "the ports of the ephemeral range are nearly exhausted",
    "filling": "most ports of the ephemeral range are in use",
}


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    section = node["tcp_states"]
    refusal = ephemeral.not_seen(section)
    if refusal:
        yield refusal
        return
    share = section["ephemeral"]["used"] / section["ephemeral"]["available"]
    severity = ephemeral.severity(share, context)
    if severity:
        yield _fail(share, severity, section, context)


def _fail(share: float, severity: str, section: dict[str, Any], context: Context) -> Fail:
    span = section["ephemeral"]["range"]
    between = f" between {span[0]} and {span[1]}" if span else ""
    return Fail(
        subject="ephemeral ports",
        title=_TITLES[ephemeral.level(section["ephemeral"]["used"], section, context)],
        explanation=(
            "A program that lets the kernel choose a port before it listens or dials (bind() to port 0) needs one that no other socket has, in "
            'whatever state. When none is left it gets EADDRINUSE: "address already in use". Plain connections can still share a port, as long as '
            "they go to different destinations."
        ),
        evidence=(
            f"{section['ephemeral']['used']} local TCP ports{between} are in use: {tcp_words.share(share)} of {section['ephemeral']['available']}",
            *(_destination(entry) for entry in section["ephemeral"]["destinations"][:_SHOWN]),
        ),
        remedies=tuple(ephemeral.remedies(section, context)),
        severity=severity,
        caused_by=("ephemeral-destination-exhausted",),
    )


def _destination(entry: dict[str, Any]) -> str:
    where = tcp_words.endpoint(entry["destination"], entry["port"])
    return f"{tcp_words.count(entry['count'], 'connection')}{ephemeral.owner(entry)} to {where}"


RULE = Rule(
    id="ephemeral-ports-exhausted",
    group="tcp",
    severity="warning",
    claim="enough ports of the ephemeral range are free in the host's own network",
    why="a program that asks for any port is refused: it does not start, or does not dial",
    sources=(
        "Linux net/ipv4/inet_connection_sock.c, inet_csk_find_open_port",
        "Linux Documentation/networking/ip-sysctl.rst, ip_local_port_range",
    ),
    judge=_judge,
    needs=("tcp_states",),
    thresholds=("ephemeral_share", "ephemeral_share_critical"),
    settings=("nodeport_range",),
)
