# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section tcp_states: what the TCP sockets of a node are doing, however many there are.

The answer is bounded; what is cut is the smallest, and counted in ``truncated``.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    attribution,
    net_namespaces,
    netlink,
    procfs,
    tcp_groups,
    tcp_limits,
    tcp_reader,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.attribution import Owners
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import KernelFiles
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_groups import Groups, Key
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_reader import Reading

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
_COUNTED = frozenset(STATES) - {"listen", *tcp_reader.STUCK}
# No node can fill the controller: 256 KiB of JSON, however many sockets it has.
BYTES_LIMIT = 256 * 1024
_LISTENERS_LIMIT = 200
_DESTINATIONS_LIMIT = 20
_NAMESPACES_LIMIT = 200
_PROCESSES_LIMIT = 30
_INTERESTING_FILES = 64  # a process with fewer open files is far from any limit (the least usual one is 1024)
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

    def first_sample(self) -> None:
        """Remember what growth and persistence are measured against; nothing where it cannot be read."""
        counted = tcp_limits.counters(KernelFiles())
        for backend in tcp_reader.BACKENDS if self._backend == "auto" else (self._backend,):
            try:
                waiting, stuck = tcp_reader.first_look(net_namespaces.OWN, backend)
            except (OSError, ValueError, netlink.NetlinkError):  # finish() meets the same and says so
                continue
            queues = {tcp_reader.identity(entry): entry.rqueue for entry in waiting}
            states = {tcp_reader.identity(entry): entry.state for entry in stuck}
            self._before = _Before(time.monotonic(), backend, queues, states, counted)
            return

    def finish(self, holders: Optional[SocketHolders]) -> dict[str, Any]:
        """Read everything and return the section; without ``holders`` no processes are looked for.

        Raises tcp_reader.ReaderError when no backend answers for any namespace.
        """
        readings, missing = self._readings()
        who = _Who(readings, holders)
        files = KernelFiles()
        counted, limits = tcp_limits.counters(files), tcp_limits.limits(files)
        groups = _grouped(readings, who, self._before)
        told, others = groups.told(self._top)
        queues = sorted((queue for reading in readings for queue in _queues(reading, who, self._before)), key=_fullness)
        host = [reading for reading in readings if reading.namespace == net_namespaces.OWN]
        namespaces = [_namespace(reading) for reading in readings]
        ephemeral = _ephemeral(host, who, limits["ip_local_port_range"], files)
        missing += who.missing + files.gaps
        section = {
            "backend": readings[0].backend if readings else None,
            "netns": self._netns,
            "namespaces": sorted(namespaces, key=lambda found: -found["sockets"])[:_NAMESPACES_LIMIT],
            "states": _states(readings),
            "groups": told,
            "other_groups": others,
            "accept_queues": queues[:_LISTENERS_LIMIT],
            "stuck": groups.stuck(),
            "ephemeral": ephemeral,
            "counters": counted,
            "growth": self._growth(counted, host),
            "limits": {**limits, "processes": who.files()},
            "truncated": {
                "accept_queues": max(len(queues) - _LISTENERS_LIMIT, 0),
                "namespaces": max(len(namespaces) - _NAMESPACES_LIMIT, 0),
            },
            "complete": not missing,
            "missing": missing,
        }
        return _bounded(section)

    def _readings(self) -> tuple[list[Reading], list[dict[str, str]]]:
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
            try:
                readings.append(tcp_reader.read(namespace, self._backend))
            except tcp_reader.ReaderError as error:
                refusals.append(f"{namespace.name}: {error}")
        if refusals and not readings:
            raise tcp_reader.ReaderError("; ".join(refusals))
        if refusals:
            missing.append({"what": "network namespaces", "why": "; ".join(refusals[:3])})
        seen = {(gap["what"], gap["why"]): gap for reading in readings for gap in reading.missing}
        return readings, [*missing, *seen.values()]

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


class _Who:
    """Whose the sockets are: names of processes for many sockets, everything about the owners of a few."""

    def __init__(self, readings: Iterable[Reading], holders: Optional[SocketHolders], proc: str = "/proc") -> None:
        self._names: dict[int, Optional[str]] = {0: None}
        self._holders = holders
        self._proc = proc
        self.missing: list[dict[str, str]] = []
        self.owners: Optional[Owners] = None
        self._listeners: dict[tuple[str, int], Entry] = {}
        if holders is None:
            return
        holders.look(entry.inode for reading in readings for entry in reading.listeners if entry.inode)
        unseen = sum(inode not in holders.first for reading in readings for inode in _inodes(reading))
        self.missing = attribution.missing(unseen, holders, proc)
        self.owners = Owners([entry for reading in readings for entry in reading.listeners], holders, proc)
        for reading in readings:
            for entry in reading.listeners:
                self._listeners.setdefault((reading.namespace.name, entry.port), entry)

    def pid(self, inode: Optional[int]) -> int:
        """The process that holds a socket, 0 when none was seen to."""
        return self._holders.first.get(inode, 0) if self._holders and inode else 0

    @property
    def holders(self) -> Optional[dict[int, int]]:
        """The process that holds a socket, by inode; None when nobody looked."""
        return self._holders.first if self._holders else None

    def name(self, pid: int) -> Optional[str]:
        """A process's name; None for 0 and for one that is gone."""
        if pid not in self._names:
            self._names[pid] = procfs.comm(pid, self._proc)
        return self._names[pid]

    def listener_pid(self, netns: str, port: int) -> int:
        """The process that listens on a port, 0 when none was seen to."""
        listener = self._listeners.get((netns, port))
        return self.pid(listener.inode) if listener else 0

    def files(self) -> list[dict[str, Any]]:
        """The processes with many open files, ``[{pid, name, open, limit}]``, nearest to their limit first."""
        most = sorted((self._holders.open_files if self._holders else {}).items(), key=lambda item: -item[1])
        found: list[dict[str, Any]] = [
            {"pid": pid, "name": self.name(pid), "open": count, "limit": tcp_limits.open_file_limit(pid, self._proc)}
            for pid, count in most[: 5 * _PROCESSES_LIMIT]
            if count >= _INTERESTING_FILES
        ]
        return sorted(found, key=lambda one: -one["open"] / (one["limit"] or float("inf")))[:_PROCESSES_LIMIT]


