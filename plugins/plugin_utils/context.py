# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules may know beyond the one node they judge: the cluster, the settings, and what other nodes told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import node_ports, port_ranges
from ansible_collections.kubenode.doctor.plugins.plugin_utils import cluster_gaps, host_ports
from ansible_collections.kubenode.doctor.plugins.plugin_utils.fleet import Fleet
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_port_paths import NodePortPath, node_port_paths
from ansible_collections.kubenode.doctor.plugins.plugin_utils.peers import Directory
from ansible_collections.kubenode.doctor.plugins.plugin_utils.pods_seen import PodsSeen
from ansible_collections.kubenode.doctor.plugins.plugin_utils.proxy_seen import ProxySeen
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import missing
from ansible_collections.kubenode.doctor.plugins.plugin_utils.service_path import ServicePaths
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.workloads import Workloads

# kube-apiserver's --service-node-port-range default (pkg/kubeapiserver/options: base 30000, size 2768).
DEFAULT_RANGE = (30000, 32767)


class NodePortRange(NamedTuple):
    """The inclusive range NodePorts are given from, and how that is known; ``assumed`` when nothing told it."""

    low: int
    high: int
    source: str
    assumed: bool

    def __str__(self) -> str:
        return f"{self.low}-{self.high}"

    @property
    def open_ended(self) -> bool:
        """True where Services have refuted the default, so that nobody knows where the range begins and ends."""
        return self.assumed and self[:2] != DEFAULT_RANGE


