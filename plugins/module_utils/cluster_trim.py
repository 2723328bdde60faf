# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trim API objects to what the rules need, so that a big cluster stays small and no secret comes along.

Pure functions: one object as the API server sent it (a decoded JSON mapping) in, one plain dict out. Nothing is copied
that is not named here: no annotation, no managedFields, no label but the few that decide something. A field the server
left out is None (or the API's own default where one exists); a field of the wrong type raises ShapeError, because then
it was no API server that answered.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Type, TypeVar

Object = Dict[str, Any]
T = TypeVar("T")

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


class ShapeError(Exception):
    """A field does not have the type the Kubernetes API gives it."""


def service(raw: Object) -> Object:
    """Return one trimmed Service. Raises ShapeError."""
    meta, spec, labels = _mapping(raw, "metadata"), _mapping(raw, "spec"), _labels(raw)
    ingress = _mappings(_mapping(_mapping(raw, "status"), "loadBalancer"), "ingress")
    return {
        "namespace": _text(meta, "namespace"),
        "name": _text(meta, "name"),
        "uid": _text(meta, "uid"),
        "type": _text(spec, "type") or "ClusterIP",
        "cluster_ips": _texts(spec, "clusterIPs") or _listed(_text(spec, "clusterIP")),  # clusterIPs: since 1.20
        "external_ips": _texts(spec, "externalIPs"),
        "load_balancer_ips": [
            {"ip": _text(entry, "ip"), "ip_mode": _text(entry, "ipMode")} for entry in ingress if _text(entry, "ip")
        ],
        "ip_families": _texts(spec, "ipFamilies"),
        "external_traffic_policy": _text(spec, "externalTrafficPolicy"),
        "internal_traffic_policy": _text(spec, "internalTrafficPolicy"),
        "health_check_node_port": _port(spec, "healthCheckNodePort"),
        "selector": _selector(spec),
        "publish_not_ready_addresses": _flag(spec, "publishNotReadyAddresses") is True,
        "proxy_name": labels.get(PROXY_NAME_LABEL),
        "headless_label": HEADLESS_LABEL in labels,
        "ports": [_service_port(port) for port in _mappings(spec, "ports")],
    }


def endpoint_slice(raw: Object) -> Object:
    """Return one trimmed EndpointSlice, of discovery.k8s.io/v1 or v1beta1. Raises ShapeError."""
    meta = _mapping(raw, "metadata")
    return {
        "namespace": _text(meta, "namespace"),
        "service": _labels(raw).get(SERVICE_NAME_LABEL),
        "name": _text(meta, "name"),
        "address_type": _text(raw, "addressType"),
        # null: a named targetPort that no container has; the addresses are there all the same
        "ports": [
            {
                "name": _text(port, "name") or "",
                "protocol": _text(port, "protocol") or "TCP",
                "port": _port(port, "port"),
            }
            for port in _mappings(raw, "ports")
        ],
        "endpoints": [_endpoint(endpoint) for endpoint in _mappings(raw, "endpoints")],
    }


def node(raw: Object) -> Object:
    """Return one trimmed Node. Raises ShapeError."""
    meta, spec, status = _mapping(raw, "metadata"), _mapping(raw, "spec"), _mapping(raw, "status")
    info, addresses = _mapping(status, "nodeInfo"), _mappings(status, "addresses")
    hostnames = _addresses(addresses, "Hostname")
    ready = [_text(entry, "status") for entry in _mappings(status, "conditions") if _text(entry, "type") == "Ready"]
    return {
        "name": _text(meta, "name"),
        "uid": _text(meta, "uid"),
        "internal_ips": _addresses(addresses, "InternalIP"),
        "external_ips": _addresses(addresses, "ExternalIP"),
        "hostname": hostnames[0] if hostnames else None,
        "labels_roles": _roles(_labels(raw)),
        "unschedulable": _flag(spec, "unschedulable") is True,
        "ready": ready[0] if ready else None,
        "pod_cidrs": _texts(spec, "podCIDRs") or _listed(_text(spec, "podCIDR")),
        "kubelet_version": _text(info, "kubeletVersion") or None,
        "kube_proxy_version": _text(info, "kubeProxyVersion") or None,  # deprecated: newer kubelets send ""
        "container_runtime_version": _text(info, "containerRuntimeVersion") or None,
        "os_image": _text(info, "osImage") or None,
        "kernel_version": _text(info, "kernelVersion") or None,
    }


def _service_port(raw: Object) -> Object:
    target = raw.get("targetPort")
    if target is not None and (isinstance(target, bool) or not isinstance(target, (int, str))):
        raise ShapeError(f"targetPort is {_kind_of(target)}, not a number or a name")
    return {
        "name": _text(raw, "name") or None,
        "protocol": _text(raw, "protocol") or "TCP",
        "port": _port(raw, "port"),
        "target_port": target,
        "node_port": _port(raw, "nodePort"),
    }


def _endpoint(raw: Object) -> Object:
    conditions, target = _mapping(raw, "conditions"), _mapping(raw, "targetRef")
    return {
        "addresses": _texts(raw, "addresses"),
        "ready": _flag(conditions, "ready"),
        "serving": _flag(conditions, "serving"),
        "terminating": _flag(conditions, "terminating"),
        # v1beta1 kept the node's name among the topology labels
        "node_name": _text(raw, "nodeName") or _text(_mapping(raw, "topology"), "kubernetes.io/hostname"),
        "target": {key: _text(target, key) for key in ("kind", "namespace", "name", "uid")} if target else None,
    }


def _roles(labels: Dict[str, str]) -> List[str]:
    roles = {label[len(ROLE_LABEL_PREFIX) :] for label in labels if label.startswith(ROLE_LABEL_PREFIX)}
    roles.add(labels.get(ROLE_LABEL, ""))
    return sorted(roles - {""})


def _addresses(addresses: List[Object], kind: str) -> List[str]:
    found = [_text(entry, "address") for entry in addresses if _text(entry, "type") == kind]
    return [address for address in found if address]


def _selector(spec: Object) -> Optional[Dict[str, str]]:
    selector = _get(spec, "selector", dict)
    return None if selector is None else {str(key): str(value) for key, value in selector.items()}


def _labels(raw: Object) -> Dict[str, str]:
    labels = _mapping(_mapping(raw, "metadata"), "labels")
    return {str(key): str(value) for key, value in labels.items()}


def _listed(value: Optional[str]) -> List[str]:
    return [value] if value else []


def _get(raw: Object, key: str, wanted: Type[T]) -> Optional[T]:
    value = raw.get(key)
    # bool is an int to isinstance, but "port": true is no port
    if value is None or (isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))):
        return value
    raise ShapeError(f"{key} is {_kind_of(value)}, not {_NAMES[wanted]}")


