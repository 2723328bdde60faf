# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``pod_listeners``: what listens in the network of each pod of this node, told by /proc of the pod's own processes.

Nothing is run in a pod, and nothing of its image is needed. The steps: one pass over all processes (pod_processes), what they are
called (pod_names), in which network each pod is (pod_on_node), one look into each network (pod_inside), and one pass over open files,
which all sections share (pod_held).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    containers,
    pod_held,
    pod_processes,
    procfs,
    rights,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.container_processes import ContainerProcesses
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain
from ansible_collections.kubenode.doctor.plugins.module_utils.net_namespaces import HOST
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_held import PodSockets
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_inside import Inside, Insides
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_names import PodNames, counted
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_network import Networks
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_on_node import PodOnNode, gather
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_processes import PodProcesses
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders

# What one call tells at most, so that no node can fill the controller. kubelet runs 110 pods by default, 250 on request.
MOST_PODS = 3000
MOST_LISTENERS = 5000


def collect(
    deadline: Deadline,
    holders: Optional[SocketHolders],
    listing: Optional[containers.Seen] = None,
    proc: str = "/proc",
    root: str = "/",
    pods: Optional[Collection[str]] = None,
    namespaces: Optional[Collection[str]] = None,
) -> dict[str, Any]:
    """Return ``{pods, truncated, complete, missing}``; a pod's shape is in pod_listeners' RETURN.

    Without ``holders`` no processes are looked for. ``listing`` is what containers.look has returned; without one it looks itself.
    ``pods`` (uids or names) and ``namespaces`` (of Kubernetes) limit what is looked at and told; ``truncated`` is
    ``{pods, listeners}`` beyond what is told. ``root`` is the folder that stands for the node's /.
    """
    processes = PodProcesses(deadline, proc)
    names = PodNames(listing if listing is not None else containers.look(deadline, root), root)
    networks = Networks(proc)
    found = [pod for pod in gather(processes.found, names, networks, proc) if _is_wanted(pod, pods, namespaces)]
    insides = Insides(deadline, networks, proc)
    seen = [(pod, insides.of(pod)) for pod in found[:MOST_PODS]]
    entries = [entry for _pod, inside in seen for entry in inside.entries or ()]
    sockets = PodSockets(holders, processes, names, entries, proc)
    teller = _Teller(sockets, names, networks, proc)
    told = [teller.tell(pod, inside) for pod, inside in seen]
    _keep_within(told)
    truncated = {"pods": len(found) - len(told), "listeners": sum(pod["unlisted"] for pod in told)}
    missing = [
        *_unseen_processes(processes, proc),
        *names.missing(),
        *_unseen_networks(seen, insides),
        *sockets.missing,
        *_beyond(truncated),
    ]
    return {"pods": told, "truncated": truncated, "complete": not missing, "missing": missing}


def _is_wanted(pod: PodOnNode, pods: Optional[Collection[str]], namespaces: Optional[Collection[str]]) -> bool:
    if namespaces is not None and (pod.name is None or pod.name.namespace not in namespaces):
        return False
    return pods is None or pod.uid in pods or (pod.name is not None and pod.name.name in pods)


