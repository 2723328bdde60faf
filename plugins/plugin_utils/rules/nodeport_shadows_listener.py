# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A NodePort takes the packets of a program that listens on the same number."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.module_utils.nodeport_verdict import breaks_exec, dialled, is_streaming
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_words import endpoint
from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    cures,
    describe,
    encounters,
    stream_port,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.encounters import Encounter
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule, Unknown

_EITHER = "shadowed or rejected"  # nodeport_verdict's effect where endpoints are not known, or differ by address


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    no_ground = encounters.no_ground(node, context)
    if no_ground:
        yield no_ground
        return
    for meeting in encounters.of(node, context, health_checks=False):
        verdict = meeting.verdict
        if verdict["harmed"] == "listener":
            yield _fail(meeting, node, context)
        elif verdict["harmed"] == "unknown":
            yield Unknown(
                f"{describe.service(meeting.port)} and {describe.line(meeting.socket)}: {verdict['meaning']}",
                meeting.subject,
            )
    yield from encounters.gaps(node, context)
    stranger = encounters.stranger(node, context)
    if stranger:
        yield stranger


def _fail(meeting: Encounter, node: NodeView, context: Context) -> Fail:
    streaming = is_streaming(meeting.socket) and breaks_exec(meeting.socket, meeting.verdict["addresses"])
    return Fail(
        subject=meeting.subject,
        title=_title(meeting, streaming),
        explanation=_explanation(meeting, streaming, encounters.is_stranger(node, context)),
        evidence=_evidence(meeting),
        remedies=tuple(_remedies(meeting, node, context)),
        severity=_severity(meeting, streaming, encounters.is_stranger(node, context)),
        caused_by=_causes(meeting, node, context),
    )


def _title(meeting: Encounter, streaming: bool) -> str:
    where, who = endpoint(meeting.socket), describe.owner_name(meeting.socket)
    service = describe.service(meeting.port)
    if streaming:
        fail = "fail" if meeting.verdict["certain"] else "may fail"
        return f"kubectl exec, attach and port-forward {fail} on this node: {service} takes {where} of {who}"
    fate = {"shadowed": "never reached", "rejected": "refused"}.get(meeting.verdict["effect"], "cut off")
    verb = "is" if meeting.verdict["certain"] and not _may_be_client(meeting) else "may be"
    part = " on some addresses" if _reachable(meeting) else ""
    return f"{who} on {where} {verb} {fate}{part}: {service} takes its port"


def _causes(meeting: Encounter, node: NodeView, context: Context) -> tuple[str, ...]:
    if encounters.is_stranger(node, context):
        return ("host-not-in-cluster",)
    return ("nodeport-range-overlaps-ephemeral",) if meeting.socket["ephemeral"] else ()


def _severity(meeting: Encounter, streaming: bool, stranger: bool) -> str:
    if streaming and not stranger:
        # An assumed mode is kube-proxy's default: more likely true than not, and then nobody can exec on this node.
        return "critical" if meeting.verdict["certain"] or meeting.assumed_mode else "warning"
    if _may_be_client(meeting):
        return "info"
    return "warning" if _reachable(meeting) or not meeting.verdict["certain"] else "critical"


def _may_be_client(meeting: Encounter) -> bool:
    """True for a UDP socket on a random port that no table knows: most likely a client's."""
    return meeting.socket["state"] == "unconnected" and meeting.socket["ephemeral"] and not meeting.socket["known_as"]


def _reachable(meeting: Encounter) -> bool:
    """True where others than the node itself still reach the listener."""
    return any(not ipaddress.ip_address(address).is_loopback for address in meeting.verdict["alive"])


def _explanation(meeting: Encounter, streaming: bool, stranger: bool) -> str:
    text = f"The listener loses, not the Service: {meeting.verdict['meaning']}."
    if _may_be_client(meeting):
        text = (
            "This may be a client's socket, which has its answers whatever the NodePort does. If it is a server's, it "
            f"loses, not the Service: {meeting.verdict['meaning']}."
        )
    if stranger:
        text += f" That holds if this host belongs to the cluster at all: {encounters.STRANGER}."
    if meeting.assumed_mode:
        text += f" Judged as {meeting.mode} mode, kube-proxy's default, because its mode could not be seen ({meeting.assumed_mode})."
    if not streaming:
        return text
    host, port = dialled(meeting.socket), meeting.socket["port"]
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if meeting.verdict["effect"] in ("rejected", _EITHER):
        text += (
            f' kubectl then prints "error: unable to upgrade connection: error dialing backend: dial tcp {place}: connect: '
            f'connection refused" or, from a newer kubelet, "error sending request: Post "http://{place}/exec/...": dial tcp '
            f'{place}: connect: connection refused". kubectl logs still works.'
        )
    if meeting.verdict["effect"] in ("shadowed", _EITHER):
        text += (
            " The request for exec arrives at one of the Service's pods, so kubectl hangs or prints that pod's answer."
        )
    return text


def _evidence(meeting: Encounter) -> tuple[str, ...]:
    facts = [
        describe.line(meeting.socket),
        f"{describe.service(meeting.port)}: {describe.endpoints(meeting.port)}",
        f"kube-proxy mode {meeting.mode}: {meeting.mode_source}",
    ]
    if meeting.also_cannot_open:
        facts.append(
            'kube-proxy opens NodePorts itself on this node and logs "can\'t open port, skipping it: bind: address already in use"'
        )
    return tuple(facts)


def _remedies(meeting: Encounter, node: NodeView, context: Context) -> Iterator[Remedy]:
    drawn = meeting.socket["ephemeral"] or is_streaming(meeting.socket)
    possible = (
        cures.move_node_port(meeting.port, context, encounters.meeting_at(meeting, node, context)),
        # Deleting is not to be proposed for a Service that may be another cluster's.
        None if encounters.is_stranger(node, context) else cures.remove_service(meeting.port, context),
        stream_port.pin(meeting.socket, node.sections, context) if is_streaming(meeting.socket) else None,
        cures.restart_owner(meeting.socket, node.sections, context),
        cures.reserve(node.sections, context) if drawn else None,
    )
    yield from filter(None, possible)
    if not drawn:
        yield Remedy("move the program to another port, in its own configuration", (), "its clients must follow")


RULE = Rule(
    id="nodeport-shadows-listener",
    group="ports",
    severity="critical",
    claim="no NodePort takes the packets of a program that listens on this node",
    why="packets for a NodePort are redirected or refused before the kernel looks for a listener, so the program is alive and nobody reaches it",
    sources=(
        "Kubernetes 1.36 pkg/proxy/iptables/proxier.go, syncProxyRules",
        "https://github.com/kubernetes/kubernetes/issues/85418",
        "https://github.com/containerd/containerd/issues/7097",
    ),
    judge=_judge,
    needs=("host", "nodeport_conflict", "port_settings"),
    settings=("proxy_mode",),
)
