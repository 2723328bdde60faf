# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pods that have processes on a node, and the network that each of them is in."""

from __future__ import annotations

from collections.abc import Iterable
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


def gather(found: Iterable[Process], names: PodNames, networks: Networks, proc: str = "/proc") -> list[PodOnNode]:
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
    whose = [
        pod._replace(
            lent=pod.network is not None and (networks.is_hosts(pod.network) or owners[pod.network] != pod.uid)
        )
        for pod in there
    ]
    return sorted(whose, key=lambda pod: (*(pod.name[:2] if pod.name else ("", "")), pod.uid))


def _placed(uid: str, pod: _Pod, names: PodNames, networks: Networks, proc: str) -> PodOnNode:
    kernels = {
        process.pid: foreign_kernel.program(process.name, process.pid, proc)
        for process in (*pod.inside.values(), *pod.beside.values())
    }
    # What is in no container is no part of the pod (conmon is in the host's network), unless it is a machine that runs its containers.
    processes = pod.inside or {pid: process for pid, process in pod.beside.items() if kernels[pid]}
    where = networks.of(list(processes))
    sandbox = [pid for pid, one in processes.items() if names.is_sandbox(one.member.container_id or "")]
    network = main_network(where, _oldest(processes.values()), sandbox)
    inside = [pid for pid in (*sandbox, *processes) if where.get(pid) == network]
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


def _owners(pods: Iterable[PodOnNode], depths: dict[str, int]) -> dict[Network, Optional[str]]:
    """Whose each network is: that of the outermost pod in it, and nobody's where there are several of those.

    Pods that share a network have their node's, and that node is inside this one (kind): in a container, or in a pod.
    """
    members: dict[Network, list[str]] = {}
    for pod in pods:
        if pod.network is not None:
            members.setdefault(pod.network, []).append(pod.uid)
    owners: dict[Network, Optional[str]] = {}
    for network, uids in members.items():
        outermost = min(depths[uid] for uid in uids)
        first = [uid for uid in uids if depths[uid] == outermost]
        owners[network] = first[0] if len(first) == 1 else None
    return owners
