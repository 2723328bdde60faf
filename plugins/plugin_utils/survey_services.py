# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Service, port and backlog over the fleet: what listens where, with which accept queue, and who is unlike the others."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import port_ranges
from ansible_collections.kubenode.doctor.plugins.plugin_utils.survey_read import QUEUES, Queue, Queues, Service
from ansible_collections.kubenode.doctor.plugins.plugin_utils.survey_table import Hosts, pruned

# Ports of processes to remember. A fleet that opens every NodePort of the default range, each by kube-proxy, has 2768; random
# ports, which are another on each host, are what is dropped first.
_SERVICES = 20_000
_ROWS = 200

Backlogs = tuple[int, ...]


class _Row(NamedTuple):
    """What ports must have in common to stand in one row. ``named`` is empty in rows that are like most."""

    process: str | None
    pods: bool
    backlogs: Backlogs
    usual: Backlogs
    hosts: int
    named: tuple[str, ...]


class _Ports(NamedTuple):
    """The ports of a row, and the sets of hosts (Hosts.which) that listen on them."""

    numbers: list[int]
    hosts: set[int]


class Services:
    """Adds up what listens, host by host."""

    def __init__(self) -> None:
        self._hosts: dict[Service, dict[Backlogs, Hosts]] = {}
        self._seen = self._unseen = 0
        self._fullest: list[tuple[str, Queue]] = []

    def add(self, host: str, services: Mapping[Service, Backlogs], queues: Queues) -> None:
        """Count one host's services and accept queues."""
        self._seen += queues.seen
        self._unseen += queues.unseen
        if queues.fullest:
            own = [(host, queue) for queue in queues.fullest]
            self._fullest = heapq.nlargest(QUEUES, [*self._fullest, *own], key=lambda one: one[1].share)
        for service, backlogs in services.items():
            self._hosts.setdefault(service, {}).setdefault(backlogs, Hosts()).add(host)
        self._hosts = pruned(self._hosts, _SERVICES, _size)

    def document(self) -> dict[str, Any]:
        """Return the shape of Survey.document's ``services``; rows that differ come first, then those of the most hosts."""
        ports: dict[_Row, _Ports] = {}
        for service, by_backlogs in self._hosts.items():
            for row, hosts in _rows(service, by_backlogs):
                found = ports.setdefault(row, _Ports([], set()))
                found.numbers.append(service.port)
                found.hosts.add(hosts.which)
        ordered = sorted(ports.items(), key=lambda item: (not item[0].named, -item[0].hosts, min(item[1].numbers)))
        return {
            "rows": [_told(row, found) for row, found in ordered[:_ROWS]],
            "more": len(ordered[_ROWS:]),
            "queues": {"seen": self._seen, "unseen": self._unseen, "fullest": self._told_fullest()},
        }

    def _told_fullest(self) -> list[dict[str, Any]]:
        return [
            {"host": host, **queue.service._asdict(), "length": queue.length, "backlog": queue.backlog}
            for host, queue in self._fullest
        ]


def _size(by_backlogs: Mapping[Backlogs, Hosts]) -> int:
    return sum(hosts.count for hosts in by_backlogs.values())


def _rows(service: Service, by_backlogs: Mapping[Backlogs, Hosts]) -> Iterator[tuple[_Row, Hosts]]:
    usual = _usual(by_backlogs)
    for backlogs, hosts in by_backlogs.items():
        # A backlog that was not seen differs from nothing.
        if backlogs and usual is not None and backlogs != usual:
            yield _Row(service.process, service.pods, backlogs, usual, hosts.count, tuple(hosts.named)), hosts
        else:
            yield _Row(service.process, service.pods, backlogs, (), hosts.count, ()), hosts


def _usual(by_backlogs: Mapping[Backlogs, Hosts]) -> Backlogs | None:
    """What most hosts have: () when no two agree on more than others do, None when there is nothing to compare."""
    counts = sorted(((hosts.count, backlogs) for backlogs, hosts in by_backlogs.items() if backlogs), reverse=True)
    if len(counts) < 2:
        return None
    return counts[0][1] if counts[0][0] > counts[1][0] else ()


def _told(row: _Row, ports: _Ports) -> dict[str, Any]:
    return {
        "process": row.process,
        "pods": row.pods,
        "ports": [list(interval) for interval in port_ranges.of_numbers(ports.numbers)],
        "backlogs": list(row.backlogs),
        "hosts": row.hosts,
        "same_hosts": len(ports.hosts) == 1,
        "usual": list(row.usual),
        "differs_on": list(row.named),
    }
