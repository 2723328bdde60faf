# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What findings offer to fixes, and what they say in the matter of each fix before and after it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import report_text
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

HEADLINES = 5  # of a host and group of rules, or a host and fix; the report tells all of them
CLUSTER = None  # the host of what belongs to no single node
# The rules that each fix is for: whether it is needed, and whether it helped, is what these say.
RULES = {
    "container-name-conflict": ("container-name-conflict",),
    "move-nodeport": ("nodeport-shadows-listener", "nodeport-cannot-open", "nodeport-hijacks-connection"),
    "pin-stream-port": (
        "cri-stream-port-exposed",
        "cri-stream-port-random",
        "fixed-port-in-nodeport-range",
        "nodeport-shadows-listener",
    ),
    "raise-backlog": ("accept-queue-overflow", "backlog-differs"),
    "raise-conntrack": ("conntrack-near-limit",),
    "redraw-random-port": ("health-check-nodeport-cannot-open", "nodeport-shadows-listener"),
    "reserve-nodeports": (
        "component-port-in-ephemeral-range",
        "health-check-nodeport-cannot-open",
        "nodeport-hijacks-connection",
        "nodeport-range-overlaps-ephemeral",
        "nodeport-shadows-listener",
    ),
    "restart-leaker": ("close-wait-leak",),
    "rollback-image": ("service-target-not-listening",),
    "sync-clock": ("clock-unsynchronized",),
}
# These change an object of the cluster, whatever host a finding is of.
OF_CLUSTER = frozenset({"move-nodeport", "rollback-image"})

Document = dict[str, Any]
Matter = dict[str, Any]


def cures(document: Document) -> dict[str | None, dict[str, list[str]]]:
    """``{host: {fix: [target]}}``, the cluster's under CLUSTER; each target once. What is waived is to stay as it is."""
    found: dict[str | None, dict[str, list[str]]] = {}
    for finding in document["findings"]:
        for remedy in _offered(finding):
            targets = found.setdefault(_place(remedy["fix"], finding), {}).setdefault(remedy["fix"], [])
            targets += [target for target in remedy["targets"] if target not in targets]
    return found


def matters(document: Document) -> dict[str | None, dict[str, Matter]]:
    """``{host: {fix: matter}}``: what the rules of a fix say of a host, or of the cluster.

    A matter has lines: ``open`` and ``offered`` (those of them that the fix is offered for) by the findings' fingerprints, by which it can be
    told whether what a cure was offered for is still at fault; ``waived`` and ``unknown``, of many the first few.
    """
    found: dict[str | None, dict[str, Matter]] = {}
    for fix, finding in _told(document):
        matter = found.setdefault(_place(fix, finding), {}).setdefault(
            fix, {"offered": {}, "open": {}, "waived": [], "unknown": []}
        )
        state, line = _state(finding)
        if state == "open":
            matter["open"][finding["fingerprint"]] = line
            if any(remedy["fix"] == fix for remedy in _offered(finding)):
                matter["offered"][finding["fingerprint"]] = line
        elif line not in matter[state]:
            matter[state].append(line)
    for matter in (matter for fixes in found.values() for matter in fixes.values()):
        matter.update(waived=bounded(matter["waived"]), unknown=bounded(matter["unknown"]))
    return found


def bounded(lines: list[str]) -> list[str]:
    """The first few, and how many more there are."""
    more = len(lines) - HEADLINES
    return lines if more <= 0 else [*lines[:HEADLINES], f"and {more} more: see the report"]


def _offered(finding: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if not finding["waived"]:
        yield from (remedy for remedy in finding["remedies"] if remedy["fix"])


def _told(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    for finding in document["findings"]:
        yield from ((fix, finding) for fix, rules in RULES.items() if finding["rule"] in rules)


def _place(fix: str, finding: dict[str, Any]) -> str | None:
    return CLUSTER if fix in OF_CLUSTER else finding["host"]


def _state(finding: dict[str, Any]) -> tuple[str, str]:
    if finding["status"] == "unknown":
        return "unknown", f"not known: {clean(finding['explanation'])} [{finding['rule']}]"
    return "waived" if finding["waived"] else "open", report_text.headline(finding)
