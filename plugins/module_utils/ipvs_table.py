# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube-proxy's NodePorts in the kernel's table of virtual servers, /proc/net/ip_vs. Pure.

    IP Virtual Server version 1.2.1 (size=4096)
    Prot LocalAddress:Port Scheduler Flags
      -> RemoteAddress:Port Forward Weight ActiveConn InActConn
    TCP  C0000202:7F12 rr
      -> 0AF40013:244C      Masq    1      0          0
    TCP  [2001:0db8:0000:0000:0000:0000:0000:0002]:7F12 rr
      -> [fd00:0000:0000:0000:0000:0000:0000:0013]:244C      Masq    1      0          0

Sources: torvalds/linux net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_info_seq_show; kubernetes/kubernetes pkg/proxy/ipvs/proxier.go: a NodePort has a
virtual server on every local address but those of kube-ipvs0, and an endpoint that goes away has weight 0 until its connections end.
A virtual server without destinations refuses.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import proxy_entry
from ansible_collections.kubenode.doctor.plugins.module_utils.proxy_entry import Way, entry

_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})
_PLACE = r"(?:([0-9A-Fa-f]{8})|\[([0-9A-Fa-f:]{2,39})\]):([0-9A-Fa-f]{4})"
_SERVER = re.compile(rf"([A-Z]{{3,4}}) +{_PLACE} ")
_DESTINATION = re.compile(rf" +-> {_PLACE} +[A-Za-z]+ +([0-9]+) ")


class Server(NamedTuple):
    """A virtual server and its destinations, as places."""

    protocol: str
    address: str
    port: int
    destinations: set[str]


def servers(lines: Iterable[str]) -> Iterator[Server]:
    """The virtual servers of the table, in its order; those that go by firewall marks are none of kube-proxy's."""
    current: Optional[Server] = None
    for line in lines:
        found = _DESTINATION.match(line)
        if found:
            place = proxy_entry.at(_address(found[1], found[2]), int(found[3], 16))
            if current is not None and place and int(found[4]):
                current.destinations.add(place)
            continue
        if current is not None:
            yield current
        current = _server(line)
    if current is not None:
        yield current


def node_ports(found: Iterable[Server], addresses: Collection[str]) -> Iterator[dict[str, Any]]:
    """The entries (see proxy_entry) of virtual servers on the node's own ``addresses``."""
    merged: dict[tuple[str, int, str], list[Server]] = {}
    for server in found:
        if server.address in addresses:
            family = "ipv6" if ":" in server.address else "ipv4"
            merged.setdefault((server.protocol, server.port, family), []).append(server)
    for (protocol, port, family), group in sorted(merged.items()):
        endpoints = set().union(*(server.destinations for server in group))
        action = "endpoints" if endpoints else "reject"
        on = [server.address for server in group if bool(server.destinations) == bool(endpoints)]
        yield entry(protocol, port, family, on, action, None, Way(endpoints, 0, None))


def _server(line: str) -> Optional[Server]:
    found = _SERVER.match(line)
    if found is None or found[1].lower() not in _PROTOCOLS:
        return None
    try:
        address = str(ipaddress.ip_address(_address(found[2], found[3])))
    except ValueError:
        return None
    return Server(found[1].lower(), address, int(found[4], 16), set())


def _address(ipv4: Optional[str], ipv6: str) -> str:
    """``192.0.2.2`` of C0000202; an IPv6 address as it stands."""
    return str(ipaddress.IPv4Address(int(ipv4, 16))) if ipv4 else ipv6
