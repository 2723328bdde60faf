# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed 003 as data: what its operator's commands printed, turned into the snapshots that node_snapshot would have stored.

tests/fixtures/seed_003/README.md says what was captured and what is inferred. ``snapshots()`` are the three hosts that the seed
describes, ``fleet()`` all 51, in which the other nodes are like these, and ``cluster()`` what the API server told.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "seed_003"
WORKER = "ip-10-3-32-171.cn-north-1.compute.internal"
SECOND_WORKER = "ip-10-3-32-238.cn-north-1.compute.internal"
MASTER = "ip-10-3-33-109.cn-north-1.compute.internal"

Section = dict[str, Any]

_NOT_CAPTURED = "the notes of seed 003 do not show it"
_STATES = {
    "ESTAB": "established",
    "SYN-SENT": "syn_sent",
    "SYN-RECV": "syn_recv",
    "FIN-WAIT-1": "fin_wait1",
    "FIN-WAIT-2": "fin_wait2",
    "TIME-WAIT": "time_wait",
    "CLOSE-WAIT": "close_wait",
    "LAST-ACK": "last_ack",
    "CLOSING": "closing",
    "LISTEN": "listen",
}
# CLOSE-WAIT 1      0               10.3.33.109:50718          10.3.63.151:10250  users:(("kube-apiserver",pid=27807,fd=179))
_SOCKET = re.compile(r'(\S+) +(\d+) +(\d+) +(\S+):(\d+) +(\S+):(\d+|\*) +users:\(\("(.+?)",pid=(\d+),fd=\d+\)\)')
_COUNTERS = (
    "ListenOverflows",
    "ListenDrops",
    "TCPAbortOnMemory",
    "TCPTimeWaitOverflow",
    "TCPReqQFullDrop",
    "TCPReqQFullDoCookies",
    "orphans",
    "time_wait",
    "memory_pages",
    "in_use",
    "allocated",
)
_LIMITS = (
    "somaxconn",
    "tcp_max_syn_backlog",
    "tcp_max_orphans",
    "tcp_max_tw_buckets",
    "tcp_fin_timeout",
    "tcp_tw_reuse",
    "tcp_syn_retries",
    "tcp_mem",
    "ip_local_port_range",
    "ip_local_reserved_ports",
    "conntrack",
    "files",
)
# What node_snapshot reads the counters and limits from.
_FILES = (
    "/proc/net/netstat",
    "/proc/net/sockstat",
    "/proc/sys/net/core/somaxconn",
    *(f"/proc/sys/net/ipv4/{name}" for name in _LIMITS if name.startswith(("tcp_", "ip_"))),
    "/proc/sys/fs/file-nr",
    "/proc/sys/net/netfilter/nf_conntrack_count",
)


def nodes() -> list[tuple[str, str]]:
    """The names and roles of the 51 nodes: ``("ip-10-3-32-171.cn-north-1.compute.internal", "node")``."""
    rows = [line.split() for line in _lines("nodes.txt")]
    return [(name, role) for name, _status, role, *_rest in rows[1:]]


def address(node: str) -> str:
    """The InternalIP that a node is named after."""
    return node.split(".", maxsplit=1)[0].removeprefix("ip-").replace("-", ".")


def cluster(services: list[Any] | None = None) -> dict[str, Any]:
    """What the API server told: the nodes. Services were not asked for (None); an empty list is a cluster that has none."""
    gaps = [{"what": kind, "why": _NOT_CAPTURED} for kind in ("Services", "EndpointSlices") if services is None]
    return {
        "schema": 1,
        "complete": not gaps,
        "missing": gaps,
        "server": None,
        "server_version": None,
        "services": services,
        "endpoint_slices": None if services is None else [],
        "nodes": [_node(name, role) for name, role in nodes()],
    }


def snapshots() -> dict[str, Any]:
    """The three hosts of which the seed tells something."""
    return {WORKER: worker(WORKER), SECOND_WORKER: worker(SECOND_WORKER), MASTER: master(MASTER)}


def fleet() -> dict[str, Any]:
    """All 51 nodes: each worker like the one that was looked at, each master like that one, with counts a little different."""
    hosts = {}
    for number, (name, role) in enumerate(nodes()):
        hosts[name] = worker(name) if role == "node" else master(name)
        states = hosts[name]["sections"]["tcp_states"]["states"]
        states["established"] += number % 7
        states["time_wait"] += number % 3
    return hosts


