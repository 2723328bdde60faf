# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster_gather: of many Events the newest are kept, one for each object and reason."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_gather
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_shape import ShapeError


def event(pod, reason, second, message="", count=1, kind="Warning"):
    return {
        "metadata": {"name": f"{pod}.{second:x}", "namespace": "shop"},
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": pod, "uid": f"uid-{pod}"},
        "type": kind,
        "reason": reason,
        "message": message,
        "count": count,
        "lastTimestamp": f"2026-11-21T00:{second // 60:02d}:{second % 60:02d}Z",
    }


def gathered(events, most=5000):
    gatherer = cluster_gather.NewestWarnings(most)
    for entry in events:
        gatherer.feed(entry)
    return gatherer.result()


def told(events):
    return [(entry["name"], entry["reason"], entry["message"], entry["count"]) for entry in events]


@pytest.mark.parametrize("order", [1, -1])
def test_one_for_each_object_and_reason(order):
    events = [
        event("a", "Unhealthy", 10, "liveness", 2),
        event("a", "Unhealthy", 20, "readiness", 3),
        event("a", "BackOff", 30, "back-off"),
        event("b", "Unhealthy", 5, "of another"),
    ]
    assert told(gathered(events[::order])) == [
        ("a", "BackOff", "back-off", 1),
        ("a", "Unhealthy", "readiness", 5),
        ("b", "Unhealthy", "of another", 1),
    ]


def test_a_pod_that_came_again_under_its_name_is_another():
    again = event("a", "BackOff", 20)
    again["involvedObject"]["uid"] = "another"
    assert len(gathered([event("a", "BackOff", 10), again])) == 2


def test_what_is_no_warning_or_about_nothing_is_left_out():
    nameless = event("", "BackOff", 1)
    assert gathered([event("a", "Started", 1, kind="Normal"), nameless]) == []


def test_the_newest_are_kept():
    events = [event(f"pod-{number}", "BackOff", number % 3600) for number in range(0, 10000, 7)]
    kept = gathered(events, most=100)
    assert len(kept) == 100
    wanted = sorted((entry["lastTimestamp"] for entry in events), reverse=True)[99]
    oldest = min(entry["last"] for entry in kept)
    assert oldest == gathered([event("x", "y", int(wanted[14:16]) * 60 + int(wanted[17:19]))])[0]["last"]


def test_what_is_held_is_bounded():
    gatherer = cluster_gather.NewestWarnings(most=10)
    for number in range(1000):
        gatherer.feed(event(f"pod-{number}", "BackOff", number))
        assert len(gatherer._kept) < 20
    assert [entry["name"] for entry in gatherer.result()] == [f"pod-{number}" for number in range(999, 989, -1)]


def test_an_event_of_another_form():
    with pytest.raises(ShapeError, match="count is a string, not a whole number"):
        gathered([{**event("a", "b", 1), "count": "3"}])


def test_what_trim_leaves_out_is_not_kept():
    gatherer = cluster_gather.Gatherer(lambda raw: raw if raw["keep"] else None)
    gatherer.feed({"keep": True})
    gatherer.feed({"keep": False})
    assert gatherer.result() == [{"keep": True}]
