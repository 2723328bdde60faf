# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SARIF: which findings are results, of which kind, level and state."""

from __future__ import annotations

import json
import urllib.parse

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle, catalogue, report_sarif
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import form_scene


def run(document):
    log = json.loads(report_sarif.render(document))
    assert log["version"] == "2.1.0"
    (found,) = log["runs"]
    return found


def messages(value):
    """All texts of a log that a viewer may look for links in."""
    if isinstance(value, list):
        for inner in value:
            yield from messages(inner)
    elif isinstance(value, dict):
        if isinstance(value.get("text"), str):
            yield value["text"]
        yield from messages(list(value.values()))


def results(document, rule, host="sick"):
    return [
        result
        for result in run(document)["results"]
        if result["ruleId"] == rule and result["locations"][0]["logicalLocations"][0]["name"] == host
    ]


def test_every_finding_is_a_result_and_what_passed_is_none():
    document = form_scene.judged()
    memory = document["memory"]
    found = run(document)["results"]
    assert len(found) == len(document["findings"]) + len(memory["gone"]) + len(memory["unsure"])
    assert sum(result["kind"] == "fail" for result in found) == 5 + len(memory["gone"])


@pytest.mark.parametrize(
    ("rule", "host", "expected"),
    [
        ("nodeport-shadows-listener", "sick", {"kind": "fail", "level": "error", "baselineState": "new"}),
        ("cri-stream-port-random", "sick", {"kind": "fail", "level": "warning", "baselineState": "new"}),
        ("nodeport-range-overlaps-ephemeral", "sick", {"kind": "fail", "baselineState": "unchanged"}),
        ("service-without-endpoints", "the cluster", {"kind": "fail", "level": "warning"}),
        ("listener-appeared", "sick", {"kind": "fail", "level": "note"}),
        ("cpu-steal", "sick", {"kind": "open", "level": "none", "baselineState": None}),
        ("nodeport-shadows-listener", "healthy", {"kind": "fail", "level": "error", "baselineState": "absent"}),
    ],
)
def test_kind_level_and_state(rule, host, expected):
    (result,) = results(form_scene.judged(), rule, host)
    assert {key: result.get(key) for key in expected} == expected


def test_what_cannot_be_told_is_open_and_known_again():
    document = form_scene.judged()
    silent, unsure = results(document, "nodeport-shadows-listener", "away")
    assert (silent["kind"], unsure["kind"]) == ("open", "open")
    assert "It cannot be told now: the host did not answer" in unsure["message"]["text"]
    known = {past["fingerprint"] for past in document["memory"]["unsure"]}
    assert unsure["partialFingerprints"]["kubenodeDoctor/v1"] in known


def test_a_first_audit_says_nothing_of_a_baseline():
    assert not [result for result in run(form_scene.first_audit())["results"] if "baselineState" in result]


def test_waived_ones_are_suppressed_and_others_are_not():
    (result,) = results(form_scene.judged(), "nodeport-range-overlaps-ephemeral")
    (suppression,) = result["suppressions"]
    assert suppression["status"] == "accepted"
    assert suppression["justification"] == "the range moves"
    assert suppression["properties"]["owner"] == "the platform team"
    (live,) = results(form_scene.judged(), "nodeport-shadows-listener")
    assert "suppressions" not in live


def test_places_are_files_of_the_bundle():
    (result,) = results(form_scene.judged(), "nodeport-shadows-listener")
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "nodes/sick.json", "uriBaseId": "BUNDLE"}
    (result,) = results(form_scene.judged(), "service-without-endpoints", "the cluster")
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "cluster.json"


def test_rules_are_told_with_help():
    found = run(form_scene.judged())
    rules = {rule["id"]: rule for rule in found["tool"]["driver"]["rules"]}
    assert rules.keys() == {rule.id for rule in catalogue.rules()}
    about = rules["nodeport-shadows-listener"]
    assert "Otherwise: " in about["help"]["text"]
    assert "Known from:" in about["help"]["text"]
    assert about["helpUri"].endswith("docs/rules.md#nodeport-shadows-listener")
    assert about["defaultConfiguration"] == {"level": "error"}
    for result in found["results"]:
        assert found["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_rule_that_is_gone_is_told_without_help():
    document = form_scene.judged()
    document["rules"]["of-yesterday"] = dict(document["rules"]["cpu-steal"])
    document["memory"]["gone"][0].update(rule="never-heard-of", severity="dreadful")
    found = run(document)
    assert "help" not in found["tool"]["driver"]["rules"][-1]
    (result,) = [result for result in found["results"] if result["ruleId"] == "never-heard-of"]
    assert "ruleIndex" not in result
    assert result["level"] == "warning"


def test_broken_checks_are_notifications():
    (invocation,) = run(form_scene.judged())["invocations"]
    (told,) = invocation["toolExecutionNotifications"]
    assert told["associatedRule"] == {"id": "cpu-steal"}
    assert not invocation["executionSuccessful"]


def test_nobody_and_damage_are_notifications():
    (invocation,) = run(form_scene.nobody())["invocations"]
    told = [one["message"]["text"] for one in invocation["toolExecutionNotifications"]]
    assert told == ["The bundle is damaged: nodes/a.json is half-written", "Nobody answered, so nothing was looked at."]


def test_an_audit_without_trouble_succeeded():
    document = form_scene.judged()
    for finding in document["findings"]:
        finding["broken"] = False
    assert run(document)["invocations"] == [{"executionSuccessful": True, "toolExecutionNotifications": []}]


@pytest.mark.parametrize("text", form_scene.HOSTILE)
def test_hostile_words_stay_words(text):
    document = form_scene.speaking(text)
    found = results(document, "nodeport-shadows-listener", clean(text))
    (result,) = [result for result in found if result.get("baselineState") == "new"]
    assert result["message"]["text"].startswith(clean(text).replace("](", "] (") + "\n")
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert urllib.parse.unquote(uri) == str(bundle.node_file(report_sarif.Path(), text))
    rendered = report_sarif.render(document)
    assert rendered.isascii()
    assert not [message for message in messages(json.loads(rendered)) if "](" in message]
