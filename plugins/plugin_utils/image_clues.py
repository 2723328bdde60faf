# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What speaks for a wrong image in pods that do not listen where they should. Corroboration only: each of these has good reasons too.

Mirrors give an image several repositories, a build that changed nothing several tags, and two architectures one tag two digests. So
nothing of this is a fault by itself, and images of one name in several registries are told, but not suspected.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    cluster_gaps,
    describe,
    image_names,
    image_tags,
    target_verdict,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.image_names import ImageId
from ansible_collections.kubenode.doctor.plugins.plugin_utils.image_tags import Running
from ansible_collections.kubenode.doctor.plugins.plugin_utils.image_words import is_other_program
from ansible_collections.kubenode.doctor.plugins.plugin_utils.service_path import ServicePort, Target
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_faults import Fault

if TYPE_CHECKING:
    from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context

Object = dict[str, Any]

_MOST = 3  # names in one line
_TOO_COMMON = 5  # so many Services that want a port, and it says nothing about a program
_NEVER_ASKS_AGAIN = frozenset({"IfNotPresent", "Never"})
_DIGEST_SHOWN = len("sha256:") + 12


class Clue(NamedTuple):
    """One line of evidence. ``strong`` where it speaks for another program in the image than its name tells: only that orders the cures."""

    text: str
    strong: bool = False