@dataclass
class Context:
    """Built once a judgement, by one pass over the bundle's nodes (``learn``).

    ``node_ports`` are all that kube-proxy takes on every node, None when the Services are not known; ``opened_ports`` and
    ``health_check_ports`` are its two kinds. ``numbers_in_use`` are all NodePorts that the API server has given away.
    ``outside_services`` are those that have addresses besides their cluster IPs. ``listened`` are the ports that any node
    listens on and ``drawn`` those that any node's kernel may draw: no number for a Service, which every node takes.
    ``targets`` are the numbers that cures propose, by Service port: the same on every host, and no number twice;
    ``asked_targets`` are those that were asked for since whoever judges a host has emptied it, in that order.
    ``directory`` knows the cluster's addresses, ``fleet`` the hosts' ends of connections, ``pods`` what nodes showed of pods,
    ``proxies`` which NodePorts are programmed.
    """

    settings: Settings
    cluster: dict[str, Any]
    api_ranges: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    node_ports: list[dict[str, Any]] | None = None
    # Drawn from the Services once, because a fleet asks for them again for every node and rule.
    opened_ports: list[dict[str, Any]] = field(default_factory=list)
    health_check_ports: list[dict[str, Any]] = field(default_factory=list)
    numbers_in_use: port_ranges.Intervals = ()
    outside_services: list[dict[str, Any]] = field(default_factory=list)
    listened: set[int] = field(default_factory=set)
    drawn: port_ranges.Intervals = ()
    targets: dict[tuple[str, str, int], int] = field(default_factory=dict)
    asked_targets: dict[tuple[str, str, int], int | None] = field(default_factory=dict)
    fleet: Fleet = field(default_factory=Fleet)
    pods: PodsSeen = field(default_factory=PodsSeen)
    proxies: ProxySeen = field(default_factory=ProxySeen)
    directory: Directory = field(init=False)
    _api_range: tuple[int, int, str] | None = None  # the least of api_ranges: each rule asks for it on each node
    _node_objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    _slices: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    _pod_objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    _nodes_by_name: dict[str, dict[str, Any]] = field(default_factory=dict)
    _nodes_by_address: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.directory = Directory(self.cluster)
        services = self.cluster["services"]
        if services is not None:
            self.node_ports = node_ports.node_ports(services, self.cluster["endpoint_slices"])
            self._sort_ports(services)
        for piece in self.cluster["endpoint_slices"] or ():
            self._slices.setdefault((piece["namespace"], piece["service"]), []).append(piece)
        for pod in self.cluster["pods"] or ():
            self._pod_objects[pod["namespace"], pod["name"]] = pod
        for node in self.cluster["nodes"] or ():
            for name in (node["name"], node["hostname"]):
                self._nodes_by_name.setdefault(name, node)
            for address in node["internal_ips"]:
                self._nodes_by_address.setdefault(address, node)

    def _sort_ports(self, services: Sequence[dict[str, Any]]) -> None:
        for port in self.node_ports or ():
            (self.health_check_ports if port.get("health_check_node_port") else self.opened_ports).append(port)
        # Services that kube-proxy leaves to others have their NodePorts from the same pool.
        numbers = {port["node_port"] for service in services for port in service["ports"]}
        numbers |= {service["health_check_node_port"] for service in services}
        self.numbers_in_use = port_ranges.of_numbers(numbers - {None})
        self.outside_services = [entry for entry in services if entry["external_ips"] or entry["load_balancer_ips"]]

    def slices_of(self, namespace: str, service: str) -> list[dict[str, Any]]:
        """The EndpointSlices of a Service; empty too when they could not be read."""
        return self._slices.get((namespace, service), [])

    def pod(self, namespace: str, name: str, uid: str | None = None) -> dict[str, Any] | None:
        """The API's object of a pod; None when it was not read, or another pod has the name by now."""
        found = self._pod_objects.get((namespace, name))
        return None if found is None or (uid and found["uid"] != uid) else found

    @cached_property
    def paths(self) -> ServicePaths:
        """Every Service port with what answers behind it. Only to be asked for when all hosts were learned."""
        return ServicePaths(self)

    @cached_property
    def node_port_paths(self) -> list[NodePortPath]:
        """Those of ``paths`` that have a NodePort and endpoints; asked for again for every node."""
        return node_port_paths(self.paths.ports, self.slices_of)

    @cached_property
    def host_ports(self) -> set[int]:
        """The ports of nodes that lead into pods, whether or not a socket has them."""
        return host_ports.of(self.cluster["pods"] or ())

    @cached_property
    def workloads(self) -> Workloads:
        """Who makes the pods. Only to be asked for when all hosts were learned."""
        return Workloads(self)

    def let_go(self) -> None:
        """Forget what refers back to this: all that was learned is then freed with it, and not when Python's collector comes by (no_collector)."""
        for name in ("paths", "workloads"):
            vars(self).pop(name, None)

    def learn_silence(self, host: str, why: str) -> None:
        """Remember that a host did not answer: what only it could show is unknown."""
        match = self.find_node(host, {})
        self.pods.learn_silence(match["name"] if match else None, f"{host} did not answer: {why}")

    def learn(self, host: str, sections: dict[str, Any]) -> None:
        """Keep the little of a node's snapshot that other nodes' judgement needs.

        Raises KeyError, TypeError, ValueError or AttributeError for a snapshot of another form.
        """
        match = self.find_node(host, sections.get("host") or {})
        if match is not None:
            self._node_objects[host] = match
        self.pods.learn(host, match["name"] if match else None, sections)
        api_server = sections.get("port_settings", {}).get("api_server") or {}
        if api_server.get("range"):
            low, high = api_server["range"]
            self.api_ranges[host] = (*port_ranges.parse_range(f"{low}-{high}"), f"{host}: {api_server['source']}")
            self._api_range = min(self._api_range or self.api_ranges[host], self.api_ranges[host])
        if match is not None or self.cluster["nodes"] is None:
            self._learn_ports(sections)
        self.fleet.learn(host, sections)
        self.proxies.learn(host, sections)

    def _learn_ports(self, sections: dict[str, Any]) -> None:
        listeners = (sections.get("listen_ports") or {}).get("listeners") or ()
        self.listened.update(socket["port"] for socket in listeners)  # 65535 at most, however many nodes
        if "kernel" in sections.get("port_settings", {}):
            self.drawn = port_ranges.union(self.drawn, drawable(sections))

    def node_object(self, host: str) -> dict[str, Any] | None:
        """The cluster's Node for a host, by name, host name or InternalIP; None when there is none or none could be read."""
        return self._node_objects.get(host)

    def find_node(self, host: str, identity: dict[str, Any]) -> dict[str, Any] | None:
        """The same for a host that was not learned, by what it told of itself (the section ``host``)."""
        # Names first: virtual machines behind NAT may all have one and the same InternalIP. Addresses of lo tell nobody
        # from another.
        found = [self._nodes_by_name.get(name) for name in (host, identity.get("hostname")) if name]
        for entry in identity.get("addresses") or ():
            if entry["interface"] != "lo":
                found.append(self._nodes_by_address.get(entry["address"]))
        return next((node for node in found if node is not None), None)

    @property
    def nodeport_range(self) -> NodePortRange:
        """The range in force: the setting, else what an API server runs with, else Kubernetes' default."""
        if self.settings.nodeport_range:
            low, high = self.settings.nodeport_range
            return NodePortRange(low, high, "the variable nodeport_range", False)
        if self._api_range:
            low, high, source = self._api_range
            return NodePortRange(low, high, source, False)
        why = "assumed, Kubernetes' default: no API server was seen among the hosts; tell it with nodeport_range"
        span = port_ranges.union([DEFAULT_RANGE], self.numbers_in_use)
        if span != (DEFAULT_RANGE,):
            why = (
                "at least, by the NodePorts in use: no API server was seen among the hosts; tell it with nodeport_range"
            )
        return NodePortRange(span[0][0], span[-1][1], why, True)

    def why_no_services(self) -> str:
        """Why the cluster's Services are unknown; empty when they are known."""
        return cluster_gaps.gap(self.cluster, "services")


def unseen_ports(sections: dict[str, Any]) -> str:
    """Why a node's ephemeral range or its reserved ports are not known; empty when both are."""
    kernel = sections["port_settings"]["kernel"]
    for name in ("ip_local_port_range", "ip_local_reserved_ports"):
        if kernel["sysctl"][name] is None:
            return missing(kernel, f"net.ipv4.{name}") or f"net.ipv4.{name} was not seen"
    return ""


def local_range(sections: dict[str, Any]) -> tuple[int, int] | None:
    """A node's ephemeral range, None when it could not be read (see unseen_ports)."""
    text = sections["port_settings"]["kernel"]["sysctl"]["ip_local_port_range"]
    return port_ranges.parse_local_range(text) if text else None


def reserved(sections: dict[str, Any]) -> port_ranges.Intervals:
    """A node's reserved ports as intervals; none, too, when they could not be read (see unseen_ports)."""
    text = sections["port_settings"]["kernel"]["sysctl"]["ip_local_reserved_ports"]
    return port_ranges.parse_reserved(text or "")


def drawable(sections: dict[str, Any]) -> port_ranges.Intervals:
    """What a node's kernel may draw: its ephemeral range without its reserved ports; none, too, when it could not be read."""
    local = local_range(sections)
    return port_ranges.subtract([local], reserved(sections)) if local else ()
