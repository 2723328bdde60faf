# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube-proxy's NodePorts in its own tables of nf_tables, "ip kube-proxy" and "ip6 kube-proxy".

    map service-nodeports        tcp . 32530 : goto external-5L3ENKCD-reddit-entry/ui/tcp/
    map no-endpoint-nodeports    tcp . 39999 comment "shop/orphan" : goto reject-chain        (drop: externalTrafficPolicy Local)
    chain services               ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
    chain external-…             ip saddr 10.244.0.0/16 goto service-…   fib saddr type local goto service-…   goto local-…  (or service-…)
    chain service-…, local-…     numgen random mod 2 vmap { 0 : goto endpoint-…, 1 : goto endpoint-… }
    chain endpoint-…             meta l4proto tcp dnat to 10.244.0.19:9292

Since 1.36 endpoint chains are there for session affinity only; service chains name the places themselves::

    meta l4proto tcp dnat to 10.244.0.19:9292
    meta l4proto tcp dnat ip addr . port to numgen random mod 2 map { 0 : 10.244.0.19 . 9292, 1 : 10.244.0.21 . 9292 }

Sources: kubernetes/kubernetes pkg/proxy/nftables/proxier.go and README.md; commit 475f9622c8, "Squash nftables endpoint chains into service
vmap". Without a set nodeport-ips, all local addresses but loopback are taken.
"""

from __future__ import annotations

import errno
import ipaddress
import struct
from collections.abc import Iterator
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import nf_tables, proxy_entry
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.netlink import NetlinkError
from ansible_collections.kubenode.doctor.plugins.module_utils.nf_tables import Element, Expression, Ruleset
from ansible_collections.kubenode.doctor.plugins.module_utils.proxy_entry import Way, entry, nowhere

TABLE = "kube-proxy"
_PORTS, _NO_ENDPOINTS, _ADDRESSES, _SERVICES = "service-nodeports", "no-endpoint-nodeports", "nodeport-ips", "services"
_PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}  # IPPROTO_…
# inet_proto . inet_service: each part fills four bytes.
_KEY = struct.Struct(">B3xH2x")
_PORT = struct.Struct(">H")
_ADDRESS_BYTES = {"ipv4": 4, "ipv6": 16}
# Attributes of the expressions.
_IMMEDIATE_REGISTER, _IMMEDIATE_DATA = 1, 2
_LOOKUP_SET, _LOOKUP_TO = 1, 3
_NAT_ADDRESS, _NAT_PORT = 3, 5
_MOST_CHAINS = 10_000  # behind one NodePort


def read(ruleset: Ruleset, family: str, deadline: Deadline) -> Iterator[dict[str, Any]]:
    """The entries (see proxy_entry) of all NodePorts of a family. Raises NetlinkError, also when the time is over."""
    reader = _Reader(ruleset, family, deadline)
    refusals = {_key(one.key): one for one in reader.elements(_NO_ENDPOINTS)}
    ports = {_key(one.key): one for one in reader.elements(_PORTS)}
    addresses = reader.addresses() if ports else None
    for key in sorted(filter(None, ports.keys() | refusals.keys())):
        yield reader.entry(key, ports.get(key), refusals.get(key), addresses)


class _Reader:
    def __init__(self, ruleset: Ruleset, family: str, deadline: Deadline) -> None:
        self._ruleset = ruleset
        self._family = family
        self._deadline = deadline

    def elements(self, name: str) -> list[Element]:
        return self._ruleset.elements(TABLE, name) or []

    def addresses(self) -> Optional[list[str]]:
        """The node's addresses that take NodePorts, None for all; none when no rule leads to them."""
        for rule in self._ruleset.rules(TABLE, _SERVICES):
            names = {one.text(_LOOKUP_SET) for one in rule if one.name == "lookup"}
            if _PORTS in names:
                return None if _ADDRESSES not in names else self._listed_addresses()
        return []

    def _listed_addresses(self) -> list[str]:
        found = self.elements(_ADDRESSES)
        return [str(ipaddress.ip_address(one.key)) for one in found if len(one.key) in _ADDRESS_BYTES.values()]

    def entry(
        self,
        key: tuple[str, int],
        port: Optional[Element],
        refusal: Optional[Element],
        addresses: Optional[list[str]],
    ) -> dict[str, Any]:
        refused = _refused(refusal)
        named = proxy_entry.service_name(refusal.comment) if refusal else None
        chain = port.verdict.chain if port and port.verdict else None
        if chain is None:
            return entry(*key, self._family, None, refused or "none", named, nowhere())
        way = self._way(chain, refused)
        action = "endpoints" if way.endpoints else refused or "none"
        return entry(*key, self._family, addresses, action, _service(chain) or named, way)

    def _way(self, external: str, refused: Optional[str]) -> Way:
        """Follow the chains of a NodePort. Only the first one tells packets from outside from the node's and its pods' own."""
        always: set[str] = set()
        inside: set[str] = set()
        for rule in self._rules(external):
            is_always = all(one.name == "immediate" for one in rule)
            (always if is_always else inside).update(_chains(rule, self._mapped(rule)))
        outside, own = self._reached(always), self._reached(inside)
        return Way(outside | own, 0, ("endpoints" if outside else refused) if own else None)

    def _reached(self, chains: set[str]) -> set[str]:
        found: set[str] = set()
        ways, seen = list(chains), set(chains)
        while ways and len(seen) < _MOST_CHAINS:
            for rule in self._rules(ways.pop()):
                mapped = self._mapped(rule)
                found |= self._places(rule, mapped)
                following = _chains(rule, mapped) - seen
                seen |= following
                ways += following
        return found

    def _rules(self, chain: str) -> list[list[Expression]]:
        if self._deadline.passed():
            raise NetlinkError("the time for it was over", errno.ETIMEDOUT)
        return self._ruleset.rules(TABLE, chain)

    def _mapped(self, rule: list[Expression]) -> list[Element]:
        """What the maps of a rule hold; a set has no register to write to, and decides only whether the rule is for a packet."""
        names = [one.text(_LOOKUP_SET) for one in rule if one.name == "lookup" and one.number(_LOOKUP_TO) is not None]
        return [element for name in names if name for element in self.elements(name)]

    def _places(self, rule: list[Expression], mapped: list[Element]) -> set[str]:
        """Where a rule sends packets to: ``dnat to`` a place, or to those of a map."""
        nat = next((one for one in rule if one.name == "nat"), None)
        if nat is None:
            return set()
        given = {one.number(_IMMEDIATE_REGISTER): one.value(_IMMEDIATE_DATA) for one in rule if one.name == "immediate"}
        address, port = given.get(nat.number(_NAT_ADDRESS)), given.get(nat.number(_NAT_PORT))
        pairs = [address + port] if address and port else []
        pairs += [element.value for element in mapped if element.value]
        return set(filter(None, map(self._place, pairs)))

    def _place(self, raw: bytes) -> Optional[str]:
        """``10.244.0.19:9292`` of 0a f4 00 13 24 4c 00 00."""
        size = _ADDRESS_BYTES[self._family]
        if len(raw) < size + _PORT.size:
            return None
        return proxy_entry.at(str(ipaddress.ip_address(raw[:size])), _PORT.unpack_from(raw, size)[0])


