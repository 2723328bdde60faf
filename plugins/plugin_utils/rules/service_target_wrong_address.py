# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Service's packets arrive at pods whose program listens on the port, but only on loopback or another address."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    describe,
    target_faults,
    target_verdict,
    target_words,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_cures import Cures
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_faults import Fault

_LOOPBACK = (
    "An address of loopback is reached from inside the pod only: a program that listens there answers kubectl port-forward, kubectl exec and the "
    "other containers of its pod, but nobody who comes from outside, and kube-proxy's packets come to the pod's own address."
)
_HOSTS_LOOPBACK = (
    "The pod is in the network of its host, so its loopback is the host's: every process of that node reaches the program, and every pod in its "
    "network, but nobody from elsewhere, and kube-proxy's packets come to the node's own address."
)
_OTHER = "kube-proxy's packets come to the address that the endpoint has, and the program listens on other addresses of the pod only."

_ANY = {"IPv4": "0.0.0.0", "IPv6": "[::]"}  # noqa: S104  words, not a socket


def _judge(context: Context) -> Iterator[Answer]:
    def tell(fault: Fault) -> Fail:
        loopback = _is_loopback(fault)
        return Fail(
            subject=fault.subject,
            title=target_words.title(fault, _cause(fault, loopback)),
            explanation=_explanation(fault, loopback),
            evidence=tuple(target_words.evidence(fault, context)),
            remedies=(_bind(fault), Cures(fault, context.workloads).probe()),
            severity=fault.severity,
        )

    yield from target_faults.answers(context, target_verdict.WRONG_ADDRESS, tell)


def _explanation(fault: Fault, loopback: bool) -> str:
    if not loopback:
        return _OTHER
    return _HOSTS_LOOPBACK if fault.in_hosts_network else _LOOPBACK


def _is_loopback(fault: Fault) -> bool:
    return all(target_verdict.address_of(one).is_loopback for one in fault.instead)


def _cause(fault: Fault, loopback: bool) -> str:
    listens, wanted = target_words.verb(fault, "listens", "listen"), target_words.wanted(fault)
    where = describe.listed(_addresses(fault), 3)
    inside = "the node" if fault.in_hosts_network else "the pod"
    why = f"which is reached from inside {inside} only" if loopback else "and the packets come to another address"
    return f"{target_words.who(fault)} {listens} on {wanted}, but only at {where}, {why}"


def _addresses(fault: Fault) -> list[str]:
    """The addresses that are listened on; a family that the packets do not have does not matter."""
    return sorted({one.address for one in fault.instead})


def _bind(fault: Fault) -> Remedy:
    anywhere = " and ".join(_ANY[family] for family in fault.families)
    if fault.in_hosts_network:
        addresses = describe.listed(sorted({one.address for port in fault.ports for one in port.targets}), 3)
        anywhere = f"the address of its node that the endpoint has ({addresses})"
        risk = (
            "the pod is in the network of its host: with 0.0.0.0 or [::] it is open on all addresses of the node, those that are reached from "
            "outside the cluster too, and a NetworkPolicy does not limit that; a program without a password is better left on loopback"
        )
    else:
        risk = "what listens on all addresses is reached by every pod and node of the cluster, without the Service too: a NetworkPolicy limits that"
    return Remedy(
        f"let {target_words.programs(fault)} listen on {anywhere}: mostly an option or a variable of its own in the pod template "
        "(--host, --bind, listen, HOST, server.address); frameworks in development mode listen on 127.0.0.1 unless told otherwise",
        (),
        risk,
    )


RULE = Rule(
    id="service-target-wrong-address",
    group="services",
    severity="critical",
    claim="programs behind Services listen on the address to which packets come, and not on loopback only",
    why="connections are refused, though the program runs, listens on the right port, and answers kubectl port-forward",
    sources=(
        "Linux net/ipv4/inet_hashtables.c, compute_score: a socket bound to one address gets packets to that address only",
        "kubernetes/kubernetes pkg/proxy/topology.go, CategorizeEndpoints: packets go to the addresses of the endpoints",
    ),
    judge=_judge,
    scope="cluster",
    thresholds=("service_target_start_seconds",),
    see_also=("service-target-not-listening", "service-target-wrong-family"),
)
