# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which NodePorts kube-proxy has programmed, over all nodes of a bundle: then what fails, fails behind them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe, proxy_words, section_gaps

_MOST_WAYS = 8  # kept of one NodePort: under externalTrafficPolicy Local, each node of a thousand may lead to endpoints of its own


class _Way(NamedTuple):
    """Where a NodePort leads to, in the words of the first host with just these endpoints, and all such hosts."""

    line: str
    first: str
    hosts: set[str]

    @property
    def where(self) -> str:
        """``node-a and 2 more hosts``."""
        return self.first + (f" and {len(self.hosts) - 1} more hosts" if len(self.hosts) > 1 else "")


class ProxySeen:
    """Filled by one pass over the hosts; keeps the words of the first host for each way that a NodePort leads, so a fleet takes little more."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], dict[tuple[str, ...], _Way]] = {}

    def learn(self, host: str, sections: dict[str, Any]) -> None:
        """Keep what a host's rules say. Raises KeyError, TypeError or AttributeError for a section of another form."""
        if section_gaps.gap(sections, proxy_words.SECTION):
            return
        for entry in sections[proxy_words.SECTION]["node_ports"]:
            key = entry["protocol"], entry["port"]
            if entry["action"] != "endpoints" or entry["addresses"] == []:
                continue
            ways, endpoints = self._found.setdefault(key, {}), tuple(entry["endpoints"])
            if endpoints not in ways and len(ways) < _MOST_WAYS:
                ways[endpoints] = _Way(proxy_words.line(entry), host, set())
            if endpoints in ways:
                ways[endpoints].hosts.add(host)

    def lines(self, protocol: str, port: int, own: frozenset[str]) -> Iterator[str]:
        """``kube-proxy has programmed it on node-a: 32530/tcp -> 10.244.0.19:9292``; nothing where no rules were seen.

        ``own`` are the endpoints of the Service, as ``10.244.0.19:9292``: rules that lead to others are told apart.
        """
        ways = self._found.get((protocol.lower(), port), {})
        right = [way for endpoints, way in ways.items() if own.issuperset(endpoints)]
        if right:
            hosts = set().union(*(way.hosts for way in right))
            yield f"kube-proxy has programmed it on {right[0]._replace(hosts=hosts).where}: {right[0].line}"
        for endpoints, way in ways.items():
            strangers = [one for one in endpoints if one not in own]
            if strangers:
                which = describe.listed(strangers, 3)
                yield f"kube-proxy's rules on {way.where} lead elsewhere: {way.line}; by its EndpointSlices the Service does not have {which}"
