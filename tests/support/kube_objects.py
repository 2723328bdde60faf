# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""API objects of tests' own, each made of one that was captured (tests/fixtures/api), so that it has all that a real one has."""

from __future__ import annotations

import copy
import functools
import itertools
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.tests.support.fake_api import CAPTURES

Object = dict[str, Any]

_cluster_ips = (f"10.96.200.{number}" for number in itertools.count(1))


def captured(plural: str, namespace: str, name: str) -> Object:
    """A captured object; the first whose name starts so."""
    return copy.deepcopy(
        next(
            item
            for item in _captured(plural)
            if item["metadata"].get("namespace", "") == namespace and item["metadata"]["name"].startswith(name)
        )
    )


@functools.cache
def _captured(plural: str) -> list[Object]:
    items: list[Object] = json.loads((CAPTURES / f"{plural}.json").read_text("utf-8"))["items"]
    return items


def named(item: Object, namespace: str, name: str) -> Object:
    """The object under another name, as a new one."""
    metadata = item["metadata"]
    for key in ("annotations", "managedFields", "generateName", "ownerReferences"):
        metadata.pop(key, None)
    metadata |= {"name": name, "uid": str(uuid.uuid4()), **({"namespace": namespace} if namespace else {})}
    return item


def owned(item: Object, owner: Object, kind: str) -> Object:
    """The object with a controller."""
    reference = {"kind": kind, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "controller": True}
    item["metadata"]["ownerReferences"] = [{"apiVersion": "apps/v1", "blockOwnerDeletion": True, **reference}]
    return item


def node(name: str, address: str, runtime: str = "containerd://1.6.20", images: Iterable[Sequence[str]] = ()) -> Object:
    """A Node like the captured one; ``images``: the names of each that it holds."""
    item = named(captured("nodes", "", "node-a"), "", name)
    item["metadata"]["labels"]["kubernetes.io/hostname"] = name
    item["status"]["addresses"] = [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]
    item["status"]["nodeInfo"] |= {"machineID": uuid.uuid4().hex, "containerRuntimeVersion": runtime}
    item["status"]["images"] = [{"names": list(names), "sizeBytes": 1} for names in images]
    return item


