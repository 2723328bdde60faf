# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Service's packets arrive at pods whose program listens on the port, but on the other address family only."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.module_utils import node_ports
from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    kubectl,
    target_faults,
    target_verdict,
    target_words,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_cures import Cures
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_faults import Fault

_OPEN = "what listens on all addresses is reached by every pod and node of the cluster, without the Service too"
_OPEN_ON_HOST = (
    "the pod is in the network of its host: what listens on all addresses is open on all of the node's, those that are reached from outside the "
    "cluster too"
)


def _judge(context: Context) -> Iterator[Answer]:
    def tell(fault: Fault) -> Fail:
        remedies = (_listen(fault), *_give_up(fault), Cures(fault, context.workloads).probe())
        return Fail(
            subject=fault.subject,
            title=target_words.title(fault, _cause(fault)),
            explanation=(
                "kube-proxy does not translate between the families: a client of one gets an endpoint of the same. A socket on 0.0.0.0 gets "
                "IPv4 only; one on [::] gets both, unless its program has set IPV6_V6ONLY. What tries both families, as browsers and curl do, hides this."
            ),
            evidence=tuple(target_words.evidence(fault, context)),
            remedies=remedies,
            severity=fault.severity,
        )

    yield from target_faults.answers(context, target_verdict.WRONG_FAMILY, tell)


def _cause(fault: Fault) -> str:
    listens, wanted = target_words.verb(fault, "listens", "listen"), target_words.wanted(fault)
    missing = fault.families  # those that are not listened on
    if len(missing) > 1:
        return f"{target_words.who(fault)} listen on {wanted} over one family each, and packets of both come to them"
    (other,) = (family for family in node_ports.FAMILIES if family not in missing)
    return f"{target_words.who(fault)} {listens} on {wanted} over {other} only, and these packets are {missing[0]}"


def _listen(fault: Fault) -> Remedy:
    where = (
        "0.0.0.0 too, or on [::] without IPV6_V6ONLY"
        if fault.families == ["IPv4"]
        else "[::], which takes both families"
    )
    return Remedy(
        f"let {target_words.programs(fault)} listen on {where}: mostly an option or a variable of its own in the pod template (--host, --bind, listen, HOST)",
        (),
        _OPEN_ON_HOST if fault.in_hosts_network else _OPEN,
    )


def _give_up(fault: Fault) -> Iterator[Remedy]:
    """A Service's second family can be taken away, its first cannot."""
    service, families = fault.service, node_ports.ip_families(fault.service)
    if fault.families != families[1:] or not kubectl.is_name(service["namespace"], service["name"]):
        return
    patch = json.dumps({"spec": {"ipFamilyPolicy": "SingleStack"}})
    words = ("patch", "service", service["name"], "--type=merge", "-p", patch)
    yield Remedy(
        f"or let the Service be {families[0]} only, until the program is ready for {families[1]}",
        (kubectl.command(service["namespace"], *words),),
        f"its {families[1]} cluster IP is gone, and so is its {families[1]} record in DNS",
        by_hand="the cluster IP that goes does not come back: another one takes its place when the family is added again",
    )


RULE = Rule(
    id="service-target-wrong-family",
    group="services",
    severity="critical",
    claim="programs behind Services listen on every address family in which packets come",
    why="connections over one of the families are refused, while all tests over the other one succeed",
    sources=(
        "Linux net/ipv6/ipv6_sockglue.c (IPV6_V6ONLY) and Documentation/networking/ip-sysctl.rst (bindv6only)",
        "kubernetes/kubernetes pkg/proxy/metaproxier: one proxier for each family, each with the endpoints of its family",
        "kubernetes/kubernetes pkg/registry/core/service/strategy.go, trimFieldsForDualStackDowngrade: SingleStack keeps the first family",
    ),
    judge=_judge,
    scope="cluster",
    thresholds=("service_target_start_seconds",),
    see_also=("service-target-not-listening", "service-target-wrong-address"),
)
