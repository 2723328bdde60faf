# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle of as many nodes as are wanted, each of them a captured one (tests/fixtures/bundle) under another name.

The first is node-a of the captured cluster as it is. The others are that node without what only a control plane has and without the sockets that
were put there to be found, with nine to fourteen pods, and with pids, inodes, addresses, names, ids and counts of their own: 25 KiB each. One fault
is the whole fleet's: the kernel draws ports of the NodePort range. Every twentieth node has one of its own: what nodes in trouble showed of TCP or of
their load, sections that are missing, an operator who is not root, the sockets that were taken away; or it does not answer.
"""

from __future__ import annotations

import hashlib
import importlib
import ipaddress
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle

# By its name, because tests have no types.
scene: Any = importlib.import_module("ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene")
FIRST = "node-a"
SPREAD, FAULTY = 20, 7  # of so many nodes one has a fault of its own: those with this remainder
_NODES = ipaddress.IPv4Address("172.16.0.0")
_PODS = ipaddress.IPv4Address("100.64.0.0")  # 256 for each node
_PODS_MOST = 6  # more than the captured node has: none to five
_TAKEN_AWAY = (30080, 30081, 31999, 32530, 35776, 6443)
_SILENT = "Failed to connect to the host via ssh: ssh: connect to host {} port 22: Connection timed out"
_UNREACHED = "the budget of 20 s ended before it"

Snapshot = dict[str, Any]


def hosts(count: int) -> list[str]:
    """The names of so many nodes."""
    return [FIRST, *(f"worker-{number:05d}" for number in range(1, count))]


def write(folder: Path, count: int, started: str, earlier: str | None = None) -> None:
    """Make a bundle of so many nodes; ``earlier`` names the one before it, in which a few of them listened on something else."""
    about = {"started": started, "version": "0.1.0", "earlier": [earlier] if earlier else []}
    bundle.create(folder, hosts(count), about)
    cluster = scene.kubernetes_136()
    cluster["nodes"] += [_node_object(cluster["nodes"][0], number) for number in range(1, count)]
    bundle.write(folder / "cluster.json", {**cluster, "pods_of": []})
    kinds = [_as_text(kind) for kind in _kinds()]
    for number, host in enumerate(hosts(count)):
        if number == 0:
            bundle.write_answer(folder, host, scene.captured(FIRST))
        elif _trouble(number) == len(kinds):
            bundle.write_silence(folder, host, _SILENT.format(host))
        else:
            bundle.write_answer(folder, host, _own(json.loads(kinds[_trouble(number)]), number, bool(earlier)))


def silent(count: int) -> int:
    """How many of so many nodes do not answer."""
    last = len(_TROUBLES) + 1
    return sum(_trouble(number) == last for number in range(1, count))


def _trouble(number: int) -> int:
    """Which kind of node it is: 0 has no fault of its own, the last one does not answer."""
    return 1 + number // SPREAD % (len(_TROUBLES) + 1) if number % SPREAD == FAULTY else 0


def _kinds() -> list[Snapshot]:
    worker = _worker()
    return [worker, *(change(scene.changed(worker)) for change in _TROUBLES)]


def _worker() -> Snapshot:
    """The captured node as one that carries no control plane."""
    node: Snapshot = scene.without_sockets(
        scene.changed(scene.captured(FIRST), "host.components", ["containerd", "kube-proxy", "kubelet"]), *_TAKEN_AWAY
    )
    node["sections"]["port_settings"]["api_server"] = {"range": None, "source": None, "complete": True, "missing": []}
    return node


def _with(section: str, file: str) -> Callable[[Snapshot], Snapshot]:
    return lambda node: scene.changed(node, section, scene.captured_section(file))


_TROUBLES: tuple[Callable[[Snapshot], Snapshot], ...] = (
    _with("tcp_states", "tcp-sick"),
    _with("tcp_states", "tcp-exhausted"),
    _with("tcp_states", "tcp-sick-procfs"),
    _with("host_pressure", "host-pressure-busy"),
    lambda node: scene.changed(node, "host_pressure.clock.synchronized", False),
    lambda node: scene.lost(node, "containers", "containers", _UNREACHED),
    lambda _node: scene.captured("sick-as-nobody"),
    lambda _node: scene.captured("node-a"),
)


def _as_text(snapshot: Snapshot) -> str:
    return json.dumps(snapshot)


def _own(snapshot: Snapshot, number: int, is_later: bool) -> Snapshot:
    """The snapshot with what no two nodes have in common."""
    sections = snapshot["sections"]
    sections["host"].update(hostname=hosts_name(number))
    for entry in sections["host"]["addresses"]:
        if entry["interface"] != "lo":
            entry["address"] = node_address(number)
    _renumber(sections, 1000 * number)
    pods = sections["pod_listeners"]["pods"]
    own = [pod for pod in pods if not pod["host_network"]]
    for place in range(number % _PODS_MOST if own else 0):
        pods.append(json.loads(json.dumps(own[place % len(own)])))
    for place, pod in enumerate(pods):
        _own_pod(pod, number, place)
    for state in ("established", "time_wait"):
        sections["tcp_states"]["states"][state] += number % 97
    if number % 100 == (53 if is_later else 3):
        _one_less(sections)
    return snapshot


def hosts_name(number: int) -> str:
    """The name of one node but the first."""
    return f"worker-{number:05d}"


def node_address(number: int) -> str:
    """The InternalIP of one node but the first."""
    return str(_NODES + number)


def _renumber(part: Any, shift: int) -> None:
    """Give processes and sockets numbers that no other node has."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("pid", "inode") and isinstance(value, int) and value > 1:
                part[key] = value + shift
            elif isinstance(value, (dict, list)):
                _renumber(value, shift)
    else:
        for value in part:
            if isinstance(value, (dict, list)):
                _renumber(value, shift)


def _own_pod(pod: dict[str, Any], number: int, place: int) -> None:
    digest = hashlib.sha256(f"{number} {place}".encode()).hexdigest()
    pod["uid"] = f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
    pod["name"] = f"{pod['name'].rpartition('-')[0]}-{digest[:5]}"
    if not pod["host_network"]:
        pod["addresses"] = [str(_PODS + 256 * number + place + 2)]
        pod["netns"] = str(4026540000 + place)
    for entry in (*pod["containers"], *(pod["listeners"] or ())):
        key = "id" if "id" in entry else "container_id"
        if entry[key]:
            entry[key] = hashlib.sha256(f"{number} {place} {entry[key]}".encode()).hexdigest()


def _one_less(sections: dict[str, Any]) -> None:
    """Take one listener away, so that it has appeared or is gone beside the other audit."""
    listeners = sections["listen_ports"]["listeners"]
    if listeners:
        listeners.pop()


def _node_object(captured: dict[str, Any], number: int) -> dict[str, Any]:
    digest = hashlib.sha256(f"node {number}".encode()).hexdigest()
    return {
        **captured,
        "name": hosts_name(number),
        "hostname": hosts_name(number),
        "uid": f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}",
        "internal_ips": [node_address(number)],
        "pod_cidrs": [f"{_PODS + 256 * number}/24"],
    }
