# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube-proxy up to 1.23 opens every NodePort itself; another socket can stop it."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.plugin_utils import cures, describe, encounters
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.encounters import Encounter
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


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    refusal = encounters.refusal(node, context)
    if refusal:
        yield refusal
        return
    if not encounters.opens_node_ports(node, context):
        hidden = missing(node["nodeport_conflict"], "processes")
        why = "no NodePort is held by kube-proxy itself: it is 1.24 or newer, or patched"
        yield Unknown(hidden) if hidden else NotApplicable(why)
        return
    for meeting in encounters.of(node, context, health_checks=False):
        if meeting.verdict["effect"] != "cannot open":
            continue
        if meeting.verdict["certain"]:
            yield _fail(meeting, node, context)
        else:
            yield Unknown(f"{describe.service(meeting.port)} and {describe.line(meeting.socket)}", meeting.subject)
    yield from encounters.gaps(node, context)


def _fail(meeting: Encounter, node: NodeView, context: Context) -> Fail:
    return Fail(
        subject=meeting.subject,
        title=f"kube-proxy cannot open {describe.service(meeting.port)}: {describe.owner_name(meeting.socket)} has the port",
        explanation=f'kube-proxy logs "bind: address already in use" at each sync. {meeting.verdict["meaning"]}.',
        evidence=(describe.line(meeting.socket), describe.service(meeting.port)),
        remedies=tuple(_remedies(meeting, node, context)),
        caused_by=_causes(meeting),
    )


def _remedies(meeting: Encounter, node: NodeView, context: Context) -> Iterator[Remedy]:
    yield cures.move_node_port(meeting.port, context, encounters.meeting_at(meeting, node, context))
    stale = cures.remove_service(meeting.port, context)
    if stale:
        yield stale


def _causes(meeting: Encounter) -> tuple[str, ...]:
    shadow = ("nodeport-shadows-listener",) if "listener" in meeting.harmed else ()
    return (*shadow, "nodeport-range-overlaps-ephemeral") if meeting.socket["ephemeral"] else shadow


RULE = Rule(
    id="nodeport-cannot-open",
    group="ports",
    severity="warning",
    claim="kube-proxy, where it still opens NodePorts itself, can open them all",
    why="a taken port fills its log with errors at each sync, and below Kubernetes 1.11 the Service gets no rules at all",
    sources=(
        "https://github.com/kubernetes/kubernetes/pull/108496 (1.24 stops opening them)",
        "https://github.com/kubernetes/kubernetes/pull/62003 (rules are written all the same)",
    ),
    judge=_judge,
    needs=("host", "nodeport_conflict", "port_settings"),
    settings=("proxy_mode",),
)
