# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SARIF 2.1.0 (OASIS), for what shows the findings of any analysis: faults as results, what is unknown as results of kind "open".

A finding is placed in the bundle's file that it was judged from, and by name on its host. ``baselineState`` says what the last audit had, and is absent where
there was nothing to compare with; what is gone is told once, as "absent". A waiver is an external suppression. Rules that passed or say nothing about a
host leave no result: findings.json counts them. A tool that failed at its work says so by ``executionSuccessful`` and notifications: damaged files, checks that
broke, nobody answered.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_store
from ansible_collections.kubenode.doctor.plugins.plugin_utils import catalogue, finding_text
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import node_file
from ansible_collections.kubenode.doctor.plugins.plugin_utils.finding_groups import CLUSTER_NAME
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

# SARIF 2.1.0, 3.13.3 and appendix: what validators look for.
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_HOME = "https://github.com/kubenode/doctor"
_LEVELS = {"critical": "error", "warning": "warning", "info": "note"}
_STATES = {"new": "new", "persists": "unchanged"}
_BASE = "BUNDLE"
_FINGERPRINT = "kubenodeDoctor/v1"

Object = dict[str, Any]


def render(document: Object, _bundle: str = "") -> str:
    """Render the document of findings.json as a SARIF log with one run."""
    run = {
        "tool": {"driver": _driver(document)},
        "invocations": [_invocation(document)],
        "originalUriBaseIds": {_BASE: {"description": {"text": "The folder of the audit that was judged."}}},
        "columnKind": "unicodeCodePoints",
        "results": list(_results(document)),
        "properties": {
            "comparedWith": {
                clean(name): clean(about["started"], 40) for name, about in document["memory"]["audits"].items()
            }
        },
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    # ASCII only, as findings.json is.
    return json.dumps(log, ensure_ascii=True, separators=(",", ":")) + "\n"


def _driver(document: Object) -> Object:
    known = {rule.id: rule for rule in catalogue.rules()}
    return {
        "name": "kubenode.doctor",
        "version": clean(str(document["audit"].get("version", ""))),
        "informationUri": _HOME,
        "rules": [_rule(name, about, known.get(name)) for name, about in document["rules"].items()],
    }


def _rule(name: str, about: Object, known: Any) -> Object:
    claim = clean(about["claim"])
    told: Object = {
        "id": name,
        "shortDescription": {"text": f"{claim[:1].upper()}{claim[1:]}."},
        "helpUri": f"{_HOME}/blob/main/docs/rules.md#{name}",
        "properties": {"group": about["group"], "scope": about["scope"], "tags": ["kubernetes", about["group"]]},
    }
    # A rule of a findings.json that another version wrote may be gone.
    if known is not None:
        why = clean(known.why, 2000)
        sources = "".join(f"\n- {clean(source)}" for source in known.sources)
        told["fullDescription"] = {"text": _plain(f"It must hold that {claim}. Otherwise: {why}.")}
        told["help"] = {"text": _plain(f"It must hold that {claim}. Otherwise: {why}.\n\nKnown from:{sources}")}
        told["defaultConfiguration"] = {"level": _LEVELS[known.severity]}
    return told


def _results(document: Object) -> Iterator[Object]:
    number = {name: index for index, name in enumerate(document["rules"])}
    for finding in document["findings"]:
        yield _result(finding, number)
    memory = document["memory"]
    for past in memory["gone"]:
        # Another version may have had other severities.
        level = _LEVELS.get(past["severity"], "warning")
        yield _past(past, number, {"kind": "fail", "level": level, "baselineState": "absent"})
    for past in memory["unsure"]:
        yield _past(past, number, {"kind": "open", "level": "none"})


def _result(finding: Object, number: Mapping[str, int]) -> Object:
    fails = finding["status"] == "fail"
    text = (
        [clean(finding["title"]), "", *finding_text.body(finding)] if fails else [clean(finding["explanation"], 2000)]
    )
    result = {
        **_place(finding, number),
        "kind": "fail" if fails else "open",
        "level": _LEVELS[finding["severity"]] if fails else "none",
        "message": {"text": _plain("\n".join(text))},
        "properties": {"severity": finding["severity"], "object": clean(finding["object"])},
    }
    if finding["change"] in _STATES:
        result["baselineState"] = _STATES[finding["change"]]
    if finding["first_seen"]:
        result["properties"]["firstSeen"] = clean(finding["first_seen"], 40)
    if finding["caused_by"]:
        result["properties"]["causedBy"] = finding["caused_by"]
    if finding["waived"]:
        result["suppressions"] = [_suppression(finding["waived"])]
    return result


def _past(past: Object, number: Mapping[str, int], state: Object) -> Object:
    """A finding of the last audit that is gone, or that nobody can tell now."""
    why = f"\n\nIt cannot be told now: {clean(past['why'])}" if "why" in past else "\n\nIt is gone."
    properties = {"severity": clean(past["severity"], 20), "object": clean(past["object"])}
    seen = {"firstSeen": past["first_seen"], "lastSeen": past["last_seen"]}
    properties.update({key: clean(value, 40) for key, value in seen.items() if value})
    return {
        **_place(past, number),
        **state,
        "message": {"text": _plain(clean(past["title"]) + why)},
        "properties": properties,
    }


def _place(finding: Object, number: Mapping[str, int]) -> Object:
    """Which rule, where, and by what it is known again."""
    host = finding["host"]
    place: Object = {
        "ruleId": clean(finding["rule"]),
        "partialFingerprints": {_FINGERPRINT: finding["fingerprint"]},
        "locations": [_location(host)],
    }
    if finding["rule"] in number:
        place["ruleIndex"] = number[finding["rule"]]
    return place


def _location(host: str | None) -> Object:
    file = cluster_store.NAME if host is None else str(node_file(Path(), host))
    name = CLUSTER_NAME if host is None else clean(host)
    return {
        # The files of a bundle have one line.
        "physicalLocation": {
            "artifactLocation": {"uri": urllib.parse.quote(file), "uriBaseId": _BASE},
            "region": {"startLine": 1},
        },
        "logicalLocations": [{"name": name, "kind": "resource"}],
    }


def _suppression(waiver: Object) -> Object:
    until = {"until": clean(waiver["until"], 20)} if waiver["until"] else {}
    owner = {"owner": clean(waiver["owner"], 200)} if waiver["owner"] else {}
    return {
        "kind": "external",
        "status": "accepted",
        "justification": clean(waiver["reason"]),
        "properties": {**owner, **until},
    }


def _invocation(document: Object) -> Object:
    told = [_notification(f"The bundle is damaged: {clean(why)}") for why in document["damaged"]]
    if not any(host["answered"] for host in document["hosts"].values()):
        told.append(_notification("Nobody answered, so nothing was looked at."))
    for finding in document["findings"]:
        if finding["broken"]:
            rule, place = {"id": finding["rule"]}, [_location(finding["host"])]
            told.append({**_notification(clean(finding["explanation"])), "associatedRule": rule, "locations": place})
    return {"executionSuccessful": not told, "toolExecutionNotifications": told}


def _notification(text: str) -> Object:
    return {"level": "error", "message": {"text": _plain(text)}}


def _plain(text: str) -> str:
    """A text that no viewer takes for one with a link in it (SARIF 2.1.0, 3.11.6: ``[text](target)``)."""
    return text.replace("](", "] (")
