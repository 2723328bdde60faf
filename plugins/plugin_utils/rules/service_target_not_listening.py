# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Service's packets arrive at pods in which nobody has the port open, while endpoints are complete and pods ready."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    describe,
    one_of_equals,
    target_faults,
    target_verdict,
    target_words,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.image_clues import ImageClues
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_cures import Cures
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_faults import Fault

_REFUSED = "The pod itself refuses TCP connections, which looks to the client as though nobody listened on the node."
_SILENT = "To UDP packets the pod answers with an ICMP error at best, so a client waits until it gives up."
_SUSPECTED = (
    "What was seen of the images speaks for another program in them than their name tells; an image that was renamed, or built anew, may look "
    "the same, so look at the program first."
)
_LEADER = (
    "One pod answers, and the others run the same image: it looks the same where only an elected leader listens and the others stand by, as "
    "many controllers do. Then nothing is wrong with the program, but the Service sends packets to the others too."
)
_OTHERWISE_USED = "The same pods do answer on other ports that Services want, so the program is rather the right one, and this Service or its port is not."


def _judge(context: Context) -> Iterator[Answer]:
    clues = ImageClues(context)

    def tell(fault: Fault) -> Fail:
        others = target_faults.serve_others(fault, context)
        # The image of pods that others are content with is not what is wrong.
        found = [] if others else clues.of(fault)
        suspected = any(clue.strong for clue in found)
        used = [f"these pods do answer {describe.listed(others, 3)}"] if others else []
        return Fail(
            subject=fault.subject,
            title=target_words.title(fault, _cause(fault)),
            explanation=_explanation(fault, suspected, others),
            evidence=(*target_words.evidence(fault, context), *used, *(clue.text for clue in found)),
            remedies=tuple(_remedies(Cures(fault, context.workloads), suspected, others)),
            severity=fault.severity,
        )

    yield from target_faults.answers(context, target_verdict.NOBODY, tell)


def _cause(fault: Fault) -> str:
    who, wanted, listens = (
        target_words.who(fault),
        target_words.wanted(fault),
        target_words.verb(fault, "listens", "listen"),
    )
    if not fault.instead:
        protocols = " or ".join(sorted({port.entry.port["protocol"] for port in fault.ports}))
        return f"{who} {listens} on no {protocols} port at all, and the Service wants {wanted}"
    return f"{who} {listens} on {target_words.ports_of(fault)}, and nobody on {wanted}, which the Service wants"


def _explanation(fault: Fault, suspected: bool, others: list[str]) -> str:
    protocols = {port.entry.port["protocol"] for port in fault.ports}
    what = " ".join(told for protocol, told in (("TCP", _REFUSED), ("UDP", _SILENT)) if protocol in protocols)
    more = f" {_SUSPECTED}" if suspected else f" {_OTHERWISE_USED}" if others else ""
    more += f" {_LEADER}" if one_of_equals.looks_like_a_leader(fault) else ""
    return (
        f"kube-proxy sends the packets on to the pods, and there nobody has the port open. {what} Endpoints only say that the pods run "
        f"and are ready, not that somebody listens.{more}"
    )


def _remedies(cures: Cures, suspected: bool, others: list[str]) -> Iterator[Remedy]:
    """In the order in which to try them: the image where it is suspected, else the Service."""
    yield cures.look_first()
    if one_of_equals.looks_like_a_leader(cures.fault):
        yield Remedy(
            "if only an elected leader listens: let the others be not ready (a readinessProbe that asks this port does that), or let all of them "
            "listen and pass requests on",
            (),
            "with such a probe, a rolling update waits for ever for a second pod to become ready: maxUnavailable must allow for that",
        )
    image = [] if others else [cures.correct_image()]
    image += filter(None, [cures.roll_back()])
    yield from [*image, *cures.correct_port()] if suspected else [*cures.correct_port(), *image]
    yield from [cures.probe()] if others else cures.prevention()


RULE = Rule(
    id="service-target-not-listening",
    group="services",
    severity="critical",
    claim="in every pod that a Service sends packets to, somebody listens on the port that the Service wants",
    why="connections to the NodePort and the cluster IP are refused, though the Service, its endpoints and its pods all look well",
    sources=(
        "kubernetes/kubernetes pkg/kubelet/prober/prober_manager.go, UpdatePodStatus: a container without a readiness probe is ready once it runs",
        "kubernetes/kubernetes pkg/proxy/topology.go, CategorizeEndpoints: packets go to every ready endpoint",
        "kubernetes/kubernetes pkg/kubelet/kubelet_pods.go, convertToAPIContainerStatuses: image and imageID are what the runtime says",
    ),
    judge=_judge,
    scope="cluster",
    thresholds=("service_target_start_seconds",),
    see_also=(
        "service-named-port-missing",
        "service-target-wrong-address",
        "service-target-wrong-family",
        "service-target-wrong-protocol",
    ),
)
