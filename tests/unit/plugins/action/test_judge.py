# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""judge's action plugin: what it hands to a play of what fails."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.action import judge
from ansible_collections.kubenode.doctor.plugins.plugin_utils import catalogue, container_cures


def document(count, group="tcp"):
    """One host with so many faults of a group."""
    fault = {"rule": "leak", "host": "a", "status": "fail", "severity": "critical", "waived": None}
    findings = [{**fault, "title": f"fault {number}"} for number in range(count)]
    return {
        "fail_on": "critical",
        "hosts": {"a": {"answered": True}, "b": {"answered": True}, "c": {"answered": False}},
        "rules": {"leak": {"group": group}},
        "findings": findings,
    }


@pytest.mark.parametrize(("count", "last"), [(1, "CRITICAL: fault 0 [leak]"), (5, "CRITICAL: fault 4 [leak]")])
def test_what_fails_is_told_by_host_and_group(count, last):
    told = judge._failing(document(count))
    assert told.keys() == {"a"}
    assert len(told["a"]["tcp"]) == count
    assert told["a"]["tcp"][-1] == last


def test_of_many_the_report_tells_the_rest():
    lines = judge._failing(document(2000))["a"]["tcp"]
    assert len(lines) == 6
    assert lines[0] == "CRITICAL: fault 0 [leak]"
    assert lines[-1] == "and 1995 more: see the report"


def test_nobody_fails_without_a_fault():
    assert judge._failing(document(0)) == {}


@pytest.mark.parametrize(("count", "more"), [(0, None), (10, None), (11, "1 more hosts: see the report")])
def test_of_many_hosts_the_first_are_told(count, more):
    failing = {f"node-{number:03}": {"tcp": ["CRITICAL: x"]} for number in reversed(range(count))}
    told = judge._told(failing)
    assert told.pop("and more", None) == more
    assert list(told) == sorted(failing)[:10]


def test_what_is_said_in_the_matter_of_a_fix_whatever_the_severity():
    fault = {"rule": "container-name-conflict", "host": "a", "status": "fail", "severity": "critical", "waived": None}
    findings = [
        {**fault, "title": "1"},
        {**fault, "title": "2", "severity": "warning"},
        {**fault, "title": "3", "waived": {"reason": "let it be"}},
        {**fault, "title": "4", "rule": "leak"},
        {**fault, "title": "5", "host": "b", "status": "unknown", "explanation": "no\x1bjournal"},
    ]
    of = judge._fix_findings({"findings": findings})
    rule = "[container-name-conflict]"
    assert of == {
        "a": {
            "container-name-conflict": {
                "open": [f"CRITICAL: 1 {rule}", f"WARNING: 2 {rule}"],
                "waived": [f"CRITICAL (waived): 3 {rule}"],
                "unknown": [],
            }
        },
        "b": {
            "container-name-conflict": {
                "open": [],
                "waived": [],
                "unknown": [f"not known: no\\x1bjournal {rule}"],
            }
        },
    }


def test_in_the_matter_of_a_fix_the_report_tells_the_rest_too():
    fault = {"rule": "container-name-conflict", "host": "a", "status": "fail", "severity": "warning", "waived": None}
    told = judge._fix_findings({"findings": [{**fault, "title": str(number)} for number in range(7)]})
    assert told["a"]["container-name-conflict"]["open"][5:] == ["and 2 more: see the report"]


def test_every_fix_is_for_rules_that_there_are():
    known = {rule.id for rule in catalogue.rules()}
    assert container_cures.FIX in judge._FIXES
    assert all(rules and set(rules) <= known for rules in judge._FIXES.values())


def test_what_fixes_are_to_act_on():
    offered = {"fix": "container-name-conflict", "targets": ["id-1", "id-2"]}
    by_hand = {"fix": "", "targets": []}
    findings = [
        {"host": "a", "waived": None, "remedies": [by_hand, offered]},
        {"host": "a", "waived": None, "remedies": [{**offered, "targets": ["id-3"]}]},
        {"host": "b", "waived": {"reason": "let it be"}, "remedies": [offered]},
        {"host": "c", "waived": None, "remedies": [by_hand]},
    ]
    assert judge._cures({"findings": findings}) == {"a": {"container-name-conflict": ["id-1", "id-2", "id-3"]}}
