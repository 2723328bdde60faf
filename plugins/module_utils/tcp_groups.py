# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCP sockets grouped by state, process and port, with their peers; the stuck ones with what keeps them."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import socket_sketch, tcp_tally
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_reader import STUCK

# What keeps a connection in CLOSE-WAIT (docs/rules.md, close-wait-leak).
CAUSES = ("never_read", "leaked", "never_accepted")
_GROUPS_LIMIT = 100
_PEERS_LIMIT = 250  # of a group; of stuck ones, whose peers a rule looks up one by one, twice as many in all
_STUCK_OF_A_GROUP = 20
_STUCK_LIMIT = 200


class Key(NamedTuple):
    """What the sockets of a group have in common."""

    netns: str
    state: str
    process: Optional[str]
    local_port: Optional[int]
    peer_port: Optional[int]


class _Group:
    def __init__(self) -> None:
        self.count = 0
        self.peers: Counter[bytes] = Counter()  # by address, of 4 or 16 bytes: few of them are ever told
        self.causes: Counter[str] = Counter()
        self.persisted: Optional[int] = None
        self.oldest: Optional[float] = None
        self.stuck: list[dict[str, Any]] = []
        self.sketch = socket_sketch.Maker()


class Groups:
    """Collects; ``told`` and ``stuck`` return the largest of what was collected."""

    def __init__(self) -> None:
        self._groups: dict[Key, _Group] = {}

    def add(self, key: Key, peers: Mapping[bytes, int]) -> None:
        """Add sockets that one process holds, counted by peer."""
        group = self._group(key)
        group.count += sum(peers.values())
        group.peers.update(peers)

    def add_stuck(self, key: Key, socket: dict[str, Any], entry: Entry) -> None:
        """Add one SYN-SENT or CLOSE-WAIT socket, in the shape that tcp_states returns and as it was read."""
        group = self._group(key)
        if key.state == "close_wait":
            group.sketch.add(entry)
        group.count += 1
        group.peers[tcp_tally.packed(socket["peer"])] += 1
        if socket["cause"]:
            group.causes[socket["cause"]] += 1
        if socket["persisted"] is not None:
            group.persisted = (group.persisted or 0) + socket["persisted"]
        if socket["age_seconds"] is not None:
            group.oldest = max(group.oldest or 0.0, socket["age_seconds"])
        group.stuck.append(socket)
        if len(group.stuck) > 10 * _STUCK_OF_A_GROUP:  # of the 70,000 that a leak may have, a few are told
            group.stuck = sorted(group.stuck, key=_youth)[:_STUCK_OF_A_GROUP]

    def told(self, top: int) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """``(groups, other_groups)``: stuck groups before others, each kind largest first; ``top`` peers of the others."""
        ranked, top = self._ranked(), min(top, _PEERS_LIMIT)
        rest = ranked[_GROUPS_LIMIT:]
        left = 2 * _PEERS_LIMIT
        groups = []
        for key, group in ranked[:_GROUPS_LIMIT]:
            most = min(_PEERS_LIMIT, max(left, top)) if key.state in STUCK else top
            groups.append(_describe(key, group, most))
            if key.state in STUCK:
                left -= len(groups[-1]["top_peers"])
        return groups, {"groups": len(rest), "sockets": sum(group.count for _key, group in rest)}

    def stuck(self) -> list[dict[str, Any]]:
        """The oldest sockets of each stuck group, oldest first."""
        samples: list[dict[str, Any]] = []
        for _key, group in self._ranked():
            samples += sorted(group.stuck, key=_youth)[:_STUCK_OF_A_GROUP]
        return sorted(samples[:_STUCK_LIMIT], key=_youth)

    def _group(self, key: Key) -> _Group:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group()
        return group

    def _ranked(self) -> list[tuple[Key, _Group]]:
        return sorted(
            self._groups.items(), key=lambda item: (item[0].state not in STUCK, -item[1].count, _order(item[0]))
        )


def _describe(key: Key, group: _Group, most: int) -> dict[str, Any]:
    stuck = key.state in STUCK
    return {
        **key._asdict(),
        "count": group.count,
        "peers": len(group.peers),
        "top_peers": [
            {"address": tcp_tally.address(raw), "count": count} for raw, count in _largest(group.peers, most)
        ],
        "oldest_seconds": group.oldest if stuck else None,
        "persisted": group.persisted if stuck else None,
        "causes": {name: group.causes[name] for name in CAUSES} if key.state == "close_wait" else None,
        "sketch": group.sketch.told(),
    }


def cause(entry: Entry, listening: bool) -> Optional[str]:
    """What keeps a CLOSE-WAIT socket; ``listening``: something listens on its local port.

    The other end's FIN counts as one unread byte (KNOWLEDGE: tcp_diag's rqueue is rcv_nxt - copied_seq), so a queue says that the
    program has not read to the end. Without an inode no program holds the socket: it still waits to be accepted.
    """
    if entry.inode == 0:
        return "never_accepted" if listening else None
    if entry.rqueue is None:
        return None
    return "never_read" if entry.rqueue else "leaked"


def _largest(peers: Counter[bytes], most: int) -> list[tuple[bytes, int]]:
    return heapq.nsmallest(most, peers.items(), key=lambda item: (-item[1], item[0]))


def _order(key: Key) -> tuple[str, str, str, int, int]:
    return key.state, key.netns, key.process or "", key.local_port or 0, key.peer_port or 0


def _youth(socket: dict[str, Any]) -> tuple[float, str, int]:
    return -(socket["age_seconds"] or 0.0), socket["peer"], socket["port"]
