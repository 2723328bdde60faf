# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fix rollback-image: what it is to act on, what stands against it now, what it changes, and how that is undone. Pure.

A target is the JSON text of one container of one Deployment, as rules write it into a remedy and the fix reads it again::

    {"namespace", "name", "uid", "generation": of the Deployment as it was diagnosed, "container", "from": image in the template then,
     "to": image that listened, "deaf": [the pods of the newest revision that do not listen, as deaf_pods has them]}
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import AGAIN, DONE, STOPPED, TargetError
from ansible_collections.kubenode.doctor.plugins.plugin_utils import deaf_pods, object_change, object_owners
from ansible_collections.kubenode.doctor.plugins.plugin_utils.deaf_pods import UID, DeafPod
from ansible_collections.kubenode.doctor.plugins.plugin_utils.kubectl import NAME
from ansible_collections.kubenode.doctor.plugins.plugin_utils.object_change import IMAGE, Change, Field, Plan
from ansible_collections.kubenode.doctor.plugins.plugin_utils.object_owners import mapping

FIX = "rollback-image"

_PATTERNS = {"namespace": NAME, "name": NAME, "uid": UID, "container": NAME, "from": IMAGE, "to": IMAGE}
_FIELDS = {"from": "image", "to": "image_that_listened"}


@dataclass(frozen=True)
class Target:
    """One container whose image is to go back. All values are names that the API server accepts, so none is a template or an option."""

    text: str
    namespace: str
    name: str
    uid: str
    container: str
    image: str
    image_that_listened: str
    generation: int
    deaf: tuple[DeafPod, ...]

    @property
    def place(self) -> tuple[str, str]:
        """What two targets must not share."""
        return self.uid, self.container


def target_text(deployment: dict[str, Any], container: str, to: str, deaf: Sequence[DeafPod]) -> str:
    """The target for one container of a Deployment of cluster.json. One that older versions wrote has no generation, and no target is sound."""
    words = {key: deployment.get(key) for key in ("namespace", "name", "uid", "generation")}
    pods = [pod._asdict() for pod in sorted(set(deaf))]
    images = {"from": deployment["images"][container], "to": to}
    return json.dumps({**words, "container": container, **images, "deaf": pods}, sort_keys=True)


def read_targets(texts: Sequence[str]) -> list[Target]:
    """The targets, each once and all of them sound; raises TargetError where one is not."""
    return [_read(text) for text in dict.fromkeys(texts)]


def sort_out(targets: Sequence[Target]) -> tuple[list[Target], list[str]]:
    """The targets that no other one contradicts, and for each container that is to have several images why it is left alone."""
    places = Counter(target.place for target in targets)
    skipped = [
        f"container {target.container} of Deployment {target.namespace}/{target.name} is to have several images at once: choose by hand"
        for target in targets
        if places[target.place] > 1
    ]
    return [target for target in targets if places[target.place] == 1], list(dict.fromkeys(skipped))


def _read(text: str) -> Target:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TargetError("what is to be rolled back is no JSON text") from error
    if not isinstance(found, dict):
        raise TargetError("what is to be rolled back is no JSON object")
    for key, pattern in _PATTERNS.items():
        if not isinstance(found.get(key), str) or not pattern.fullmatch(found[key]):
            raise TargetError(f"what is to be rolled back has no usable {key!r}")
    if found["from"] == found["to"]:
        raise TargetError(
            f"Deployment {found['namespace']}/{found['name']} has that image already: a rollback changes nothing"
        )
    try:
        generation = deaf_pods.count(found.get("generation"))
    except ValueError as error:
        raise TargetError("what is to be rolled back has no usable 'generation'") from error
    try:
        deaf = deaf_pods.read(found.get("deaf"))
    except ValueError as error:
        raise TargetError("what is to be rolled back has no usable 'deaf'") from error
    names: dict[str, str] = {_FIELDS.get(key, key): found[key] for key in _PATTERNS}
    return Target(text=text, **names, generation=generation, deaf=deaf)


