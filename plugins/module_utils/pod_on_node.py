# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pods that have processes on a node, and the network that each of them is in."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import foreign_kernel
from ansible_collections.kubenode.doctor.plugins.module_utils.cgroup import Member
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_names import PodName, PodNames
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_network import Network, Networks, main_network
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_processes import Process

_UNKNOWN = float("inf")  # what has no time comes last


class PodOnNode(NamedTuple):
    """A pod.

    ``processes`` are those of its containers by pid. ``network`` is None where it could not be told; ``readers`` are the processes
    in it, the best to read it through first, and ``elsewhere`` counts those in other ones. ``lent`` says that the network is not its own:
    it is the host's, or that of a node inside this one, where several pods share it. ``own_kernel`` is that of foreign_kernel.
    """

    uid: str
    name: Optional[PodName]
    processes: dict[int, Process]
    own_kernel: Optional[str]
    network: Optional[Network]
    readers: list[int]
    elsewhere: int
    lent: bool


class _Pod(NamedTuple):
    """A pod's processes, those in its containers and those beside them, and how many pods it lies in, itself too."""

    inside: dict[int, Process]
    beside: dict[int, Process]
    depth: int


def pod_of(member: Member, names: PodNames) -> Optional[str]:
    """The uid of the pod that a process is in: by its cgroup, or by its container where the cgroup names no pod."""
    if member.pod_uid is not None or member.container_id is None:
        return member.pod_uid
    return names.pod_of(member.container_id)


def gather(found: Sequence[Process], names: PodNames, networks: Networks, proc: str = "/proc") -> list[PodOnNode]:
    """The pods of these processes, sorted by namespace, name and uid."""
    pods: dict[str, _Pod] = {}
    for process in found:
        uid = pod_of(process.member, names)
        if uid is not None:
            pod = pods.setdefault(uid, _Pod({}, {}, process.member.depth))
            (pod.inside if process.member.container_id else pod.beside)[process.pid] = process
    placed = (_placed(uid, pod, names, networks, proc) for uid, pod in pods.items())
    there = [pod for pod in placed if pod.processes]
    owners = _owners(there, {uid: pod.depth for uid, pod in pods.items()})
    of_nodes = _of_nodes(found, there, networks)
    whose = [pod._replace(lent=_is_lent(pod, networks, owners, of_nodes)) for pod in there]
    return sorted(whose, key=lambda pod: (*(pod.name[:2] if pod.name else ("", "")), pod.uid))


def _placed(uid: str, pod: _Pod, names: PodNames, networks: Networks, proc: str) -> PodOnNode:
    kernels = {
        process.pid: foreign_kernel.program(process.name, process.pid, proc)
        for process in (*pod.inside.values(), *pod.beside.values())
    }
    # What is in no container is no part of the pod (conmon is in the host's network), unless it is a machine that runs its containers.
    processes = pod.inside or {pid: process for pid, process in pod.beside.items() if kernels[pid]}
    shown = {pid: one.shown for pid, one in processes.items()}
    by_shown = networks.of(list(shown.values()))
    where = {pid: by_shown[number] for pid, number in shown.items() if number in by_shown}
    sandbox = [pid for pid, one in processes.items() if names.is_sandbox(one.member.container_id or "")]
    network = main_network(where, _oldest(processes.values()), sandbox)
    inside = [shown[pid] for pid in (*sandbox, *processes) if where.get(pid) == network]
    return PodOnNode(
        uid,
        names.pod(uid, {one.member.container_id for one in processes.values() if one.member.container_id}),
        processes,
        next(filter(None, kernels.values()), None),
        network,
        list(dict.fromkeys(inside)) if network else [],
        len(where) - sum(one == network for one in where.values()),
        False,
    )


def _oldest(processes: Iterable[Process]) -> list[int]:
    """The first process of each container: the others may have gone into other namespaces."""
    first: dict[Optional[str], Process] = {}
    for process in processes:
        there = first.setdefault(process.member.container_id, process)
        if _age_order(process) < _age_order(there):
            first[process.member.container_id] = process
    return [process.pid for process in first.values()]


def _age_order(process: Process) -> tuple[float, int]:
    return _UNKNOWN if process.started is None else process.started, process.pid


def _is_lent(
    pod: PodOnNode, networks: Networks, owners: dict[Network, Optional[str]], of_nodes: Container[Network]
) -> bool:
    if pod.network is None:
        return False
    return networks.is_hosts(pod.network) or pod.network in of_nodes or owners[pod.network] != pod.uid


def _of_nodes(found: Iterable[Process], pods: Iterable[PodOnNode], networks: Networks) -> set[Network]:
    """The networks of containers in which pods lie (k3d, kind): each is that of a node, and of its pods only what these hold."""
    nodes = {process.member.node for pod in pods for process in pod.processes.values()} - {None}
    if not nodes:
        return set()
    own = [process.shown for process in found if process.member.depth == 0 and process.member.container_id in nodes]
    return set(networks.of(own).values())


def _owners(pods: Sequence[PodOnNode], depths: dict[str, int]) -> dict[Network, Optional[str]]:
    """Whose each network is: that of the outermost pod in it.

    Of several of those it is nobody's: they have their node's, and that node is inside this one, in a container, a machine or a pod. Only
    where nothing says so, it is that of the pod which began first: the others have gone into it (``nsenter``).
    """
    began = {pod.uid: _began(pod) for pod in pods}
    inside = {pod.uid for pod in pods if any(process.member.node for process in pod.processes.values())}
    members: dict[Network, list[str]] = {}
    for pod in pods:
        if pod.network is not None:
            members.setdefault(pod.network, []).append(pod.uid)
    owners: dict[Network, Optional[str]] = {}
    for network, uids in members.items():
        outermost = min(depths[uid] for uid in uids)
        first = [uid for uid in uids if depths[uid] == outermost]
        alone = len(first) == 1 or (outermost == 1 and inside.isdisjoint(first))
        owners[network] = min(first, key=lambda uid: began[uid]) if alone else None
    return owners


def _began(pod: PodOnNode) -> tuple[float, int]:
    return min(map(_age_order, pod.processes.values()))
