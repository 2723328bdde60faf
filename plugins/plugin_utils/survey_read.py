# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the survey takes from one node's section ``tcp_states``: checked, and no more than it adds up.

Everything here raises KeyError, TypeError, ValueError or AttributeError for a section of another form, before any of it is kept.
"""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import cgroup, port_ranges

# In the order in which reports tell them; ss says the same in capitals.
STATES = (
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close_wait",
    "last_ack",
    "closing",
    "listen",
)
_MOST = 1 << 40  # no machine has as many sockets, and no backlog is as long: sums of larger numbers are nonsense
_NAME_LIMIT = 100  # the kernel's comm has 15 characters; names of units are longer
QUEUES = 10  # accept queues that are told: the fullest
_BACKLOGS = 8  # of one process on one port: more of them tell nothing more


class Service(NamedTuple):
    """What listens: a process (None: not seen) on a port, in the host's network or in those of pods."""

    process: str | None
    port: int
    pods: bool


class Stream(NamedTuple):
    """What the connections of a group have in common. ``side`` "local": they came in to ``port``; "peer": they go out to it."""

    state: str
    process: str | None
    side: str
    port: int


class Share(NamedTuple):
    """One host's part of a stream: sockets, distinct peers, and the largest of these with their sockets."""

    sockets: int
    peers: int | None
    top_peers: tuple[tuple[str, int], ...]


class Queue(NamedTuple):
    """An accept queue that was not empty."""

    service: Service
    length: int
    backlog: int

    @property
    def share(self) -> float:
        """Of the connections that it takes: one more than the backlog (include/net/sock.h, sk_acceptq_is_full)."""
        return self.length / (self.backlog + 1)


class Queues(NamedTuple):
    """A node's accept queues: of how many length and backlog were seen, of how many not, and the fullest (none: all were empty)."""

    seen: int
    unseen: int
    fullest: tuple[Queue, ...]


class Seen(NamedTuple):
    """One node: sockets by state, the backlogs by service (none: not seen), its accept queues, its part of each stream."""

    states: dict[str, int]
    services: dict[Service, tuple[int, ...]]
    queues: Queues
    streams: dict[Stream, Share]


def read(section: dict[str, Any]) -> Seen:
    """Read a section ``tcp_states``."""
    states = {state: _whole(section["states"][state]) for state in STATES}
    listeners = section["accept_queues"]
    left_out = _whole(section["truncated"].get("accept_queues", 0))
    return Seen(states, _services(listeners), _queues(listeners, left_out), _streams(section["groups"]))


def _services(queues: list[dict[str, Any]]) -> dict[Service, tuple[int, ...]]:
    found: dict[Service, set[int]] = {}
    for queue in queues:
        backlogs = found.setdefault(_service(queue), set())
        if queue["backlog"] is not None:
            backlogs.add(_whole(queue["backlog"]))
    return {service: tuple(sorted(backlogs)[:_BACKLOGS]) for service, backlogs in found.items()}


def _queues(listeners: list[dict[str, Any]], left_out: int) -> Queues:
    whole = [queue for queue in listeners if None not in (queue["queue"], queue["backlog"])]
    waiting = (Queue(_service(queue), _whole(queue["queue"]), _whole(queue["backlog"])) for queue in whole)
    fullest = heapq.nlargest(QUEUES, (queue for queue in waiting if queue.length), key=lambda queue: queue.share)
    return Queues(len(whole), len(listeners) - len(whole) + left_out, tuple(fullest))


def _service(queue: dict[str, Any]) -> Service:
    return Service(_owner(queue), _port(queue["port"]), queue["netns"] != "host")


def _owner(queue: dict[str, Any]) -> str | None:
    """The processes' names, else the unit that the socket's cgroup belongs to."""
    names = sorted({_name(process["name"]) for process in queue["processes"] if process["name"]})
    if len(names) > 1 and "systemd" in names:
        names.remove("systemd")  # it keeps the sockets of socket units, whoever serves them
    if names:
        return ", ".join(names[:3])[:_NAME_LIMIT]
    unit = cgroup.owner(queue["cgroup"]).unit if queue["cgroup"] else None
    return unit[:_NAME_LIMIT] if unit else None


def _streams(groups: list[dict[str, Any]]) -> dict[Stream, Share]:
    """Groups of one kind in several network namespaces are one stream."""
    found: dict[Stream, Share] = {}
    for group in groups:
        if group["state"] not in STATES:
            raise ValueError(f"{group['state']!r} is no TCP state")
        side = "peer" if group["local_port"] is None else "local"
        process = None if group["process"] is None else _name(group["process"])
        stream = Stream(group["state"], process, side, _port(group[f"{side}_port"]))
        found[stream] = _joined(found.get(stream), _share(group))
    return found


def _share(group: dict[str, Any]) -> Share:
    peers = None if group["peers"] is None else _whole(group["peers"])
    top = tuple((_name(peer["address"]), _whole(peer["count"])) for peer in group["top_peers"])
    return Share(_whole(group["count"]), peers, top)


def _joined(one: Share | None, other: Share) -> Share:
    if one is None:
        return other
    # The same peer may be in both: the larger number is what is sure.
    peers = None if None in (one.peers, other.peers) else max(one.peers or 0, other.peers or 0)
    return Share(one.sockets + other.sockets, peers, one.top_peers + other.top_peers)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise ValueError(f"{value!r} is no number of sockets")
    return value


def _port(value: Any) -> int:
    if not 1 <= _whole(value) <= port_ranges.HIGHEST:
        raise ValueError(f"{value!r} is no port")
    return int(value)


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no name")
    return value[:_NAME_LIMIT]
