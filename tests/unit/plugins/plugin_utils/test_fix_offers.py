# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""fix_offers: what fixes are to act on, and what is said in the matter of each."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import node_fixes
from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    catalogue,
    container_cures,
    fix_offers,
    image_rollback,
    judge,
    settings,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.test_rules import TABLES

CONFLICT, DEAF = "container-name-conflict", "service-target-not-listening"
FRONT = '{"namespace": "shop", "name": "front"}'
BY_HAND = {"fix": "", "targets": []}
# What a fix keeps from coming back, and does not end.
PREVENTED = {
    "reserve-nodeports": {
        "health-check-nodeport-cannot-open",
        "nodeport-hijacks-connection",
        "nodeport-shadows-listener",
    }
}
LET_IT_BE = {"reason": "let it be"}


def finding(fingerprint, *targets, fix="container-name-conflict", rule=CONFLICT, host="a", **more):
    remedies = [BY_HAND, *([{"fix": fix, "targets": list(targets)}] if targets else [])]
    return {
        "fingerprint": fingerprint,
        "rule": rule,
        "host": host,
        "status": "fail",
        "severity": "critical",
        "title": f"{fingerprint} is at fault",
        "explanation": "",
        "waived": None,
        "remedies": remedies,
        **more,
    }


def of_cluster(fingerprint, *targets, **more):
    return finding(fingerprint, *targets, fix="rollback-image", rule=DEAF, host=None, **more)


def cures(*findings):
    return fix_offers.cures({"findings": findings})


def matters(*findings):
    return fix_offers.matters({"findings": findings})


def test_the_fixes_are_those_that_there_are():
    assert set(fix_offers.RULES) == {*node_fixes.FIXES, *fix_offers.OF_CLUSTER, container_cures.FIX}
    assert image_rollback.FIX in fix_offers.OF_CLUSTER


def test_every_fix_is_for_rules_that_there_are():
    known = {rule.id for rule in catalogue.rules()}
    assert all(rules and set(rules) <= known for rules in fix_offers.RULES.values())


@pytest.mark.parametrize("rule", sorted(TABLES))
def test_a_rule_that_offers_a_fix_is_asked_whether_it_helped(rule):
    rules = {one.id: one for one in catalogue.rules()}
    offered = {
        remedy["fix"]
        for case in TABLES[rule]
        for found in judge.judge(case.scene, settings.read(case.scene.options), [rules[rule]])["findings"]
        for remedy in found["remedies"]
    }
    silent = {fix for fix, those in fix_offers.RULES.items() if rule in those}
    if rule == "change-interrupted":
        assert offered & silent
    else:
        assert offered - {""} == silent | {fix for fix, those in PREVENTED.items() if rule in those}


def test_what_fixes_are_to_act_on():
    assert cures(
        finding("1", "id-1", "id-2"),
        finding("2", "id-2", "id-3"),
        finding("3", "id-4", host="b", waived=LET_IT_BE),
        finding("4", host="c"),
        of_cluster("5", FRONT),
    ) == {"a": {CONFLICT: ["id-1", "id-2", "id-3"]}, None: {"rollback-image": [FRONT]}}


def test_what_changes_the_cluster_is_done_once_whatever_hosts_show_it():
    shadows = {"fix": "move-nodeport", "rule": "nodeport-shadows-listener"}
    both = [finding("1", FRONT, **shadows), finding("2", FRONT, host="b", **shadows)]
    assert cures(*both) == {None: {"move-nodeport": [FRONT]}}
    told = matters(*both)
    assert told[None]["move-nodeport"]["offered"].keys() == {"1", "2"}
    assert told[None]["move-nodeport"]["by_object"] == {"shop/front": ["1", "2"]}
    assert "move-nodeport" not in told["a"]


def test_what_is_said_in_the_matter_of_a_fix_whatever_the_severity():
    told = matters(
        finding("1", "id-1"),
        finding("2", severity="warning"),
        finding("3", "id-3", waived=LET_IT_BE),
        finding("4", rule="leak"),
        finding("5", host="b", status="unknown", explanation="no\x1bjournal"),
    )
    first = f"CRITICAL: 1 is at fault [{CONFLICT}]"
    assert told == {
        "a": {
            CONFLICT: {
                "offered": {"1": first},
                "open": {"1": first, "2": f"WARNING: 2 is at fault [{CONFLICT}]"},
                "waived": [f"CRITICAL (waived): 3 is at fault [{CONFLICT}]"],
                "unknown": [],
            }
        },
        "b": {
            CONFLICT: {"offered": {}, "open": {}, "waived": [], "unknown": [f"not known: no\\x1bjournal [{CONFLICT}]"]}
        },
    }


def test_what_is_only_kept_from_coming_back_does_not_count_as_left():
    told = matters(finding("1", "{}", fix="reserve-nodeports", rule="nodeport-shadows-listener"))
    assert told["a"]["reserve-nodeports"]["offered"].keys() == {"1"}
    assert told["a"]["reserve-nodeports"]["open"] == {}


def test_of_much_that_is_unknown_the_report_tells_the_rest():
    told = matters(*(of_cluster(str(number), status="unknown", explanation=str(number)) for number in range(7)))
    assert told[None]["rollback-image"]["unknown"][5:] == ["and 2 more: see the report"]
