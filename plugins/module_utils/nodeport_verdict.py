# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is harmed when a socket and a NodePort (or a healthCheckNodePort) share a number. Pure.

A NodePort is no listener (from kube-proxy 1.24 and the late patches of 1.21 to 1.23 on): packets are redirected or
refused before the kernel looks for a listener, so the listener loses and the Service does not notice. A
healthCheckNodePort is a real listener of kube-proxy, so there the Service loses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import nodeport_capture
from ansible_collections.kubenode.doctor.plugins.module_utils.bind_overlap import (
    Address,
    Certainty,
    Holder,
    blocks_listen,
    overlaps,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.known_ports import STREAMING
from ansible_collections.kubenode.doctor.plugins.module_utils.nodeport_capture import IP, Proxy
from ansible_collections.kubenode.doctor.plugins.module_utils.service_proxy import is_kube_proxy

_ANY = "0.0.0.0"  # noqa: S104 - compared with, never bound
_EPHEMERAL = 32768  # where clients' ports begin by the kernel's default
_WAITING = frozenset({"listen", "bound", "unconnected"})
_VERSIONS = {"IPv4": 4, "IPv6": 6}


class Node(NamedTuple):
    """What a verdict needs to know of the node.

    ``local_addresses`` is ``[{interface, address}]``; ``opens_node_ports`` is True where the service proxy was seen
    holding NodePorts itself (kube-proxy up to 1.23); ``program`` is the service proxy's, None where it was not seen.
    """

    proxy: Proxy
    local_addresses: Sequence[dict[str, str]]
    opens_node_ports: bool = False
    program: Optional[str] = None


def verdicts(
    port: dict[str, Any], socket: dict[str, Any], node: Node, others: Iterable[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Judge one NodePort entry (the module's ``node_ports``) against one socket with the same number and protocol.

    ``others`` are the node's other sockets with that number: they tell accepted connections from outgoing ones. Returns
    at least one ``{harmed, effect, certain, addresses, alive, meaning}``: ``harmed`` is listener, service, connection,
    nobody or unknown; ``addresses`` are the node's own where it happens, ``alive`` those where the listener still answers.
    """
    if is_kube_proxy(socket, node.program):
        return [_nobody("the socket is the service proxy's own")]
    if port.get("health_check_node_port"):
        return [_health_check(socket, node, others)]
    if socket["state"] == "bound":
        found = [_nobody("the socket is bound and does not listen: nobody can be cut off from it")]
    elif socket["state"] in _WAITING:
        found = [_listener(port, socket, node)]
    else:
        found = [_connection(socket, node, others)]
    if node.opens_node_ports:
        found += _opener(port, socket, node, others)
    return found


def number(port: dict[str, Any]) -> int:
    """The port number that an entry claims on every node."""
    return int(port.get("health_check_node_port") or port["node_port"])


def is_streaming(socket: dict[str, Any]) -> bool:
    """True for the listener that carries kubectl exec, attach and port-forward."""
    return (socket["known_as"] or {}).get("role") == STREAMING


def dialled(socket: dict[str, Any]) -> str:
    """Where kubelet dials a streaming server: its address; for an unspecified one the loopback of that family.

    The runtime hands out the listener's own address as the URL's host (cri/streaming server.go, Start), and Linux takes
    a connect to an unspecified address to loopback.
    """
    address = _unmapped(socket["address"])
    if not address.is_unspecified:
        return str(address)
    return "::1" if address.version == 6 else "127.0.0.1"


def breaks_exec(socket: dict[str, Any], addresses: Sequence[str]) -> bool:
    """True when the address at which kubelet dials a streaming server is among those that are cut off."""
    return dialled(socket) in addresses


def sharing(port: dict[str, Any], sockets: Sequence[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """The sockets, with their index, that have the entry's number and protocol: no other protocol ever conflicts."""
    wanted = (port["protocol"].lower(), number(port))
    return [(index, socket) for index, socket in enumerate(sockets) if (socket["protocol"], socket["port"]) == wanted]


def accepted(socket: dict[str, Any], others: Iterable[dict[str, Any]]) -> bool:
    """True when a listener on the same number explains a connection."""
    return any(
        other["state"] == "listen" and other["protocol"] == socket["protocol"] and _meets(other, socket)
        for other in others
    )


def _verdict(
    harmed: str, effect: str, meaning: str, certain: bool = True, hit: Iterable[IP] = (), alive: Iterable[IP] = ()
) -> dict[str, Any]:
    return {
        "harmed": harmed,
        "effect": effect,
        "certain": certain,
        "addresses": [str(address) for address in hit],
        "alive": [str(address) for address in alive],
        "meaning": meaning,
    }


def _nobody(meaning: str, certain: bool = True) -> dict[str, Any]:
    return _verdict("nobody", "none", meaning, certain)


def _listener(port: dict[str, Any], socket: dict[str, Any], node: Node) -> dict[str, Any]:
    if node.proxy.mode not in nodeport_capture.KNOWN_MODES:
        return _verdict(
            "unknown",
            "unknown",
            f"what a NodePort captures under {node.proxy.mode} is not known to this collection",
            False,
        )
    # Without a ready endpoint the listener's own pod is refused too, its readiness probe included.
    if _is_endpoint(port, socket) and port.get("has_endpoints") is not False:
        return _nobody(
            "the listener is itself an endpoint of this Service: traffic for it still reaches the Service's pods",
            port.get("has_endpoints") is True,
        )
    stake = _answers_on(socket, node)
    versions = {_VERSIONS[family] for family in port.get("ip_families") or _VERSIONS}
    rules = {address: _fate(port, address, node.proxy) for address in stake if address.version in versions}
    hit = [address for address, (fate, _effect) in rules.items() if fate is not False]
    if not hit:
        return _spared(node, list(rules))
    alive = [address for address in stake if address not in hit]
    effects = {effect for fate, effect in rules.values() if fate is not False}
    effect = effects.pop() if len(effects) == 1 else "shadowed or rejected"
    certain = all(rules[address][0] for address in hit) and not _unsure_of_ipv4(socket)
    if socket.get("hidden"):
        meaning = (
            "whose listener it is could not be seen (root needed); unless it is the service proxy's own, it is cut off"
        )
        return _verdict("unknown", effect, meaning, False, hit, alive)
    return _verdict("listener", effect, _meaning(effect, socket, port, hit, alive), certain, hit, alive)


def _is_endpoint(port: dict[str, Any], socket: dict[str, Any]) -> bool:
    """True where the listener answers for an endpoint that the Service has on this node with the very NodePort."""
    places = (Address(f"ipv{ipaddress.ip_address(text).version}", text) for text in port.get("own_endpoints", ()))
    return any(overlaps(_place(socket), place) for place in places)


def _fate(port: dict[str, Any], address: IP, proxy: Proxy) -> tuple[Optional[bool], str]:
    """Whether packets for this address are taken (None: not seen), and what becomes of them."""
    endpoints = _has_endpoints(port, address)
    if endpoints is None:
        either = (nodeport_capture.captures(proxy, address), nodeport_capture.rejects(proxy, address))
        return (either[0] if either[0] == either[1] else None), "shadowed or rejected"
    if endpoints:
        return nodeport_capture.captures(proxy, address), "shadowed"
    return nodeport_capture.rejects(proxy, address), "rejected"


def _has_endpoints(port: dict[str, Any], address: IP) -> Optional[bool]:
    families = port.get("endpoint_families")
    if families is None:
        return port.get("has_endpoints")
    return f"IPv{address.version}" in families


def _answers_on(socket: dict[str, Any], node: Node) -> list[IP]:
    """The node's addresses on which this listener answers, as far as its v6only was seen."""
    bound = _unmapped(socket["address"])
    if not bound.is_unspecified:
        return [bound]
    versions = {4} if bound.version == 4 else {6} if socket["v6only"] else {4, 6}
    local = nodeport_capture.locals_of(node.local_addresses, node.proxy.mode)
    return [address for address in local if address.version in versions]


def _unsure_of_ipv4(socket: dict[str, Any]) -> bool:
    bound = _unmapped(socket["address"])
    return bound.version == 6 and bound.is_unspecified and socket["v6only"] is None


def _spared(node: Node, stake: Sequence[IP]) -> dict[str, Any]:
    if not stake:
        return _nobody("the Service has none of the IP families that the listener answers on")
    if node.proxy.mode == "ipvs" and any(address.is_loopback and address.version == 4 for address in stake):
        # KUBE-NODE-PORT matches the number alone, so loopback packets are masqueraded (kubernetes/kubernetes#112559).
        meaning = (
            "packets for it are masqueraded by kube-proxy's KUBE-NODE-PORT chain on their way: connections may fail"
        )
        return _verdict("listener", "masqueraded", meaning, False, stake)
    return _nobody(f"the {node.proxy.mode} mode does not capture the listener's address")


def _meaning(effect: str, socket: dict[str, Any], port: dict[str, Any], hit: Sequence[IP], alive: Sequence[IP]) -> str:
    where = ", ".join(str(address) for address in hit)
    fate = {
        "shadowed": f"connections to {where} reach the Service's pods, never this listener",
        "rejected": f"connections to {where} are refused, although the listener is alive, because the Service has no endpoints",
    }.get(effect, f"connections to {where} reach the Service's pods or are refused, never this listener")
    parts = [fate]
    if alive:
        parts.append("it still answers on " + ", ".join(str(address) for address in alive))
    if port.get("external_traffic_policy") == "Local" and effect != "rejected":
        parts.append(
            "externalTrafficPolicy is Local: without an endpoint on this node, clients from outside time out while a test from the node succeeds"
        )
    if is_streaming(socket) and breaks_exec(socket, [str(address) for address in hit]):
        parts.append("kubectl exec, attach and port-forward on this node fail")
    return "; ".join(parts)


def _connection(socket: dict[str, Any], node: Node, others: Iterable[dict[str, Any]]) -> dict[str, Any]:
    if accepted(socket, others):
        return _nobody("the connection was accepted by the listener on this number, which is judged itself")
    if node.proxy.mode == "ipvs" and socket["state"] == "syn_sent":
        # IPVS schedules on SYN+ACK too (net/netfilter/ipvs/ip_vs_proto_tcp.c), so the answer goes to a pod.
        meaning = "its peer's answer is taken for a new connection to the NodePort by IPVS, so it cannot be established"
        return _verdict("connection", "hijacked", meaning, False)
    return _nobody("an outgoing connection drew this number; the answers to it never meet the NodePort's rules")


def _opener(
    port: dict[str, Any], socket: dict[str, Any], node: Node, others: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    others = list(others)
    opened = [_place(other) for other in others if is_kube_proxy(other, node.program) and other["state"] in _WAITING]
    wanted = [
        place
        for family, place in (("IPv4", Address("ipv4", _ANY)), ("IPv6", Address("ipv6", "::", True)))
        if family in (port.get("ip_families") or _VERSIONS) and not any(overlaps(place, taken) for taken in opened)
    ]
    answer = max((_blocks(socket, place, others) for place in wanted), default=Certainty.NO)
    if answer is Certainty.NO:
        return []
    meaning = (
        'kube-proxy, which opens NodePorts itself on this node, logs "can\'t open port, skipping it"; '
        "from 1.11 on it redirects the port all the same, so the Service works and the socket's owner loses"
    )
    return [_verdict("service", "cannot open", meaning, answer is Certainty.YES and not socket.get("hidden"))]


def _health_check(socket: dict[str, Any], node: Node, others: Iterable[dict[str, Any]]) -> dict[str, Any]:
    others = list(others)
    if any(is_kube_proxy(other, node.program) and other["state"] == "listen" for other in others):
        return _nobody("the service proxy has opened the port")
    answer = max((_blocks(socket, wanted, others) for wanted in _health_check_addresses(node)), default=Certainty.NO)
    if answer is Certainty.NO:
        return _nobody("the socket does not stop kube-proxy from opening the port")
    if socket.get("hidden"):
        return _verdict(
            "unknown",
            "cannot open",
            "whose socket it is could not be seen (root needed); unless it is kube-proxy's own, the port cannot be opened",
            False,
        )
    meaning = (
        "kube-proxy cannot open the healthCheckNodePort (event FailedToStartServiceHealthcheck on the Service): "
        "the load balancer's health check of this node fails or is answered by another program"
    )
    return _verdict("service", "healthCheckNodePort cannot open", meaning, answer is Certainty.YES)


def _health_check_addresses(node: Node) -> list[Address]:
    """Where kube-proxy listens for health checks (pkg/proxy/healthcheck/service_health.go): every address, or, when
    NodePorts are restricted, the local addresses they are restricted to.
    """
    if node.proxy.mode in nodeport_capture.KNOWN_MODES and (
        node.proxy.nodeport_addresses or node.proxy.mode == "nftables"
    ):
        local = nodeport_capture.locals_of(node.local_addresses, node.proxy.mode)
        chosen = [address for address in local if nodeport_capture.captures(node.proxy, address) is not False]
        return [Address(f"ipv{address.version}", str(address)) for address in chosen]
    return [Address("ipv4", _ANY), Address("ipv6", "::", True)]


def _blocks(socket: dict[str, Any], wanted: Address, others: Iterable[dict[str, Any]]) -> Certainty:
    return blocks_listen(_holder(socket, "accepted" if accepted(socket, others) else None), wanted)


def _holder(socket: dict[str, Any], origin: Optional[str]) -> Holder:
    waiting = socket["state"] in _WAITING
    # Drawn for connect(): a random port here, a service's there. Else a listener that is gone may have accepted it.
    to_service = socket["ephemeral"] and (socket.get("peer_port") or _EPHEMERAL) < _EPHEMERAL
    drawn = not waiting and (to_service or socket["state"] == "syn_sent")
    if origin is None and socket["protocol"] == "tcp" and drawn:
        origin = "outgoing"
    return Holder(socket["protocol"], _place(socket), socket["state"], origin)


def _place(socket: dict[str, Any]) -> Address:
    return Address(socket["family"], socket["address"], socket.get("v6only"))


def _meets(listener: dict[str, Any], connection: dict[str, Any]) -> bool:
    bound, local = _unmapped(listener["address"]), _unmapped(connection["address"])
    if bound.is_unspecified:
        return bound.version == local.version or (bound.version == 6 and not listener["v6only"])
    return bound == local


def _unmapped(text: str) -> IP:
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