def worker(name: str) -> dict[str, Any]:
    """The worker's snapshot, under its own or another worker's name and address."""
    waiting = sockets(f"{_host(WORKER)}/listeners.txt")
    dialling = [socket | {"address": address(name)} for socket in sockets(f"{_host(WORKER)}/syn-sent.txt")]
    states = _counts(WORKER)
    tcp = _tcp_states(
        states,
        [_group("syn_sent", "bird", 179, states["syn_sent"], dialling)],
        [_queue(socket) for socket in waiting],
        [_stuck(socket) for socket in dialling],
    )
    kernel = _lines(f"{_host(WORKER)}/uname.txt")[0].split()[2]
    return _snapshot(_identity(name, {socket["process"] for socket in waiting}, kernel), tcp, _gap("host_pressure"))


def master(name: str) -> dict[str, Any]:
    """The master's snapshot, under its own or another master's name and address."""
    own = {"address": address(name)}
    protokube = [socket | own for socket in sockets(f"{_host(MASTER)}/syn-sent-not-bird.txt")]
    leaking = [socket | own for socket in sockets(f"{_host(MASTER)}/close-wait.txt")]
    states = _counts(MASTER)
    tcp = _tcp_states(
        states,
        [
            _group("syn_sent", "bird", 179, states["syn_sent"] - len(protokube), []),
            _group("syn_sent", "protokube", 3999, len(protokube), protokube),
            _group("close_wait", "kube-apiserver", 10250, states["close_wait"], leaking),
        ],
        [_queue(socket) for socket in services()],
        [_stuck(socket) for socket in protokube + leaking],
    )
    identity = _identity(name, {socket["process"] for socket in services()}, None)
    return _snapshot(identity, tcp, _pressure())


def services() -> list[dict[str, Any]]:
    """The operator's table as listening sockets: their queues are empty, since no listener of the master was printed."""
    # | 2380/2381/4001/4002 | etcd | 32768 |
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in _lines("services.txt")[2:]]
    printed = sockets(f"{_host(MASTER)}/listeners-with-queue.txt")
    assert not printed
    return [
        {"process": process, "pid": None, "address": "::", "port": int(port), "receive": 0, "send": int(backlog)}
        for ports, process, backlog in rows
        for port in ports.split("/")
    ]


def sockets(file: str) -> list[dict[str, Any]]:
    """The sockets that ss printed: state, queues (``receive``, ``send``), addresses, the process and its pid."""
    lines = [line for line in _lines(file) if line != "..." and not line.startswith("State ")]
    return [_socket(line) for line in lines]


def _socket(line: str) -> dict[str, Any]:
    found = _SOCKET.fullmatch(line.strip())
    if found is None:
        raise ValueError(f"no socket of ss: {line!r}")
    state, receive, send, local, port, peer, peer_port, process, pid = found.groups()
    return {
        "state": _STATES[state],
        "receive": int(receive),
        "send": int(send),
        "address": {"*": "0.0.0.0"}.get(local, local),
        "port": int(port),
        "peer": peer,
        "peer_port": None if peer_port == "*" else int(peer_port),
        "process": process[:15],  # ss prints the kernel's comm
        "pid": int(pid),
    }


def vmstat() -> tuple[dict[str, int], list[dict[str, int]]]:
    """The average since boot and the samples, a second apart, by the names of vmstat's columns."""
    _title, header, *lines = _lines(f"{_host(MASTER)}/vmstat.txt")
    rows = [dict(zip(header.split(), map(int, line.split()), strict=True)) for line in lines]
    return rows[0], rows[1:]


def _lines(file: str) -> list[str]:
    return (FOLDER / file).read_text("utf-8").splitlines()


def _host(node: str) -> str:
    return node.split(".", maxsplit=1)[0]


def _counts(node: str) -> dict[str, int]:
    """awk printed the states that some socket was in."""
    told = dict(line.split() for line in _lines(f"{_host(node)}/tcp-states.txt"))
    return {name: int(told.get(state, 0)) for state, name in _STATES.items()}


def _node(name: str, role: str) -> dict[str, Any]:
    return {
        "name": name,
        "uid": "",
        "internal_ips": [address(name)],
        "external_ips": [],
        "hostname": name,
        "labels_roles": [role],
        "unschedulable": False,
        "ready": "True",
        "pod_cidrs": [],
        "kubelet_version": "v1.8.1",
        "kube_proxy_version": None,
        "container_runtime_version": None,
        "os_image": None,
        "kernel_version": None,
    }


def _gap(*what: str) -> dict[str, Any]:
    return {"complete": False, "missing": [{"what": each, "why": _NOT_CAPTURED} for each in what]}


def _snapshot(identity: Section, tcp: Section, pressure: Section) -> dict[str, Any]:
    sections = {
        "host": identity,
        "port_settings": _gap("port_settings"),
        "listen_ports": _gap("listen_ports"),
        "nodeport_conflict": _gap("nodeport_conflict"),
        "tcp_states": tcp,
        "host_pressure": pressure,
    }
    return {"schema": 1, "sections": sections, "seconds": None, **_gap(*sections)}


