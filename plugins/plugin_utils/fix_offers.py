# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What findings offer to fixes, and what they say in the matter of each fix before and after it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import report_text
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

HEADLINES = 5  # of a host and group of rules, or a host and fix; the report tells all of them
CLUSTER = None  # the host of what belongs to no single node
_INTERRUPTED = "change-interrupted"
# The rules that are to be silent after each fix. What it only keeps from coming back stays open, and is not asked.
RULES = {
    "container-name-conflict": ("container-name-conflict",),
    "move-nodeport": ("nodeport-shadows-listener", "nodeport-cannot-open", "nodeport-hijacks-connection"),
    "pin-stream-port": (
        _INTERRUPTED,
        "cri-stream-port-exposed",
        "cri-stream-port-random",
        "fixed-port-in-nodeport-range",
        "nodeport-shadows-listener",
    ),
    "raise-backlog": (_INTERRUPTED, "accept-queue-overflow", "backlog-differs"),
    "raise-conntrack": (_INTERRUPTED, "conntrack-near-limit"),
    "redraw-random-port": (_INTERRUPTED, "health-check-nodeport-cannot-open", "nodeport-shadows-listener"),
    "reserve-nodeports": (_INTERRUPTED, "component-port-in-ephemeral-range", "nodeport-range-overlaps-ephemeral"),
    "restart-leaker": (_INTERRUPTED, "close-wait-leak"),
    "rollback-image": ("service-target-not-listening",),
    "sync-clock": (_INTERRUPTED, "clock-unsynchronized"),
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
    """``{host: {fix: matter}}``: what is said of a host, or of the cluster, in the matter of a fix.

    A matter of the cluster also has ``by_object``: the fingerprints of what it is offered for by the object that it would change ("shop/front").
    It has lines: by the findings' fingerprints, ``offered`` of those that the fix is offered for, and ``open`` of its rules' unwaived ones,
    so that it can be told whether what a cure was offered for is still at fault; ``waived`` and ``unknown`` of its rules', of many the first few.
    """
    found: dict[str | None, dict[str, Matter]] = {}
    for fix, finding in _told(document):
        matter = found.setdefault(_place(fix, finding), {}).setdefault(
            fix, {"offered": {}, "open": {}, "waived": [], "unknown": []}
        )
        state, line = _state(finding)
        offers = [remedy for remedy in _offered(finding) if remedy["fix"] == fix]
        if offers:
            matter["offered"][finding["fingerprint"]] = line
        if fix in OF_CLUSTER:
            by_object = matter.setdefault("by_object", {})
            for target in {target for remedy in offers for target in remedy["targets"]}:
                by_object.setdefault(_object(target), []).append(finding["fingerprint"])
        if finding["rule"] not in RULES[fix]:
            continue
        if state == "open":
            matter["open"][finding["fingerprint"]] = line
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
        offered = {remedy["fix"] for remedy in _offered(finding)}
        yield from ((fix, finding) for fix, rules in RULES.items() if finding["rule"] in rules or fix in offered)


def _object(target: str) -> str:
    """What a target of a fix of the cluster would change: a Deployment, or a Service."""
    names = json.loads(target)
    return f"{names['namespace']}/{names['name']}"


def _place(fix: str, finding: dict[str, Any]) -> str | None:
    return CLUSTER if fix in OF_CLUSTER else finding["host"]


def _state(finding: dict[str, Any]) -> tuple[str, str]:
    if finding["status"] == "unknown":
        return "unknown", f"not known: {clean(finding['explanation'])} [{finding['rule']}]"
    return "waived" if finding["waived"] else "open", report_text.headline(finding)
