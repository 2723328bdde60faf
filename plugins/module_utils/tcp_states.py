# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section tcp_states: what the TCP sockets of a node are doing, however many there are.

The answer is bounded; what is cut is the smallest, and counted in ``truncated``.
"""

from __future__ import annotations

import gc
import heapq
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    net_namespaces,
    netlink,
    tcp_groups,
    tcp_limits,
    tcp_reader,
    tcp_tally,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import KernelFiles
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_groups import Groups, Key
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_owners import Who
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_reader import Reading
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_tally import Bunch

NETNS = ("host", "pods", "all")
STATES = (
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
)
# No node can fill the controller: 256 KiB of JSON, however many sockets it has.
BYTES_LIMIT = 256 * 1024
_LISTENERS_LIMIT = 200
_DESTINATIONS_LIMIT = 20
_NAMESPACES_LIMIT = 200
_PROCESSES_OF_A_LISTENER = 3


class _Before(NamedTuple):
    """The first sample: when, by which backend, the accept queues and the stuck sockets by identity, and the counters."""

    when: float
    backend: str
    queues: dict[Any, Optional[int]]
    stuck: dict[Any, str]
    counters: dict[str, Optional[int]]


class Survey:
    """``Survey(...)``, optionally ``first_sample()`` and some time later ``finish(holders)``, which returns the section.

    ``netns`` is which network namespaces are looked at: our own ("host"), those of pods, or all.
    """

    def __init__(self, deadline: Deadline, netns: str = "host", backend: str = "auto", top: int = 10) -> None:
        self._deadline = deadline
        self._netns = netns
        self._backend = backend
        self._top = top
        self._before: Optional[_Before] = None
        self._no_first_sample = ""

    def first_sample(self) -> None:
        """Remember what growth and persistence are measured against; nothing where it cannot be read."""
        counted = tcp_limits.counters(KernelFiles())
        for backend in tcp_reader.BACKENDS if self._backend == "auto" else (self._backend,):
            try:
                waiting, stuck = tcp_reader.first_look(net_namespaces.OWN, backend)
            except (OSError, ValueError, netlink.NetlinkError) as error:
                self._no_first_sample = f"the first sample could not be taken: {error}"
                continue
            queues = {tcp_reader.identity(entry): entry.rqueue for entry in waiting}
            states = {tcp_reader.identity(entry): entry.state for entry in stuck}
            self._before = _Before(time.monotonic(), backend, queues, states, counted)
            return

    def finish(self, holders: Optional[SocketHolders]) -> dict[str, Any]:
        """Read everything and return the section; without ``holders`` no processes are looked for.

        Raises tcp_reader.ReaderError when no backend answers for any namespace.
        """
        with _no_garbage_collection():
            return self._finish(holders)

    def _finish(self, holders: Optional[SocketHolders]) -> dict[str, Any]:
        files = KernelFiles()
        counted, limits = tcp_limits.counters(files), tcp_limits.limits(files)
        readings, missing = self._readings(limits["ip_local_port_range"], holders is not None)
        who = Who(readings, holders)
        groups = _grouped(readings, who, self._before)
        told, others = groups.told(self._top)
        queues = (queue for reading in readings for queue in _queues(reading, who, self._before))
        listeners = sum(len(reading.listeners) for reading in readings)
        host = [reading for reading in readings if reading.namespace == net_namespaces.OWN]
        others_files = KernelFiles()
        namespaces = [_namespace(reading, others_files) for reading in readings]
        ephemeral = _ephemeral(host, who, limits["ip_local_port_range"], files)
        missing += [*who.missing, *files.gaps, *_of_namespaces(others_files.gaps)]
        if self._before is None and self._no_first_sample:
            missing.append({"what": "growth", "why": self._no_first_sample})
        if listeners > _LISTENERS_LIMIT:
            why = f"{listeners} listen, the {_LISTENERS_LIMIT} with the fullest accept queues are told"
            missing.append({"what": "listeners", "why": why})
        section = {
            "backend": readings[0].backend if readings else None,
            "netns": self._netns,
            "namespaces": sorted(namespaces, key=lambda found: -found["sockets"])[:_NAMESPACES_LIMIT],
            "states": _states(readings),
            "groups": told,
            "other_groups": others,
            "accept_queues": heapq.nsmallest(_LISTENERS_LIMIT, queues, key=_fullness),
            "stuck": groups.stuck(),
            "ephemeral": ephemeral,
            "counters": counted,
            "growth": self._growth(counted, host),
            "limits": {**limits, "processes": who.files()},
            "truncated": {
                "accept_queues": max(listeners - _LISTENERS_LIMIT, 0),
                "namespaces": max(len(namespaces) - _NAMESPACES_LIMIT, 0),
            },
            "complete": not missing,
            "missing": missing,
        }
        return _bounded(section)

    def _readings(self, drawn: Optional[list[int]], inodes: bool) -> tuple[list[Reading], list[dict[str, str]]]:
        namespaces = [] if self._netns == "pods" else [net_namespaces.OWN]
        missing: list[dict[str, str]] = []
        if self._netns != "host":
            others, missing = net_namespaces.others(self._deadline)
            namespaces += [other for other in others if self._netns == "all" or other.pod_uid]
        readings: list[Reading] = []
        refusals: list[str] = []
        for namespace in namespaces:
            if readings and self._deadline.passed():
                missing.append({"what": "network namespaces", "why": "the time budget ended: raise budget_seconds"})
                break
            own = namespace == net_namespaces.OWN
            try:
                # Who uses up automatic ports is told of our own namespace alone.
                readings.append(tcp_reader.read(namespace, self._backend, drawn if own else None, inodes))
            except tcp_reader.ReaderError as error:
                refusals.append(f"{namespace.name}: {error}")
        if refusals and not readings:
            raise tcp_reader.ReaderError("; ".join(refusals))
        if refusals:
            missing.append({"what": "network namespaces", "why": "; ".join(refusals[:3])})
        return readings, [*missing, *_merged(gap for reading in readings for gap in reading.missing)]

    def _growth(self, counted: dict[str, Optional[int]], host: list[Reading]) -> Optional[dict[str, Any]]:
        if self._before is None or not host:
            return None
        now = Counter(entry.state for entry in host[0].stuck)
        before = Counter(self._before.stuck.values())
        return {
            "seconds": round(time.monotonic() - self._before.when, 3),
            "counters": tcp_limits.growth(self._before.counters, counted),
            "states": {state: now[state] - before[state] for state in tcp_reader.STUCK},
        }


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Of a hundred thousand sockets no reference is circular, and looking for such takes a tenth of the time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _merged(gaps: Iterable[dict[str, str]]) -> Iterator[dict[str, str]]:
    """One gap for each thing, with one of the reasons: a thousand namespaces may have as many."""
    whys: dict[str, list[str]] = {}
    for gap in gaps:
        whys.setdefault(gap["what"], []).append(gap["why"])
    for what, reasons in whys.items():
        more = len(reasons) - 1
        yield {"what": what, "why": f"{reasons[0]}; the same in {more} more network namespaces" if more else reasons[0]}


def _of_namespaces(gaps: list[dict[str, str]]) -> Iterator[dict[str, str]]:
    """The gaps in other namespaces' counters as one: each has a file of its own name."""
    if gaps:
        yield {
            "what": "counters of network namespaces",
            "why": f"of {len(gaps)} not seen: {gaps[0]['what']}: {gaps[0]['why']}",
        }