class ImageClues:
    """Looks through all pods of the cluster once, and only when there is a fault to explain."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def of(self, fault: Fault) -> list[Clue]:
        """All clues about the pods of a fault, the strong ones first."""
        targets = fault.targets
        found = [
            *self._resolved_otherwise(targets),
            *self._somebody_elses(targets),
            *self._names_on_nodes(targets),
            *self._moved(fault),
            *self._fits_another_service(fault),
            *self._by_tag(targets),
            *self._not_seen(targets),
        ]
        return sorted(dict.fromkeys(found), key=lambda clue: not clue.strong)

    def _resolved_otherwise(self, targets: Iterable[Target]) -> Iterator[Clue]:
        """The spec's image, and what the runtime says that it runs."""
        pods: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for target in targets:
            for one, told in _resolved(target):
                if _differ(one, told):
                    pods.setdefault((one["image"], told), []).append((one["name"], target.name))
        for (wanted, told), where in pods.items():
            yield Clue(
                f"{_those(where)}: the spec wants {wanted}, the runtime says that it runs {told}",
                is_other_program(wanted, told),
            )

    def _somebody_elses(self, targets: Iterable[Target]) -> Iterator[Clue]:
        """Workloads that run the very same image under the name of another repository."""
        resolved = {one["image"]: told for target in targets for one, told in _resolved(target)}
        for (wanted, image_id), where in _identified(targets).items():
            told = resolved.get(wanted, "")
            for name in self._other_names(wanted, told, image_id):
                users = list(self._users[image_id][name])
                yield Clue(
                    f"{_those(where)}: {wanted} is the same image ({_short(image_id.digest)}) that {describe.listed(users, _MOST)} "
                    f"{'run' if len(users) > 1 else 'runs'} as {name}",
                    # Under its own name for the runtime, it is rather the others who have it under a wrong one.
                    is_other_program(wanted, name) and (not told or is_other_program(wanted, told)),
                )

    def _other_names(self, wanted: str, told: str, image_id: ImageId) -> Iterator[str]:
        """Some of the other repositories' names under which an image is run: what the runtime calls it comes first."""
        names = self._users.get(image_id, {})
        first = [told] if told in names else []
        ordered = dict.fromkeys((*first, *names))
        others = (name for name in ordered if image_names.same_repository(wanted, name) is False)
        yield from itertools.islice(others, _MOST)

    def _names_on_nodes(self, targets: Iterable[Target]) -> Iterator[Clue]:
        """Other repositories in which the pods' nodes have the image."""
        nodes: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for target in targets:
            node = target.endpoint["node_name"] or ""
            for one in _containers(target):
                for names in (self._nodes.get(node) or {}).get("shared_images") or ():
                    if image_tags.tagged(one["image"]) in map(image_tags.tagged, names):
                        nodes.setdefault((one["image"], tuple(names)), []).append(node)
        for (wanted, names), where in nodes.items():
            others = [name for name in names if image_names.same_repository(wanted, name) is False]
            if others:
                yield Clue(
                    f"one image under several names on {describe.listed(sorted(set(where)), _MOST)}: {wanted} is also {describe.listed(others, _MOST)}"
                )

    def _moved(self, fault: Fault) -> Iterator[Clue]:
        """One name, and several images: between pods that answer and pods that do not, or just between pods."""
        answering = {target.name for port in fault.ports for target in port.answering}
        faulty = {target.name for target in fault.targets}
        wanted = {image_tags.tagged(one["image"]) for target in fault.targets for one in _containers(target)}
        for group in self._moved_tags:
            if group[0].image in wanted:
                pods: dict[str, set[str]] = {}
                for one in group:
                    pods.setdefault(one.id.digest, set()).add(f"pod {one.pod_name}")
                told = [f"{_short(digest)} in {describe.listed(sorted(names), 2)}" for digest, names in pods.items()]
                apart = any(names & answering for names in pods.values()) and not any(
                    names & answering and names & faulty for names in pods.values()
                )
                answers = "; the pods that answer have another one than those that do not" if apart else ""
                yield Clue(f"{group[0].image} is not one image: {describe.listed(told, _MOST)}{answers}", apart)

    def _fits_another_service(self, fault: Fault) -> Iterator[Clue]:
        """A port on which the pods listen is what another Service, with other pods, wants. Weak: many programs have the same few ports."""
        for one in fault.instead:
            if target_verdict.address_of(one).is_loopback:
                continue
            key = one.protocol.upper(), one.port
            near = [entry for entry in self._wanting(fault.service["namespace"], *key) if _is_other(entry, fault)]
            chosen = near or [entry for entry in self._wanting(None, *key) if _is_other(entry, fault)]
            if chosen:
                names = list(dict.fromkeys(f"Service {entry.subject}" for entry in chosen))
                answered = any(entry.by_kind(target_verdict.LISTENS) for entry in chosen)
                process = f" ({one.process})" if one.process else ""
                yield Clue(
                    f"{one.port}/{one.protocol.upper()}, on which these pods listen{process}, is what {describe.listed(names, _MOST)} "
                    f"{'want' if len(names) > 1 else 'wants'}{'; other pods answer there' if answered else ''}",
                )

    def _wanting(self, namespace: str | None, protocol: str, number: int) -> list[ServicePort]:
        """The Service ports, of one namespace or of all, that want a number in their pods; nothing where so many do that it says nothing."""
        found = self._wanted.get((namespace, protocol, number), [])
        return found if len(found) <= _TOO_COMMON else []

    def _by_tag(self, targets: Iterable[Target]) -> Iterator[Clue]:
        """Images that a node never asks for again, though their name may stand for another one by now."""
        pods: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for target in targets:
            for one in _containers(target):
                name = image_names.parse(one["image"])
                if name and not name.digest and one["pull_policy"] in _NEVER_ASKS_AGAIN:
                    pods.setdefault((one["image"], one["pull_policy"]), []).append((one["name"], target.name))
        for (image, policy), where in pods.items():
            yield Clue(
                f"{_those(where)}: {image} is named by a tag, and imagePullPolicy is {policy}: a node keeps what it got under that name first"
            )

    def _not_seen(self, targets: list[Target]) -> Iterator[Clue]:
        """What could not be compared."""
        cluster = self._context.cluster
        if cluster["pods"] is None:
            why = cluster_gaps.gap(cluster, "pods")
            yield Clue(f"whether the image is the right one was not seen: the pods' specs are not known ({why})")
            for name, image in sorted({(one.name, one.image) for target in targets for one in _running(target)}):
                yield Clue(f"container {name}: the runtime says that it runs {image}")
        elif cluster["pods_of"] is not None:
            nodes = len(cluster["pods_of"])
            yield Clue(f"images were compared among the pods of {nodes} {'nodes' if nodes != 1 else 'node'} only")

    @cached_property
    def _users(self) -> dict[ImageId, dict[str, dict[str, None]]]:
        """By image, and by the name in the spec, who runs it."""
        found: dict[ImageId, dict[str, dict[str, None]]] = {}
        for pod, one, image_id in self._all():
            workload = self._context.workloads.of(pod)
            owner = workload.words if workload else f"pod {pod['namespace']}/{pod['name']}"
            found.setdefault(image_id, {}).setdefault(one["image"], {})[owner] = None
        return found

    @cached_property
    def _moved_tags(self) -> list[list[Running]]:
        return image_tags.moved(image_tags.running(self._context.cluster["pods"] or ()), self._nodes)

    @cached_property
    def _wanted(self) -> dict[tuple[str | None, str, int], list[ServicePort]]:
        """The Service ports by the number that they want in their pods, in each namespace and (None) in all of them."""
        found: dict[tuple[str | None, str, int], list[ServicePort]] = {}
        for entry in self._context.paths.ports:
            for number in {target.port for target in entry.targets}:
                for namespace in (entry.service["namespace"], None):
                    found.setdefault((namespace, entry.port["protocol"], number), []).append(entry)
        return found

    @cached_property
    def _nodes(self) -> dict[str, Object]:
        return {node["name"]: node for node in self._context.cluster["nodes"] or ()}

    def _all(self) -> Iterator[tuple[Object, Object, ImageId]]:
        for pod in self._context.cluster["pods"] or ():
            for one in pod["containers"]:
                image_id = image_names.parse_id((one["status"] or {}).get("image_id") or "")
                if image_id and one["image"]:
                    yield pod, one, image_id


