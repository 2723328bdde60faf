# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubelet no longer removes dead containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import stale_names
from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    container_cures,
    container_words,
    containers_seen,
    moments,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.containers_seen import Container, Containers, Group
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    NotApplicable,
    Remedy,
    Rule,
    Unknown,
)

_SHOWN = 10
_NAMES = ("names", "attempts")  # what is dead is dead, whatever it is called


class _Pile(NamedTuple):
    """The dead instances of one container of one pod that are too many, the one that died first first."""

    group: Group
    dead: list[Container]


class _Kept(NamedTuple):
    """What keeps a dead container, found once for all groups: a pod can have thousands of them, and a node send as many as it likes."""

    explained: frozenset[str]
    inhabitants: dict[str, list[Container]]  # by the pod's uid, without sandboxes


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    containers = Containers(node)
    most = int(context.settings.threshold("dead_containers_per_container"))
    seconds = context.settings.threshold("dead_container_seconds")
    kept = _kept(containers)
    piles = [_Pile(group, _dead(group, seconds, containers.now_ns, kept)) for group in containers.groups]
    piles = sorted((pile for pile in piles if len(pile.dead) > most), key=lambda pile: -len(pile.dead))
    if piles:
        yield _fail(piles, node, containers, most)
    yield from map(Unknown, containers.gaps(but_not=_NAMES))
    if not containers.runtime_names():
        yield NotApplicable("no runtime runs containers of Kubernetes here")


def _kept(containers: Containers) -> _Kept:
    inhabitants: dict[str, list[Container]] = {}
    for group in containers.groups:
        if not group["sandbox"]:
            inhabitants.setdefault(group["pod_uid"], []).extend(group["instances"])
    return _Kept(_explained(containers), inhabitants)


def _dead(group: Group, seconds: float, now_ns: int, kept: _Kept) -> list[Container]:
    """What kubelet's garbage collection should have removed, but for one: its own, dead for long, in nobody's way.

    A sandbox stays for as long as it has a container, so only empty ones count (kuberuntime_gc.go, evictSandboxes).
    """
    found = [
        (ended, one)
        for one in group["instances"]
        for ended in [_ended(one)]
        if one["own"] and one["state"] in stale_names.SETTLED and one["id"] not in kept.explained
        if ended is not None and now_ns - ended >= seconds * 1e9
    ]
    lived_in = _lived_in(group, kept) if group["sandbox"] else frozenset()
    return [one for _ended_ns, one in sorted(found, key=lambda entry: entry[0]) if one["id"] not in lived_in]


def _ended(one: Container) -> int | None:
    times = [one[key] for key in ("created_ns", "started_ns", "finished_ns") if one[key] is not None]
    return max(times, default=None)


def _explained(containers: Containers) -> frozenset[str]:
    """What a name conflict tells already."""
    conflicts = containers.conflicts(containers_seen.RUNTIMES)
    return frozenset(
        id_
        for conflict in conflicts
        for id_ in (conflict["newest"]["id"], conflict["holder"]["id"], *conflict["remove"])
    )


def _lived_in(sandboxes: Group, kept: _Kept) -> frozenset[str]:
    """The sandboxes of a pod that have containers; all of them, where one does not tell its own."""
    others = kept.inhabitants.get(sandboxes["pod_uid"], ())
    if any(one["sandbox_id"] is None for one in others):
        return frozenset(one["id"] for one in sandboxes["instances"])
    return frozenset(one["sandbox_id"] for one in others)


def _fail(piles: list[_Pile], node: NodeView, containers: Containers, most: int) -> Fail:
    return Fail(
        subject="dead containers",
        title=f"dead containers pile up: of some, more than {most} dead {'instance is' if most == 1 else 'instances are'} left",
        explanation=(
            "kubelet looks every minute, and keeps as many dead instances of each container as --maximum-dead-containers-per-container says, 1 by "
            "default, for its restart count and kubectl logs --previous. When more of them stay, its garbage collection fails or does not run: "
            "kubelet is away or hung, or the runtime answers removals too late or not at all. They take disk space and slow down every listing, "
            "which makes the time-outs worse."
        ),
        evidence=tuple(_evidence(piles, containers, most)),
        remedies=tuple(_remedies(node)),
    )


def _evidence(piles: list[_Pile], containers: Containers, most: int) -> Iterator[str]:
    total = sum(len(pile.dead) for pile in piles)
    yield f"{total} dead instances of {len(piles)} containers, each with more than {most}"
    for pile in piles[:_SHOWN]:
        first = pile.dead[0]
        since = (containers.now_ns - (_ended(first) or 0)) / 1e9
        yield (
            f"{containers_seen.subject_of(pile.group)} ({container_words.RUNTIMES.get(pile.group['runtime'], pile.group['runtime'])}): "
            f"{len(pile.dead)} dead, the first for {moments.span(since)}"
        )
    if len(piles) > _SHOWN:
        yield f"and {len(piles) - _SHOWN} containers more"


def _remedies(node: NodeView) -> Iterator[Remedy]:
    if containers_seen.kubelet_is_away(node):
        yield container_cures.start_kubelet("no kubelet runs here: start it, and it removes them")
    yield Remedy(
        "see why kubelet does not remove them",
        (
            "journalctl --no-pager -u kubelet --since -1h -g 'garbage collection|[Rr]emove ?[Cc]ontainer|DeadlineExceeded'",
        ),
        "do not sweep them away (docker container prune, docker rm of all that exited): of each container kubelet needs the newest dead instance",
    )
    yield Remedy("see whether the disk is what is slow", ("cat /proc/pressure/io",), "none")
    yield Remedy(
        "where kubelet runs with a larger --maximum-dead-containers-per-container, nothing is wrong: set the threshold "
        "dead_containers_per_container to the same number",
        (),
        "none",
    )


RULE = Rule(
    id="dead-containers-pile-up",
    group="containers",
    severity="warning",
    claim="kubelet removes dead containers but for the newest of each",
    why="they fill the disk and slow the runtime down until it misses kubelet's time-outs; and it shows that kubelet or the runtime is stuck",
    sources=(
        "kubernetes/kubernetes pkg/kubelet/kuberuntime/kuberuntime_gc.go: evictableContainers, evictSandboxes",
        "kubernetes/kubernetes cmd/kubelet/app/options/options.go: --maximum-dead-containers-per-container 1",
    ),
    judge=_judge,
    needs=("containers",),
    reads=("host",),
    thresholds=("dead_containers_per_container", "dead_container_seconds"),
)
