# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts of a bundle tell of each other's connections: who has which address, who listens there, and what is being closed.

It is kept for thousands of hosts at once. Their listeners are alike, so each distinct one is kept once; of what is unlike, the
counts and lengths are bounded here, whatever a snapshot holds.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import listening, peers

HOST = "host"  # the host's own network namespace, as tcp_states names it

_ADDRESSES = 200  # of a host; those of its pods' links are not counted, because they are link-local
_LISTENERS = 300  # tcp_states tells fewer
_NAMES = 3
_CLOSING = 200  # pairs of port and peer
_OPEN = 50
_CLOSING_STATES = frozenset({"fin_wait1", "fin_wait2"})
# kube-proxy in IPVS mode puts the addresses of all Services here, on every node.
_OF_SERVICES = "kube-ipvs0"
# Interfaces whose addresses many hosts have: virtual addresses on lo, and bridges that every installation numbers alike.
_SHARED_INTERFACES = frozenset({"lo", "nodelocaldns", "docker0", "virbr0", "lxcbr0"})


class Listener(NamedTuple):
    """Who listens on a TCP port in a host's own network, on all addresses together."""

    port: int
    names: tuple[str, ...]
    only_loopback: bool


class Queue(NamedTuple):
    """An accept queue that was not empty: connections in it, and the backlog it may hold (None where it was not seen)."""

    length: int
    backlog: int | None

    @property
    def drops(self) -> bool:
        """True where the kernel drops the next connection: it holds one more than the backlog (sk_acceptq_is_full)."""
        return self.backlog is not None and self.length > self.backlog


@dataclass(frozen=True)
class Ends:
    """One host's ends of connections.

    ``closing`` counts the connections in FIN-WAIT by (came in, port, peer): those that this host has closed and whose other
    end has not; ``closing_untold`` is how many more there are, to peers that the snapshot does not name. ``open`` are the largest
    counts of established ones.
    """

    listeners: tuple[Listener, ...]
    all_listeners: bool
    queues: dict[int, Queue]
    closing: dict[tuple[bool, int, str], int]
    closing_untold: int
    open: tuple[tuple[tuple[bool, int, str], int], ...] = ()

    def listener(self, port: int) -> Listener | None:
        """Who listens on a port; None where nobody was seen to."""
        return next((entry for entry in self.listeners if entry.port == port), None)

    def still_closing(self, came_in: bool, port: int, addresses: Iterable[str]) -> int:
        """How many connections of a port, to any of these addresses, this host has closed and not forgotten."""
        return sum(self.closing.get((came_in, port, address), 0) for address in addresses)

    def still_open(self, came_in: bool, port: int, addresses: Iterable[str]) -> int:
        """How many connections of a port, to any of these addresses, are established here; at least, because not all are told."""
        wanted = {(came_in, port, address) for address in addresses}
        return sum(count for key, count in self.open if key in wanted)


