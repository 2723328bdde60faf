# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trim API objects to what the rules need, so that a big cluster stays small and no secret comes along.

Pure functions: one object as the API server sent it (a decoded JSON mapping) in, one plain dict out. Nothing is copied
that is not named here: no environment, argument, command or volume of a container, no managedFields, of annotations whether one
is there and the number in another, of labels those of pods and the few others that decide something. A field the server
left out is None (or the API's own default where one exists); a field of the wrong type raises ShapeError.
"""

from __future__ import annotations

import re
import sys
from typing import Dict, List, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_shape import (
    Object,
    ShapeError,
    flag,
    kind_of,
    labels,
    mapping,
    mappings,
    number,
    pairs,
    port,
    seconds,
    text,
    texts,
    told,
)

# k8s.io/kubernetes/pkg/proxy/apis/well_known_labels.go (LabelServiceProxyName) and
# k8s.io/api/core/v1/well_known_labels.go (IsHeadlessService): kube-proxy's informers leave out every Service that
# carries one of them, whatever its value.
PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"
# k8s.io/api/discovery/v1/well_known_labels.go (LabelServiceName)
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
# The labels that "kubectl get nodes" shows as roles: kubernetes/kubernetes, pkg/printers/internalversion/printers.go
ROLE_LABEL_PREFIX = "node-role.kubernetes.io/"
ROLE_LABEL = "kubernetes.io/role"
# kubelet's mirror of a static pod (k8s.io/kubernetes/pkg/kubelet/types/pod_update.go, ConfigMirrorAnnotationKey)
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
# k8s.io/kubernetes/pkg/controller/deployment/util/deployment_util.go (RevisionAnnotation)
REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
WARNING = "Warning"


def service(raw: Object) -> Object:
    """Return one trimmed Service. Raises ShapeError."""
    meta, spec, own = mapping(raw, "metadata"), mapping(raw, "spec"), labels(raw)
    ingress = mappings(mapping(mapping(raw, "status"), "loadBalancer"), "ingress")
    return {
        "namespace": text(meta, "namespace"),
        "name": text(meta, "name"),
        "uid": text(meta, "uid"),
        "type": text(spec, "type") or "ClusterIP",
        "cluster_ips": texts(spec, "clusterIPs") or _listed(text(spec, "clusterIP")),  # clusterIPs: since 1.20
        "external_ips": texts(spec, "externalIPs"),
        "load_balancer_ips": [
            {"ip": text(entry, "ip"), "ip_mode": text(entry, "ipMode")} for entry in ingress if text(entry, "ip")
        ],
        "load_balancer_names": [text(entry, "hostname") for entry in ingress if text(entry, "hostname")],
        "ip_families": texts(spec, "ipFamilies"),
        "external_traffic_policy": text(spec, "externalTrafficPolicy"),
        "internal_traffic_policy": text(spec, "internalTrafficPolicy"),
        "health_check_node_port": port(spec, "healthCheckNodePort"),
        "selector": pairs(spec, "selector"),
        "publish_not_ready_addresses": flag(spec, "publishNotReadyAddresses") is True,
        "proxy_name": own.get(PROXY_NAME_LABEL),
        "headless_label": HEADLESS_LABEL in own,
        "ports": [_service_port(entry) for entry in mappings(spec, "ports")],
        "created": seconds(meta, "creationTimestamp"),
    }


def endpoint_slice(raw: Object) -> Object:
    """Return one trimmed EndpointSlice, of discovery.k8s.io/v1 or v1beta1. Raises ShapeError."""
    meta = mapping(raw, "metadata")
    return {
        "namespace": text(meta, "namespace"),
        "service": labels(raw).get(SERVICE_NAME_LABEL),
        "name": text(meta, "name"),
        "address_type": text(raw, "addressType"),
        # null: a named targetPort that no container has; the addresses are there all the same
        "ports": [
            {
                "name": text(entry, "name") or "",
                "protocol": text(entry, "protocol") or "TCP",
                "port": port(entry, "port"),
            }
            for entry in mappings(raw, "ports")
        ],
        "endpoints": [_endpoint(endpoint) for endpoint in mappings(raw, "endpoints")],
    }


def node(raw: Object) -> Object:
    """Return one trimmed Node. Raises ShapeError."""
    meta, spec, status = mapping(raw, "metadata"), mapping(raw, "spec"), mapping(raw, "status")
    info, addresses = mapping(status, "nodeInfo"), mappings(status, "addresses")
    hostnames = _addresses(addresses, "Hostname")
    ready = [text(entry, "status") for entry in mappings(status, "conditions") if text(entry, "type") == "Ready"]
    return {
        "name": text(meta, "name"),
        "uid": text(meta, "uid"),
        "internal_ips": _addresses(addresses, "InternalIP"),
        "external_ips": _addresses(addresses, "ExternalIP"),
        "hostname": hostnames[0] if hostnames else None,
        "labels_roles": _roles(labels(raw)),
        "unschedulable": flag(spec, "unschedulable") is True,
        "ready": ready[0] if ready else None,
        "pod_cidrs": texts(spec, "podCIDRs") or _listed(text(spec, "podCIDR")),
        "kubelet_version": text(info, "kubeletVersion") or None,
        "kube_proxy_version": text(info, "kubeProxyVersion") or None,  # deprecated: newer kubelets send ""
        "container_runtime_version": text(info, "containerRuntimeVersion") or None,
        "os_image": text(info, "osImage") or None,
        "kernel_version": text(info, "kernelVersion") or None,
        "architecture": text(info, "architecture") or None,
        "os": text(info, "operatingSystem") or None,
        "shared_images": _shared_images(mappings(status, "images")),
    }


def pod(raw: Object) -> Object:
    """Return one trimmed Pod. Raises ShapeError."""
    meta, spec, status = mapping(raw, "metadata"), mapping(raw, "spec"), mapping(raw, "status")
    ready = [entry for entry in mappings(status, "conditions") if text(entry, "type") == "Ready"]
    ips = [text(entry, "ip") for entry in mappings(status, "podIPs")] or [text(status, "podIP")]
    return {
        "namespace": text(meta, "namespace"),
        "name": text(meta, "name"),
        "uid": text(meta, "uid"),
        "node": text(spec, "nodeName") or None,
        "labels": labels(raw),
        "owner": _owner(meta),
        "host_network": flag(spec, "hostNetwork") is True,
        "ips": [ip for ip in ips if ip],
        "phase": text(status, "phase"),
        "ready": text(ready[0], "status") if ready else None,
        "ready_reason": told(ready[0], "reason") if ready else None,
        "deleting": text(meta, "deletionTimestamp") is not None,
        "runtime_class": text(spec, "runtimeClassName"),
        "mirror": MIRROR_ANNOTATION in mapping(meta, "annotations"),
        "readiness_gates": [text(gate, "conditionType") or "" for gate in mappings(spec, "readinessGates")],
        "containers": _containers(spec, status),
    }


def event(raw: Object) -> Object:
    """Return one trimmed Event of the core API group. Raises ShapeError."""
    about = mapping(raw, "involvedObject")
    return {
        "kind": text(about, "kind"),
        "namespace": text(about, "namespace"),
        "name": text(about, "name"),
        "uid": text(about, "uid"),
        "reason": told(raw, "reason"),
        "message": told(raw, "message") or "",
        "count": event_count(raw),
        "last": event_time(raw),
    }


def event_time(raw: Object) -> Optional[float]:
    """Return when an Event was last seen. Raises ShapeError.

    A kubelet keeps lastTimestamp and count; writers to events.k8s.io have eventTime, and series when it repeats.
    """
    times = (
        seconds(raw, "lastTimestamp"),
        seconds(mapping(raw, "series"), "lastObservedTime"),
        seconds(raw, "eventTime"),
    )
    known = [time for time in times if time is not None]
    return max(known) if known else seconds(mapping(raw, "metadata"), "creationTimestamp")


def event_count(raw: Object) -> int:
    """Return how often an Event was seen. Raises ShapeError."""
    return number(mapping(raw, "series"), "count") or number(raw, "count") or 1


def deployment(raw: Object) -> Object:
    """Return one trimmed Deployment. Raises ShapeError."""
    meta, spec = mapping(raw, "metadata"), mapping(raw, "spec")
    selector, template = mapping(spec, "selector"), mapping(spec, "template")
    return {
        "namespace": text(meta, "namespace"),
        "name": text(meta, "name"),
        "uid": text(meta, "uid"),
        "replicas": number(spec, "replicas"),
        "selector": None if mappings(selector, "matchExpressions") else pairs(selector, "matchLabels") or {},
        "template_labels": labels(template),
        "images": _images(template),
        "strategy": text(mapping(spec, "strategy"), "type"),
        "paused": flag(spec, "paused") is True,
        "resource_version": text(meta, "resourceVersion"),
        "generation": number(meta, "generation"),
    }


def replica_set(raw: Object) -> Optional[Object]:
    """Return one trimmed ReplicaSet, None for one that no Deployment owns. Raises ShapeError."""
    meta, spec = mapping(raw, "metadata"), mapping(raw, "spec")
    owner = _owner(meta)
    if owner is None or owner["kind"] != "Deployment":
        return None
    return {
        "namespace": text(meta, "namespace"),
        "name": text(meta, "name"),
        "uid": text(meta, "uid"),
        "owner": owner,
        "revision": _revision(mapping(meta, "annotations")),
        "replicas": number(spec, "replicas"),
        "images": _images(mapping(spec, "template")),
    }


def _service_port(raw: Object) -> Object:
    target = raw.get("targetPort")
    if target is not None and (isinstance(target, bool) or not isinstance(target, (int, str))):
        raise ShapeError(f"targetPort is {kind_of(target)}, not a number or a name")
    return {
        "name": text(raw, "name") or None,
        "protocol": text(raw, "protocol") or "TCP",
        "port": port(raw, "port"),
        "target_port": target,
        "node_port": port(raw, "nodePort"),
    }


def _endpoint(raw: Object) -> Object:
    conditions, target = mapping(raw, "conditions"), mapping(raw, "targetRef")
    return {
        "addresses": texts(raw, "addresses"),
        "ready": flag(conditions, "ready"),
        "serving": flag(conditions, "serving"),
        "terminating": flag(conditions, "terminating"),
        # v1beta1 kept the node's name among the topology labels
        "node_name": text(raw, "nodeName") or text(mapping(raw, "topology"), "kubernetes.io/hostname"),
        "target": {key: text(target, key) for key in ("kind", "namespace", "name", "uid")} if target else None,
    }


def _owner(meta: Object) -> Optional[Object]:
    """Return the controller among the owners: the one that replaces the object."""
    for owner in mappings(meta, "ownerReferences"):
        if flag(owner, "controller"):
            return {key: text(owner, key) for key in ("kind", "name", "uid")}
    return None


def _revision(annotations: Object) -> Optional[int]:
    value = text(annotations, REVISION_ANNOTATION) or ""
    return int(value) if re.match(r"[0-9]{1,18}$", value) else None


def _images(template: Object) -> Dict[str, str]:
    """Return the images of a pod template's containers, by container, in their order."""
    containers = mappings(mapping(template, "spec"), "containers")
    return {text(container, "name") or "": text(container, "image") or "" for container in containers}


def _containers(spec: Object, status: Object) -> List[Object]:
    """Return a pod's containers; of init containers those that still run or wait, or failed."""
    seen = {text(entry, "name"): entry for entry in mappings(status, "containerStatuses")}
    begun = {text(entry, "name"): entry for entry in mappings(status, "initContainerStatuses")}
    found = [_container(entry, "container", seen.get(text(entry, "name"))) for entry in mappings(spec, "containers")]
    for entry in mappings(spec, "initContainers"):
        # An init container that is restarted always is a sidecar: it runs beside the others (since Kubernetes 1.28).
        kind = "sidecar" if text(entry, "restartPolicy") == "Always" else "init"
        container = _container(entry, kind, begun.get(text(entry, "name")))
        state = container["status"]
        if kind == "sidecar" or not (state and state["state"] == "terminated" and state["exit_code"] == 0):
            found.append(container)
    return found


def _container(raw: Object, kind: str, status: Optional[Object]) -> Object:
    return {
        "name": text(raw, "name"),
        "kind": kind,
        "image": text(raw, "image"),
        "pull_policy": text(raw, "imagePullPolicy"),
        "ports": [_container_port(entry) for entry in mappings(raw, "ports")],
        "readiness": bool(mapping(raw, "readinessProbe")),
        "liveness": bool(mapping(raw, "livenessProbe")),
        "startup": bool(mapping(raw, "startupProbe")),
        "status": None if status is None else _container_status(status),
    }


def _container_port(raw: Object) -> Object:
    found = {
        "name": text(raw, "name") or None,
        "protocol": text(raw, "protocol") or "TCP",
        "port": port(raw, "containerPort"),
    }
    host_port = port(raw, "hostPort")
    return {**found, "host_port": host_port} if host_port else found


def _container_status(raw: Object) -> Object:
    states, before = mapping(raw, "state"), mapping(mapping(raw, "lastState"), "terminated")
    state = next((name for name in ("running", "waiting", "terminated") if states.get(name) is not None), None)
    detail = mapping(states, state) if state else {}
    return {
        "image": text(raw, "image"),
        "image_id": text(raw, "imageID"),
        "ready": flag(raw, "ready") is True,
        "restarts": number(raw, "restartCount") or 0,
        "state": state,
        "reason": told(detail, "reason"),
        "message": told(detail, "message"),
        # While it waits to be started again, that of the run before.
        "exit_code": number(before if state == "waiting" else detail, "exitCode"),
    }


def _shared_images(images: List[Object]) -> List[List[str]]:
    """Return the names of each image that has names in several repositories.

    Names are with their tags; a repository in which the image is known by its digest alone is there without.
    """
    found = []
    for image in images:
        tagged = {name for name in texts(image, "names") if "@" not in name and not name.startswith("<none>")}
        digested = {name.partition("@")[0] for name in texts(image, "names") if "@" in name} - {"<none>"}
        repositories = {_repository(name) for name in tagged}
        if len(repositories | digested) > 1:
            found.append(sorted(sys.intern(name) for name in tagged | (digested - repositories)))
    return found


def _repository(name: str) -> str:
    """Return ``registry:5000/team/app`` for ``registry:5000/team/app:1.2``."""
    path, slash, last = name.rpartition("/")
    return path + slash + last.partition(":")[0]


def _roles(own: Dict[str, str]) -> List[str]:
    roles = {label[len(ROLE_LABEL_PREFIX) :] for label in own if label.startswith(ROLE_LABEL_PREFIX)}
    roles.add(own.get(ROLE_LABEL, ""))
    return sorted(roles - {""})


def _addresses(addresses: List[Object], kind: str) -> List[str]:
    found = [text(entry, "address") for entry in addresses if text(entry, "type") == kind]
    return [address for address in found if address]


def _listed(value: Optional[str]) -> List[str]:
    return [value] if value else []