def _grouped(readings: Iterable[Reading], who: Who, before: Optional[_Before]) -> Groups:
    groups = Groups()
    for reading in readings:
        netns = reading.namespace.name
        for bunch, peers in reading.tally.bunches(tcp_reader.COUNTED, who.holders).items():
            ports = (bunch.port, None) if bunch.incoming else (None, bunch.port)
            process = _waited_for(reading, bunch, who) if bunch.pid == tcp_tally.NOBODY else who.name(bunch.pid)
            groups.add(Key(netns, bunch.state, process, *ports), peers)
        compared = _compared(reading, before)
        for entry in reading.stuck:
            came_in = entry.state != "syn_sent" and reading.tally.came_in(entry)
            listener = reading.doors.of(entry) if came_in else None
            socket = _stuck(netns, entry, listener, who, compared)
            ports = (entry.port, None) if came_in else (None, entry.peer_port)
            groups.add_stuck(Key(netns, entry.state, socket["process"], *ports), socket, entry)
    return groups


def _waited_for(reading: Reading, bunch: Bunch, who: Who) -> Optional[str]:
    """Who should accept connections that nobody holds: their listener's process, where it is certain; None for all that nobody should."""
    if bunch.state != "established" or not bunch.incoming:
        return None
    names = {who.name(who.pid(listener.inode)) for listener in reading.doors.on(bunch.port)}
    return names.pop() if len(names) == 1 else None


def _compared(reading: Reading, before: Optional[_Before]) -> Optional[_Before]:
    """The first sample of a namespace, None where there is none: another backend knows sockets by other marks."""
    own = reading.namespace == net_namespaces.OWN
    return before if before and own and before.backend == reading.backend else None


