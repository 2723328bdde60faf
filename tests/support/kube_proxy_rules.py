# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube-proxy's iptables rules of IPv4 for some Services, as its iptables proxier writes them, without its counters (nfacct).

Chains have the names that kube-proxy gives them (kubernetes/kubernetes pkg/proxy/iptables/proxier.go portProtoHash), and for the
captured cluster the rules are those that were captured (tests/integration_real/test_service_path.py compares).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

Object = dict[str, Any]

_PODS = "10.244.0.0/16"
# Chains that are there in any case, by table.
_CHAINS = {
    "mangle": ("KUBE-PROXY-CANARY",),
    "filter": ("KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-PROXY-CANARY", "KUBE-SERVICES"),
    "nat": ("KUBE-MARK-MASQ", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-PROXY-CANARY", "KUBE-SERVICES"),
}
_BUILT_IN = {"INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING"}
_PORTALS = '-m comment --comment "kubernetes service portals"'
_OUTSIDE = '-m comment --comment "kubernetes externally-visible service portals"'
_ALWAYS = {
    "mangle": (),
    "filter": (
        '-A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS',
        f"-A INPUT -m conntrack --ctstate NEW {_OUTSIDE} -j KUBE-EXTERNAL-SERVICES",
        f"-A FORWARD -m conntrack --ctstate NEW {_PORTALS} -j KUBE-SERVICES",
        f"-A FORWARD -m conntrack --ctstate NEW {_OUTSIDE} -j KUBE-EXTERNAL-SERVICES",
        f"-A OUTPUT -m conntrack --ctstate NEW {_PORTALS} -j KUBE-SERVICES",
    ),
    "nat": (
        f"-A PREROUTING {_PORTALS} -j KUBE-SERVICES",
        f"-A OUTPUT {_PORTALS} -j KUBE-SERVICES",
        '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
        "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
        "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
        '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    ),
}
_LAST = (
    '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"'
    " -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"
)


class _Port(NamedTuple):
    """A Service's port: ``name`` as kube-proxy writes it, its IPv4 endpoints, and those of them on the node."""

    service: Object
    port: Object
    name: str
    endpoints: tuple[str, ...]
    local: tuple[str, ...]

    @property
    def protocol(self) -> str:
        return str(self.port["protocol"].lower())

    @property
    def is_local(self) -> bool:
        return bool(self.service["spec"].get("externalTrafficPolicy") == "Local")

    def chain(self, kind: str, endpoint: str = "") -> str:
        digest = hashlib.sha256(f"{self.name}{self.protocol}{endpoint}".encode()).digest()
        return f"KUBE-{kind}-{base64.b32encode(digest).decode()[:16]}"


class _Node(Protocol):
    """A node of Stage's, or a PrivateNode."""

    name: str

    def run(self, *words: str) -> object:
        """Run a command there."""


def load(node: _Node, services: Iterable[Object], slices: Iterable[Object]) -> None:
    """Load the rules for these Services on a node, in the place of all that it has."""
    text = restorable(node.name, services, slices)
    node.run("sh", "-c", 'printf %s "$1" | iptables-restore', "sh", text)


def restorable(node: str, services: Iterable[Object], slices: Iterable[Object]) -> str:
    """The rules of a node as iptables-restore reads them."""
    lines = rules(node, services, slices)
    text = ""
    for table, chains in _CHAINS.items():
        own = {line.split()[1] for line in lines[table]} - _BUILT_IN
        named = "".join(f":{chain} - [0:0]\n" for chain in sorted(own | set(chains)))
        text += f"*{table}\n{named}" + "".join(f"{line}\n" for line in lines[table]) + "COMMIT\n"
    return text


def rules(node: str, services: Iterable[Object], slices: Iterable[Object]) -> dict[str, list[str]]:
    """The lines by table, in their order, for the node of this name."""
    pieces = [piece for piece in slices if piece["addressType"] == "IPv4"]
    ports = [port for service in services for port in _ports(node, service, pieces)]
    return {
        "mangle": [],
        "filter": [*_ALWAYS["filter"], *(line for port in ports for line in _filter(port))],
        "nat": [*_ALWAYS["nat"], *(line for port in ports for line in _nat(port)), _LAST],
    }


def _ports(node: str, service: Object, pieces: Iterable[Object]) -> Iterator[_Port]:
    metadata, spec = service["metadata"], service["spec"]
    if spec.get("clusterIP") == "None":
        return
    own = [piece for piece in pieces if _belongs(piece, metadata)]
    for port in spec["ports"]:
        name = f"{metadata['namespace']}/{metadata['name']}" + (f":{port['name']}" if port.get("name") else "")
        found = {
            f"{endpoint['addresses'][0]}:{there['port']}": endpoint.get("nodeName")
            for piece in own
            for there in piece["ports"] or ()
            if (there["name"], there["protocol"]) == (port.get("name", ""), port["protocol"])
            for endpoint in piece["endpoints"] or ()
            if endpoint["conditions"]["ready"]
        }
        local = tuple(sorted(endpoint for endpoint, where in found.items() if where == node))
        yield _Port(service, port, name, tuple(sorted(found)), local)


def _belongs(piece: Object, metadata: Object) -> bool:
    own = piece["metadata"]
    return bool(
        (own["namespace"], own["labels"]["kubernetes.io/service-name"]) == (metadata["namespace"], metadata["name"])
    )


def _filter(port: _Port) -> Iterator[str]:
    reject = "-j REJECT --reject-with icmp-port-unreachable"
    number = f"-m addrtype --dst-type LOCAL -m {port.protocol} --dport {port.port.get('nodePort')}"
    if not port.endpoints:
        said = f'-p {port.protocol} -m comment --comment "{port.name} has no endpoints"'
        address = port.service["spec"]["clusterIP"]
        yield f"-A KUBE-SERVICES -d {address}/32 {said} -m {port.protocol} --dport {port.port['port']} {reject}"
        if port.port.get("nodePort"):
            yield f"-A KUBE-EXTERNAL-SERVICES {said} {number} {reject}"
        return
    health = port.service["spec"].get("healthCheckNodePort")
    if health and port.port is port.service["spec"]["ports"][0]:
        said = f'"{port.name.partition(":")[0]} health check node port"'
        yield f"-A KUBE-NODEPORTS -p tcp -m comment --comment {said} -m tcp --dport {health} -j ACCEPT"
    if port.is_local and not port.local:
        said = f'-p {port.protocol} -m comment --comment "{port.name} has no local endpoints"'
        yield f"-A KUBE-EXTERNAL-SERVICES {said} {number} -j DROP"


def _nat(port: _Port) -> Iterator[str]:
    if not port.endpoints:
        return
    said = f'-p {port.protocol} -m comment --comment "{port.name}"'
    for endpoint in port.endpoints:
        sep = port.chain("SEP", endpoint)
        address = endpoint.split(":", maxsplit=1)[0]
        yield f'-A {sep} -s {address}/32 -m comment --comment "{port.name}" -j KUBE-MARK-MASQ'
        yield f"-A {sep} {said} -m {port.protocol} -j DNAT --to-destination {endpoint}"
    whole = f'-p {port.protocol} -m comment --comment "{port.name} cluster IP" -m {port.protocol} --dport {port.port["port"]}'
    address, svc = port.service["spec"]["clusterIP"], port.chain("SVC")
    yield f"-A KUBE-SERVICES -d {address}/32 {whole} -j {svc}"
    yield f"-A {svc} ! -s {_PODS} -d {address}/32 {whole} -j KUBE-MARK-MASQ"
    yield from _spread(port, svc, port.endpoints)
    if port.port.get("nodePort"):
        number = f"-m {port.protocol} --dport {port.port['nodePort']}"
        yield f"-A KUBE-NODEPORTS -d 127.0.0.0/8 {said} {number} -j {port.chain('EXT')}"
        yield f"-A KUBE-NODEPORTS {said} {number} -j {port.chain('EXT')}"
        yield from _external(port)


def _external(port: _Port) -> Iterator[str]:
    ext, svc, svl = (port.chain(kind) for kind in ("EXT", "SVC", "SVL"))
    outside = f"for {port.name} external destinations"
    if not port.is_local:
        yield f'-A {ext} -m comment --comment "masquerade traffic {outside}" -j KUBE-MARK-MASQ'
        yield f"-A {ext} -j {svc}"
        return
    own = "-m addrtype --src-type LOCAL"
    yield f'-A {ext} -s {_PODS} -m comment --comment "pod traffic {outside}" -j {svc}'
    yield f'-A {ext} -m comment --comment "masquerade LOCAL traffic {outside}" {own} -j KUBE-MARK-MASQ'
    yield f'-A {ext} -m comment --comment "route LOCAL traffic {outside}" {own} -j {svc}'
    if port.local:
        yield f"-A {ext} -j {svl}"
        yield from _spread(port, svl, port.local)


def _spread(port: _Port, chain: str, endpoints: tuple[str, ...]) -> Iterator[str]:
    """One of the endpoints, each as likely."""
    for left, endpoint in zip(range(len(endpoints), 0, -1), endpoints, strict=True):
        chance = f" -m statistic --mode random --probability {1 / left:.11f}" if left > 1 else ""
        yield f'-A {chain} -m comment --comment "{port.name} -> {endpoint}"{chance} -j {port.chain("SEP", endpoint)}'
