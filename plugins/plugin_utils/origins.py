# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The listeners of a fleet that nobody declared and that are no risk: one line for all hosts that have the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils.nodeport_verdict import is_streaming
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_words import endpoint
from ansible_collections.kubenode.doctor.plugins.plugin_utils import section_gaps, undeclared
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.misshapen import MISSHAPEN
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView

_MOST = 50
_KEPT = 2000  # lines: of a fleet that has more of them, none is worth reading
_LENGTH = 420  # the reason for its port is among the first clauses


class Origins:
    """Adds up the hosts of a bundle."""

    def __init__(self) -> None:
        self._hosts: dict[str, list[str]] = {}
        self._beyond = False

    def add(self, host: str, lines: Iterable[str]) -> None:
        """Count a host with its lines (``lines_of``)."""
        for line in lines:
            if line in self._hosts or len(self._hosts) < _KEPT:
                self._hosts.setdefault(line, []).append(host)
            else:
                self._beyond = True

    def document(self) -> dict[str, Any]:
        """Return ``{lines: [{line, hosts}], more, at_least}``: the lines that most hosts have; ``more`` is how many were left out.

        ``at_least`` is true where even they were not all counted.
        """
        ordered = sorted(self._hosts.items(), key=lambda entry: (-len(entry[1]), entry[0]))
        return {
            "lines": [{"line": line, "hosts": hosts} for line, hosts in ordered[:_MOST]],
            "more": max(len(ordered) - _MOST, 0),
            "at_least": self._beyond,
        }


def lines_of(node: NodeView, context: Context, findings: Iterable[Mapping[str, Any]]) -> list[str]:
    """The listeners of a host; ``findings`` are its own: what these tell of is left out. So is a section that cannot be read, since rules tell why."""
    if section_gaps.gap(node.sections, undeclared.SECTION):
        return []
    told = _told(findings)
    try:
        return list(dict.fromkeys(_lines(node, context, told)))
    except MISSHAPEN:
        return []


def _told(findings: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The sockets that faults show as evidence (describe.line)."""
    lines = (fact for finding in findings if finding["status"] == "fail" for fact in finding["evidence"])
    return frozenset(fact.split(" ", 2)[1] for fact in lines if fact.startswith("socket "))


def _lines(node: NodeView, context: Context, told: frozenset[str]) -> Iterator[str]:
    quiet = [one.socket for one in undeclared.of(node, context) if not one.risks]
    for socket in node[undeclared.SECTION]["listeners"]:
        # A streaming server that may be a fault has rules of its own (cri-stream-port-exposed and -random), which then tell of it.
        if is_streaming(socket) and not undeclared.is_expected(socket, node, context):
            quiet.append(socket)
    for socket in quiet:
        if endpoint(socket) not in told:
            yield line(socket, undeclared.who(socket, context))


def line(socket: Mapping[str, Any], who: str) -> str:
    """What a listener is, without what differs from host to host and from start to start."""
    answer = str(socket.get("answer") or who)
    if socket["ephemeral"]:
        answer = re.sub(rf"(?<![0-9.]){int(socket['port'])}(?![0-9.])", "at random", answer)
    return f"{undeclared.place(dict(socket))} on {socket['address']}: {_shortened(answer.split('; '))}"


def _shortened(clauses: Sequence[str]) -> str:
    """As many clauses as a line has room for; a first one that is too long is cut by whoever shows it."""
    text = clauses[0]
    for clause in clauses[1:]:
        if len(text) + len(clause) > _LENGTH:
            break
        text = f"{text}; {clause}"
    return text
