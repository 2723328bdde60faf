# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPVS takes the answer to an outgoing connection for a connection to the NodePort it was made from."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.plugin_utils import cures, describe, encounters
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.encounters import Encounter
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, NotApplicable, Rule


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    mode = encounters.proxy_mode(node, context)
    if mode and mode != "ipvs":
        yield NotApplicable(f"the {mode} mode leaves outgoing connections alone")
        return
    refusal = encounters.refusal(node, context)
    if refusal:
        yield refusal
        return
    for meeting in encounters.of(node, context, health_checks=False):
        if meeting.verdict["harmed"] == "connection":
            yield _fail(meeting, node, context)
    yield from encounters.gaps(node, context)


def _fail(meeting: Encounter, node: NodeView, context: Context) -> Fail:
    peer = f"{meeting.socket['peer']} port {meeting.socket['peer_port']}"
    return Fail(
        subject=meeting.subject,
        title=f"a connection of {describe.owner_name(meeting.socket)} may never be established: it was made from {describe.service(meeting.port)}",
        explanation=f"The connection to {peer} loses: {meeting.verdict['meaning']}. It hangs until it times out; the next try draws another port.",
        evidence=(describe.line(meeting.socket), describe.service(meeting.port)),
        remedies=(
            cures.reserve(node.sections, context)
            or cures.move_node_port(meeting.port, context, encounters.meeting_at(meeting, node, context)),
        ),
        caused_by=("nodeport-range-overlaps-ephemeral",),
    )


RULE = Rule(
    id="nodeport-hijacks-connection",
    group="ports",
    severity="warning",
    claim="in IPVS mode, no outgoing connection waits for its answer on a NodePort",
    why="now and then connections from this node time out, and nothing is to be seen at the other end",
    sources=(
        "https://github.com/kubernetes/kubernetes/issues/111682",
        "Linux net/netfilter/ipvs/ip_vs_proto_tcp.c, tcp_conn_schedule",
    ),
    judge=_judge,
    needs=("host", "nodeport_conflict", "port_settings"),
    settings=("proxy_mode",),
)
