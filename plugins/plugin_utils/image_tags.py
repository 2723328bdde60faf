# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image each tag stands for on the nodes of a cluster: what containers of one tag run, compared where it can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import image_names
from ansible_collections.kubenode.doctor.plugins.plugin_utils.image_names import ImageId

Object = dict[str, Any]


class Running(NamedTuple):
    """A container that runs a tagged image. ``image`` is registry/repository:tag in full, ``id`` what the tag stood for."""

    image: str
    id: ImageId
    pod: Object
    container: Object

    @property
    def pod_name(self) -> str:
        """``namespace/name`` of its pod."""
        return f"{self.pod['namespace']}/{self.pod['name']}"


class Platform(NamedTuple):
    """What must be equal for ids to be comparable: a tag of several architectures has an id for each, and runtimes tell other ids.

    ``node`` is empty where the Node told the rest; else nothing can be compared but on one and the same node.
    """

    architecture: str
    os: str
    runtime: str
    form: str
    node: str


def running(pods: Iterable[Object]) -> Iterator[Running]:
    """The containers that run an image by its tag, as far as their image's id is known."""
    for pod in pods:
        for container in pod["containers"]:
            status = container["status"]
            if container["kind"] == "init" or status is None or status["state"] != "running":
                continue
            image, image_id = tagged(container["image"] or ""), image_names.parse_id(status["image_id"] or "")
            if image and image_id:
                yield Running(image, image_id, pod, container)


def tagged(reference: str) -> str | None:
    """``docker.io/library/nginx:latest`` for nginx; None for an image that is named by its digest, and for no name."""
    name = image_names.parse(reference)
    if name is None or name.asked_tag is None:
        return None
    return f"{image_names.repository(reference)}:{name.asked_tag}"


def platform(one: Running, nodes: Mapping[str, Object]) -> Platform:
    """Where a container's id can be compared; ``nodes`` are the cluster's Nodes by name."""
    node = nodes.get(one.pod["node"] or "")
    if node is None or not node["architecture"] or not node["os"]:
        return Platform("", "", "", one.id.form, one.pod["node"] or "")
    # Windows images are of one build of Windows, too.
    os = node["os"] if node["os"] != "windows" else f"windows {node['kernel_version']}"
    runtime = (node["container_runtime_version"] or "").partition(":")[0]
    return Platform(node["architecture"], os, runtime, one.id.form, "")


def moved(found: Iterable[Running], nodes: Mapping[str, Object]) -> list[list[Running]]:
    """The containers of each (image, platform) in which one tag stands for several ids, sorted by image."""
    groups: dict[tuple[str, Platform], list[Running]] = {}
    for one in found:
        groups.setdefault((one.image, platform(one, nodes)), []).append(one)
    return [group for _key, group in sorted(groups.items()) if len({one.id for one in group}) > 1]