def _identity(node: str, programs: Iterable[str], kernel: str | None) -> Section:
    kubernetes = {"kubelet", "kube-proxy", "kube-apiserver", "kube-controller", "kube-scheduler", "etcd"}
    return {
        "hostname": _host(node),
        "kernel": kernel,
        "python": None,
        "root": True,
        "host_pid_namespace": True,
        "addresses": [{"interface": "eth0", "address": address(node)}],
        "components": sorted(kubernetes.intersection(programs)),
        "complete": True,
        "missing": [],
    }


def _tcp_states(states: dict[str, int], groups: list[Section], queues: list[Section], stuck: list[Section]) -> Section:
    told = sum(group["count"] for group in groups)
    connections = sum(count for state, count in states.items() if state != "listen")
    counters: dict[str, None] = dict.fromkeys(_COUNTERS)
    namespace = {"netns": "host", "pid": None, "container_id": None, "pod_uid": None, "counters": dict(counters)}
    return {
        "backend": "sock_diag",
        "netns": "host",
        "namespaces": [{**namespace, "sockets": connections + states["listen"]}],
        "states": states,
        "groups": groups,
        "other_groups": {"groups": None, "sockets": connections - told},
        "accept_queues": queues,
        "stuck": stuck,
        "ephemeral": None,
        "counters": counters,
        "growth": None,
        "limits": {**dict.fromkeys(_LIMITS), "processes": []},
        "truncated": {"accept_queues": states["listen"] - len(queues), "namespaces": 0},
        **_gap("ephemeral ports", "open files of processes", *_FILES),
    }


def _group(state: str, process: str, port: int, count: int, shown: list[dict[str, Any]]) -> Section:
    """A group of outgoing connections, of which the seed shows some; every SYN-SENT has a peer of its own."""
    peers = Counter(socket["peer"] for socket in shown)
    close_wait = state == "close_wait"
    causes = Counter(map(_cause, shown))
    return {
        "netns": "host",
        "state": state,
        "process": process[:15],
        "local_port": None,
        "peer_port": port,
        "count": count,
        "peers": len(peers) if close_wait else count,
        "top_peers": [{"address": peer, "count": number} for peer, number in peers.most_common()],
        "oldest_seconds": None,
        "persisted": count if close_wait else None,
        "causes": {cause: causes[cause] for cause in ("never_read", "leaked", "never_accepted")}
        if close_wait
        else None,
    }


def _cause(socket: dict[str, Any]) -> str | None:
    """The other end's FIN counts as one unread byte: with Recv-Q 1 the program has not read it, with 0 it has, and keeps the socket."""
    if socket["state"] != "close_wait":
        return None
    return "never_read" if socket["receive"] else "leaked"


def _stuck(socket: dict[str, Any]) -> Section:
    close_wait = socket["state"] == "close_wait"
    return {
        "netns": "host",
        **{key: socket[key] for key in ("state", "address", "port", "peer", "peer_port", "process", "pid")},
        "inode": None,
        "age_seconds": None,
        "retransmits": None,
        "unread": max(socket["receive"] - 1, 0) if close_wait else None,
        "cause": _cause(socket),
        "persisted": True if close_wait else None,
    }


def _queue(socket: dict[str, Any]) -> Section:
    process = {"pid": socket["pid"], "name": socket["process"], "unit": None, "container_id": None, "pod_uid": None}
    return {
        "netns": "host",
        "family": "ipv6" if ":" in socket["address"] else "ipv4",
        "address": socket["address"],
        "port": socket["port"],
        "queue": socket["receive"],
        "backlog": socket["send"],
        "queue_before": None,
        "inode": None,
        "processes": [process],
        "hidden": False,
        "cgroup": None,
    }


def _pressure() -> Section:
    since_boot, samples = vmstat()
    columns = {"user": "us", "system": "sy", "iowait": "wa", "steal": "st", "idle": "id"}
    facts = dict(line.split(":", 1) for line in _lines(f"{_host(MASTER)}/lscpu.txt"))
    return {
        "seconds": float(len(samples)),
        "cpus": {"online": int(facts["CPU(s)"]), "present": None},
        "cpu": {
            **{name: statistics.mean(row[column] for row in samples) / 100 for name, column in columns.items()},
            "irq": None,
        },
        "steal_since_boot": since_boot["st"] / 100,
        "run_queue": {"samples": [row["r"] for row in samples], "blocked": [row["b"] for row in samples]},
        "load": None,
        "psi": None,
        "memory": None,
        "files": None,
        "conntrack": None,
        "threads": None,
        "clock": None,
        **_gap(
            "/proc/loadavg",
            "/proc/meminfo",
            "/proc/sys/fs/file-nr",
            "/proc/sys/net/netfilter/nf_conntrack_count",
            "/proc/sys/kernel/pid_max",
            "clock synchronisation",
        ),
    }
