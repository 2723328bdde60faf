# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a node says of its own gaps, its section is judged or unknown, and the fleet is judged all the same."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import answers, limits, section_gaps
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


ODD = ({}, [], "", 0, False, "x", [None], None)
# What may be None: the module says so, or the rule that reads it says that it was not seen.
MAY_BE_NONE = {"addresses", "growth", "ephemeral", "cpu", "steal_since_boot", "load", "psi", "files", "clock"}


def asked():
    """Each thing that rules rest on, as (section, key)."""
    return [(name, key) for name, forms in section_gaps._FORMS.items() for key in forms]


@pytest.mark.parametrize(("section", "key"), asked())
def test_what_rules_rest_on_is_of_its_form_or_the_section_is_unknown(section, key):
    sections = captured("sick")["sections"]
    right = sections[section][key]
    assert not section_gaps.gap(sections, section)
    alike = (int, float) if type(right) in (int, float) else (type(right),)
    for value in ODD:
        sections[section][key] = value
        told = section_gaps.gap(sections, section)
        if value is None and key in MAY_BE_NONE:
            assert not told
        elif type(value) not in alike:
            assert told.startswith(
                f"the section {section} is not of the form that node_snapshot returns: '{key}' is no "
            )
    del sections[section][key]
    assert bool(section_gaps.gap(sections, section)) is (key not in MAY_BE_NONE)


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ("tcp_states", ("counters", "ListenOverflows")),
        ("tcp_states", ("growth", "counters", "ListenOverflows")),
        ("tcp_states", ("truncated", "accept_queues")),
        ("containers", ("truncated", "instances")),
        ("host_pressure", ("cpu", "steal")),
        ("host_pressure", ("files", "open")),
    ],
    ids=str,
)
@pytest.mark.parametrize("value", ["", [], {}, False, "x"], ids=repr)
def test_what_is_counted_is_a_number(section, path, value):
    sections = captured("sick")["sections"]
    place = sections[section]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert "is not of the form that node_snapshot returns" in section_gaps.gap(sections, section)


@pytest.mark.parametrize("growth", [{}, {"counters": None}, {"counters": []}, {"counters": ""}], ids=repr)
def test_growth_that_tells_no_counters_is_not_none(growth):
    sections = captured("sick")["sections"]
    sections["tcp_states"]["growth"] = growth
    assert "does not tell how much counters grew" in section_gaps.gap(sections, "tcp_states")


@pytest.mark.parametrize(
    ("section", "key", "value", "rule"),
    [
        *(("tcp_states", "growth", value, "accept-queue-overflow") for value in ("", [], 0, {})),
        *(("tcp_states", "truncated", value, "backlog-differs") for value in ("", [], 0, None, {})),
        *(("containers", "truncated", value, "dead-containers-pile-up") for value in ("", [], 0, None, "x")),
        *(("host_pressure", key, value, "cpu-steal") for key in ("load", "psi") for value in ("", 0, "x")),
        ("host_pressure", "steal_since_boot", "", "cpu-steal"),
    ],
    ids=repr,
)
def test_a_rule_on_what_is_of_another_form_does_not_pass(section, key, value, rule):
    snapshot = captured("sick")
    before = answers.of(Scene({"sick": captured("sick")}, seed_000()).judged(), "sick")
    snapshot["sections"][section][key] = value
    after = answers.of(Scene({"sick": snapshot}, seed_000()).judged(), "sick")
    assert before[rule] in ("pass", "not_applicable")
    assert after[rule] == "unknown"


def test_pods_of_another_form_leave_the_cluster_unknown_of_that_host():
    for value in ("", {}, None, 0):
        assert section_gaps.gap({"pod_listeners": {"pods": value, "complete": True, "missing": []}}, "pod_listeners")


def test_overflows_whose_growth_is_not_told_are_unknown():
    snapshot = captured("sick")
    section = snapshot["sections"]["tcp_states"]
    section["counters"]["ListenOverflows"] = 7
    section["growth"]["counters"] = {}
    assert answers.of(Scene({"sick": snapshot}, seed_000()).judged(), "sick")["accept-queue-overflow"] == "unknown"


@pytest.mark.parametrize("limit", ["", [], {}], ids=repr)
def test_a_limit_that_is_no_number_is_not_taken_for_none(limit):
    with pytest.raises(TypeError):
        limits.Use(1, limit).share  # noqa: B018 - it is asked


def test_a_section_of_another_form_is_a_broken_check_and_no_mere_unknown():
    sick = captured("sick")
    sick["sections"]["host_pressure"]["cpu"] = "junk"
    document = Scene({"sick": sick}, seed_000()).judged()
    (finding,) = [one for one in document["findings"] if one["rule"] == "cpu-steal"]
    assert (finding["status"], finding["broken"]) == ("unknown", True)
    del sick["sections"]["host_pressure"]
    document = Scene({"sick": sick}, seed_000()).judged()
    (finding,) = [one for one in document["findings"] if one["rule"] == "cpu-steal"]
    assert (finding["status"], finding["broken"]) == ("unknown", False)
