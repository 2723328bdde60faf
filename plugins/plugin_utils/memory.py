# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An audit beside the one before it: which findings are new, which persist and since when, which are gone, and which nobody can tell.

Each host is compared by itself, with the last audit in which it answered; the findings of the cluster are one host more. "Gone" is only
said where the rule was answered again. What was there and cannot be told this time is carried on, with the time at which it was first
seen. A play on fewer hosts says nothing of the others.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils.version import VERSION
from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    describe,
    earlier_audits,
    earlier_findings,
    thresholds,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.answers import CLUSTER, Answers
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError
from ansible_collections.kubenode.doctor.plugins.plugin_utils.earlier_audits import EarlierAudits
from ansible_collections.kubenode.doctor.plugins.plugin_utils.earlier_findings import Past, Seen, Then
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import SEVERITIES
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings

NEW, PERSISTS = "new", "persists"
# Our choice: a fault that nobody could tell of for a quarter of a year is forgotten, so that what is carried on does not grow for ever.
_FORGOTTEN = datetime.timedelta(days=90)
_NAMED = 6

Document = dict[str, Any]


def judged_with(settings: Settings) -> dict[str, str]:
    """By what an audit was judged: another version or other settings find other things in the same bundle. Waivers and fail_on do not."""
    defaults = {name: threshold.default for name, threshold in thresholds.BY_NAME.items()}
    in_force = sorted({**defaults, **settings.thresholds}.items())
    parts = (settings.nodeport_range, settings.proxy_mode, settings.skew_share, settings.expected_listeners, in_force)
    return {"version": VERSION, "settings": hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}


def compare(
    document: Document,
    before: EarlierAudits,
    told_once: Collection[str] = (),
    too_few: Collection[str] = (),
) -> Document:
    """Set ``first_seen`` and ``change`` of a document's findings, and return what it remembers::

        why: why nothing at all is compared, audits: {folder: {started, hosts}}, not_compared: [{why, hosts}], cautions: [text],
        counts: {new, persists, gone, unsure}, gone: [finding as it was], unsure: [the same, why]

    ``told_once`` are the rules whose findings are changes themselves (Rule.told_once); ``too_few`` are the fingerprints of what is there on fewer
    hosts than make it a fault.
    """
    found = _look_back(document, before)
    _mark(document, found, told_once)
    gone, unsure, lost = _missed(document, found, told_once, too_few)
    findings = document["findings"]
    counts = {change: sum(finding["change"] == change for finding in findings) for change in (NEW, PERSISTS)}
    compared = any(then.answered for then in found.thens.values())
    return {
        "why": "" if compared or unsure else _why_nothing(found, before),
        "audits": _audits(document, found),
        "not_compared": _not_compared(document, found) if compared else [],
        "cautions": list(dict.fromkeys(_cautions(document, found, lost, before.later))) if compared else [],
        "counts": {**counts, "gone": len(gone), "unsure": len(unsure)},
        "gone": gone,
        "unsure": unsure,
    }


@dataclass
class _Found:
    """With what each host, and the cluster, is compared; the audits that were read; those that could not be, and why."""

    thens: dict[str | None, Then] = field(default_factory=dict)
    pasts: dict[str, Past] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    other_servers: set[str] = field(default_factory=set)


def _look_back(document: Document, before: EarlierAudits) -> _Found:
    """Read the last audit, and older ones only as long as a host that answers now did not answer there."""
    found = _Found()
    last_asked: dict[str | None, Then] = {}
    answers = _answers(document)
    wanted = dict.fromkeys(answers)
    for name, audit, asked in before.all():
        here = [host for host in wanted if host is CLUSTER or host in asked]
        if not here:
            continue
        try:
            past = earlier_findings.read(
                name, str(audit.audit.get("started")), audit.findings(earlier_findings.keep), here
            )
        except BundleError as error:
            found.refused.append(str(error))
            continue
        found.pasts[name] = past
        for host, then in past.hosts.items():
            if host is CLUSTER and _is_another(past.server, document["cluster"]["server"]):
                found.other_servers.add(str(past.server))
            elif then.answered or not answers[host]:
                found.thens[host] = then
                del wanted[host]
            else:
                last_asked.setdefault(host, then)
    found.thens = {**last_asked, **found.thens}
    return found


def _answers(document: Document) -> dict[str | None, bool]:
    """Who answered; the cluster did when its Services or its Nodes were seen."""
    cluster = document["cluster"]
    seen = cluster["services"] is not None or cluster["nodes"] is not None
    return {CLUSTER: seen, **{host: state["answered"] for host, state in document["hosts"].items()}}


def _is_another(then: str | None, now: str | None) -> bool:
    """Whether these are two API servers for certain."""
    return None not in (then, now) and then != now


def _mark(document: Document, found: _Found, told_once: Collection[str]) -> None:
    started = document["audit"].get("started")
    now = started if isinstance(started, str) else None
    for finding in document["findings"]:
        if finding["status"] != "fail":
            finding["first_seen"], finding["change"] = None, None
            continue
        then = found.thens.get(finding["host"])
        seen = then.faults.get(finding["fingerprint"]) if then else None
        if finding["rule"] in told_once:
            finding["first_seen"], finding["change"] = now, NEW
        elif seen is not None:
            finding["first_seen"], finding["change"] = seen.first_seen, PERSISTS
        else:
            could_tell = then is not None and then.could_tell(finding["rule"], finding["object"])
            finding["first_seen"], finding["change"] = now, NEW if could_tell else None