class _Teller:
    """Describes pods."""

    def __init__(self, sockets: PodSockets, names: PodNames, networks: Networks, proc: str) -> None:
        self._sockets = sockets
        self._names = names
        self._networks = networks
        self._uptime = pod_processes.uptime(proc)

    def tell(self, pod: PodOnNode, inside: Inside) -> dict[str, Any]:
        listeners, why = self._listeners(pod, inside)
        kept = None if listeners is None else pod_held.within(listeners)
        unlisted = len(listeners or ()) - len(kept or ())
        reasons = [why]
        if pod.elsewhere:
            reasons.append(f"networks that were not looked at have {pod.elsewhere} of its processes")
        if unlisted:
            reasons.append(f"{unlisted} of its listeners are beyond the {pod_held.MOST_LISTENERS} that are told")
        return {
            "uid": pod.uid,
            "namespace": pod.name.namespace if pod.name else None,
            "name": pod.name.name if pod.name else None,
            "named_by": pod.name.named_by if pod.name else None,
            "host_network": None if pod.network is None else pod.lent,
            "netns": self._netns(pod),
            "pid": inside.pid,
            "addresses": inside.addresses,
            "redirects": inside.redirects,
            "own_kernel": pod.own_kernel,
            "containers": self._containers(pod),
            "listeners": kept,
            "unlisted": unlisted,
            "why": "; ".join(filter(None, reasons)) or None,
        }

    def _listeners(self, pod: PodOnNode, inside: Inside) -> tuple[Optional[list[dict[str, Any]]], str]:
        """A pod's listeners, None where they are not known, and why."""
        if inside.entries is None:
            return None, inside.why
        why = self._sockets.why_not_whole(pod) if pod.lent else ""
        return (None, why) if why else (self._sockets.of(pod, inside.entries), "")

    def _netns(self, pod: PodOnNode) -> Optional[str]:
        if pod.network is None:
            return None
        return HOST if self._networks.is_own(pod.network) else pod.network.name

    def _containers(self, pod: PodOnNode) -> list[dict[str, Any]]:
        started: dict[str, list[float]] = {}
        for process in pod.processes.values():
            if process.member.container_id is not None:
                times = started.setdefault(process.member.container_id, [])
                times += [process.started] if process.started is not None else []
        told = []
        for id_, times in started.items():
            name, image = self._names.container(id_)
            told.append({"id": id_, "name": name, "image": image, "age_seconds": self._age(times)})
        return sorted(told, key=lambda one: (one["name"] or "", one["id"]))

    def _age(self, started: Sequence[float]) -> Optional[float]:
        if not started or self._uptime is None:
            return None
        return round(max(0.0, self._uptime - min(started)), 2)


def _keep_within(told: Sequence[dict[str, Any]]) -> None:
    """Take the listeners away from the pods that have most of them, until no more than MOST_LISTENERS are told."""
    room = MOST_LISTENERS
    for pod in sorted(told, key=lambda one: len(one["listeners"] or ())):
        number = len(pod["listeners"] or ())
        if number <= room:
            room -= number
            continue
        why = f"its {number + pod['unlisted']} listeners are beyond the {MOST_LISTENERS} that are told of one node"
        pod.update(listeners=None, unlisted=number + pod["unlisted"], why=why)


def _unseen_processes(processes: PodProcesses, proc: str) -> list[dict[str, str]]:
    why = pod_processes.BUDGET if processes.timed_out else procfs.why_hidden(processes.hidden, proc)
    if not why and not ContainerProcesses(proc).sees_all():
        why = "this is a container with its own pid namespace: run on the host"
    return [{"what": "processes of pods", "why": why}] if why else []


def _unseen_networks(seen: Sequence[tuple[PodOnNode, Inside]], insides: Insides) -> list[dict[str, str]]:
    gaps = []
    cure = rights.cure(rights.ENTER, rights.NETWORK, rights.TRACE, rights.READ_FILES)
    unread = [inside.why for pod, inside in seen if inside.entries is None and pod.own_kernel is None]
    if unread:
        gaps.append(
            {"what": "networks of pods", "why": f"{len(unread)} could not be read, the first because {unread[0]}"}
        )
    if insides.sockets.without_v6only:
        why = f"of {counted(insides.sockets.without_v6only, 'network')} only /proc told the listeners ({plain(insides.sockets.refusal)})"
        gaps.append({"what": "v6only", "why": f"{why}: {cure}"})
    own = [inside for pod, inside in seen if inside.entries is not None and not pod.lent]
    unseen = sum(inside.redirects is None for inside in own)
    if unseen:
        gaps.append(
            {"what": "redirects", "why": f"the NAT rules of {counted(unseen, 'pod')} could not be seen: {cure}"}
        )
    unseen = sum(inside.addresses is None for inside in own)
    if unseen:
        gaps.append(
            {"what": "addresses", "why": f"those of {counted(unseen, 'pod')} could not be read from /proc/PID/net"}
        )
    return gaps


def _beyond(truncated: dict[str, int]) -> list[dict[str, str]]:
    gaps = []
    if truncated["pods"]:
        gaps.append({"what": "pods", "why": f"{truncated['pods']} are beyond the {MOST_PODS} that are told"})
    if truncated["listeners"]:
        limits = f"{pod_held.MOST_LISTENERS} of a pod and the {MOST_LISTENERS} of a node"
        gaps.append({"what": "listeners", "why": f"{truncated['listeners']} are beyond the {limits} that are told"})
    return gaps
