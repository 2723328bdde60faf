# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/rules.md says what the rules say, and the rules say enough."""

from __future__ import annotations

import dataclasses
import re

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import snapshot
from ansible_collections.kubenode.doctor.plugins.plugin_utils import catalogue, thresholds
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import SEVERITIES
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings
from ansible_collections.kubenode.doctor.tests.tools import rules_reference

RULES = {rule.id: rule for rule in catalogue.rules()}


def test_it_is_current():
    assert rules_reference.main(["--check"]) == 0


def test_a_changed_rule_is_noticed(monkeypatch, tmp_path, capsys):
    changed = [dataclasses.replace(rule, why="another reason") for rule in catalogue.rules()]
    monkeypatch.setattr(rules_reference.catalogue, "rules", lambda: changed)
    assert rules_reference.main(["--check"]) == 1
    assert "is not what the rules say" in capsys.readouterr().err
    monkeypatch.setattr(rules_reference, "TARGET", tmp_path / "rules.md")
    assert rules_reference.main(["--check"]) == 1
    assert rules_reference.main([]) == 0
    assert rules_reference.main(["--check"]) == 0


def test_a_wrong_word_is_explained(capsys):
    assert rules_reference.main(["--chekc"]) == 2
    assert "--check" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_says_enough(name):
    rule = RULES[name]
    assert re.fullmatch("[a-z]+(-[a-z]+)+", rule.id)
    assert rule.severity in SEVERITIES
    assert rule.scope in ("node", "cluster")
    for text in (rule.claim, rule.why):
        assert len(text.split()) > 4
        assert not text.endswith(".")
    assert rule.sources
    assert all(len(source) > 10 for source in rule.sources)
    assert {*rule.needs, *rule.reads} <= set(snapshot.SECTIONS)
    assert bool(rule.needs or rule.reads) == (rule.scope == "node")
    assert not set(rule.needs) & set(rule.reads)
    assert set(rule.settings) <= {field.name for field in dataclasses.fields(Settings)}
    assert set(rule.see_also) <= RULES.keys()
    assert set(rule.thresholds) <= thresholds.BY_NAME.keys()


@pytest.mark.parametrize("threshold", thresholds.THRESHOLDS, ids=lambda threshold: threshold.name)
def test_a_threshold_is_told_with_its_default_and_its_source(threshold):
    (row,) = re.findall(rf"^\| `{threshold.name}` \|.*$", rules_reference.render(catalogue.rules()), re.MULTILINE)
    cells = [cell.strip() for cell in row.strip("|").split(" | ")]
    assert cells[1:5] == [f"{threshold.default:g}", threshold.unit, threshold.meaning, threshold.source]
    assert re.fullmatch(r"\[[a-z-]+\]\(#[a-z-]+\)(, \[[a-z-]+\]\(#[a-z-]+\))*", cells[5])
