# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections in CLOSE-WAIT that were so at the last audit of their host already: the very same sockets, not as many others.

A node tells the smallest hashes of what identifies a group's sockets (module_utils.socket_sketch). Of two groups of up to 64 that says
exactly how many they share, of larger ones about how many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import socket_sketch
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_sketch import Sketch
from ansible_collections.kubenode.doctor.plugins.plugin_utils import stuck_groups
from ansible_collections.kubenode.doctor.plugins.plugin_utils.misshapen import MISSHAPEN
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.stuck_groups import Gathered

_STATE = "close_wait"
_MOST = 200
_SECTION = "tcp_states"


class Held(NamedTuple):
    """How many of a group's connections were there at the audit that began ``since``; ``exact`` is False where that is an estimate."""

    same: int
    exact: bool
    since: str

    def words(self, count: int) -> str:
        """The same as a line of evidence."""
        about = "" if self.exact else "about "
        were = "was" if count == self.same == 1 else "were"
        return f"{about}{self.same} of these {count} {were} in CLOSE-WAIT at the audit of {self.since} already"


class HeldConnections:
    """Adds up the hosts of a bundle."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._more = 0

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add those of a host (``rows_of``)."""
        self._rows += rows
        if len(self._rows) > 2 * _MOST:
            self._cut()

    def document(self) -> dict[str, Any]:
        """Return ``{close_wait: [{host, process, port, came_in, count, same, exact, since}], close_wait_more}``, the largest first."""
        self._cut()
        return {"close_wait": self._rows, "close_wait_more": self._more}

    def _cut(self) -> None:
        self._rows.sort(key=lambda row: (-row["same"], row["host"], row["port"], row["process"] or ""))
        self._more += max(len(self._rows) - _MOST, 0)
        del self._rows[_MOST:]


def rows_of(node: NodeView) -> list[dict[str, Any]]:
    """What a host holds on to. A section that cannot be read is told of by the rules that need it."""
    try:
        return [
            _row(node.host, gathered, held)
            for gathered in stuck_groups.gather(node[_SECTION], _STATE)
            for held in [of(gathered, node)]
            if held is not None and held.same
        ]
    except MISSHAPEN:
        return []


def of(gathered: Gathered, node: NodeView) -> Held | None:
    """How many of these connections are the same as at the last audit of the node; None where that is not known."""
    try:
        before = _before(node)
        return None if before is None else _compared(gathered, before, node.earlier.started)
    except MISSHAPEN:
        return None  # what an older version wrote, or nobody did, is not compared


def _compared(gathered: Gathered, before: Mapping[str, Any], since: str) -> Held | None:
    then = {_key(group): group for group in before["groups"] if group["state"] == _STATE}
    if before["other_groups"]["groups"] and any(_key(group) not in then for group in gathered.groups):
        return None  # it may be one of those that were not told
    same, exact = 0, True
    for group in gathered.groups:
        if _key(group) in then:
            now, earlier = _sketch(group), _sketch(then[_key(group)])
            if now is None or earlier is None or now.by != earlier.by:
                return None
            number, is_exact = socket_sketch.shared(now, earlier)
            same, exact = same + number, exact and is_exact
    # A sample that has none of them in common says only that they are few.
    return Held(same, exact, since) if same or exact else None


def _before(node: NodeView) -> Mapping[str, Any] | None:
    """The section of the last audit, if the machine was not booted since: a boot ends all sockets and counts anew what identifies them."""
    then, now = node.earlier.sections, node.sections
    boots = [(sections.get("host") or {}).get("boot_id") for sections in (then, now)]
    if node.earlier.why or boots[0] is None or boots[0] != boots[1]:
        return None
    section = then.get(_SECTION)
    return section if isinstance(section, dict) and "groups" in section else None


def _key(group: Mapping[str, Any]) -> tuple[Any, ...]:
    return group["netns"], group["process"], group["local_port"], group["peer_port"]


def _sketch(group: Mapping[str, Any]) -> Sketch | None:
    """Older versions told none."""
    return socket_sketch.read(group.get("sketch"), group["count"])


def _row(host: str, gathered: Gathered, held: Held) -> dict[str, Any]:
    return {
        "host": host,
        "process": gathered.process,
        "port": gathered.port,
        "came_in": gathered.came_in,
        "count": gathered.count,
        **held._asdict(),
    }
