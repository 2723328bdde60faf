# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which critical findings nobody was told of yet, and what is said of them.

What was told lies beside the audits, for each way of telling on its own: ``{schema, told: {way: {fingerprint: {at, host, rule}}}}``. So a fault is
told once, also one that becomes critical later or whose waiver ends, and one that could not be told is told after the next audit. A fault is
forgotten when an audit looked and did not see it, or when it is waived: what comes back is told again.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import answers
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

FILE = "announced.json"
SCHEMA = 1
MOST = 50  # findings of one message: chat systems cut or refuse what is longer
_NAMES = 5  # hosts, and rules, that the line for people names
_FACTS = 10  # pieces of evidence of one finding
_LONGEST = 1000  # characters of one text
# A host that left the inventory is never looked at again.
_KEPT_DAYS = 400

Finding = Mapping[str, Any]
Told = dict[str, dict[str, str]]  # {fingerprint: {at, host, rule}}; of the cluster host is ""


def critical(document: Mapping[str, Any]) -> list[Finding]:
    """The critical findings that no waiver accepts, in the document's order."""
    return [
        finding
        for finding in document["findings"]
        if finding["status"] == "fail" and finding["severity"] == "critical" and not finding["waived"]
    ]


def untold(document: Mapping[str, Any], told: Mapping[str, Any]) -> list[Finding]:
    """Those of which nobody was told."""
    return [finding for finding in critical(document) if finding["fingerprint"] not in told]


def with_told(told: Told, findings: Iterable[Finding], at: str) -> Told:
    """What was told until now and these findings."""
    more = {one["fingerprint"]: {"at": at, "host": one["host"] or "", "rule": one["rule"]} for one in findings}
    return {**told, **more}


def still(told: Told, document: Mapping[str, Any], now: datetime.datetime) -> Told:
    """What of it may still be there. Nothing is forgotten because a host was silent, was not asked, or could not be judged."""
    there = {finding["fingerprint"]: finding for finding in document["findings"] if finding["status"] == "fail"}
    given, oldest = answers.Answers(document), (now - datetime.timedelta(days=_KEPT_DAYS)).isoformat()
    kept = {}
    for fingerprint, about in told.items():
        finding = there.get(fingerprint)
        if finding is not None:
            keep = not finding["waived"]
        else:
            answer = given.one(about["rule"], about["host"] or answers.CLUSTER)
            keep = answer in (None, answers.UNKNOWN) and about["at"] >= oldest
        if keep:
            kept[fingerprint] = about
    return kept


def message(document: Mapping[str, Any], findings: Sequence[Finding], bundle: str) -> dict[str, Any]:
    """What is sent. ``text`` is the line that chat systems show: it names hosts of the inventory and rules, and nothing that a node said."""
    return {
        "schema": SCHEMA,
        "kind": "kubenode.doctor.announcement",
        "text": _line(document, findings),
        "audit": {"started": document["audit"].get("started"), "bundle": bundle},
        "critical": len(critical(document)),
        "new": len(findings),
        "left_out": max(0, len(findings) - MOST),
        "findings": [_about(finding) for finding in findings[:MOST]],
    }


def _line(document: Mapping[str, Any], findings: Sequence[Finding]) -> str:
    places = dict.fromkeys(_place(finding) for finding in findings)
    rules = dict.fromkeys(finding["rule"] for finding in findings)
    one = len(findings) == 1
    return (
        f"kubenode.doctor: {len(findings)} new critical finding{'' if one else 's'} on {_some(places)}: {_some(rules)} "
        f"(audit of {document['audit'].get('started')})"
    )


def _place(finding: Finding) -> str:
    return "the cluster" if finding["host"] is answers.CLUSTER else clean(finding["host"], 100)


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" and {more} more" if more > 0 else "")


def _about(finding: Finding) -> dict[str, Any]:
    return {
        "fingerprint": finding["fingerprint"],
        "rule": finding["rule"],
        "host": None if finding["host"] is answers.CLUSTER else clean(finding["host"], _LONGEST),
        "object": clean(finding["object"], _LONGEST),
        "title": clean(finding["title"], _LONGEST),
        "explanation": clean(finding["explanation"], _LONGEST),
        "evidence": [clean(fact, _LONGEST) for fact in finding["evidence"][:_FACTS]],
        "change": finding["change"],
        "first_seen": finding["first_seen"],
    }


def read_told(state: Mapping[str, Any]) -> dict[str, Told]:
    """``{way: {fingerprint: ...}}`` of a stored state. Raises ValueError when it is of another form."""
    ways = state.get("told")
    if state.get("schema") != SCHEMA or not isinstance(ways, dict):
        raise ValueError("it is no record of announcements of this version")
    for told in ways.values():
        if not isinstance(told, dict) or not all(_is_entry(about) for about in told.values()):
            raise ValueError("an entry in it is damaged")
    return ways


def _is_entry(about: Any) -> bool:
    return isinstance(about, dict) and all(isinstance(about.get(key), str) for key in ("at", "host", "rule"))
