# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose address is this: a node's, a pod's, a Service's, none of them, or not known."""

from __future__ import annotations

import bisect
import functools
import ipaddress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import cluster_gaps, why_not_ready

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

HERE = "this host"
NODE = "node"
POD = "pod"
SERVICE = "Service"
NO_NODE = "no node"  # asked for a protocol that nodes speak: no Node names it, and pods cannot be meant
UNNAMED = "unnamed"  # by any Node, Service, EndpointSlice or pod; where pods were not read, one behind no Service is unnamed too
UNKNOWN = "unknown"

_KINDS = ("nodes", "services", "endpoint_slices")


class Peer(NamedTuple):
    """``kind`` is one of the words above, ``name`` who it is in words, ``host`` the host of the bundle, where it is one.

    ``why`` says what was missing, for one that is not known.
    """

    kind: str
    name: str = ""
    host: str | None = None
    why: str = ""


@dataclass
class _Span:
    """The addresses ``low`` to ``high`` (as numbers) that one Node gives to its pods."""

    low: int
    high: int
    node: str


@dataclass
class Directory:
    """The addresses of one cluster, by what its API told."""

    cluster: dict[str, Any]
    _nodes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _pods: dict[str, str] = field(default_factory=dict)
    _services: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _served: set[tuple[str, str | None]] = field(default_factory=set)  # Services that have endpoints
    _spans: dict[int, list[_Span]] = field(default_factory=dict)  # by IP version, ascending, and where each begins
    _begins: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.cluster["nodes"] or ():
            for address in dict.fromkeys(map(plain, (*node["internal_ips"], *node["external_ips"]))):
                self._nodes.setdefault(address, []).append(node)
            self._add_spans(node)
        for version, spans in self._spans.items():
            spans.sort(key=lambda span: span.low)
            self._begins[version] = [span.low for span in spans]
        for piece in self.cluster["endpoint_slices"] or ():
            self._add_endpoints(piece)
            if piece["endpoints"]:
                self._served.add((piece["namespace"], piece["service"]))
        for pod in self.cluster["pods"] or ():
            self._add_pod(pod)
        for service in self.cluster["services"] or ():
            balancers = [entry["ip"] for entry in service["load_balancer_ips"]]
            for address in dict.fromkeys(map(plain, (*service["cluster_ips"], *service["external_ips"], *balancers))):
                self._services.setdefault(address, []).append(service)

    def _add_spans(self, node: dict[str, Any]) -> None:
        for text in node["pod_cidrs"] or ():
            try:
                network = ipaddress.ip_network(text, strict=False)
            except ValueError:  # one odd Node must not hide the others
                continue
            low, high = int(network.network_address), int(network.broadcast_address)
            self._spans.setdefault(network.version, []).append(_Span(low, high, node["name"]))

    def _add_endpoints(self, piece: dict[str, Any]) -> None:
        for endpoint in piece["endpoints"]:
            target = endpoint["target"]
            if target and target["kind"] == "Pod":
                name = f"pod {target['namespace']}/{target['name']}"
            else:
                name = f"endpoint of Service {piece['namespace']}/{piece['service']}"
            where = f" on node {endpoint['node_name']}" if endpoint["node_name"] else ""
            for address in endpoint["addresses"]:
                self._pods.setdefault(plain(address), name + where)

    def _add_pod(self, pod: dict[str, Any]) -> None:
        """A pod that runs with an address of its own; another one may have that of a pod that has ended."""
        if not pod["host_network"] and not why_not_ready.has_ended(pod):
            where = f" on node {pod['node']}" if pod["node"] else ""
            for address in pod["ips"]:
                self._pods.setdefault(plain(address), f"pod {pod['namespace']}/{pod['name']}{where}")

    def unseen(self) -> str:
        """Which lists of the cluster could not be read, and why; empty when all were."""
        gaps = [kind for kind in _KINDS if self.cluster[kind] is None]
        if not gaps:
            return ""
        names = " and ".join(cluster_gaps.NAMES[kind] for kind in gaps)
        return f"the cluster's {names} are not known ({cluster_gaps.gap(self.cluster, *gaps)})"

    def find(self, address: str, port: int | None) -> Peer | None:
        """Who has an address, as far as the lists that were read tell; None when they do not name it."""
        address = plain(address)
        if address in self._nodes:
            return Peer(NODE, _node(self._nodes[address]))
        if address in self._services:
            return Peer(SERVICE, self._service(self._services[address], port))
        if address in self._pods:
            return Peer(POD, self._pods[address])
        owner = self._span(address)
        return None if owner is None else Peer(POD, f"an address of node {owner}'s pods that no EndpointSlice names")

    def _service(self, services: list[dict[str, Any]], port: int | None) -> str:
        """The Service with this address and port; the first with the address where none has the port."""
        for service in services:
            if port is None or any(entry["port"] == port for entry in service["ports"]):
                return self._served_service(service)
        return f"{self._served_service(services[0])}, which has no port {port}"

    def _served_service(self, service: dict[str, Any]) -> str:
        known = self.cluster["endpoint_slices"] is not None
        bare = known and (service["namespace"], service["name"]) not in self._served
        return f"Service {service['namespace']}/{service['name']}{' without endpoints' if bare else ''}"

    def _span(self, address: str) -> str | None:
        parsed = parse(address)
        if parsed is None or parsed.version not in self._spans:
            return None
        spans = self._spans[parsed.version]
        index = bisect.bisect_right(self._begins[parsed.version], int(parsed)) - 1
        return spans[index].node if index >= 0 and int(parsed) <= spans[index].high else None


def parse(address: str) -> Address | None:
    """The address as a number; None for anything else."""
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


@functools.lru_cache(maxsize=100_000)  # the same addresses come from every node
def plain(address: str) -> str:
    """The one notation of an address by which it is compared: the shortest, an IPv4 address that is mapped into IPv6 as IPv4.

    What is no address stays as it is.
    """
    parsed = parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or parsed)
    return address if parsed is None else str(parsed)


def is_loopback(address: str) -> bool:
    """True for 127.0.0.0/8 and ::1."""
    parsed = parse(plain(address))
    return parsed is not None and parsed.is_loopback


def _node(nodes: list[dict[str, Any]]) -> str:
    if len(nodes) > 1:  # virtual machines behind one NAT
        return f"one of {len(nodes)} nodes that have this same address"
    return f"node {nodes[0]['name']}" + ("" if nodes[0]["ready"] in ("True", None) else " (not Ready)")