def _inodes(reading: Reading) -> Iterator[int]:
    """The inodes of sockets that some process holds."""
    yield from (entry.inode for entry in (*reading.listeners, *reading.stuck) if entry.inode)
    yield from filter(None, reading.tally.inodes(_COUNTED))


def _grouped(readings: Iterable[Reading], who: _Who, before: Optional[_Before]) -> Groups:
    groups = Groups()
    for reading in readings:
        netns = reading.namespace.name
        for bunch, peers in reading.tally.bunches(_COUNTED, who.holders).items():
            ports = (bunch.port, None) if bunch.incoming else (None, bunch.port)
            groups.add(Key(netns, bunch.state, who.name(bunch.pid), *ports), peers)
        listening = {entry.port for entry in reading.listeners}
        compared = _compared(reading, before)
        for entry in reading.stuck:
            came_in = entry.port in listening and entry.state != "syn_sent"
            socket = _stuck(netns, entry, came_in, who, compared)
            ports = (entry.port, None) if came_in else (None, entry.peer_port)
            groups.add_stuck(Key(netns, entry.state, socket["process"], *ports), socket)
    return groups


def _compared(reading: Reading, before: Optional[_Before]) -> Optional[_Before]:
    """The first sample of a namespace, None where there is none: another backend knows sockets by other marks."""
    own = reading.namespace == net_namespaces.OWN
    return before if before and own and before.backend == reading.backend else None


def _stuck(netns: str, entry: Entry, came_in: bool, who: _Who, before: Optional[_Before]) -> dict[str, Any]:
    close_wait = entry.state == "close_wait"
    cause = tcp_groups.cause(entry, came_in) if close_wait else None
    # Nobody holds a connection that was never accepted: its listener's process is the one that should.
    pid = who.listener_pid(netns, entry.port) if cause == "never_accepted" else who.pid(entry.inode)
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
        "persisted": tcp_reader.identity(entry) in before.stuck if before else None,
    }


def _queues(reading: Reading, who: _Who, before: Optional[_Before]) -> Iterator[dict[str, Any]]:
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
        counts.update(entry.state for entry in (*reading.listeners, *reading.stuck))
        counts.update({state: reading.tally.count(state) for state in _COUNTED})
    return {state: counts[state] for state in STATES}


def _namespace(reading: Reading) -> dict[str, Any]:
    namespace = reading.namespace
    counted = sum(map(reading.tally.count, _COUNTED))
    sockets = len(reading.listeners) + len(reading.stuck) + counted
    return {
        "netns": namespace.name,
        "pid": namespace.pid,
        "container_id": namespace.container_id,
        "pod_uid": namespace.pod_uid,
        "sockets": sockets,
        "counters": tcp_limits.counters(KernelFiles(), namespace.net),
    }


def _ephemeral(
    host: list[Reading], who: _Who, span: Optional[list[int]], files: KernelFiles
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


def _most_frequent(who: _Who, inodes: list[int]) -> Optional[str]:
    names = Counter(who.name(who.pid(inode)) for inode in inodes)
    del names[None]  # TIME-WAIT belongs to nobody
    return names.most_common(1)[0][0] if names else None


def _plain(address: str) -> str:
    """A v4-mapped address as IPv4."""
    return address[7:] if address.startswith("::ffff:") and "." in address else address


def _bounded(section: dict[str, Any]) -> dict[str, Any]:
    """Halve what is longest until the section fits: names as long as the kernel allows must not make it any longer."""
    while len(json.dumps(section)) > BYTES_LIMIT:
        name = max(("accept_queues", "stuck", "groups", "namespaces"), key=lambda name: len(json.dumps(section[name])))
        kept = len(section[name]) // 2
        dropped = section[name][kept:]
        section["truncated"][name] = section["truncated"].get(name, 0) + len(dropped)
        section[name] = section[name][:kept]
        if name == "groups":
            section["other_groups"]["groups"] += len(dropped)
            section["other_groups"]["sockets"] += sum(group["count"] for group in dropped)
    return section
