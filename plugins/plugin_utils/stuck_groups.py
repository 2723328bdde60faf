# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections of one program, state and port, over the namespaces of a node: what the rules on SYN-SENT and CLOSE-WAIT judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import listening, tcp_words
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Unknown, missing


@dataclass(frozen=True)
class Gathered:
    """``groups`` of tcp_states with the same state, process and port. ``came_in``: the port is one of this node's listeners.

    A program in pods is one of its own, apart from the one of that name in the host's network.
    """

    section: dict[str, Any]
    state: str
    in_pod: bool
    process: str | None
    came_in: bool
    port: int
    groups: tuple[dict[str, Any], ...]

    @property
    def who(self) -> str:
        """The program, in words that stay the same from run to run."""
        return (self.process or tcp_words.UNSEEN) + (" in a pod" if self.in_pod else "")

    @property
    def port_words(self) -> str:
        """The port and what it is for."""
        return tcp_words.port(self.process, self.port)

    @property
    def count(self) -> int:
        """How many connections these are."""
        return sum(group["count"] for group in self.groups)

    @property
    def oldest(self) -> float | None:
        """The age of the oldest, in seconds; None where none was seen."""
        return max(
            (group["oldest_seconds"] for group in self.groups if group["oldest_seconds"] is not None), default=None
        )

    @property
    def persisted(self) -> int | None:
        """How many there were in the first sample too; None without one."""
        seen = [group["persisted"] for group in self.groups if group["persisted"] is not None]
        return sum(seen) if seen else None

    def older_than(self, seconds: float) -> int:
        """How many are surely as old: those that were told with their age, or those that were there in the first sample.

        All of them where nothing tells single ones apart.
        """
        ages = [entry["age_seconds"] for entry in self.samples if entry["age_seconds"] is not None]
        if self.persisted is None and not ages:
            return self.count
        aged = sum(1 for age in ages if age >= seconds)
        return min(max(aged, self.persisted or 0), self.count)

    @property
    def peers(self) -> list[tuple[str, int]]:
        """The peers that were told, with their connections, most first."""
        found: Counter[str] = Counter()
        for group in self.groups:
            for peer in group["top_peers"]:
                found[peer["address"]] += peer["count"]
        return found.most_common()

    @property
    def peers_untold(self) -> int:
        """How many more peers there are (at least, where the program runs in several pods)."""
        return sum(max(group["peers"] - len(group["top_peers"]), 0) for group in self.groups)

    @property
    def samples(self) -> list[dict[str, Any]]:
        """Single connections of these, oldest first."""
        namespaces = {group["netns"] for group in self.groups}
        return [
            entry
            for entry in self.section["stuck"]
            if entry["state"] == self.state
            and entry["netns"] in namespaces
            and entry["process"] == self.process
            and entry["port" if self.came_in else "peer_port"] == self.port
        ]


def gather(section: dict[str, Any], state: str, wanted: Iterable[dict[str, Any]] | None = None) -> list[Gathered]:
    """The ``wanted`` groups of a state (without them all), gathered, largest first."""
    found: dict[tuple[bool, str | None, bool, int], list[dict[str, Any]]] = {}
    for group in section["groups"] if wanted is None else wanted:
        if group["state"] == state:
            came_in = group["local_port"] is not None
            port = group["local_port"] if came_in else group["peer_port"]
            in_pod = group["netns"] != listening.HOST
            found.setdefault((in_pod, group["process"], came_in, port), []).append(group)
    gathered = [
        Gathered(section, state, in_pod, process, came_in, port, tuple(groups))
        for (in_pod, process, came_in, port), groups in found.items()
    ]
    return sorted(gathered, key=lambda entry: (-entry.count, entry.process or "", entry.port))


def unseen(section: dict[str, Any], state: str, enough: float, question: str) -> Iterator[Unknown]:
    """What a rule on a state cannot answer: of namespaces that were not seen, and of ``enough`` sockets in no group that was kept.

    ``question`` is what is not known of the latter.
    """
    why = missing(section, "network namespaces")
    if why:
        yield Unknown(why)
    told = sum(group["count"] for group in section["groups"] if group["state"] == state)
    untold = max(int(section["states"][state]) - int(told), 0)
    if untold >= enough:
        name = state.replace("_", "-").upper()
        yield Unknown(f"{untold} connections in {name} are in groups too small to be told: {question} is not known")


def why_unseen(gathered: Gathered) -> Iterator[str]:
    """A line of evidence for connections whose process could not be seen."""
    if gathered.process is None:
        yield f"whose they are could not be seen ({missing(gathered.section, 'processes') or 'no process was seen to hold them'})"


def age_words(gathered: Gathered) -> str:
    """How old they are, as far as it was seen, as the end of a sentence."""
    parts = []
    if gathered.oldest is not None:
        parts.append(f"the oldest {tcp_words.age(gathered.oldest)} old at least")
    if gathered.persisted is not None:
        parts.append(f"{gathered.persisted} of them in both samples")
    return ", ".join(parts) or "their age is not shown here"
