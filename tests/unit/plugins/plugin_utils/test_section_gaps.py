# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a node says of its own gaps, its section is judged or unknown, and the fleet is judged all the same."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import section_gaps
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Scene, captured, seed_000

NO_GAPS = ([{"what": 1}], [{"what": "x"}], [{"why": "x"}], [{}], [1], [None], ["x"], [{"what": [], "why": {}}], [[]])
NO_LISTS = (None, 3, "x", {"a": 1}, True)


@pytest.fixture(scope="module")
def alone():
    """What is found of the other node by itself."""
    return of_healthy(Scene({"healthy": captured("healthy")}, seed_000()))


def of_healthy(scene):
    return [one["fingerprint"] for one in scene.judged()["findings"] if one["host"] == "healthy"]


@pytest.mark.parametrize(
    ("section", "missing"),
    [
        *((name, [{"what": 1}]) for name in captured("sick")["sections"]),
        *(("logs", one) for one in [*NO_GAPS, *NO_LISTS]),
    ],
    ids=repr,
)
def test_gaps_of_another_form_are_told_and_cost_nobody_else(section, missing, alone):
    snapshot = captured("sick")
    snapshot["sections"][section] = {"complete": False, "missing": missing}
    assert "is not of the form that node_snapshot returns" in section_gaps.gap(snapshot["sections"], section)
    assert of_healthy(Scene({"healthy": captured("healthy"), "sick": snapshot}, seed_000())) == alone


@pytest.mark.parametrize("missing", [*NO_GAPS, *NO_LISTS], ids=repr)
def test_a_section_with_data_and_such_gaps_is_unknown(missing):
    sections = captured("sick")["sections"]
    sections["logs"]["missing"] = missing
    assert section_gaps.gap(sections, "logs").startswith(
        "the section logs is not of the form that node_snapshot returns"
    )


def test_gaps_as_they_are():
    gaps = [{"what": "journal", "why": "no journalctl"}, {"what": "pod logs", "why": "no folder"}]
    assert section_gaps.gap({"logs": {"complete": False, "missing": gaps}}, "logs") == (
        "journal: no journalctl; pod logs: no folder"
    )
    assert section_gaps.gap({"logs": {"complete": False, "missing": []}}, "logs") == "the section logs is empty"
    assert section_gaps.gap({"logs": {}}, "logs") == "the section logs is empty"
    assert section_gaps.gap({}, "logs") == "the section logs was not collected"
    assert not section_gaps.gap(captured("sick")["sections"], "logs")
