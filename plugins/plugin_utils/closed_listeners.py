# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The listeners of a fleet that were there at the last audit of their host and are gone: one line for all hosts of which it holds.

Of those that appeared tell the rules listener-appeared and listener-unexplained.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import undeclared
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.misshapen import MISSHAPEN
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView

_MOST = 50
_KEPT = 2000  # lines, as in origins


class ClosedListeners:
    """Adds up the hosts of a bundle."""

    def __init__(self) -> None:
        self._hosts: dict[str, list[str]] = {}
        self._left_out = 0

    def add(self, host: str, lines: Iterable[str]) -> None:
        """Count a host with its lines (``lines_of``)."""
        for line in lines:
            if line in self._hosts or len(self._hosts) < _KEPT:
                self._hosts.setdefault(line, []).append(host)
            else:
                self._left_out += 1

    def document(self) -> dict[str, Any]:
        """Return ``{closed: [{line, hosts}], closed_more}``: those of most hosts first; ``closed_more`` is how many lines were left out."""
        ordered = sorted(self._hosts.items(), key=lambda entry: (-len(entry[1]), entry[0]))
        return {
            "closed": [{"line": line, "hosts": hosts} for line, hosts in ordered[:_MOST]],
            "closed_more": max(len(ordered) - _MOST, 0) + self._left_out,
        }


def lines_of(node: NodeView, context: Context) -> list[str]:
    """What a host has no more. Where it cannot be compared listener-appeared says why."""
    try:
        closed = [] if node.earlier.why else node.drift.closed
        return list(dict.fromkeys(_line(socket, context) for socket in closed if not _was_service(socket, context)))
    except MISSHAPEN:
        return []


def _line(socket: dict[str, Any], context: Context) -> str:
    return f"{undeclared.program(socket, context)}: {undeclared.place(socket)} on {socket['address']}"


def _was_service(socket: dict[str, Any], context: Context) -> bool:
    """True for a NodePort that kube-proxy held (before Kubernetes 1.24): Services come and go."""
    span = context.nodeport_range
    return (socket["known_as"] or {}).get("component") == "kube-proxy" and span.low <= socket["port"] <= span.high
