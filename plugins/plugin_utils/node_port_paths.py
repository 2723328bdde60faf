# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The NodePorts that lead to endpoints by what the cluster says: put together once, because each node's rules are compared with all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import proxy_entry
from ansible_collections.kubenode.doctor.plugins.plugin_utils.service_path import ServicePort, Target

SlicesOf = Callable[[str, str], list[dict[str, Any]]]


class NodePortPath(NamedTuple):
    """A NodePort in one family, "ipv4" or "ipv6"; there is none without an endpoint in use.

    ``key`` is (protocol, port, family) as a node's entries have them. ``targets`` are the endpoints in use, ``by_node`` the same by
    the name of their Node. ``places`` are all endpoints that any slice has for this port, in use or not: which are used may change
    within seconds.
    """

    path: ServicePort
    family: str
    key: tuple[str, int, str]
    targets: tuple[Target, ...]
    by_node: dict[str | None, list[Target]]
    places: frozenset[str]


def node_port_paths(ports: Iterable[ServicePort], slices_of: SlicesOf) -> list[NodePortPath]:
    """Those of these Service ports; ``slices_of(namespace, name)`` are the EndpointSlices of a Service."""
    return [found for path in ports if path.port["node_port"] for found in _of(path, slices_of)]


def _of(path: ServicePort, slices_of: SlicesOf) -> Iterator[NodePortPath]:
    slices = slices_of(path.service["namespace"], path.service["name"])
    for family in sorted({target.family for target in path.targets}):
        targets = tuple(target for target in path.targets if target.family == family)
        by_node: dict[str | None, list[Target]] = {}
        for target in targets:
            by_node.setdefault(target.endpoint["node_name"], []).append(target)
        key = path.port["protocol"].lower(), path.port["node_port"], family.lower()
        yield NodePortPath(path, key[2], key, targets, by_node, frozenset(_places(path, slices, family)))


def _places(path: ServicePort, slices: Iterable[dict[str, Any]], family: str) -> Iterator[str]:
    wanted = (path.port["name"] or "", path.port["protocol"])
    for piece in slices:
        if piece["address_type"] != family:
            continue
        numbers = [
            port["port"] for port in piece["ports"] if (port["name"], port["protocol"]) == wanted and port["port"]
        ]
        pairs = ((address, number) for one in piece["endpoints"] for address in one["addresses"] for number in numbers)
        yield from filter(None, (proxy_entry.at(*pair) for pair in pairs))
