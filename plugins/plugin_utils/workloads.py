# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Deployment, StatefulSet or DaemonSet a pod belongs to: there its image and its probes are written."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import kubectl

if TYPE_CHECKING:
    from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
    from ansible_collections.kubenode.doctor.plugins.plugin_utils.service_path import Target

    Endpoint = tuple[str, Target]  # with the protocol of the Service's port: TCP, UDP or SCTP

Object = dict[str, Any]

# Kinds with a pod template that kubectl patches by container name, and whose earlier templates "kubectl rollout" knows.
_ROLLED_OUT = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
# The Deployment controller names a ReplicaSet after the Deployment and this label (kubernetes/kubernetes
# pkg/controller/deployment/sync.go, getNewReplicaSet).
_HASH_LABEL = "pod-template-hash"
# A pod has its ReplicaSet's name, cut to so many letters, before its own five (apiserver pkg/storage/names/generate.go,
# maxGeneratedNameLength).
_MOST_GENERATED = 58


class Workload(NamedTuple):
    """Whoever makes a pod. ``deployment`` and ``replica_set`` are its objects, None where there are none or they were not read."""

    namespace: str
    kind: str
    name: str
    deployment: Object | None = None
    replica_set: Object | None = None

    @property
    def words(self) -> str:
        """``Deployment shop/ui``."""
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def is_rolled_out(self) -> bool:
        """Whether kubectl can patch and roll it back, and it has a name that is one."""
        return self.kind in _ROLLED_OUT and kubectl.is_name(self.namespace, self.name)

    @property
    def resource(self) -> str:
        """``deployment/ui``, as kubectl wants it."""
        return f"{self.kind.lower()}/{self.name}"

    @property
    def revision(self) -> int | None:
        """Of the template by which the pod was made; None where that is not known."""
        return self.replica_set["revision"] if self.replica_set else None


class Workloads:
    """Finds the workloads of pods. What cannot be looked up is told by names, as far as these tell."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cluster = context.cluster
        self._found: dict[tuple[str, str], Workload] = {}

    def of(self, pod: Object | None) -> Workload | None:
        """The workload of a pod; None for one that nobody would make again, or of which nothing is known."""
        owner = pod["owner"] if pod else None
        if pod is None or owner is None:
            return None
        key = (pod["namespace"], owner["uid"] or owner["name"])
        if key not in self._found:
            self._found[key] = self._find(pod, owner)
        return self._found[key]

    def earlier(self, workload: Workload) -> list[Object] | None:
        """The ReplicaSets of a Deployment with a lower revision than the pod's, the latest first; None where they are not known."""
        if self._cluster["replica_sets"] is None or workload.deployment is None or workload.revision is None:
            return None
        own = self._by_deployment.get(workload.deployment["uid"], [])
        earlier = [one for one in own if one["revision"] is not None and one["revision"] < workload.revision]
        return sorted(earlier, key=lambda one: -one["revision"])

    def is_latest(self, workload: Workload) -> bool:
        """Whether the pod was made by the template that its Deployment has now, as far as that is known."""
        if workload.deployment is None or workload.revision is None:
            return True
        own = self._by_deployment.get(workload.deployment["uid"], [])
        return all((one["revision"] or 0) <= workload.revision for one in own)

    def endpoints_of(self, replica_set: Object) -> list[Endpoint]:
        """All endpoints in use, of whatever Service, that are pods of a ReplicaSet; a pod that was not read is one of it by its name."""
        begins = f"{replica_set['name']}-"[:_MOST_GENERATED]
        unread = self._unread_endpoints.get(replica_set["namespace"], ())
        return [
            *self._endpoints.get(replica_set["uid"], ()),
            *(one for one in unread if str(one[1].endpoint["target"]["name"]).startswith(begins)),
        ]

    @cached_property
    def _endpoints(self) -> dict[str, list[Endpoint]]:
        """Endpoints in use by the uid of their pod's controller."""
        found: dict[str, list[Endpoint]] = {}
        for entry in self._context.paths.ports:
            for target in entry.targets:
                if target.pod and target.pod["owner"]:
                    found.setdefault(target.pod["owner"]["uid"], []).append((entry.port["protocol"], target))
        return found

    @cached_property
    def _unread_endpoints(self) -> dict[str, list[Endpoint]]:
        """Endpoints in use that are pods which the API did not show, by namespace."""
        found: dict[str, list[Endpoint]] = {}
        for entry in self._context.paths.ports:
            for target in entry.targets:
                told = target.endpoint["target"]
                if target.pod is None and told and told["kind"] == "Pod":
                    found.setdefault(told["namespace"], []).append((entry.port["protocol"], target))
        return found

    def _find(self, pod: Object, owner: Object) -> Workload:
        namespace = pod["namespace"]
        if owner["kind"] != "ReplicaSet":
            return Workload(namespace, owner["kind"], owner["name"])
        replica_set = self._replica_sets.get(owner["uid"])
        if replica_set is not None:
            above = replica_set["owner"]
            return Workload(namespace, above["kind"], above["name"], self._deployments.get(above["uid"]), replica_set)
        suffix = f"-{pod['labels'].get(_HASH_LABEL)}"
        if self._cluster["replica_sets"] is None and owner["name"].endswith(suffix):
            name = owner["name"][: -len(suffix)]
            return Workload(namespace, "Deployment", name, self._by_name.get((namespace, name)))
        return Workload(namespace, owner["kind"], owner["name"])

    @cached_property
    def _replica_sets(self) -> dict[str, Object]:
        return {one["uid"]: one for one in self._cluster["replica_sets"] or () if one["owner"]}

    @cached_property
    def _by_deployment(self) -> dict[str, list[Object]]:
        found: dict[str, list[Object]] = {}
        for one in self._replica_sets.values():
            found.setdefault(one["owner"]["uid"], []).append(one)
        return found

    @cached_property
    def _deployments(self) -> dict[str, Object]:
        return {one["uid"]: one for one in self._cluster["deployments"] or ()}

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], Object]:
        return {(one["namespace"], one["name"]): one for one in self._cluster["deployments"] or ()}
