# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the head of every report tells: how much was found, how much is open, and what the API server showed."""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import SEVERITIES

_KINDS = (
    ("services", "Services"),
    ("node_ports", "NodePorts"),
    ("endpoint_slices", "EndpointSlices"),
    ("nodes", "Nodes"),
    ("pods", "Pods"),
)


class Totals(NamedTuple):
    """``live`` are the faults that no waiver accepts, ``counts`` how many they are by severity; ``unknown`` answers, ``answered`` of ``hosts``."""

    live: list[dict[str, Any]]
    counts: dict[str, int]
    waived: int
    unknown: int
    answered: int
    hosts: int


def of(document: dict[str, Any]) -> Totals:
    """Count once."""
    found = [finding for finding in document["findings"] if finding["status"] == "fail"]
    live = [finding for finding in found if not finding["waived"]]
    return Totals(
        live,
        {severity: sum(finding["severity"] == severity for finding in live) for severity in SEVERITIES},
        len(found) - len(live),
        sum(rule["unknown"] for rule in document["rules"].values()),
        sum(host["answered"] for host in document["hosts"].values()),
        len(document["hosts"]),
    )


def cluster(seen: dict[str, Any]) -> str:
    """What the API server showed, in a line."""
    if seen["services"] is None and seen["nodes"] is None:
        return clean("not seen: " + "; ".join(gap["why"] for gap in seen["missing"]))
    counts = ", ".join(f"{words} {'not seen' if seen[kind] is None else seen[kind]}" for kind, words in _KINDS)
    return f"{clean(str(seen['server'] or 'address not known'))}: {counts}"
