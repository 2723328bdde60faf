# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pods and containers are called, told by the node alone: the API server may be down.

A pod's uid is in the name of the folder for its logs, which kubelet makes before anything of the pod runs, with any runtime::

    /var/log/pods/reddit-entry_ui-5b667475f5-7r54x_909a2aa1-bf6a-4a8c-a274-3180ea640fb1

Containers are known by their ids to their runtime, and to the links that kubelet makes to their logs (see log_links.py). Who may write
below /var/log can make folders and links that lie: where folders and runtime, or several folders, differ, the runtime is believed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.containers import Known, Seen
from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import SANDBOX, parse_containerd_name
from ansible_collections.kubenode.doctor.plugins.module_utils.log_links import LogLinks
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_log_tree import FOLDER
from ansible_collections.kubenode.doctor.plugins.module_utils.runtime_files import RuntimeFiles

LOGS = "logs"
_REASONS = 3  # told of why names are missing: the first of each source


class PodName(NamedTuple):
    """A pod's namespace and name; ``named_by`` is "logs", or the runtime that told them."""

    namespace: str
    name: str
    named_by: str


class ContainerName(NamedTuple):
    """A container's name, POD for a sandbox, and the image that its runtime tells; None where nothing tells them."""

    name: Optional[str]
    image: Optional[str]


class PodNames:
    """Ask ``pod`` and ``container``, and in the end what was ``missing``."""

    def __init__(self, seen: Seen, root: str = "/") -> None:
        self._files = RuntimeFiles(root)
        self._seen = seen
        self._known: dict[str, Known] = {one.id: one for one in seen.known()}
        self._of_runtime: dict[str, PodName] = {
            one.pod_uid: PodName(one.namespace, one.pod, one.runtime) for one in self._known.values()
        }
        self._folders = _folders(self._files.names(FOLDER))
        self._links: Optional[LogLinks] = None
        self._nameless_pods: set[str] = set()
        self._nameless_containers: set[str] = set()

    def pod_of(self, container_id: str) -> Optional[str]:
        """The uid of the pod that a container is of, as its runtime says."""
        known = self._known.get(container_id)
        return known.pod_uid if known else None

    def is_sandbox(self, container_id: str) -> bool:
        """Whether this is known to be the container that holds a pod's namespaces."""
        known = self._known.get(container_id)
        return known is not None and known.container == SANDBOX

    def pod(self, uid: str, container_ids: Iterable[str]) -> Optional[PodName]:
        """What the pod with this uid is called, None when nothing tells."""
        folders = self._folders.get(uid, [])
        told = self._of_runtime.get(uid)
        if len(folders) == 1 and (told is None or told[:2] == folders[0][:2]):
            return folders[0]
        if told is not None:
            return told
        linked = {self._linked(id_, uid) for id_ in container_ids} - {None}
        if len(linked) == 1 and (not folders or linked <= set(folders)):
            return linked.pop()
        self._nameless_pods.add(uid)
        return None

    def container(self, container_id: str) -> ContainerName:
        """What a container is called."""
        known = self._known.get(container_id)
        if known is not None:
            return ContainerName(known.container, known.image)
        linked = self._log_links().identity(container_id)
        if linked is not None:
            return ContainerName(linked.container, None)
        self._nameless_containers.add(container_id)
        return ContainerName(None, None)

    def missing(self) -> list[dict[str, str]]:
        """Why some of what was asked has no name, ``[{what, why}]``."""
        kinds = (("pod", self._nameless_pods), ("container", self._nameless_containers))
        nameless = [counted(len(ids), noun) for noun, ids in kinds if ids]
        if not nameless:
            return []
        reasons = [f"{gap['what']}: {gap['why']}" for gap in (*self._files.missing(FOLDER), *self._seen.missing())]
        why = "; ".join(reasons[:_REASONS]) or "neither the folders of logs nor a runtime on this node tells them"
        return [{"what": "names", "why": f"those of {' and '.join(nameless)} are not known ({why})"}]

    def _linked(self, container_id: str, uid: str) -> Optional[PodName]:
        linked = self._log_links().identity(container_id)
        return PodName(linked.namespace, linked.pod, LOGS) if linked is not None and linked.pod_uid == uid else None

    def _log_links(self) -> LogLinks:
        """Read only where something has no name without them."""
        if self._links is None:
            self._links = LogLinks(self._files)
        return self._links


def counted(number: int, noun: str) -> str:
    """A number of things, for a message."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _folders(names: Iterable[str]) -> dict[str, list[PodName]]:
    """The pods that folders are named after, by uid."""
    found: dict[str, list[PodName]] = {}
    for name in names:
        parts = name.split("_")
        if len(parts) != 3:
            continue
        namespace, pod, uid = parts
        identity = parse_containerd_name("_".join((pod, namespace, uid, "0")))  # which are the same parts
        if identity is not None:
            found.setdefault(identity.pod_uid, []).append(PodName(identity.namespace, identity.pod, LOGS))
    return found