def _chains(rule: list[Expression], mapped: list[Element]) -> set[str]:
    """The chains of Services and endpoints that a rule leads to: these have a slash in their names (isServiceChainName)."""
    verdicts = [one.verdict(_IMMEDIATE_DATA) for one in rule if one.name == "immediate"]
    verdicts += [element.verdict for element in mapped]
    return {verdict.chain for verdict in verdicts if verdict and verdict.chain and "/" in verdict.chain}


def _key(raw: bytes) -> Optional[tuple[str, int]]:
    """``("tcp", 32530)`` of 06 00 00 00 7f 12 00 00; None for what is no such key."""
    if len(raw) != _KEY.size:
        return None
    protocol, port = _KEY.unpack(raw)
    return (_PROTOCOLS[protocol], port) if protocol in _PROTOCOLS else None


def _refused(element: Optional[Element]) -> Optional[str]:
    if element is None or element.verdict is None:
        return None
    return "drop" if element.verdict.code == nf_tables.DROP else "reject"


def _service(chain: str) -> Optional[str]:
    """``reddit-entry/ui`` of external-5L3ENKCD-reddit-entry/ui/tcp/, ``shop/front:web`` of external-…-shop/front/tcp/web."""
    parts = chain.split("-", 2)[-1].split("/")
    return proxy_entry.service_name(f"{parts[0]}/{parts[1]}:{parts[3]}") if len(parts) == 4 else None
