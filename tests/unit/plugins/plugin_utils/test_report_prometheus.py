# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus' text format: which series there are, and that their number has a bound."""

from __future__ import annotations

import re

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import report_prometheus
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import form_scene

_LINE = re.compile(r'kubenode_doctor_(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def samples(document):
    """``{(name, label values): value}``; every line that is no comment has to be a sample, of one help and one type before it."""
    found, told = {}, []
    for line in report_prometheus.render(document).splitlines():
        if line.startswith("# "):
            told.append(line.split()[1:3])
            continue
        match = _LINE.fullmatch(line)
        assert match, line
        assert ["TYPE", f"kubenode_doctor_{match[1]}"] == told[-1]
        assert ["HELP", f"kubenode_doctor_{match[1]}"] == told[-2]
        labels = _LABEL.findall(match[2] or "")
        place = (match[1], *(value for _key, value in labels))
        assert place not in found
        found[place] = float(match[3])
    assert len(told) == 2 * len({place[0] for place in found})
    return found


def test_what_is_told():
    found = samples(form_scene.judged())
    expected = {
        ("info", "0.1.0", "7"): 1,
        ("audit_started_timestamp_seconds",): 1795248000,
        ("audit_success",): 0,  # a check broke
        ("broken_checks",): 1,
        ("damaged_files",): 0,
        ("hosts", "answered"): 2,
        ("hosts", "silent"): 1,
        ("silent_host", "away"): 1,
        ("findings", "critical", "false"): 1,
        ("findings", "critical", "true"): 0,
        ("findings", "warning", "false"): 2,
        ("findings", "warning", "true"): 1,
        ("findings", "info", "false"): 1,
        ("rule_findings", "nodeport-shadows-listener", "ports", "critical"): 1,
        ("new_findings", "critical"): 1,
        ("new_findings", "warning"): 1,
        ("gone_findings",): 3,
        ("unsure_findings",): 3,
        ("oldest_finding_first_seen_timestamp_seconds", "critical"): 1795248000,
        ("oldest_finding_first_seen_timestamp_seconds", "warning"): 1795161600,
        ("host_findings", "sick", "critical"): 1,
        ("waivers", "expired"): 1,
        ("waivers", "expiring"): 1,
        ("waivers", "unused"): 1,
        ("waivers", "used"): 0,
        ("rule_answers", "nodeport-shadows-listener", "ports", "fail"): 1,
        ("rule_answers", "nodeport-shadows-listener", "ports", "unknown"): 1,
    }
    assert {place: found.get(place) for place in expected} == expected
    assert ("rule_findings", "nodeport-range-overlaps-ephemeral", "ports", "warning") not in found  # waived


def test_answers_add_up():
    document = form_scene.judged()
    found = samples(document)
    for answer in ("pass", "fail", "unknown", "not_applicable"):
        each = [value for place, value in found.items() if place[0] == "rule_answers" and place[-1] == answer]
        assert len(each) == len(document["rules"])
        assert found["answers", answer] == sum(each)


def test_what_was_compared_with_nothing_has_no_series():
    found = samples(form_scene.first_audit())
    assert not [place for place in found if place[0] in ("new_findings", "gone_findings", "unsure_findings")]


@pytest.mark.parametrize(("document", "success"), [(form_scene.nobody, 0), (form_scene.first_audit, 0)])
def test_an_audit_that_saw_nothing_is_no_success(document, success):
    assert samples(document())["audit_success",] == success


def test_findings_are_no_failure():
    document = form_scene.judged()
    for finding in document["findings"]:
        finding["broken"] = False
    assert samples(document)["audit_success",] == 1
    assert samples({**document, "damaged": ["a file"]})["audit_success",] == 0


@pytest.mark.parametrize("started", [None, "yesterday", "2026-11-21T08:00:00", 7])
def test_a_time_that_is_none_has_no_series(started):
    document = form_scene.judged()
    document["audit"]["started"] = started
    for finding in document["findings"]:
        finding["first_seen"] = started if isinstance(started, str) else None
    found = samples(document)
    assert ("audit_started_timestamp_seconds",) not in found
    assert not [place for place in found if place[0].startswith("oldest")]


def test_a_fleet_has_no_more_series_than_its_worst_hosts():
    document = form_scene.judged()
    fault = form_scene.critical(document)
    silent = document["hosts"]["away"]
    for number in range(1000):
        document["hosts"][f"quiet-{number:04}"] = silent
        document["findings"].append(
            {**fault, "host": f"node-{number:04}", "object": f"object-{number}", "severity": "warning"}
        )
    found = samples(document)
    named = [place for place in found if place[0] == "host_findings"]
    assert {place[1] for place in named} == {"sick", *(f"node-{number:04}" for number in range(199))}
    assert sum(place[0] == "silent_host" for place in found) == 200
    assert found["hosts_without_series", "findings"] == 801
    assert found["hosts_without_series", "silent"] == 801
    assert len(found) < 1000
    assert "object-" not in report_prometheus.render(document)


def test_hosts_whose_names_are_cleaned_to_one_text_have_a_series_each():
    document = form_scene.judged()
    silent = document["hosts"].pop("away")
    names = ["x\u200b", "x\\u200b", "x\\u200b (2)", "y" * 600, "y" * 601]
    document["hosts"].update(dict.fromkeys(names, silent))
    found = [
        line
        for line in report_prometheus.render(document).splitlines()
        if line.startswith("kubenode_doctor_silent_host{")
    ]
    assert len(found) == len(set(found)) == len(names)


@pytest.mark.parametrize("text", form_scene.HOSTILE)
def test_hostile_names_stay_labels(text):
    found = samples(form_scene.speaking(text))
    escaped = clean(text)[:480].replace("\\", "\\\\").replace('"', '\\"')
    assert found["host_findings", escaped, "critical"] == 1
    assert len(found) == len(samples(form_scene.judged()))
