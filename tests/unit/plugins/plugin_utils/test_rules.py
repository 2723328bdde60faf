# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every rule, fired and silent: the tables in cases/, one file a rule, and what must hold of each of their findings."""

from __future__ import annotations

import copy
import importlib
import json
import re
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    catalogue,
    judge,
    report_text,
    settings,
    survey_paths,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import SEVERITIES
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.checks import (
    check_command,
    check_remedy,
    check_report,
    commands,
)

RULES = {rule.id: rule for rule in catalogue.rules()}
_CASES = "ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.cases"


def _tables():
    for path in sorted((Path(__file__).parent / "cases").glob("*.py")):
        yield path.stem.replace("_", "-"), importlib.import_module(f"{_CASES}.{path.stem}").CASES


TABLES = dict(_tables())
_SCENES = [pytest.param(case, id=f"{rule}: {case.name}") for rule, cases in TABLES.items() for case in cases]
ALL = [pytest.param(rule, case, id=f"{rule}: {case.name}") for rule, cases in TABLES.items() for case in cases]


def test_every_rule_has_a_table_and_every_table_a_rule():
    assert TABLES.keys() == RULES.keys()


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_is_shown_firing_and_silent(rule):
    answers = {case.answer for case in TABLES[rule]}
    assert {"fail", "pass"} <= answers
    names = [case.name for case in TABLES[rule]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_rule_names_the_thresholds_that_it_asks_for(rule, monkeypatch):
    asked = set()
    known = settings.Settings.threshold
    monkeypatch.setattr(settings.Settings, "threshold", lambda self, name: asked.add(name) or known(self, name))
    # The survey asks for itself.
    monkeypatch.setattr(survey_paths, "document", lambda _context: survey_paths.nothing())
    for case in TABLES[rule]:
        judge.judge(case.scene, settings.read(case.scene.options), [RULES[rule]])
    assert asked == set(RULES[rule].thresholds)


def found(document, rule, case):
    status = {"fail": "fail", "unknown": "unknown"}.get(case.answer)
    return [
        finding
        for finding in document["findings"]
        if (finding["rule"], finding["host"], finding["status"]) == (rule, case.host, status)
    ]


def text(finding):
    remedies = [f"{remedy['summary']} {remedy['risk']}" for remedy in finding["remedies"]]
    return "\n".join([finding["title"], finding["explanation"], *finding["evidence"], *remedies])


@pytest.mark.parametrize(("rule", "case"), ALL)
def test_case(rule, case):
    document = case.scene.judged()
    mine = found(document, rule, case)
    if case.answer in ("pass", "not_applicable"):
        assert not [
            finding for finding in document["findings"] if (finding["rule"], finding["host"]) == (rule, case.host)
        ]
        assert document["rules"][rule][case.answer] >= 1
        return
    assert mine, [text(finding) for finding in document["findings"] if finding["rule"] == rule]
    if case.answer == "unknown":
        assert not [
            finding for finding in document["findings"] if finding["rule"] == rule and finding["status"] == "fail"
        ]
    told = "\n".join(map(text, mine))
    for words in case.words:
        assert words in told
    for words in case.absent:
        assert words not in told
    if case.severity:
        assert [finding["severity"] for finding in mine] == [case.severity]
    assert set(case.commands) <= {command for finding in mine for command in commands(finding)}
    if case.causes is not None:
        by_fingerprint = {finding["fingerprint"]: finding["rule"] for finding in document["findings"]}
        assert tuple(by_fingerprint[cause] for cause in mine[0]["caused_by"]) == case.causes


@pytest.mark.parametrize("case", _SCENES)
def test_what_holds_of_every_finding(case):
    document = case.scene.judged()
    for tally in document["rules"].values():
        expected = len(case.scene.snapshots) if RULES[_id(document, tally)].scope == "node" else 1
        assert sum(tally[answer] for answer in ("pass", "fail", "unknown", "not_applicable")) == expected
    faults = [finding for finding in document["findings"] if finding["status"] == "fail"]
    assert len({finding["fingerprint"] for finding in faults}) == len(faults), "one fault, one identity"
    for finding in document["findings"]:
        assert finding["severity"] in SEVERITIES
        assert finding["title"]
        assert finding["explanation"].strip()
        assert "None" not in text(finding)
    for finding in faults:
        assert finding["evidence"]
        for command in commands(finding):
            check_command(command)
        for remedy in finding["remedies"]:
            check_remedy(remedy)
    json.dumps(document)
    check_report(report_text.render(document, "audits/20261121T080000Z"))


def _id(document, tally):
    return next(name for name, entry in document["rules"].items() if entry is tally)


def renumbered(value, by=1000):
    """The same audit with other pids and inodes, also where texts tell them."""
    if isinstance(value, dict):
        return {
            key: entry + by if key in ("pid", "inode") and isinstance(entry, int) else renumbered(entry, by)
            for key, entry in value.items()
        }
    if isinstance(value, list):
        return [renumbered(entry, by) for entry in value]
    if isinstance(value, str):
        return re.sub(r"pid (\d+)", lambda match: f"pid {int(match[1]) + by}", value)
    return value


def _shows_processes(case):
    """A finding may also rest on nothing but what the API told of silent hosts."""
    return case.answer == "fail" and not all(isinstance(told, str) for told in case.scene.snapshots.values())


@pytest.mark.parametrize("case", [param for param in _SCENES if _shows_processes(param.values[0])])
def test_no_pid_or_inode_in_what_identifies_a_finding(case):
    later = copy.deepcopy(case.scene)
    later.snapshots = renumbered(later.snapshots)
    assert later.snapshots != case.scene.snapshots
    identities = [
        {(finding["fingerprint"], finding["object"], finding["title"]) for finding in scene.judged()["findings"]}
        for scene in (case.scene, later)
    ]
    assert identities[0] == identities[1]
