# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""judge's action plugin: what it hands to a play of what fails."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.action import judge

SHARED = {
    "rule": "nobody-listens",
    "host": None,
    "status": "fail",
    "severity": "critical",
    "waived": None,
    "remedies": [],
}


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
    told, _shared = judge._failing(document(count))
    assert told.keys() == {"a"}
    assert len(told["a"]["tcp"]) == count
    assert told["a"]["tcp"][-1] == last


def test_of_many_the_report_tells_the_rest():
    lines = failing_each(document(2000))["a"]["tcp"]
    assert len(lines) == 6
    assert lines[0] == "CRITICAL: fault 0 [leak]"
    assert lines[-1] == "and 1995 more: see the report"


def test_nobody_fails_without_a_fault():
    assert failing_each(document(0)) == {}


def with_shared(count, own=1):
    """One host with so many faults of its own, and so many of the cluster, of another group and of the same."""
    told = document(own)
    told["rules"]["nobody-listens"] = {"group": "services"}
    told["rules"]["no-range"] = {"group": "tcp"}
    shared = [{**SHARED, "title": f"{number} is down"} for number in range(count)]
    told["findings"] += [*shared, *([{**SHARED, "rule": "no-range", "title": "no range"}] if count else [])]
    return told


def failing_each(told):
    return judge._of_each(judge._answered(told), *judge._failing(told))


def test_a_fault_of_the_cluster_fails_every_host_that_answered_after_its_own():
    shared = ["CRITICAL: 0 is down [nobody-listens]"]
    assert failing_each(with_shared(1)) == {
        "a": {"tcp": ["CRITICAL: fault 0 [leak]", "CRITICAL: no range [no-range]"], "services": shared},
        "b": {"tcp": ["CRITICAL: no range [no-range]"], "services": shared},
    }


def test_many_faults_of_a_host_hide_none_of_the_cluster():
    told = failing_each(with_shared(1, own=9))["a"]["tcp"]
    assert told[5:] == ["and 4 more: see the report", "CRITICAL: no range [no-range]"]


def test_what_fails_in_the_cluster_is_told_once():
    told = with_shared(7)
    own, shared = judge._failing(told)
    assert shared["tcp"] == ["CRITICAL: no range [no-range]"]
    assert shared["services"][4:] == ["CRITICAL: 4 is down [nobody-listens]", "and 2 more: see the report"]
    assert judge._told(own, shared) == {
        "the cluster": shared,
        "a": {"tcp": ["CRITICAL: fault 0 [leak]"]},
    }


@pytest.mark.parametrize(("count", "more"), [(0, None), (10, None), (11, "1 more hosts: see the report")])
def test_of_many_hosts_the_first_are_told(count, more):
    failing = {f"node-{number:03}": {"tcp": ["CRITICAL: x"]} for number in reversed(range(count))}
    told = judge._told(failing, {})
    assert told.pop("and more", None) == more
    assert list(told) == sorted(failing)[:10]


@pytest.mark.parametrize(("answered", "carrier"), [(("b", "a"), "a"), (("b",), "b"), ((), None)])
def test_the_cluster_is_cured_in_the_name_of_the_first_host_that_answered(answered, carrier):
    hosts = {host: {"answered": host in answered} for host in ("0", *answered)}
    assert next(iter(judge._answered({"hosts": hosts})), None) == carrier
