# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JUnit: which answers pass, fail, are skipped or in error."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import answers, report_junit
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import form_scene


def parsed(document):
    return ElementTree.fromstring(report_junit.render(document, "audits/x"))  # noqa: S314 - it is our own


def cases(document):
    """``{(host, rule): case}``."""
    return {
        (suite.get("name"), case.get("name")): case for suite in parsed(document) for case in suite.iter("testcase")
    }


def outcome(case):
    return next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")


def test_one_case_for_each_host_and_rule_and_only_pass_passes():
    document = form_scene.judged()
    found = cases(document)
    expected = {
        (host or "the cluster", rule): answer
        for host, told in answers.matrix(document)
        for rule, answer in told.items()
    }
    assert found.keys() - expected.keys() == {("the audit", "somebody answered"), ("the audit", "the bundle is whole")}
    assert expected.keys() <= found.keys()
    passed = {place for place, case in found.items() if outcome(case) == "passed" and place[0] != "the audit"}
    assert passed == {place for place, answer in expected.items() if answer == "pass"}


@pytest.mark.parametrize(
    ("place", "tag", "kind", "words"),
    [
        (("sick", "nodeport-shadows-listener"), "failure", "critical", "CRITICAL: kubectl exec"),
        (("sick", "cri-stream-port-random"), "skipped", "below_fail_on", "WARNING: kubelet"),
        (("sick", "nodeport-range-overlaps-ephemeral"), "skipped", "waived", "waived by the platform team until"),
        (("sick", "cpu-steal"), "error", "broken", "the data could not be judged"),
        (("away", "cpu-steal"), "skipped", "unknown", "the host did not answer: Connection timed out"),
        (("the cluster", "service-publishes-not-ready"), "skipped", "not_applicable", "not applicable"),
        (("the cluster", "service-without-endpoints"), "skipped", "below_fail_on", "WARNING: Service"),
    ],
)
def test_each_answer_says_why(place, tag, kind, words):
    case = cases(form_scene.judged())[place]
    told = case.find(tag)
    assert outcome(case) == tag
    assert told.get("type") == kind
    assert words in told.get("message")


def test_a_failure_holds_all_that_a_reader_needs():
    text = cases(form_scene.judged())[("sick", "nodeport-shadows-listener")].find("failure").text
    for words in (
        "new since the last audit",
        "socket 127.0.0.1:36527/tcp LISTEN",
        "cure 1: move the Service",
        "# kubectl -n",
    ):
        assert words in text
    quiet = cases(form_scene.judged())[("sick", "cri-stream-port-random")]
    assert "accept queue 0 of 5" in quiet.find("system-out").text


@pytest.mark.parametrize("fail_on", ["info", "warning", "critical"])
def test_what_fails_is_what_fails_a_host(fail_on):
    document = {**form_scene.judged(), "fail_on": fail_on}
    failing = {place for place, case in cases(document).items() if outcome(case) == "failure"}
    order = ("info", "warning", "critical")
    assert failing == {
        (finding["host"] or "the cluster", finding["rule"])
        for finding in document["findings"]
        if finding["status"] == "fail"
        and not finding["waived"]
        and order.index(finding["severity"]) >= order.index(fail_on)
    }
    assert failing


def test_a_fault_beside_an_accepted_one_fails():
    document = form_scene.judged()
    accepted = {"reason": "known", "owner": "me", "until": "2030-01-01"}
    fault = form_scene.critical(document)
    document["findings"].append({**fault, "object": "another", "title": "the other one", "waived": accepted})
    case = cases(document)[("sick", "nodeport-shadows-listener")]
    assert "the other one" not in case.find("failure").get("message")
    assert "the other one" in case.find("failure").text


def test_an_audit_of_nothing_fails():
    document = form_scene.nobody()
    found = cases(document)
    assert outcome(found["the audit", "somebody answered"]) == "error"
    assert "half-written" not in found["the audit", "somebody answered"].find("error").get("message")
    assert outcome(found["the audit", "the bundle is whole"]) == "error"
    assert "nodes/a.json is half-written" in found["the audit", "the bundle is whole"].find("error").text
    assert {outcome(case) for place, case in found.items() if place[0] in "ab"} == {"skipped"}
    whole = cases(form_scene.judged())
    assert (
        outcome(whole["the audit", "somebody answered"])
        == outcome(whole["the audit", "the bundle is whole"])
        == "passed"
    )


def test_the_numbers_are_right():
    root = parsed(form_scene.judged())
    total = Counter()
    for suite in root:
        found = Counter(outcome(case) for case in suite.iter("testcase"))
        told = {"passed": found["passed"], "failure": int(suite.get("failures"))}
        told.update(error=int(suite.get("errors")), skipped=int(suite.get("skipped")))
        assert {key: number for key, number in told.items() if number} == dict(found)
        assert int(suite.get("tests")) == sum(found.values())
        total.update(found)
        assert suite.get("timestamp") == "2026-11-21T08:00:00"
    assert (root.get("failures"), root.get("errors")) == (str(total["failure"]), str(total["error"]))
    assert (root.get("skipped"), root.get("tests")) == (str(total["skipped"]), str(sum(total.values())))


@pytest.mark.parametrize("started", [None, "yesterday", 7])
def test_a_time_that_is_none_is_left_out(started):
    document = form_scene.judged()
    document["audit"]["started"] = started
    assert all("timestamp" not in suite.attrib for suite in parsed(document))


def test_classnames_tell_hosts_apart():
    found = parsed(form_scene.judged())
    names = Counter((case.get("classname"), case.get("name")) for case in found.iter("testcase"))
    assert set(names.values()) == {1}


@pytest.mark.parametrize("text", form_scene.HOSTILE)
def test_hostile_words_stay_words(text):
    document = form_scene.speaking(text)
    root = parsed(document)
    suite = next(suite for suite in root if suite.get("name") == clean(text))
    (failure,) = suite.iter("failure")
    assert failure.get("message") == f"CRITICAL: {clean(text)}"
    assert f"- {clean(text)}\n" in failure.text
    assert len(list(root)) == len(list(parsed(form_scene.judged())))
    assert {element.tag for element in root.iter()} <= {
        "testsuites", "testsuite", "properties", "property", "testcase", "failure", "error", "skipped", "system-out"
    }  # fmt: skip
