# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ports kube-proxy takes on every node, and whether anything answers behind them: the `node_ports` entries.

Pure. The decisions are kube-proxy's own (kubernetes/kubernetes, pkg/proxy): endpointslicecache.go (which slice port
belongs to which Service port, what an absent condition means), topology.go CategorizeEndpoints (ready ones, else those
that still serve while they terminate: KEP-1669), util/utils.go ShouldSkipService and cmd/kube-proxy/app/server.go
(which Services it leaves alone).
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_shape import Object

# FQDN, the third address type, is nothing kube-proxy could send packets to.
FAMILIES = ("IPv4", "IPv6")


def node_ports(services: List[Object], endpoint_slices: Optional[List[Object]]) -> List[Object]:
    """Return one entry for each Service port with a nodePort, and one for each healthCheckNodePort.

    Takes trimmed Services and EndpointSlices (see cluster_trim); None for slices that could not be read, which makes
    has_endpoints and endpoint_families None. Sorted by namespace and Service; the ports keep the Service's order.
    """
    slices = None if endpoint_slices is None else _by_service(endpoint_slices)
    entries: List[Object] = []
    for service in sorted(services, key=_key):
        if left_alone(service):
            continue
        own = None if slices is None else slices.get(_key(service), [])
        entries += [_port_entry(service, port, own) for port in service["ports"] if port["node_port"]]
        if service["health_check_node_port"]:
            entries.append(_health_check_entry(service))
    return entries


def left_alone(service: Object) -> bool:
    """Return True for a trimmed Service that kube-proxy ignores: another proxy's, a headless one, an alias."""
    labelled = service["proxy_name"] is not None or service["headless_label"]
    has_address = service["cluster_ips"] not in ([], ["None"])
    return labelled or not has_address or service["type"] == "ExternalName"


def _port_entry(service: Object, port: Object, slices: Optional[List[Object]]) -> Object:
    families = None if slices is None else _endpoint_families(slices, port["name"] or "", port["protocol"])
    return {
        **_common(service),
        "port_name": port["name"],
        "protocol": port["protocol"],
        "node_port": port["node_port"],
        "has_endpoints": None if families is None else bool(families),
        "endpoint_families": families,
    }


def _health_check_entry(service: Object) -> Object:
    # kube-proxy itself answers on this port, for this node: endpoints elsewhere say nothing about it.
    return {
        **_common(service),
        "port_name": None,
        "protocol": "TCP",
        "health_check_node_port": service["health_check_node_port"],
        "has_endpoints": None,
        "endpoint_families": None,
    }


def _common(service: Object) -> Object:
    return {
        "namespace": service["namespace"],
        "service": service["name"],
        "external_traffic_policy": service["external_traffic_policy"] or "Cluster",
        "ip_families": ip_families(service),
    }


def ip_families(service: Object) -> List[str]:
    """Return spec.ipFamilies; API servers before 1.20 did not have it, but the cluster IP shows the family."""
    return service["ip_families"] or ["IPv6" if ":" in address else "IPv4" for address in service["cluster_ips"]]


def _endpoint_families(slices: List[Object], port_name: str, protocol: str) -> List[str]:
    return [family for family in FAMILIES if used_endpoints(slices, family, port_name, protocol)]


def used_endpoints(slices: List[Object], family: str, port_name: str, protocol: str) -> List[Tuple[Object, int]]:
    """Return the endpoints, each with its port number, that kube-proxy sends this Service port's packets to.

    The ready ones; where there are none, those that still serve while they terminate. ``slices`` are the Service's trimmed
    EndpointSlices, ``family`` one of FAMILIES, ``port_name`` is "" for a port without a name.
    """
    chosen: Dict[Tuple[str, int], Object] = {}
    for piece in slices:
        if piece["address_type"] != family:
            continue
        for port in piece["ports"]:
            if port["name"] == port_name and port["protocol"] == protocol and port["port"]:
                _choose(chosen, piece["endpoints"], port["port"])
    for fits in (_ready, _still_serving):
        found = [(endpoint, port) for (_address, port), endpoint in chosen.items() if fits(endpoint)]
        if found:
            return found
    return []


def _choose(chosen: Dict[Tuple[str, int], Object], endpoints: List[Object], port: int) -> None:
    """Keep one endpoint per address and port: a new pod may have the address of one that is still going away."""
    for endpoint in endpoints:
        if not endpoint["addresses"]:
            continue
        key = (endpoint["addresses"][0], port)  # kube-proxy looks at the first address only
        if key not in chosen or not _terminating(endpoint):
            chosen[key] = endpoint


def _ready(endpoint: Object) -> bool:
    return endpoint["ready"] is not False  # absent means ready


def _terminating(endpoint: Object) -> bool:
    return endpoint["terminating"] is True


def _still_serving(endpoint: Object) -> bool:
    return endpoint["serving"] is not False and _terminating(endpoint)


def _by_service(slices: List[Object]) -> Dict[Tuple[str, str], List[Object]]:
    found: Dict[Tuple[str, str], List[Object]] = {}
    for piece in slices:
        found.setdefault((piece["namespace"] or "", piece["service"] or ""), []).append(piece)
    return found


def _key(service: Dict[str, Any]) -> Tuple[str, str]:
    return service["namespace"] or "", service["name"] or ""
