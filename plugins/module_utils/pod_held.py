# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the waiting sockets of pods, and how a pod's listeners are told: each once, in order, within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import attribution, procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_names import PodNames
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_on_node import PodOnNode, pod_of
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_processes import BUDGET, PodProcesses, Process
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders

MOST_LISTENERS = 100  # of one pod
# Default low end of net.ipv4.ip_local_port_range: UDP sockets of clients are bound to ports from here on.
_EPHEMERAL = 32768


class _Holder(NamedTuple):
    """A process that holds a socket; ``container_id`` is None where it is in no container of the pod that is spoken of."""

    pid: int
    name: Optional[str]
    container_id: Optional[str]


_NOBODY = _Holder(0, None, None)


class PodSockets:
    """Asks ``holders`` once for all sockets of all pods; without ``holders`` nobody is looked for."""

    def __init__(
        self,
        holders: Optional[SocketHolders],
        processes: PodProcesses,
        names: PodNames,
        entries: Iterable[Entry],
        proc: str = "/proc",
    ) -> None:
        self.missing: list[dict[str, str]] = []
        self._holders = holders
        self._processes = processes
        self._names = names
        self._proc = proc
        self._known: dict[int, Process] = {process.pid: process for process in processes.found}
        inodes = {entry.inode for entry in entries if entry.inode}
        if holders is not None and inodes:
            holders.look_for(inodes)
            self.missing = attribution.missing(sum(not holders.pids(inode) for inode in inodes), holders, proc)

    def of(self, pod: PodOnNode, entries: Iterable[Entry]) -> list[dict[str, Any]]:
        """The listeners of a pod, ``[{protocol, family, address, port, v6only, process, pid, container, container_id}]``.

        Those of a lent network are only the pod's own. Workers that share a port with SO_REUSEPORT are one listener of their container.
        """
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        for entry in entries:
            holder = self._holder(pod, entry)
            if pod.lent and holder.container_id is None:
                continue
            listener = self._listener(entry, holder)
            key = (entry.protocol, entry.port, entry.family, entry.address, str(entry.v6only), holder.container_id)
            if key not in found or (listener["pid"] or 0) < (found[key]["pid"] or 0):
                found[key] = listener
        return sorted(found.values(), key=_order)

    def why_not_whole(self, pod: PodOnNode) -> str:
        """Why not all sockets may be known that a pod holds in a network that is not its own; empty when they are."""
        if self._holders is None:
            return "its sockets are among those of its host, and who holds them was not looked for"
        if self._holders.timed_out:
            return BUDGET
        if not self._holders.refused.isdisjoint(pod.processes):
            cure = procfs.cure_for_refused()
            return f"its sockets are among those of its host, and the open files of its processes could not be read: {cure}"
        if any(process.thread is not None for process in pod.processes.values()):
            return "its sockets are among those of its host, and a process of which the first thread has ended shows none of its open files"
        return ""

    def _holder(self, pod: PodOnNode, entry: Entry) -> _Holder:
        """One of the pod's own processes rather than another's: a mesh's proxy may hold sockets in the network of each pod."""
        pids = self._holders.pids(entry.inode) if self._holders is not None and entry.inode else []
        of_pod = next(((pid, id_) for pid, id_ in ((pid, self._container(pod, pid)) for pid in pids) if id_), None)
        if of_pod is not None:
            return _Holder(of_pod[0], self._name(of_pod[0]), of_pod[1])
        return _Holder(pids[0], self._name(pids[0]), None) if pids else _NOBODY

    def _container(self, pod: PodOnNode, pid: int) -> Optional[str]:
        """The pod's container that a process is in, None for other pods' processes."""
        process = pod.processes.get(pid) or self._known.get(pid)
        try:
            member = process.member if process else self._processes.member(pid)
        except PermissionError:
            return None
        return member.container_id if pod_of(member, self._names) == pod.uid else None

    def _name(self, pid: int) -> Optional[str]:
        known = self._known.get(pid)
        name = known.name if known else procfs.comm(pid, self._proc)
        return None if name is None else plain(name)

    def _listener(self, entry: Entry, holder: _Holder) -> dict[str, Any]:
        container = self._names.container(holder.container_id).name if holder.container_id else None
        return {
            "protocol": entry.protocol,
            "family": entry.family,
            "address": entry.address,
            "port": entry.port,
            "v6only": entry.v6only,
            "process": holder.name,
            "pid": holder.pid or None,
            "container": container,
            "container_id": holder.container_id,
        }


def within(listeners: Sequence[dict[str, Any]], most: int = MOST_LISTENERS) -> list[dict[str, Any]]:
    """At most so many of a pod's listeners, in their order: TCP first, and last UDP on ports from which clients draw theirs."""
    kept = sorted(range(len(listeners)), key=lambda number: _rank(listeners[number]))[:most]
    return [listeners[number] for number in sorted(kept)]


def _rank(listener: dict[str, Any]) -> int:
    return 0 if listener["protocol"] == "tcp" else 1 + (listener["port"] >= _EPHEMERAL)


def _order(listener: dict[str, Any]) -> tuple[Any, ...]:
    keys = ("protocol", "port", "family", "address")
    return (*(listener[key] for key in keys), listener["container_id"] or "", str(listener["v6only"]))
