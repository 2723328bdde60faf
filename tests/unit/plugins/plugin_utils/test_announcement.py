# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which critical findings are announced, and which were told of already."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import announcement

NOW = datetime.datetime(2026, 11, 22, 4, 0, tzinfo=datetime.timezone.utc)
AT = NOW.isoformat()
OLD = "2025-01-01T00:00:00+00:00"


def finding(number=1, host="a", **fields):
    return {
        "fingerprint": f"{number:016x}",
        "rule": "leak",
        "host": host,
        "status": "fail",
        "severity": "critical",
        "object": f"program {number}",
        "title": f"program {number} leaks",
        "explanation": "it never closes",
        "evidence": ["46 sockets"],
        "change": "new",
        "first_seen": AT,
        "waived": None,
        **fields,
    }


def document(*findings, hosts=("a", "b"), not_applicable=()):
    return {
        "audit": {"started": AT},
        "rules": {"leak": {"scope": "node"}, "down": {"scope": "cluster"}},
        "hosts": {host: {"not_applicable": list(not_applicable)} for host in hosts},
        "cluster": {"not_applicable": []},
        "findings": list(findings),
    }


def told(*findings, at=AT):
    return announcement.with_told({}, findings, at)


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({}, 1),
        ({"change": "persists"}, 1),
        ({"change": None}, 1),
        ({"severity": "warning"}, 0),
        ({"status": "unknown"}, 0),
        ({"waived": {"reason": "known"}}, 0),
    ],
)
def test_told_of_are_critical_ones_that_no_waiver_accepts(fields, count):
    assert len(announcement.untold(document(finding(**fields)), {})) == count


def test_each_is_told_once():
    first, second = finding(1), finding(2)
    assert announcement.untold(document(first, second), told(first)) == [second]


@pytest.mark.parametrize(
    ("now", "is_kept"),
    [
        (document(finding()), True),
        # It would be told again each time that a number passes a threshold.
        (document(finding(severity="warning")), True),
        (document(), False),
        (document(not_applicable=["leak"]), False),
        (document(finding(2)), False),
        # When the waiver ends it comes back loudly.
        (document(finding(waived={"reason": "known"})), False),
        (document(finding(status="unknown", fingerprint="x")), True),
        (document(hosts=("b",)), True),
        ({**document(), "rules": {}}, True),
    ],
    ids=["there", "milder", "gone", "not applicable", "another", "waived", "unknown", "not asked", "no such rule"],
)
def test_what_was_told_is_forgotten_when_it_is_seen_to_be_gone(now, is_kept):
    assert bool(announcement.still(told(finding()), now, NOW)) is is_kept


def test_a_finding_of_the_cluster_is_told_once_and_forgotten_too():
    down = finding(rule="down", host=None)
    kept = told(down)
    assert announcement.still(kept, document(down), NOW) == kept
    assert announcement.still(kept, document(), NOW) == {}


def test_a_host_that_left_is_forgotten_one_day():
    elsewhere = document(hosts=("b",))
    assert announcement.still(told(finding(), at=OLD), elsewhere, NOW) == {}
    assert announcement.still(told(finding(), at=OLD), document(finding()), NOW) != {}


def test_the_line_for_people_holds_nothing_that_a_node_said():
    found = [finding(number, host=f"h{number}", title="<!all> {{7*7}}", object="\u202e") for number in range(7)]
    said = announcement.message(document(*found), found, "/audits/1")
    assert said["text"] == (
        f"kubenode.doctor: 7 new critical findings on h0, h1, h2, h3, h4 and 2 more: leak (audit of {AT})"
    )
    assert said["findings"][0]["object"] == "\\u202e"
    assert said["findings"][0]["title"] == "<!all> {{7*7}}"


def test_one_of_the_cluster():
    down = finding(rule="down", host=None)
    said = announcement.message(document(down), [down], "/audits/1")
    assert said["text"].startswith("kubenode.doctor: 1 new critical finding on the cluster: down (")
    assert said["findings"][0]["host"] is None


def test_a_message_is_bounded_and_says_what_it_leaves_out():
    found = [finding(number, title="x" * 5000, evidence=["y" * 5000] * 100) for number in range(announcement.MOST + 3)]
    said = announcement.message(document(*found), found, "/audits/1")
    assert (said["critical"], said["new"], said["left_out"]) == (announcement.MOST + 3, announcement.MOST + 3, 3)
    assert len(said["findings"]) == announcement.MOST
    assert len(str(said)) < 1_000_000


@pytest.mark.parametrize(
    "state",
    [{}, {"schema": 0, "told": {}}, {"schema": 1, "told": []}, {"schema": 1, "told": {"webhook": {"x": {"at": 1}}}}],
)
def test_what_was_damaged_is_refused(state):
    with pytest.raises(ValueError, match=r"it is no record|is damaged"):
        announcement.read_told(state)


def test_what_was_written_is_read():
    state = {"schema": announcement.SCHEMA, "told": {"webhook": told(finding(), finding(2, host=None))}}
    assert announcement.read_told(state) == state["told"]
