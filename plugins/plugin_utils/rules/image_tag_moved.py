# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One tag, several images: pods that look the same run different programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    cluster_gaps,
    describe,
    image_tags,
    kubectl,
    target_faults,
    target_verdict,
    tcp_words,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.image_tags import Running
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    NotApplicable,
    Remedy,
    Rule,
    Unknown,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.workloads import Workload, Workloads

Object = dict[str, Any]

_DIGESTS_SHOWN = 5
_PODS_SHOWN = 3
_RESTARTS_SHOWN = 3


def _judge(context: Context) -> Iterator[Answer]:
    cluster = context.cluster
    if cluster["pods"] is None:
        dead = isinstance(context.paths.refusal, Unknown) and cluster["services"] is None
        yield context.paths.refusal if dead and context.paths.refusal else Unknown(cluster_gaps.pods_gap(cluster))
        return
    found = list(image_tags.running(cluster["pods"]))
    nodes = {node["name"]: node for node in cluster["nodes"] or ()}
    told = _told_elsewhere(context)
    failed: set[str] = set()
    for group in image_tags.moved(found, nodes):
        if group[0].image not in told | failed:
            failed.add(group[0].image)
            yield _fail(group, context.workloads)
    yield from _unknown(context, found)


def _told_elsewhere(context: Context) -> set[str]:
    """The images of which service-target-not-listening tells that they are not one: of the pods that do not listen, as image_clues has it."""
    return {
        image
        for fault in target_faults.faults(context, target_verdict.NOBODY)
        if not target_faults.serve_others(fault, context)
        for target in fault.targets
        for one in (target.pod or {"containers": ()})["containers"]
        if one["kind"] != "init" and (image := image_tags.tagged(one["image"] or ""))
    }


def _unknown(context: Context, found: Sequence[Running]) -> Iterator[Answer]:
    gap = cluster_gaps.pods_gap(context.cluster)
    if gap:
        yield Unknown(f"what pods of other nodes run is not known: {gap}")
    if context.cluster["nodes"] is None and len({one.pod["node"] for one in found}) > 1:
        why = cluster_gaps.gap(context.cluster, "nodes")
        yield Unknown(
            f"images of different nodes could not be compared, because their architectures are not known: the Nodes are not known ({why})"
        )
    if not found and not gap:
        yield NotApplicable("no pod runs an image by a tag")


def _fail(group: Sequence[Running], workloads: Workloads) -> Fail:
    image = group[0].image
    owners = {_name(owner, one): owner for one in group for owner in [workloads.of(one.pod)]}
    return Fail(
        subject=image,
        title=f"the tag {image} stands for {len({one.id for one in group})} different images in pods that run",
        explanation=" ".join(_explanation(group)),
        evidence=tuple(_evidence(group, sorted(owners))),
        remedies=tuple(
            _remedies(group, [owner for _words, owner in sorted(owners.items(), key=lambda item: item[0]) if owner])
        ),
    )


def _name(owner: Workload | None, one: Running) -> str:
    return owner.words if owner else f"pod {one.pod_name}"


def _explanation(group: Sequence[Running]) -> Iterator[str]:
    yield (
        "Most likely somebody pushed another image under this tag. Each node keeps the one that it pulled first, so what a pod runs depends on the "
        "node and the moment of its start, and a rollback to this tag does not bring back what ran before."
    )
    if any(one.container["pull_policy"] == "IfNotPresent" for one in group):
        yield "With imagePullPolicy IfNotPresent a node that has any image of this tag never looks for a newer one."
    yield (
        "Compared are containers on nodes of one architecture, operating system and runtime, so these are hardly variants of one image; but a "
        "node that was given the image by its platform's own digest shows that one."
    )


def _evidence(group: Sequence[Running], owners: Sequence[str]) -> Iterator[str]:
    by_id: dict[str, list[Running]] = {}
    for one in group:
        by_id.setdefault(one.id.digest, []).append(one)
    # Most pods first: the odd ones are what to look for.
    ordered = sorted(by_id.items(), key=lambda item: (-len(item[1]), item[0]))
    for digest, same in ordered[:_DIGESTS_SHOWN]:
        pods = sorted({f"{one.pod_name} on {one.pod['node']}" for one in same})
        yield f"{digest}: {tcp_words.count(len(same), 'container')}, pods {describe.listed(pods, _PODS_SHOWN)}"
    if len(ordered) > _DIGESTS_SHOWN:
        yield f"and {len(ordered) - _DIGESTS_SHOWN} more images"
    policies = sorted({one.container["pull_policy"] or "not told" for one in group})
    yield f"they belong to {describe.listed(owners, _PODS_SHOWN)}; imagePullPolicy {', '.join(policies)}"


def _remedies(group: Sequence[Running], owners: Sequence[Workload]) -> Iterator[Remedy]:
    repository = group[0].image.rpartition(":")[0]
    yield Remedy(
        f"name the image by its digest ({repository}@sha256:…), or by a tag that is never pushed again; let the registry refuse to overwrite tags"
    )
    restarts = [
        kubectl.command(owner.namespace, "rollout", "restart", owner.resource)
        for owner in owners
        if owner.is_rolled_out
    ]
    yield Remedy(
        "let every start ask the registry (imagePullPolicy: Always), then replace the pods, so that all run what the tag stands for today",
        tuple(restarts[:_RESTARTS_SHOWN]),
        "all pods of the workload change to the newest image, which may be the wrong one; without the registry no pod starts",
        by_hand="which of the images is the right one, nobody but their authors can tell" if restarts else "",
    )


RULE = Rule(
    id="image-tag-moved",
    group="services",
    severity="warning",
    claim="pods that name one tag of an image run one and the same image",
    why="a tag that was pushed again makes equal pods run different programs, depending on which node pulled it when",
    sources=(
        "kubernetes/kubernetes pkg/apis/core/v1/defaults.go, SetDefaults_Container (IfNotPresent for any tag but latest)",
        "kubernetes/kubernetes pkg/kubelet/kubelet_pods.go (imageID of a container status is the runtime's ImageRef)",
        "https://github.com/cri-o/cri-o/pull/9925 (imageID in one form before, in another after a restart of CRI-O)",
    ),
    judge=_judge,
    scope="cluster",
    thresholds=("service_target_start_seconds",),
)
