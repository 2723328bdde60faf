# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Service's packets arrive at pods that listen on the right number of the other protocol."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    kubectl,
    target_faults,
    target_verdict,
    target_words,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_cures import Cures
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_faults import Fault, FaultyPort


def _judge(context: Context) -> Iterator[Answer]:
    def tell(fault: Fault) -> Fail:
        return Fail(
            subject=fault.subject,
            title=target_words.title(fault, _cause(fault)),
            explanation=(
                "TCP and UDP have port numbers of their own: who listens on one of them gets nothing of the other. A Service's port is TCP "
                "unless its protocol says otherwise."
            ),
            evidence=tuple(target_words.evidence(fault, context)),
            remedies=(*map(_remedy, fault.ports), Cures(fault, context.workloads).probe()),
            severity=fault.severity,
        )

    yield from target_faults.answers(context, target_verdict.WRONG_PROTOCOL, tell)


def _cause(fault: Fault) -> str:
    listens, other = target_words.verb(fault, "listens", "listen"), " and ".join(sorted(set(map(_other, fault.ports))))
    numbers = " and ".join(dict.fromkeys(str(target.port) for port in fault.ports for target in port.targets))
    wants = " and ".join(sorted({port.entry.port["protocol"] for port in fault.ports}))
    return f"{target_words.who(fault)} {listens} on {numbers} for {other} only, and the Service sends {wants}"


def _other(port: FaultyPort) -> str:
    return port.targets[0].verdict.instead[0].protocol.upper()


def _remedy(port: FaultyPort) -> Remedy:
    """Let the Service have the protocol of the program, where that is all that is wrong."""
    service, own, other = port.entry.service, port.entry.port, _other(port)
    taken = any((one["port"], one["protocol"]) == (own["port"], other) for one in service["ports"])
    answers = all(
        target_verdict.judge(target.verdict.instead, other.lower(), target.address, target.port).kind
        == target_verdict.LISTENS
        for target in port.targets
    )
    whole = len(port.targets) == len(port.entry.targets)
    if taken:
        return Remedy(
            f"the Service has port {own['port']}/{other} too: take {own['port']}/{own['protocol']} out of it, or let the program "
            f"listen on {own['protocol']} as well",
        )
    summary = f"let port {own['port']} of the Service be {other} in place of {own['protocol']}, or the program listen on {own['protocol']}"
    # A targetPort by name is looked up together with the protocol, and may then stand for nothing.
    if isinstance(own["target_port"], str) or not (whole and answers):
        return Remedy(summary, (), "clients must use the other protocol")
    commands = kubectl.service_patch(service, port.place, "protocol", other)
    by_hand = "which protocol the clients speak, neither the pods nor the Service tell" if commands else ""
    return Remedy(summary, commands, "clients must use the other protocol", by_hand=by_hand)


RULE = Rule(
    id="service-target-wrong-protocol",
    group="services",
    severity="critical",
    claim="programs behind Services listen for the protocol that the Service sends",
    why="TCP connections are refused and UDP packets get no answer, though somebody listens on the right number",
    sources=(
        "RFC 768 and RFC 9293: UDP and TCP ports are numbered apart",
        "kubernetes/kubernetes pkg/apis/core/v1/defaults.go, SetDefaults_Service: a port without protocol is TCP",
    ),
    judge=_judge,
    scope="cluster",
    thresholds=("service_target_start_seconds",),
    see_also=("service-named-port-missing", "service-target-not-listening"),
)
