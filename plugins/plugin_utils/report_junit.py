# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JUnit's XML, which every CI system shows: a suite a host and one for the cluster, a case a rule.

A case passes only when the rule's answer is pass, and fails only for what fails a host: an unwaived finding at or above ``fail_on``. All
else is skipped and says why: unknown, not applicable, waived, or a fault below ``fail_on``. A check that broke is an error, and so is an audit in
which nobody answered, or whose files are damaged: the suite "the audit" says what makes the playbook fail besides findings.

JUnit's form has no standard. What is written is what Jenkins' schema (xunit-plugin, junit-10.xsd) and GitLab have in common: GitLab tells cases apart by
classname and name, and Jenkins takes all before the last dot of a classname for its package. So it is the host, then the group of rules.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from ansible_collections.kubenode.doctor.plugins.plugin_utils import answers, finding_text
from ansible_collections.kubenode.doctor.plugins.plugin_utils.finding_groups import CLUSTER_NAME
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import SEVERITIES

_AUDIT = "the audit"
_HEADER = '<?xml version="1.0" encoding="utf-8"?>\n'
_BELOW, _WAIVED = "below_fail_on", "waived"
_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}

Finding = Mapping[str, Any]


def render(document: dict[str, Any], bundle: str = "") -> str:
    """Render the document of findings.json as XML."""
    about = _about(document, bundle)
    suites = [_suite(_AUDIT, _audit(document), about)]
    found: dict[tuple[str | None, str], list[Finding]] = {}
    for finding in document["findings"]:
        found.setdefault((finding["host"], finding["rule"]), []).append(finding)
    for host, told in answers.matrix(document):
        name = CLUSTER_NAME if host is answers.CLUSTER else clean(host)
        cases = [_case(name, rule, answer, found.get((host, rule), ()), document) for rule, answer in told.items()]
        suites.append(_suite(name, cases, about))
    return _joined(suites)


def _joined(suites: Sequence[tuple[dict[str, int], str]]) -> str:
    """All suites as one document. Each is text already: the cases of ten thousand hosts would not fit into memory as a tree."""
    total = {key: sum(counts[key] for counts, _text in suites) for key in ("tests", *_COUNTED)}
    words = " ".join(f'{key}="{number}"' for key, number in total.items())
    texts = "\n".join(text for _counts, text in suites)
    return f'{_HEADER}<testsuites name="kubenode.doctor" {words}>\n{texts}\n</testsuites>\n'


def _about(document: dict[str, Any], bundle: str) -> dict[str, str]:
    audit = document["audit"]
    return {
        "version": clean(str(audit.get("version", ""))),
        "started": clean(str(audit.get("started", ""))),
        "judged": document["judged_at"],
        "fail_on": document["fail_on"],
        "bundle": clean(bundle, 5000),
    }


def _suite(name: str, cases: Sequence[ElementTree.Element], about: Mapping[str, str]) -> tuple[dict[str, int], str]:
    counts = {"tests": len(cases)}
    counts.update({key: sum(case.find(tag) is not None for case in cases) for key, tag in _COUNTED.items()})
    suite = ElementTree.Element("testsuite", {"name": name, **{key: str(number) for key, number in counts.items()}})
    begun = _moment(about["started"])
    if begun:
        suite.set("timestamp", begun)
    if name == _AUDIT:
        properties = ElementTree.SubElement(suite, "properties")
        for key, value in about.items():
            ElementTree.SubElement(properties, "property", {"name": key, "value": value})
    suite.extend(cases)
    return counts, ElementTree.tostring(suite, encoding="unicode")


def _moment(text: str) -> str:
    """A time as JUnit writes it, which is UTC without saying so; empty for what is none."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return ""
    return moment.astimezone(datetime.timezone.utc).replace(tzinfo=None).isoformat(timespec="seconds")


def _audit(document: dict[str, Any]) -> list[ElementTree.Element]:
    """What fails a judged audit besides findings, as playbooks/judge.yml has it."""
    answered = ElementTree.Element("testcase", {"classname": _AUDIT, "name": "somebody answered"})
    if not any(host["answered"] for host in document["hosts"].values()):
        _say(answered, "error", "nobody answered, so nothing was looked at")
    whole = ElementTree.Element("testcase", {"classname": _AUDIT, "name": "the bundle is whole"})
    if document["damaged"]:
        _say(whole, "error", "the bundle is damaged", lines=[clean(why) for why in document["damaged"]])
    return [answered, whole]


def _case(
    place: str, rule: str, answer: str, findings: Iterable[Finding], document: Mapping[str, Any]
) -> ElementTree.Element:
    about = document["rules"][rule]
    case = ElementTree.Element("testcase", {"classname": f"{place}.{about['group']}", "name": rule})
    if answer == answers.PASS:
        return case
    if answer == answers.NOT_APPLICABLE:
        _say(case, "skipped", "not applicable: this rule says nothing here", answers.NOT_APPLICABLE)
        return case
    tag, kind, telling = _outcome(list(findings), document["fail_on"])
    message = "; ".join(dict.fromkeys(_headline(finding) for finding in telling))
    _say(case, tag, message, kind, [line for finding in findings for line in _told(finding)])
    return case


def _outcome(findings: Sequence[Finding], fail_on: str) -> tuple[str, str, Sequence[Finding]]:
    """The element that tells a case's findings, its type, and the findings that decided it."""
    failed = [finding for finding in findings if finding["status"] == "fail"]
    live = [finding for finding in failed if not finding["waived"]]
    least = SEVERITIES.index(fail_on)
    failing = [finding for finding in live if SEVERITIES.index(finding["severity"]) >= least]
    broken = [finding for finding in findings if finding["broken"]]
    if failing:
        return "failure", failing[0]["severity"], failing
    if broken:
        return "error", "broken", broken
    if live:
        return "skipped", _BELOW, live
    return ("skipped", _WAIVED, failed) if failed else ("skipped", answers.UNKNOWN, findings)


def _headline(finding: Finding) -> str:
    if finding["status"] == "unknown":
        return f"{'broken' if finding['broken'] else 'unknown'}: {clean(finding['explanation'])}"
    waived = f" ({finding_text.waived(finding['waived'])})" if finding["waived"] else ""
    return f"{finding['severity'].upper()}{waived}: {clean(finding['title'])}"


def _told(finding: Finding) -> list[str]:
    if finding["status"] == "unknown":
        return [_headline(finding)]
    since = f"since {clean(finding['first_seen'], 40)}" if finding["first_seen"] else ""
    change = {"new": "new since the last audit", "persists": since}.get(finding["change"] or "", "")
    return [_headline(finding), *([change] if change else []), *finding_text.body(finding), ""]


def _say(case: ElementTree.Element, tag: str, message: str, kind: str = "", lines: Sequence[str] = ()) -> None:
    told = ElementTree.SubElement(case, tag, {"message": message, **({"type": kind} if kind else {})})
    if kind in (_WAIVED, _BELOW):
        # CI systems show a skipped case's message alone, and the output of any case.
        ElementTree.SubElement(case, "system-out").text = "\n".join(lines)
    elif lines and tag != "skipped":
        told.text = "\n".join(lines)
