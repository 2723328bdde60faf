# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Equal parts of findings are one object, and nothing else changes."""

from __future__ import annotations

import copy
import json

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import earlier_findings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.equal_parts import EqualParts

REMEDY = {"summary": "restart it", "commands": ["systemctl restart x"], "risk": "", "fix": "", "targets": []}


def finding(host, **fields):
    told = {"rule": "r", "host": host, "status": "fail", "title": "a title", "waived": None, "fingerprint": host * 8}
    return {**told, "evidence": ["a fact", f"of {host}"], "remedies": [REMEDY], **fields}


def read_back(*findings):
    document = {"findings": list(findings), "hosts": {"remedies": {}, "evidence": {"answered": True}}}
    text = json.dumps(document)
    shared = json.loads(text, object_hook=EqualParts().share)
    assert json.dumps(shared) == text
    return shared["findings"]


def test_the_parts_of_equal_findings_are_one_object():
    one, other = read_back(finding("a"), finding("b"))
    assert one is not other
    assert one["title"] is other["title"]
    assert one["evidence"][0] is other["evidence"][0]
    assert one["remedies"][0] is other["remedies"][0]
    assert one["remedies"] is not other["remedies"]


@pytest.mark.parametrize(
    "fields", [{"commands": ["reboot"]}, {"risk": "much"}, {"targets": ["x"]}, {"by_hand": "because"}]
)
def test_remedies_that_differ_stay_apart(fields):
    one, other = read_back(finding("a"), finding("b", remedies=[{**REMEDY, **fields}]))
    assert one["remedies"] != other["remedies"]


@pytest.mark.parametrize(
    "fields",
    [
        {"remedies": None},
        {"remedies": ["a text", None, {"commands": {"of": "another version"}}, [1]]},
        {"evidence": "a text"},
        {"evidence": [None, 1, ["list"], {}]},
        {"title": None, "object": 1, "change": ["x"]},
    ],
)
def test_what_has_another_form_stays_as_it_is(fields):
    read_back(finding("a", **fields), finding("b", **fields))


def test_of_an_earlier_audit_only_what_is_compared_is_kept():
    whole = {
        "findings": [finding("a", first_seen="then", explanation="long")],
        "hosts": {"commands": {}, "summary": {}},
    }
    kept = json.loads(json.dumps(whole), object_hook=earlier_findings.keep)
    assert kept["hosts"] == whole["hosts"]
    (told,) = kept["findings"]
    expected = copy.deepcopy(whole["findings"][0])
    for key in ("evidence", "remedies", "explanation"):
        expected.pop(key)
    assert told == expected
