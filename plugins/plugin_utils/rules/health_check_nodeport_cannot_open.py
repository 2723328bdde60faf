# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A healthCheckNodePort is a real listener of kube-proxy, so there the Service loses."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.plugin_utils import cures, describe, encounters
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.encounters import Encounter
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule, Unknown


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    refusal = encounters.refusal(node, context)
    if refusal:
        yield refusal
        return
    for meeting in encounters.of(node, context, health_checks=True):
        if meeting.verdict["harmed"] == "service" and meeting.verdict["certain"]:
            yield _fail(meeting, node, context)
        elif meeting.verdict["harmed"] in ("service", "unknown"):
            yield Unknown(
                f"{describe.service(meeting.port)} and {describe.line(meeting.socket)}: {meeting.verdict['meaning']}",
                meeting.subject,
            )
    yield from encounters.gaps(node, context)


def _fail(meeting: Encounter, node: NodeView, context: Context) -> Fail:
    remedies = [Remedy("free the port: stop or move the program that holds it", (), "depends on that program")]
    restart = cures.restart_owner(meeting.socket, node.sections, context)
    if restart:
        remedies.insert(0, restart)
    reserve = cures.reserve(node.sections, context)
    if meeting.socket["ephemeral"] and reserve:
        remedies.append(reserve)
    return Fail(
        subject=meeting.subject,
        title=f"kube-proxy cannot open {describe.service(meeting.port)}: {describe.owner_name(meeting.socket)} has the port",
        explanation=f"The Service loses: {meeting.verdict['meaning']}.",
        evidence=(describe.line(meeting.socket), describe.service(meeting.port)),
        remedies=tuple(remedies),
        caused_by=("nodeport-range-overlaps-ephemeral",) if meeting.socket["ephemeral"] else (),
    )


RULE = Rule(
    id="health-check-nodeport-cannot-open",
    group="ports",
    severity="critical",
    claim="kube-proxy can open every healthCheckNodePort",
    why="without it the load balancer takes the node out, or believes another program's answer",
    sources=("Kubernetes 1.36 pkg/proxy/healthcheck/service_health.go",),
    judge=_judge,
    needs=("host", "nodeport_conflict", "port_settings"),
    settings=("proxy_mode",),
)
