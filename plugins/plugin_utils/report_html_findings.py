# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page's lists: faults by cause, what changed since the last audit, waivers, what is unknown, undeclared listeners, and the checks."""

from __future__ import annotations

import datetime
import itertools
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import finding_groups, report_waivers
from ansible_collections.kubenode.doctor.plugins.plugin_utils.finding_groups import Group
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_html_places import (
    Places,
    parts,
    remedy_view,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_html_summary import moment
from ansible_collections.kubenode.doctor.plugins.plugin_utils.tally import ANSWERS

_LONG = 2000

Finding = dict[str, Any]


def faults(document: Mapping[str, Any], groups: Sequence[Group], places: Places) -> list[dict[str, Any]]:
    """The faults in the order of the text report, each with the number of its cause."""
    told: list[dict[str, Any]] = []
    above: list[int] = []  # the numbers of the groups that lead to this one
    started = str(document["audit"].get("started", ""))
    for number, group in enumerate(groups, 1):
        del above[group.depth :]
        rule = document["rules"][group.findings[0]["rule"]]
        told.append(_fault(number, above[-1] if above else 0, group, rule, places, started))
        above.append(number)
    return told


def _fault(
    number: int, cause: int, group: Group, rule: Mapping[str, Any], places: Places, started: str
) -> dict[str, Any]:
    first = group.findings[0]
    hosts = [finding["host"] for finding in group.findings]
    differs = any(finding["explanation"] != first["explanation"] for finding in group.findings)
    return {
        "number": number,
        "depth": min(group.depth, 4),
        "cause": cause,
        "severity": first["severity"],
        "waived": report_waivers.beside(first["waived"]) if first["waived"] else "",
        "title": clean(first["title"]),
        "rule": first["rule"],
        "group": rule["group"],
        "claim": clean(rule["claim"]),
        "object": clean(first["object"]),
        "hosts": places.listed(hosts),
        "changes": _changes(group.findings, started),
        "kinds": sorted({finding["change"] or "none" for finding in group.findings}),
        "explanation": clean(first["explanation"], _LONG),
        "only_of": places.listed(hosts[:1]) if differs else None,
        "seen_on": places.listed(hosts[:1]) if len(hosts) > 1 else None,
        "evidence": [clean(fact, _LONG) for fact in first["evidence"]],
        "remedies": [
            {"letter": letter, **remedy_view(remedy)}
            for letter, remedy in zip(_letters(), first["remedies"], strict=False)  # there is no end of letters
        ],
    }


def _changes(findings: Sequence[Finding], started: str) -> list[tuple[str, str]]:
    """``[(kind, words)]``: on how many hosts it is new, and since when it persists on the others."""
    several = len(findings) > 1
    new = sum(finding["change"] == "new" for finding in findings)
    old = [finding for finding in findings if finding["change"] == "persists"]
    told = [("new", f"new on {new} of {len(findings)}" if several and new < len(findings) else "new")] if new else []
    if old:
        since = min((finding["first_seen"] for finding in old if finding["first_seen"]), default="")
        where = f" on {len(old)} of {len(findings)}" if several and len(old) < len(findings) else ""
        told.append(("persists", f"since {_day(since, started)}{where}" if since else f"persists{where}"))
    return told


def _day(moment: str, until: str) -> str:
    """``2026-11-20 (3 days)``; what is no date stands as it is."""
    try:
        first, last = (datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (moment, until))
        days = (last - first).days
    except (TypeError, ValueError):
        return clean(moment)
    return f"{first.date()} ({days} day{'' if days == 1 else 's'})" if days > 0 else f"{first.date()}"


def _letters() -> Iterator[str]:
    for length in itertools.count(1):
        yield from map("".join, itertools.product(string.ascii_lowercase, repeat=length))


def memory(document: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """What is known from earlier audits, equal lines of several hosts together."""
    found, started = document["memory"], str(document["audit"].get("started", ""))
    audits = [
        {"name": clean(name), "started": moment(audit["started"]), "hosts": audit["hosts"]}
        for name, audit in found["audits"].items()
    ]
    return {
        "why": clean(found["why"], _LONG),
        "audits": audits,
        "cautions": [clean(text, _LONG) for text in found["cautions"]],
        "not_compared": [
            {"text": clean(entry["why"], _LONG), "hosts": places.listed(entry["hosts"])}
            for entry in found["not_compared"]
        ],
        "counts": found["counts"],
        "gone": _past(found["gone"], places, started),
        "unsure": _past(found["unsure"], places, started),
        "closed": [
            {"text": clean(entry["line"], _LONG), "hosts": places.listed(entry["hosts"])} for entry in found["closed"]
        ],
        "closed_more": found["closed_more"],
        "close_wait_more": found["close_wait_more"],
        "close_wait": [_close_wait(entry, places) for entry in found["close_wait"]],
    }


def _past(entries: Iterable[Mapping[str, Any]], places: Places, started: str) -> list[dict[str, Any]]:
    together: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for entry in entries:
        same = (
            entry["rule"],
            entry["object"],
            entry["title"],
            entry["severity"],
            entry["waived"],
            entry.get("why", ""),
        )
        together.setdefault(same, []).append(entry)
    return [_past_group(same, places, started) for same in together.values()]


def _past_group(same: Sequence[Mapping[str, Any]], places: Places, started: str) -> dict[str, Any]:
    first = same[0]
    since = min((entry["first_seen"] for entry in same if entry["first_seen"]), default="")
    return {
        "rule": first["rule"],
        "severity": first["severity"],
        "title": clean(first["title"]),
        "waived": first["waived"],
        "why": clean(first.get("why", ""), _LONG),
        "since": _day(since, started) if since else "",
        "hosts": places.listed(entry["host"] for entry in same),
    }


def _close_wait(entry: Mapping[str, Any], places: Places) -> dict[str, Any]:
    way = "came in to port" if entry["came_in"] else "go out to port"
    return {
        "hosts": places.listed([entry["host"]]),
        "who": f"{clean(entry['process'] or 'a process that was not seen')}, connections that {way} {entry['port']}",
        "count": entry["count"],
        "same": f"{'' if entry['exact'] else 'about '}{entry['same']}",
        "since": moment(entry["since"]),
    }


def waivers(found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """All waivers, those that need somebody first."""
    order = ("expired", "expiring", "unused", "used")
    told = [
        {
            "state": waiver["state"],
            "rule": clean(waiver["rule"]),
            "where": clean(f"{waiver['host']}, {waiver['object']}"),
            "reason": clean(waiver["reason"], _LONG),
            "owner": clean(waiver["owner"]),
            "until": waiver["until"] or "",
            "findings": waiver["findings"],
        }
        for waiver in found
    ]
    return sorted(told, key=lambda waiver: order.index(waiver["state"]))


def unknowns(document: Mapping[str, Any], places: Places) -> list[dict[str, Any]]:
    """What could not be seen, once a reason, with the checks it leaves open."""
    return [
        {
            "text": clean(reason.why, _LONG),
            "number": places.text(reason.why),
            "rules": sorted(reason.rules),
            "hosts": places.listed(reason.hosts),
        }
        for reason in finding_groups.reasons(document["findings"])
    ]


def origins(found: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Listeners that nobody declared and that are no risk."""
    return {
        "lines": [{"text": clean(entry["line"]), "hosts": places.listed(entry["hosts"])} for entry in found["lines"]],
        "more": found["more"],
        "at_least": found["at_least"],
    }


def checks(rules: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every rule with its answers over the hosts."""
    kinds = ("fail", "unknown", "pass", "not_applicable")
    return [
        {
            "rule": name,
            "group": rule["group"],
            "claim": clean(rule["claim"]),
            "counts": [rule[answer] for answer in ANSWERS],
            "parts": parts((kind, rule[kind]) for kind in kinds),
        }
        for name, rule in rules.items()
    ]
