# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``containers``: the containers of Kubernetes on this node, by pod and container, from all its runtimes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import cri_containers, docker_containers
from ansible_collections.kubenode.doctor.plugins.module_utils.container_groups import grouped, within
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import DEFAULT_HOST, Engine, EngineError

MOST_INSTANCES = 1000
# Of the time that is left: an engine that hangs must not keep the other runtimes from being asked.
_SHARE_OF_DOCKER = 0.6


class _Docker(NamedTuple):
    """Docker's part: its entry among the runtimes, and its containers, None where they could not be listed."""

    runtime: dict[str, Any]
    listing: Optional[docker_containers.Listing]
    missing: list[dict[str, str]]


class Known(NamedTuple):
    """A container, or a pod's sandbox (``container`` is POD), of which its ``runtime`` tells whose it is."""

    runtime: str
    id: str
    pod_uid: str
    namespace: str
    pod: str
    container: str
    image: Optional[str]


class Seen(NamedTuple):
    """All that the runtimes of a node tell, before anything is left out; look makes it."""

    docker: Optional[_Docker]
    others: list[cri_containers.Runtime]

    def known(self) -> Iterator[Known]:
        """Yield every container of which is known whose it is, those that have ended too."""
        listing = self.docker.listing if self.docker else None
        for group in listing.groups if listing else ():
            of = (group["pod_uid"], group["namespace"], group["pod"], group["container"])
            for one in group["instances"]:
                yield Known(group["runtime"], one["id"], *of, one["image"])
        for runtime in self.others:
            for who, one in runtime.told.found:
                of = (who.pod_uid, who.namespace, who.pod, who.container)
                yield Known(runtime.name, one["id"], *of, one["image"])

    def missing(self) -> list[dict[str, str]]:
        """What the runtimes did not tell, ``[{what, why}]``."""
        return [
            *(self.docker.missing if self.docker else ()),
            *(_of(one.name, gap) for one in self.others for gap in one.told.missing),
        ]


def collect(deadline: Deadline, root: str = "/", docker_host: Optional[str] = None) -> dict[str, Any]:
    """Look, and return the section."""
    return section(look(deadline, root, docker_host))


def look(deadline: Deadline, root: str = "/", docker_host: Optional[str] = None) -> Seen:
    """Ask all runtimes of a node. ``root`` is the folder that stands for its /.

    ``docker_host`` is asked whether its socket is there or not; without one, the usual socket of this node.
    """
    docker = _docker(deadline, root, docker_host)
    listed = docker is not None and docker.listing is not None
    return Seen(docker, cri_containers.collect(deadline, root, beside_docker=listed))


def section(seen: Seen) -> dict[str, Any]:
    """Return ``{now_ns, runtimes, groups, strangers, others, truncated, complete, missing}``.

    ``runtimes`` are ``{name, version, endpoint, method, complete}``, none on a machine without a runtime. ``groups`` and
    ``strangers`` are those of container_groups, ``others`` the number of containers of no Kubernetes. At most MOST_INSTANCES
    instances are told, and as many strangers; ``truncated`` is ``{groups, instances}`` beyond them. ``now_ns`` is the runtime's
    clock.
    """
    docker, others = seen
    listing = docker.listing if docker else None
    groups, truncated = within(
        [
            *(listing.groups if listing else ()),
            *(group for one in others for group in grouped(one.name, one.told.found)),
        ],
        MOST_INSTANCES,
    )
    strangers = [*(listing.strangers if listing else ()), *(item for one in others for item in one.told.strangers)]
    missing = [*seen.missing(), *_beyond(truncated, len(strangers) - MOST_INSTANCES)]
    return {
        "now_ns": listing.now_ns if listing else time.time_ns(),
        "runtimes": [*([docker.runtime] if docker else ()), *(_entry(one) for one in others)],
        "groups": groups,
        "strangers": strangers[:MOST_INSTANCES],
        "others": (len(listing.others) if listing else 0) + sum(one.told.others for one in others),
        "truncated": truncated,
        "complete": not missing,
        "missing": missing,
    }


def _docker(deadline: Deadline, root: str, host: Optional[str]) -> Optional[_Docker]:
    """Ask the engine, None when there is none."""
    socket = os.path.join(root, DEFAULT_HOST[len("unix:///") :])
    if host is None and not os.path.exists(socket):
        return None
    address = host or f"unix://{socket}"
    runtime = {
        "name": docker_containers.RUNTIME,
        "version": None,
        "endpoint": host or DEFAULT_HOST,
        "method": "engine api",
        "complete": False,
    }
    share = Deadline(deadline.left() * _SHARE_OF_DOCKER)
    try:
        engine = Engine(address, share)
        engine.begin()
        listing = docker_containers.collect(engine, share)
    except EngineError as error:
        return _Docker(runtime, None, [{"what": docker_containers.RUNTIME, "why": str(error)}])
    missing = [_of(docker_containers.RUNTIME, gap) for gap in listing.missing]
    return _Docker({**runtime, "version": engine.version, "complete": not missing}, listing, missing)


def _entry(runtime: cri_containers.Runtime) -> dict[str, Any]:
    return {
        "name": runtime.name,
        "version": runtime.version,
        "endpoint": runtime.endpoint,
        "method": runtime.method,
        "complete": not runtime.told.missing,
    }


def _of(runtime: str, gap: dict[str, str]) -> dict[str, str]:
    return {"what": gap["what"], "why": f"{runtime}: {gap['why']}"}


def _beyond(truncated: dict[str, int], strangers: int) -> list[dict[str, str]]:
    gaps = []
    if truncated["instances"]:
        why = f"{truncated['instances']} instances of {truncated['groups']} containers are beyond the {MOST_INSTANCES} that are told"
        gaps.append({"what": "containers", "why": why})
    if strangers > 0:
        gaps.append({"what": "strangers", "why": f"{strangers} are beyond the {MOST_INSTANCES} that are told"})
    return gaps