def _missed(
    document: Document, found: _Found, told_once: Collection[str], too_few: Collection[str]
) -> tuple[list[Document], list[Document], set[str]]:
    """What was there and is not found now: what is gone, what nobody can tell, and the rules of what nobody asks any more."""
    there = {finding["fingerprint"] for finding in document["findings"] if finding["status"] == "fail"}
    missed = [
        (then, seen)
        for then in found.thens.values()
        for seen in then.faults.values()
        if seen.fingerprint not in there and seen.rule not in told_once
    ]
    answers, unknown = Answers(document), _unknown(document, {(seen.rule, seen.host) for _then, seen in missed})
    answered = sum(state["answered"] for state in document["hosts"].values())
    gone, unsure, lost = [], [], set()
    for then, seen in missed:
        why = _why_unsure(seen, unknown) or _why_too_few(then, seen, found, answered, too_few)
        if answers.one(seen.rule, seen.host) is None:
            lost.add(seen.rule)
        elif not why:
            gone.append(seen._asdict())
        elif not _is_forgotten(seen, document):
            unsure.append({**seen._asdict(), "why": why})
    return _in_order(gone), _in_order(unsure), lost


def _unknown(
    document: Document, wanted: Collection[tuple[str, str | None]]
) -> dict[tuple[str, str | None], list[tuple[str, str]]]:
    """The objects of unknown answers, with the reason, by rule and host."""
    found: dict[tuple[str, str | None], list[tuple[str, str]]] = {}
    for finding in document["findings"]:
        place = finding["rule"], finding["host"]
        if finding["status"] == "unknown" and place in wanted:
            found.setdefault(place, []).append((finding["object"], finding["explanation"]))
    return found


def _why_unsure(seen: Seen, unknown: Mapping[tuple[str, str | None], Sequence[tuple[str, str]]]) -> str:
    """An unknown answer that names no object concerns all of them."""
    reasons = unknown.get((seen.rule, seen.host), ())
    return next((why for subject, why in reasons if subject in ("", seen.object)), "")


def _why_too_few(then: Then, seen: Seen, found: _Found, answered: int, too_few: Collection[str]) -> str:
    """Where fewer hosts answered than then, whether as many share a fault as make it one is not known."""
    if seen.fingerprint not in too_few or answered >= found.pasts[then.audit].answered:
        return ""
    return "it is still seen here; whether as many hosts share it as make it a fault is not known, because fewer answered than then"


def _is_forgotten(seen: Seen, document: Document) -> bool:
    moments = []
    for text in (seen.last_seen, document["audit"].get("started")):
        try:
            moments.append(datetime.datetime.fromisoformat(text))
        except (TypeError, ValueError):
            return False
    last, now = (moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc) for moment in moments)
    return now - last > _FORGOTTEN


def _in_order(told: Iterable[Document]) -> list[Document]:
    """As findings are: the worst first, then by rule, host and object."""
    return sorted(
        told, key=lambda entry: (_rank(entry["severity"]), entry["rule"], entry["host"] or "", entry["object"])
    )


def _rank(severity: str) -> int:
    """Another version may have had other severities."""
    return -SEVERITIES.index(severity) if severity in SEVERITIES else 1


def _why_nothing(found: _Found, before: EarlierAudits) -> str:
    if found.refused:
        return f"no earlier audit can be compared with: {found.refused[0]}"
    if found.pasts:
        return "no host that answers now has answered in an earlier audit"
    return before.why_none()


def _audits(document: Document, found: _Found) -> dict[str, Document]:
    told: dict[str, Document] = {}
    for host, then in found.thens.items():
        if then.answered and (host is CLUSTER or document["hosts"][host]["answered"]):
            entry = told.setdefault(then.audit, {"started": then.started, "hosts": 0})
            entry["hosts"] += host is not CLUSTER
    return told


def _not_compared(document: Document, found: _Found) -> list[Document]:
    whys: dict[str, list[str]] = {}
    for host, state in document["hosts"].items():
        if state["answered"]:
            then = found.thens.get(host)
            if then is None:
                whys.setdefault("in none of the earlier audits that can be compared with", []).append(host)
            elif not then.answered:
                whys.setdefault("no answer in the earlier audits", []).append(host)
    return [{"why": why, "hosts": hosts} for why, hosts in whys.items()]


def _cautions(document: Document, found: _Found, lost: Collection[str], later: Sequence[str]) -> Iterable[str]:
    if later:
        yield f"this may not be the last audit, {earlier_audits.of_the_future(later)}"
    used = [found.pasts[name] for name in dict.fromkeys(then.audit for then in found.thens.values())]
    for past in used:
        yield from _other_judge(past, document)
    there = {rule for then in found.thens.values() if then.answered for rule in then.rules}
    added = sorted(document["rules"].keys() - there)
    if added:
        yield f"not compared, since the earlier audits were judged without these rules: {describe.listed(added, _NAMED)}"
    if lost:
        yield f"not followed any more, since there are no such rules now: {describe.listed(sorted(lost), _NAMED)}"
    for why in found.refused:
        yield f"an earlier audit was passed over: {why}"
    if CLUSTER not in found.thens and found.other_servers:
        servers = describe.listed(sorted(found.other_servers), _NAMED)
        yield f"the findings of the cluster are not compared: the earlier audits asked another API server ({servers})"


def _other_judge(past: Past, document: Document) -> Iterable[str]:
    then, now = past.judged_with, document["judged_with"]
    if not isinstance(then, dict):
        yield f"the audit of {past.started} does not say by which version and settings it was judged: a change may come from others"
        return
    if then.get("version") != now["version"]:
        yield f"the audit of {past.started} was judged by version {then.get('version')}, this one by {now['version']}: a change may come from that"
    if then.get("settings") != now["settings"]:
        yield (
            f"the audit of {past.started} was judged with other settings (thresholds, expected listeners, NodePort range, proxy mode or share): "
            "a change may come from that"
        )
