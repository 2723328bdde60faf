# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which local addresses a NodePort captures, by the mode of the service proxy. Pure.

Sources, Kubernetes 1.36: pkg/proxy/iptables/proxier.go (syncProxyRules, "Capture nodeports"), pkg/proxy/ipvs/proxier.go,
pkg/proxy/nftables/proxier.go, pkg/proxy/util/nodeport_addresses.go, cmd/kube-proxy/app/server_linux.go
(platformApplyDefaults). Cilium: bpf/bpf_sock.c translates connects of the host, loopback included.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional, Union

KNOWN_MODES = frozenset({"iptables", "ipvs", "nftables", "cilium"})
IP = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
_DUMMY_LINK = "kube-ipvs0"  # carries the cluster IPs in ipvs mode; NodePorts leave it out


class Proxy(NamedTuple):
    """What decides the capture on one node.

    ``nodeport_addresses`` is None when it was not seen (then taken as not restricted), ``node_ips`` are the Node
    object's InternalIPs, of which the first of each family is "primary".
    """

    mode: str
    nodeport_addresses: Optional[Sequence[str]] = None
    localhost_nodeports: Optional[bool] = None
    node_ips: Sequence[str] = ()


def locals_of(addresses: Iterable[dict[str, str]], mode: str) -> list[IP]:
    """The addresses, ``[{interface, address}]``, that a NodePort can lie on in this mode."""
    kept = [entry["address"] for entry in addresses if mode != "ipvs" or entry["interface"] != _DUMMY_LINK]
    return [ipaddress.ip_address(address.split("%")[0]) for address in kept]


def captures(proxy: Proxy, address: IP) -> Optional[bool]:
    """Does a NodePort's redirection to endpoints take packets for this local address?

    None when it depends on something not seen (the Node's own IP in nftables mode). Raises ValueError for a mode
    that is not in KNOWN_MODES.
    """
    if proxy.mode not in KNOWN_MODES:
        raise ValueError(f"no capture rules known for the proxy mode {proxy.mode!r}")
    if address.is_loopback:
        return _captures_loopback(proxy, address)
    return _in_nodeport_addresses(proxy, address)


def rejects(proxy: Proxy, address: IP) -> Optional[bool]:
    """Does a NodePort without endpoints refuse packets for this local address?

    In iptables mode the REJECT rule (chain KUBE-EXTERNAL-SERVICES) matches every local address, loopback included,
    whatever is set; the other modes refuse where they would capture.
    """
    if proxy.mode == "iptables":
        return True
    return captures(proxy, address)


def _captures_loopback(proxy: Proxy, address: IP) -> Optional[bool]:
    if proxy.mode == "cilium":
        return True
    if proxy.mode != "iptables" or address.version == 6 or proxy.localhost_nodeports is False:
        return False
    return _in_nodeport_addresses(proxy, address)


def _in_nodeport_addresses(proxy: Proxy, address: IP) -> Optional[bool]:
    wanted = _addresses_of_family(proxy, address.version)
    if wanted is None:
        return True
    if "primary" in wanted:
        return _is_primary(proxy, address)
    return any(address in ipaddress.ip_network(cidr, strict=False) for cidr in wanted)


def _is_primary(proxy: Proxy, address: IP) -> Optional[bool]:
    # "primary" stands alone (apis/config/validation) and becomes one CIDR for each family in which the Node has an IP
    # (server.go, newProxyServer); a family without one then falls back to every address, as with any list.
    if not proxy.node_ips:
        return False if address.is_loopback else None
    primary = _primary(proxy.node_ips, address.version)
    return primary is None or address == primary


def _addresses_of_family(proxy: Proxy, version: int) -> Optional[list[str]]:
    """The part of --nodeport-addresses that speaks of one family; None for every address.

    A list that names only the other family restricts only that one (NewNodePortAddresses).
    """
    listed = [
        value
        for value in proxy.nodeport_addresses or ()
        if value == "primary" or ipaddress.ip_network(value, strict=False).version == version
    ]
    if listed:
        return listed
    return ["primary"] if proxy.mode == "nftables" and not proxy.nodeport_addresses else None


def _primary(node_ips: Sequence[str], version: int) -> Optional[IP]:
    for text in node_ips:
        address = ipaddress.ip_address(text)
        if address.version == version:
            return address
    return None


def proxy_from(facts: dict[str, Any], node_ips: Sequence[str] = (), default_mode: str = "iptables") -> Proxy:
    """Build a Proxy from the section's ``proxy``; ``default_mode`` where it tells none (kube-proxy's default on Linux)."""
    return Proxy(
        facts.get("mode") or default_mode,
        facts.get("nodeport_addresses"),
        facts.get("localhost_nodeports"),
        tuple(node_ips),
    )