@dataclass
class Fleet:
    """Filled by one pass over the hosts (``learn``)."""

    # Of a service (listening.by_service): how many hosts have each set of backlogs, and how many run it at all.
    backlogs: dict[listening.Key, Counter[tuple[int, ...]]] = field(default_factory=dict)
    serving: Counter[listening.Key] = field(default_factory=Counter)
    networks: set[str] = field(default_factory=set)  # which network namespaces were looked at: tcp_states' netns
    _ends: dict[str, Ends] = field(default_factory=dict)
    _hosts: dict[str, str | None] = field(default_factory=dict)  # by address; None for one that several hosts have
    _same: dict[Any, Any] = field(default_factory=dict)

    def learn(self, host: str, sections: dict[str, Any]) -> None:
        """Keep what other hosts' judgement needs. Raises KeyError, TypeError, ValueError or AttributeError for another form."""
        for address in own_addresses(sections, _SHARED_INTERFACES):
            known = self._hosts.setdefault(address, host)
            if known != host:
                self._hosts[address] = None
        section = sections.get("tcp_states") or {}
        if "accept_queues" in section:
            self.networks.add(str(section["netns"]))
            self._ends[host] = self._read(section)
            self._learn_backlogs(section)

    def host_of(self, address: str) -> str | None:
        """The host that has an address; None when no host has it, or several have."""
        return self._hosts.get(peers.plain(address))

    def has_address(self, address: str) -> bool:
        """True for an address of a host, or of several."""
        return peers.plain(address) in self._hosts

    def ends(self, host: str) -> Ends | None:
        """A host's ends of connections; None when they were not collected."""
        return self._ends.get(host)

    def _read(self, section: dict[str, Any]) -> Ends:
        own = [entry for entry in section["accept_queues"] if entry["netns"] == HOST]
        closing, told = _closing(section["groups"])
        still_open = _counted(section["groups"], frozenset({"established"})).most_common(_OPEN)
        total = sum(section["states"][state] for state in _CLOSING_STATES)
        whole = not section["truncated"].get("accept_queues")
        return Ends(
            self._listeners(own[:_LISTENERS]),
            whole,
            _queues(own[:_LISTENERS]),
            closing,
            max(total - told, 0),
            self._once(tuple(self._once(entry) for entry in still_open)),
        )

    def _listeners(self, queues: list[dict[str, Any]]) -> tuple[Listener, ...]:
        by_port: dict[int, list[dict[str, Any]]] = {}
        for entry in queues:
            by_port.setdefault(entry["port"], []).append(entry)
        found = tuple(self._once(_listener(port, entries)) for port, entries in sorted(by_port.items()))
        kept: tuple[Listener, ...] = self._once(found)
        return kept

    def _once(self, value: Any) -> Any:
        return self._same.setdefault(value, value)

    def _learn_backlogs(self, section: dict[str, Any]) -> None:
        for key, backlogs in listening.backlogs(section).items():
            self.serving[key] += 1
            self.backlogs.setdefault(key, Counter())[backlogs] += 1


def own_addresses(sections: dict[str, Any], without: frozenset[str] = frozenset()) -> list[str]:
    """The addresses at which a host itself answers, but for those of the interfaces ``without``; bounded."""
    found = (sections.get("host") or {}).get("addresses") or ()
    told = (entry["address"] for entry in found if entry["interface"] not in without | {_OF_SERVICES})
    return list(itertools.islice(filter(_tells_hosts_apart, map(peers.plain, told)), _ADDRESSES))


def _tells_hosts_apart(address: str) -> bool:
    # Calico gives every pod's link of every node the same link-local address.
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_loopback or parsed.is_link_local)


def _listener(port: int, entries: list[dict[str, Any]]) -> Listener:
    names = {process["name"][:15] for entry in entries for process in entry["processes"] if process["name"]}
    loopback = all(ipaddress.ip_address(entry["address"]).is_loopback for entry in entries)
    return Listener(port, tuple(sorted(names)[:_NAMES]), loopback)


def _queues(entries: list[dict[str, Any]]) -> dict[int, Queue]:
    """The fullest queue of each port that has one which is not empty."""
    found: dict[int, Queue] = {}
    for entry in entries:
        queue = Queue(entry["queue"] or 0, entry["backlog"])
        if queue.length > found.get(entry["port"], Queue(0, None)).length:
            found[entry["port"]] = queue
    return found


def _closing(groups: list[dict[str, Any]]) -> tuple[dict[tuple[bool, int, str], int], int]:
    """The connections in FIN-WAIT by (came in, port, peer), and how many that are in all."""
    kept = dict(_counted(groups, _CLOSING_STATES).most_common(_CLOSING))
    return kept, sum(kept.values())


def _counted(groups: list[dict[str, Any]], states: frozenset[str]) -> Counter[tuple[bool, int, str]]:
    """The host's own connections in these states by (came in, port, peer), as far as peers were told."""
    found: Counter[tuple[bool, int, str]] = Counter()
    for group in groups:
        if group["state"] in states and group["netns"] == HOST:
            came_in = group["local_port"] is not None
            port = group["local_port"] if came_in else group["peer_port"]
            for peer in group["top_peers"]:
                found[came_in, port, peers.plain(peer["address"])] += peer["count"]
    return found
