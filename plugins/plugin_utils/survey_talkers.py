# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The largest groups of connections over the fleet: which process, in which state, with which port and which peers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils.survey_read import Share, Stream
from ansible_collections.kubenode.doctor.plugins.plugin_utils.survey_table import pruned

_STREAMS = 2_000  # to remember
_PEERS = 50  # to remember of each stream
_TOLD = 20
_TOLD_PEERS = 5
# Sockets of one stream on one host from which it is worth telling. What is connected and answered is told when it is many, what
# waits for the other end, or for its own program, much earlier.
_LEAST = 100
_LEAST_STUCK = 20
_STUCK = frozenset({"syn_sent", "close_wait"})


@dataclass
class _Talker:
    count: int = 0
    hosts: int = 0
    most: int = 0
    most_on: str = ""
    peers: int | None = 0
    top_peers: dict[str, int] = field(default_factory=dict)

    def add(self, host: str, share: Share) -> None:
        """Add one host's part."""
        self.count += share.sockets
        self.hosts += 1
        if share.sockets > self.most:
            self.most, self.most_on = share.sockets, host
        self.peers = None if self.peers is None or share.peers is None else max(self.peers, share.peers)
        for address, count in share.top_peers:
            self.top_peers[address] = self.top_peers.get(address, 0) + count
        self.top_peers = pruned(self.top_peers, _PEERS, int)


class Talkers:
    """Adds up streams, host by host."""

    def __init__(self) -> None:
        self._talkers: dict[Stream, _Talker] = {}

    def add(self, host: str, streams: Mapping[Stream, Share]) -> None:
        """Count one host's streams."""
        for stream, share in streams.items():
            if stream.state != "listen":
                self._talkers.setdefault(stream, _Talker()).add(host, share)
        self._talkers = pruned(self._talkers, _STREAMS, lambda talker: talker.count)

    def document(self) -> list[dict[str, Any]]:
        """Return the shape of Survey.document's ``talkers``, the largest first."""
        worth = [item for item in self._talkers.items() if item[1].most >= _least(item[0])]
        worth.sort(key=lambda item: (-item[1].count, str(item[0])))
        return [_told(stream, talker) for stream, talker in worth[:_TOLD]]


def _least(stream: Stream) -> int:
    return _LEAST_STUCK if stream.state in _STUCK else _LEAST


def _told(stream: Stream, talker: _Talker) -> dict[str, Any]:
    peers = sorted(talker.top_peers.items(), key=lambda item: (-item[1], item[0]))[:_TOLD_PEERS]
    return {
        **stream._asdict(),
        "count": talker.count,
        "hosts": talker.hosts,
        "most": {"host": talker.most_on, "count": talker.most},
        "peers": talker.peers,
        "top_peers": [{"address": address, "count": count} for address, count in peers],
    }
