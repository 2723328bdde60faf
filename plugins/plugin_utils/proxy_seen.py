# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which NodePorts kube-proxy has programmed, over all nodes of a bundle: then what fails, fails behind them."""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import proxy_words, section_gaps


class _Programmed(NamedTuple):
    line: str
    first: str
    hosts: set[str]


class ProxySeen:
    """Filled by one pass over the hosts; keeps the words of the first host for each NodePort, so a fleet takes no more than one."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], _Programmed] = {}

    def learn(self, host: str, sections: dict[str, Any]) -> None:
        """Keep what a host's rules say. Raises KeyError, TypeError or AttributeError for a section of another form."""
        if section_gaps.gap(sections, proxy_words.SECTION):
            return
        for entry in sections[proxy_words.SECTION]["node_ports"]:
            key = entry["protocol"], entry["port"]
            if entry["action"] != "endpoints" or entry["addresses"] == []:
                continue
            if key not in self._found:
                self._found[key] = _Programmed(proxy_words.line(entry), host, set())
            self._found[key].hosts.add(host)

    def line(self, protocol: str, port: int) -> str | None:
        """``kube-proxy has programmed it on node-a: 32530/tcp -> 10.244.0.19:9292``; None where that was not seen."""
        found = self._found.get((protocol.lower(), port))
        if found is None:
            return None
        more = f" and {len(found.hosts) - 1} more hosts" if len(found.hosts) > 1 else ""
        return f"kube-proxy has programmed it on {found.first}{more}: {found.line}"
