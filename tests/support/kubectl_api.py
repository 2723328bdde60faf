# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake API server with what kubectl asks beyond it, so that the commands of cures can be run as they are.

Faithful in: discovery of all groups; more kinds; logs of a pod's container; DELETE of one object; the subresource scale; strategic merge
patches of containers and their ports; /readyz, and a kube-proxy's health through the proxy. What is to be executed in a pod is kept in
``executed``, and refused.
"""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from ansible_collections.kubenode.doctor.tests.support import fake_api, fake_rollout
from ansible_collections.kubenode.doctor.tests.support.fake_api import (
    ApiError,
    FakeApi,
    Handler,
    Plain,
    Request,
    Resource,
)

_MORE = (
    Resource("configmaps", "ConfigMap", "", ("v1",)),
    Resource("daemonsets", "DaemonSet", "apps", ("v1",)),
    Resource("statefulsets", "StatefulSet", "apps", ("v1",)),
    Resource("controllerrevisions", "ControllerRevision", "apps", ("v1",)),
    Resource("jobs", "Job", "batch", ("v1",)),
    Resource("cronjobs", "CronJob", "batch", ("v1",)),
    Resource("networkpolicies", "NetworkPolicy", "networking.k8s.io", ("v1",)),
    Resource("leases", "Lease", "coordination.k8s.io", ("v1",)),
)
_PLAIN = {
    # A protobuf document without a definition, so that kubectl validates nothing.
    "/openapi/v2": Plain(b"\x0a\x032.0", media="application/com.github.proto-openapi.spec.v2.v1.0+protobuf"),
    "/readyz": Plain(b"[+]ping ok\n[+]etcd ok\nreadyz check passed\n"),
}
_HEALTH = ["api", "v1", "nodes", "proxy", "healthz"]
_HEALTHY = Plain(b'{"lastUpdated": "2026-11-21 08:00:00 +0000 UTC"}', media="application/json")
_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_STRATEGIC = "application/strategic-merge-patch+json"
# patchMergeKey of kubernetes/api core/v1/types.go: PodSpec.Containers and InitContainers, Container.Ports
_MERGE_KEYS = {"containers": "name", "initContainers": "name", "ports": "containerPort"}


def _objects() -> Iterator[tuple[str, dict[str, Any]]]:
    """What the captured cluster was not asked for."""
    yield "leases", _named("kube-controller-manager", spec={"holderIdentity": "master-1_1"})
    yield "configmaps", _named("kube-proxy", data={"config.conf": "conntrack:\n  min: 131072\n"})
    labels = {"k8s-app": "kube-proxy"}
    container = {"name": "kube-proxy", "image": "registry.k8s.io/kube-proxy:v1.36.2"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    yield "daemonsets", _named("kube-proxy", spec={"selector": {"matchLabels": labels}, "template": template})
    for name, more in (("kube-proxy-x7k2q", labels), ("etcd-node-a", {"component": "etcd"}), ("weave-net-x7k2q", {})):
        spec = {"nodeName": "node-a", "containers": [{"name": name.rpartition("-net-")[0] or "main", "image": "x"}]}
        pod = _named(name, spec=spec, status={"phase": "Running"})
        pod["metadata"]["labels"] = more
        yield "pods", pod


def _named(name: str, **fields: Any) -> dict[str, Any]:
    uid = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
    meta = {"name": name, "namespace": "kube-system", "uid": uid, "creationTimestamp": "2026-11-20T08:00:00Z"}
    return {"metadata": meta, **fields}


class KubectlApi(FakeApi):
    """A server for kubectl: the captured cluster with what kubeadm has in each one, and an earlier revision of reddit-entry/ui."""

    def __post_init__(self) -> None:
        self.executed: list[list[str]] = []
        super().__post_init__()
        self.misbehave("/api/v1/namespaces/", self._execute)

    def restore(self) -> None:
        """Hold again what it held first."""
        self.executed.clear()
        self._load()

    def _load(self) -> None:
        self.resources = tuple(dict.fromkeys((*self.resources, *_MORE)))
        super()._load()
        for plural, item in _objects():
            self.put(plural, item)
        self.put("replicasets", self._earlier_revision())

    def _earlier_revision(self) -> dict[str, Any]:
        """The ReplicaSet before: the one there is becomes revision 2."""
        (now,) = [one for one in self.objects("replicasets") if one["metadata"]["name"].startswith("ui-")]
        then = copy.deepcopy(now)
        now["metadata"]["annotations"][fake_rollout.REVISION] = "2"
        self.put("replicasets", now)
        then["metadata"].update(name="ui-7c5ddbdf54", uid="7c5ddbdf-0000-4000-8000-000000000000")
        then["spec"]["template"]["spec"]["containers"][0]["image"] = "docker.io/reddit/ui:before"
        return then

    def _execute(self, handler: Handler) -> bool:
        path, _mark, query = handler.path.partition("?")
        if not path.endswith("/exec"):
            return False
        self.executed.append([value for name, value in parse_qsl(query) if name == "command"])
        return fake_api.status(400, "BadRequest", "you must specify at least 1 of stdin, stdout, stderr")(handler)

    def answer(self, request: Request) -> Any:
        """Answer what kubectl asks, and leave all else to FakeApi."""
        parts = request.path.strip("/").split("/")
        if request.path in _PLAIN or parts[:3] + parts[4:] == _HEALTH:
            return _PLAIN.get(request.path, _HEALTHY)
        if parts[-1] == "log":
            return self._log(request, namespace=parts[3], pod=parts[5])
        if parts[-1] == "scale":
            return self._scale(request, namespace=parts[4], name=parts[6])
        target = self._target(request.path)
        if target and target[2] and request.method == "DELETE":
            return self._delete(*target[:3])
        found = super().answer(request)
        return {**found, "gitVersion": "v1.36.2"} if request.path == "/version" else found

    def _discovery(self, path: str) -> Any:
        try:
            return super()._discovery(path)
        except KeyError:
            group_version = path.removeprefix("/apis/")
            own = [
                one for one in self.resources if group_version in {f"{one.group}/{version}" for version in one.versions}
            ]
            listed = [
                {"name": one.plural, "kind": one.kind, "singularName": "", "namespaced": True, "verbs": _VERBS}
                for one in own
            ]
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}

    def _log(self, request: Request, namespace: str, pod: str) -> Plain:
        found = self.get("pods", namespace, pod)
        names = [one["name"] for one in found["spec"]["containers"]]
        container = request.query.get("container") or names[0]
        if container not in names:
            raise ApiError(400, "BadRequest", f"container {container} is not valid for pod {pod}")
        before = " before" if request.query.get("previous") == "true" else ""
        return Plain(f"line {request.query.get('tailLines')} of {container}{before}\n".encode())

    def _scale(self, request: Request, namespace: str, name: str) -> Any:
        item = self.get("deployments", namespace, name)
        if request.method in ("PUT", "PATCH"):
            item["spec"]["replicas"] = json.loads(request.body)["spec"]["replicas"]
            item = self.put("deployments", item)
        meta = {key: item["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")}
        replicas = {"replicas": item["spec"]["replicas"]}
        return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta, "spec": replicas, "status": replicas}

    def _delete(self, resource: Resource, namespace: str, name: str) -> Any:
        gone = self.get(resource.plural, namespace, name)
        self.delete(resource.plural, namespace, name)
        details = {"name": name, "kind": resource.plural, "uid": gone["metadata"]["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def _patch(self, resource: Resource, namespace: str, name: str, request: Request) -> dict[str, Any]:
        if not request.headers.get("content-type", "").startswith(_STRATEGIC):
            return super()._patch(resource, namespace, name, request)
        return self.put(resource.plural, merged(self.get(resource.plural, namespace, name), json.loads(request.body)))


def merged(item: Any, patch: Any) -> Any:
    """An object with a strategic merge patch: mappings merge, lists of _MERGE_KEYS by their keys, all else is replaced."""
    result = copy.deepcopy(item)
    for key, value in patch.items():
        if value is None or key.startswith("$"):
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        elif key in _MERGE_KEYS and isinstance(result.get(key), list):
            result[key] = _merged_list(result[key], value, _MERGE_KEYS[key])
        else:
            result[key] = copy.deepcopy(value)
    return result


def _merged_list(items: list[Any], patches: list[Any], key: str) -> list[Any]:
    result = list(items)
    for patch in patches:
        place = next((place for place, item in enumerate(result) if item.get(key) == patch.get(key)), None)
        if place is None:
            result.append(copy.deepcopy(patch))
        else:
            result[place] = merged(result[place], patch)
    return result
