# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""judge's action plugin: what it hands to a play of what fails."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.action import judge
from ansible_collections.kubenode.doctor.plugins.plugin_utils import catalogue, container_cures, image_rollback

SHARED = {
    "rule": "nobody-listens",
    "host": None,
    "status": "fail",
    "severity": "critical",
    "waived": None,
    "remedies": [],
}
NOBODY_LISTENS = "service-target-not-listening"


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


def with_shared(count, own=1):
    """One host with so many faults of its own, and so many of the cluster, of another group and of the same."""
    told = document(own)
    told["rules"]["nobody-listens"] = {"group": "services"}
    told["rules"]["no-range"] = {"group": "tcp"}
    shared = [{**SHARED, "title": f"{number} is down"} for number in range(count)]
    told["findings"] += [*shared, *([{**SHARED, "rule": "no-range", "title": "no range"}] if count else [])]
    return told


def test_a_fault_of_the_cluster_fails_every_host_that_answered_after_its_own():
    shared = ["CRITICAL: 0 is down [nobody-listens]"]
    assert judge._failing(with_shared(1)) == {
        "a": {"tcp": ["CRITICAL: fault 0 [leak]", "CRITICAL: no range [no-range]"], "services": shared},
        "b": {"tcp": ["CRITICAL: no range [no-range]"], "services": shared},
    }


def test_many_faults_of_a_host_hide_none_of_the_cluster():
    told = judge._failing(with_shared(1, own=9))["a"]["tcp"]
    assert told[5:] == ["and 4 more: see the report", "CRITICAL: no range [no-range]"]


def test_what_fails_in_the_cluster_is_told_once():
    told = with_shared(7)
    shared = judge._cluster_failing(told)
    assert shared["tcp"] == ["CRITICAL: no range [no-range]"]
    assert shared["services"][4:] == ["CRITICAL: 4 is down [nobody-listens]", "and 2 more: see the report"]
    assert judge._told(judge._own_failing(told), shared) == {
        "the cluster": shared,
        "a": {"tcp": ["CRITICAL: fault 0 [leak]"]},
    }


@pytest.mark.parametrize(("count", "more"), [(0, None), (10, None), (11, "1 more hosts: see the report")])
def test_of_many_hosts_the_first_are_told(count, more):
    failing = {f"node-{number:03}": {"tcp": ["CRITICAL: x"]} for number in reversed(range(count))}
    told = judge._told(failing, {})
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
    assert {container_cures.FIX, image_rollback.FIX} == set(judge._FIXES)
    assert all(rules and set(rules) <= known for rules in judge._FIXES.values())


def test_what_fixes_are_to_act_on():
    offered = {"fix": "container-name-conflict", "targets": ["id-1", "id-2"]}
    by_hand = {"fix": "", "targets": []}
    findings = [
        {"host": "a", "waived": None, "remedies": [by_hand, offered]},
        {"host": "a", "waived": None, "remedies": [{**offered, "targets": ["id-3"]}]},
        {"host": "b", "waived": {"reason": "let it be"}, "remedies": [offered]},
        {"host": "c", "waived": None, "remedies": [by_hand]},
        {"host": None, "waived": None, "remedies": [{"fix": "rollback-image", "targets": ["{}"]}]},
    ]
    assert judge._cures({"findings": findings}) == {"a": {"container-name-conflict": ["id-1", "id-2", "id-3"]}}


def cluster(*findings, answered=("b", "a"), silent=("0",)):
    hosts = {host: {"answered": host in answered} for host in (*silent, *answered)}
    rules = {NOBODY_LISTENS: {"group": "services"}}
    shared = {**SHARED, "rule": NOBODY_LISTENS, "object": "shop/front", "title": "front is down", "explanation": ""}
    return judge._cluster(
        {
            "fail_on": "critical",
            "hosts": hosts,
            "rules": rules,
            "findings": [{**shared, **finding} for finding in findings],
        }
    )


def offer(*targets):
    return {"remedies": [{"fix": "", "targets": []}, {"fix": "rollback-image", "targets": list(targets)}]}


@pytest.mark.parametrize(("answered", "carrier"), [(("b", "a"), "a"), (("b",), "b"), ((), None)])
def test_the_cluster_is_cured_in_the_name_of_the_first_host_that_answered(answered, carrier):
    assert cluster(offer("front"), answered=answered)["carrier"] == carrier


@pytest.mark.parametrize(
    ("findings", "cures"),
    [
        ([], {}),
        ([{}], {}),
        ([offer("front")], {"rollback-image": ["front"]}),
        # Two Services may have the pods of one Deployment.
        ([offer("front"), {"object": "shop/admin", **offer("front", "side")}], {"rollback-image": ["front", "side"]}),
        ([{"waived": {"reason": "let it be"}, **offer("front")}], {}),
        ([{"host": "a", **offer("front")}], {}),
    ],
)
def test_what_fixes_are_to_act_on_in_the_cluster(findings, cures):
    assert cluster(*findings)["cures"] == cures


def test_of_what_in_the_cluster_a_fix_is_offered_and_what_is_at_fault():
    told = cluster(
        offer("front"),
        {"object": "shop/cart", "title": "cart is down", "severity": "warning"},
        {"object": "shop/cart", "title": "cart has another port", "severity": "info"},
        {"object": "shop/old", "title": "old is down", "waived": {"reason": "let it be"}, **offer("old")},
        {"object": "", "status": "unknown", "explanation": "3 pods run on hosts that were not asked"},
        {"rule": "nobody-cares", "severity": "info"},
        {"host": "a", "object": "shop/node"},
    )
    front = f"CRITICAL: front is down [{NOBODY_LISTENS}]"
    assert told["fix_findings"] == {
        "rollback-image": {
            "offered": {"shop/front": front},
            "open": {"shop/front": front, "shop/cart": f"WARNING: cart is down [{NOBODY_LISTENS}]"},
            "waived": [f"CRITICAL (waived): old is down [{NOBODY_LISTENS}]"],
            "unknown": [f"not known: 3 pods run on hosts that were not asked [{NOBODY_LISTENS}]"],
        }
    }


def test_of_much_that_is_unknown_in_the_cluster_the_report_tells_the_rest():
    unknown = [{"status": "unknown", "explanation": str(number)} for number in range(7)]
    assert cluster(*unknown)["fix_findings"]["rollback-image"]["unknown"][5:] == ["and 2 more: see the report"]