def _text(raw: Object, key: str) -> Optional[str]:
    return _get(raw, key, str)


def _flag(raw: Object, key: str) -> Optional[bool]:
    return _get(raw, key, bool)


def _port(raw: Object, key: str) -> Optional[int]:
    """Return a port number; the API writes "no port" both as nothing and as 0."""
    port = _get(raw, key, int)
    if port is not None and not 0 <= port <= 65535:
        raise ShapeError(f"{key} is {port}, outside 0 to 65535")
    return port or None


def _mapping(raw: Object, key: str) -> Object:
    return _get(raw, key, dict) or {}


def _mappings(raw: Object, key: str) -> List[Object]:
    return _all(raw, key, dict)


def _texts(raw: Object, key: str) -> List[str]:
    return _all(raw, key, str)


def _all(raw: Object, key: str, wanted: Type[T]) -> List[T]:
    values = _get(raw, key, list) or []
    for value in values:
        if not isinstance(value, wanted):
            raise ShapeError(f"{key} holds {_kind_of(value)}, not only {_PLURALS[wanted]}")
    return values


_NAMES: Dict[type, str] = {
    dict: "a mapping",
    list: "a list",
    str: "a string",
    int: "a whole number",
    bool: "true or false",
}
_PLURALS: Dict[type, str] = {dict: "mappings", str: "strings"}


def _kind_of(value: object) -> str:
    return _NAMES.get(type(value), "a number" if isinstance(value, float) else "null")