def _stuck(netns: str, entry: Entry, listener: Optional[Entry], who: Who, before: Optional[_Before]) -> dict[str, Any]:
    close_wait = entry.state == "close_wait"
    cause = tcp_groups.cause(entry, listener is not None) if close_wait else None
    # Nobody holds a connection that was never accepted: its listener's process is the one that should.
    pid = who.pid(listener.inode if listener and cause == "never_accepted" else entry.inode)
    unread = None if not close_wait or entry.rqueue is None else max(entry.rqueue - 1, 0)  # the FIN counts as one
    return {
        "netns": netns,
        "state": entry.state,
        "address": _plain(entry.address),
        "port": entry.port,
        "peer": _plain(entry.peer),
        "peer_port": entry.peer_port,
        "process": who.name(pid),
        "pid": pid or None,
        "inode": entry.inode or None,
        "age_seconds": None if entry.age_ms is None else round(entry.age_ms / 1000, 1),
        "retransmits": entry.retransmits,
        "unread": unread,
        "cause": cause,
        "persisted": before.stuck.get(tcp_reader.identity(entry)) == entry.state if before else None,
    }


def _queues(reading: Reading, who: Who, before: Optional[_Before]) -> Iterator[dict[str, Any]]:
    compared = _compared(reading, before)
    for entry in reading.listeners:
        processes = who.owners.processes(entry) if who.owners else []
        yield {
            "netns": reading.namespace.name,
            "family": entry.family,
            "address": entry.address,
            "port": entry.port,
            "queue": entry.rqueue,
            "backlog": entry.wqueue,
            "queue_before": compared.queues.get(tcp_reader.identity(entry)) if compared else None,
            "inode": entry.inode or None,
            "processes": processes[:_PROCESSES_OF_A_LISTENER],
            "hidden": who.owners.hidden(entry) if who.owners else None,
            "cgroup": who.owners.cgroup(entry) if who.owners else None,
        }


def _fullness(queue: dict[str, Any]) -> tuple[float, int, str, str]:
    share = (queue["queue"] or 0) / (queue["backlog"] or 1)
    return -share, queue["port"], queue["netns"], queue["address"]


def _states(readings: Iterable[Reading]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for reading in readings:
        counts.update(reading.states)
    return {state: counts[state] for state in STATES}


def _namespace(reading: Reading, files: KernelFiles) -> dict[str, Any]:
    namespace = reading.namespace
    return {
        "netns": namespace.name,
        "pid": namespace.pid,
        "container_id": namespace.container_id,
        "pod_uid": namespace.pod_uid,
        "sockets": sum(reading.states.values()),
        "counters": tcp_limits.growing(files, namespace.net),
    }


def _ephemeral(
    host: list[Reading], who: Who, span: Optional[list[int]], files: KernelFiles
) -> Optional[dict[str, Any]]:
    """Who uses up automatic ports of our own namespace; None when that was not looked at."""
    if not host:
        return None
    return {
        "range": span,
        "available": tcp_limits.available_ports(files, span),
        "used": host[0].tally.used(*span) if span else None,
        "destinations": [
            {
                "source": source,
                "destination": destination,
                "port": port,
                "count": len(inodes),
                "process": _most_frequent(who, inodes),
            }
            for source, destination, port, inodes in host[0].tally.destinations(_DESTINATIONS_LIMIT)
        ],
    }


def _most_frequent(who: Who, inodes: list[int]) -> Optional[str]:
    names = Counter(who.name(who.pid(inode)) for inode in inodes)
    del names[None]  # TIME-WAIT belongs to nobody
    return names.most_common(1)[0][0] if names else None


def _plain(address: str) -> str:
    """A v4-mapped address as IPv4."""
    return address[7:] if address.startswith("::ffff:") and "." in address else address


def _bounded(section: dict[str, Any]) -> dict[str, Any]:
    """Halve what is longest until the section fits: names as long as the kernel allows must not make it any longer."""
    lists = ("accept_queues", "stuck", "groups", "namespaces")
    while len(json.dumps(section)) > BYTES_LIMIT and any(section[name] for name in lists):
        name = max(lists, key=lambda name: len(json.dumps(section[name])))
        kept = len(section[name]) // 2
        dropped = section[name][kept:]
        section["truncated"][name] = section["truncated"].get(name, 0) + len(dropped)
        section[name] = section[name][:kept]
        if name == "groups":
            section["other_groups"]["groups"] += len(dropped)
            section["other_groups"]["sockets"] += sum(group["count"] for group in dropped)
    return section