def change(target: Target, index: int = 0) -> Change:
    """What is changed: the image of the Deployment's container of this number, as it stands in its list."""
    container = f"/spec/template/spec/containers/{index}"
    image = Field(f"{container}/image", target.image, target.image_that_listened)
    return Change(FIX, target.namespace, target.name, target.uid, {f"{container}/name": target.container}, (image,))


def plan(target: Target, found: Sequence[dict[str, Any]], answers: Mapping[str, Any]) -> Plan:
    """What is to be done to a Deployment, as the API server shows it now; ``found`` is empty where there is none any more.

    ``answers`` are what pod_listeners returns now of the pods that did not listen, by host.
    """
    if not found:
        return Plan(STOPPED, "there is no such Deployment any more")
    metadata, spec = mapping(found[0].get("metadata")), mapping(found[0].get("spec"))
    containers = _containers(spec)
    index = next((number for number, one in enumerate(containers) if one.get("name") == target.container), None)
    image = None if index is None else containers[index].get("image")
    if metadata.get("uid") == target.uid and image == target.image_that_listened:
        return Plan(DONE, "the image is there already")
    why = _changed(metadata, spec, target, image)
    listening = deaf_pods.changed(target.deaf, answers)
    if not why and listening:
        why = object_change.diagnosed_anew(listening)
    if why:
        return Plan(STOPPED, why)
    wanted = change(target, index or 0)
    return object_change.needed(wanted, tuple(_told(metadata, spec, target, wanted)), metadata)


def _changed(metadata: dict[str, Any], spec: dict[str, Any], target: Target, image: Any) -> str:
    """Why it is not what was diagnosed any more, or cannot be rolled back now; empty when it can."""
    resume = f"kubectl -n {target.namespace} rollout resume deployment/{target.name}"
    against = (
        (metadata.get("uid") != target.uid, f"it was deleted and made anew since it was diagnosed. {AGAIN}"),
        (metadata.get("deletionTimestamp"), "it is being deleted"),
        (image is None, object_change.diagnosed_anew(f"it has no container {target.container} any more")),
        (
            image != target.image,
            object_change.diagnosed_anew(f"its container {target.container} has another image by now, {image}"),
        ),
        (spec.get("paused"), f"it is paused, so nothing would be rolled out: {resume}"),
        (spec.get("replicas") == 0, "it was scaled to no pods, so whether the other image listens would not show"),
        (
            metadata.get("generation") != target.generation,
            object_change.diagnosed_anew(
                f"it is at generation {metadata.get('generation')} and was at {target.generation}"
            ),
        ),
    )
    return next((why for holds, why in against if holds), "")


def _told(metadata: dict[str, Any], spec: dict[str, Any], target: Target, wanted: Change) -> Iterator[str]:
    yield f"container {target.container} gets the image {target.image_that_listened}, which was seen listening, in place of {target.image}"
    yield _blast_radius(spec)
    yield "nothing but the image goes back: what else has changed in the pods' template stays as it is"
    yield from object_owners.told(metadata, "the other image")
    yield f"undo: {wanted.undo}"


def _blast_radius(spec: dict[str, Any]) -> str:
    count = spec.get("replicas", 1)
    pods = "its only pod is" if count == 1 else f"its {count} pods are"
    strategy = mapping(spec.get("strategy"))
    if strategy.get("type") == "Recreate":
        return f"{pods} stopped before a new one starts (strategy Recreate): nobody answers meanwhile"
    rolling = mapping(strategy.get("rollingUpdate"))
    most, more = rolling.get("maxUnavailable", "25%"), rolling.get("maxSurge", "25%")
    return f"{pods} replaced step by step (maxUnavailable {most}, maxSurge {more}): connections to them end"


def _containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    containers = mapping(mapping(spec.get("template")).get("spec")).get("containers")
    return [mapping(one) for one in containers] if isinstance(containers, list) else []