def _is_other(entry: ServicePort, fault: Fault) -> bool:
    """Whether a Service port is another Service's, with other pods."""
    own = {target.name for target in fault.pods}
    return entry.subject != fault.subject and not any(target.name in own for target in entry.targets)


def _containers(target: Target) -> Iterator[Object]:
    """The containers of a pod that run beside each other."""
    return (one for one in (target.pod or {"containers": ()})["containers"] if one["kind"] != "init" and one["image"])


def _running(target: Target) -> Iterator[Any]:
    """The containers that its node showed, as far as they have a name and an image."""
    return (one for one in (target.seen.containers if target.seen else ()) if one.name and one.image)


def _resolved(target: Target) -> Iterator[tuple[Object, str]]:
    """Each container with the name that its image has for the runtime, as the API's status tells it, or the node itself."""
    shown = {one.name: one.image for one in _running(target)}
    for one in _containers(target):
        told = (one["status"] or {}).get("image") or shown.get(one["name"]) or ""
        if image_names.parse(told):
            yield one, told


def _differ(container: Object, told: str) -> bool:
    """Whether the runtime's name is of another repository than the spec's, or of another tag; what is no name tells nothing."""
    wanted, other = image_names.parse(container["image"] or ""), image_names.parse(told)
    if wanted is None or other is None:
        return False
    if image_names.same_repository(container["image"], told) is False:
        return True
    return bool(wanted.asked_tag and other.tag and wanted.asked_tag != other.tag)


def _identified(targets: Iterable[Target]) -> dict[tuple[str, ImageId], list[tuple[str, str]]]:
    """Where each image runs, as (container, pod), by its name and id, as far as they have one."""
    found: dict[tuple[str, ImageId], list[tuple[str, str]]] = {}
    for target in targets:
        for one in _containers(target):
            image_id = image_names.parse_id((one["status"] or {}).get("image_id") or "")
            if image_id:
                found.setdefault((one["image"], image_id), []).append((one["name"], target.name))
    return found


def _those(where: Iterable[tuple[str, str]]) -> str:
    """``containers front and side of 2 pods``, of (container, pod)."""
    where = list(where)
    names, pods = list(dict.fromkeys(name for name, _pod in where)), len({pod for _name, pod in where})
    containers = f"container {names[0]}" if len(names) == 1 else f"containers {describe.listed(names, _MOST)}"
    return containers if pods == 1 else f"{containers} of {pods} pods"


def _short(digest: str) -> str:
    return f"{digest[:_DIGEST_SHOWN]}…"