def service(namespace: str, name: str, selector: Mapping[str, str], *ports: Object, **spec: object) -> Object:
    """A Service like the captured shop/front, of type ClusterIP unless ``spec`` has another."""
    item = named(captured("services", "shop", "front"), namespace, name)
    address = next(_cluster_ips)
    item["spec"] |= {"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "selector": dict(selector)}
    if spec.get("type", "ClusterIP") == "ClusterIP":
        del item["spec"]["externalTrafficPolicy"]
    item["spec"] |= {"ports": [{"protocol": "TCP", **port} for port in ports], **spec}
    return item


def endpoint_slices(service_: Object, pods: Iterable[Object]) -> list[Object]:
    """What the controller makes of a Service and all pods (kubernetes/kubernetes staging/src/k8s.io/endpointslice reconciler.go, utils.go).

    One slice for each family and each set of port numbers that pods resolve to; one without endpoints when there are none.
    """
    found: dict[str, tuple[str, list[Object], list[Object]]] = {}
    families = service_["spec"]["ipFamilies"]
    for pod_ in pods:
        if not selects(service_, pod_) or pod_["status"]["phase"] in ("Succeeded", "Failed"):
            continue
        ports = [port for port in (resolved(port, pod_) for port in service_["spec"]["ports"]) if port]
        for family in families:
            addresses = [ip["ip"] for ip in pod_["status"]["podIPs"] if (":" in ip["ip"]) == (family == "IPv6")]
            if addresses:
                slice_ = found.setdefault(json.dumps([family, ports]), (family, ports, []))
                slice_[2].append(_endpoint(service_, pod_, addresses[0]))
    slices = [_slice(service_, *parts) for parts in found.values()]
    return slices or [_slice(service_, families[0], [], [])]


def selects(service_: Object, pod_: Object) -> bool:
    """Whether a Service selects a pod."""
    if service_["metadata"]["namespace"] != pod_["metadata"]["namespace"]:
        return False
    labels: dict[str, str] = pod_["metadata"].get("labels", {})
    return set(service_["spec"]["selector"].items()) <= set(labels.items())


def resolved(port: Object, pod_: Object) -> Object | None:
    """A Service's port as a pod has it; None for a name that no container of the pod has."""
    number: object = port["targetPort"]
    if isinstance(number, str):
        named_so = [
            own["containerPort"]
            for one in pod_["spec"]["containers"]
            for own in one.get("ports", ())
            if (own.get("name"), own["protocol"]) == (number, port["protocol"])
        ]
        number = next(iter(named_so), None)
    return {"name": port.get("name", ""), "protocol": port["protocol"], "port": number} if number else None


def _endpoint(service_: Object, pod_: Object, address: str) -> Object:
    serving = any((one["type"], one["status"]) == ("Ready", "True") for one in pod_["status"]["conditions"])
    ready = serving or bool(service_["spec"].get("publishNotReadyAddresses"))
    metadata = pod_["metadata"]
    return {
        "addresses": [address],
        "conditions": {"ready": ready, "serving": serving, "terminating": False},
        "targetRef": {"kind": "Pod", **{key: metadata[key] for key in ("namespace", "name", "uid")}},
        "nodeName": pod_["spec"]["nodeName"],
    }


def _slice(service_: Object, family: str, ports: list[Object], endpoints: list[Object]) -> Object:
    metadata = service_["metadata"]
    name = f"{metadata['name']}-{uuid.uuid4().hex[:5]}"
    item = named(captured("endpointslices", "shop", "front"), metadata["namespace"], name)
    item["metadata"]["labels"]["kubernetes.io/service-name"] = metadata["name"]
    # The server writes "no ports" as null.
    return owned(item | {"addressType": family, "ports": ports or None, "endpoints": endpoints}, service_, "Service")


def pod(namespace: str, name: str, uid: str, node_: Object, containers: list[Object], **labels: str) -> Object:
    """A running pod on a Node, like the captured shop/front; its status tells of no address and of no container yet."""
    item = named(captured("pods", "shop", "front"), namespace, name)
    address = node_["status"]["addresses"][0]["address"]
    item["metadata"] |= {"uid": uid, "labels": labels}
    item["spec"] |= {"nodeName": node_["metadata"]["name"], "containers": containers}
    item["status"] |= {"hostIP": address, "hostIPs": [{"ip": address}], "containerStatuses": []}
    return item


def container(name: str, image: str, ports: Iterable[Object] = (), **spec: object) -> Object:
    """A container of a pod's or a template's spec; ``spec``: of its other fields."""
    declared = [{"protocol": "TCP", **port} for port in ports]
    return {
        "name": name,
        "image": image,
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
        **({"ports": declared} if declared else {}),
        **spec,
    }


def workload(namespace: str, name: str, containers: list[Object], replicas: int = 1) -> tuple[Object, Object]:
    """A Deployment and its ReplicaSet, with the label app."""
    deployment = named(captured("deployments", "reddit-entry", "post"), namespace, name)
    deployment["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "1"}
    deployment["spec"]["selector"]["matchLabels"] = {"app": name}
    replica_set = named(captured("replicasets", "reddit-entry", "post"), namespace, f"{name}-5b667475f5")
    replica_set["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "1"}
    owned(replica_set, deployment, "Deployment")
    for item, more in ((deployment, {}), (replica_set, {"pod-template-hash": "5b667475f5"})):
        template = item["spec"]["template"]
        template["metadata"]["labels"] = {"app": name, **more}
        template["spec"]["containers"] = copy.deepcopy(containers)
        item["spec"]["replicas"] = item["status"]["replicas"] = replicas
    replica_set["spec"]["selector"]["matchLabels"] = {"app": name, "pod-template-hash": "5b667475f5"}
    replica_set["metadata"]["labels"] = dict(replica_set["spec"]["selector"]["matchLabels"])
    return deployment, replica_set
