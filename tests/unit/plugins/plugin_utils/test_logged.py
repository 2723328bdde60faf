# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words for times and for what logs said: whatever numbers and texts a node tells."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import logged, moments, settings
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.log_scene import POD, logs, message, missing

DEFAULT = settings.read({})


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1615519747.9, "2021-03-12T03:29:07Z"),
        (-1.5, "1969-12-31T23:59:58Z"),
        (None, "a time that was not told"),
        (1e12, "a time that no calendar has"),
        (1e300, "a time that no calendar has"),
        (float("inf"), "a time that no calendar has"),
        (float("nan"), "a time that no calendar has"),
    ],
)
def test_a_moment(seconds, words):
    assert moments.utc(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(100, "0 s before the look"), (40, "60 s before the look"), (7300, "2 h after the look")]
)
def test_a_moment_seen_from_the_look(seconds, words):
    assert moments.relative(seconds, 100) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (10, "10 s"), (119, "119 s"), (32400, "9 h")]
)
def test_a_span(seconds, words):
    assert moments.span(seconds) == words


def entry(**fields):
    section = logs(message("time-wait-overflow", "TCP: time wait bucket table overflow", **fields))
    return section, section["found"][0]


@pytest.mark.parametrize(("ago", "recent"), [(0, True), (600, True), (601, False), (-3600, True), (None, True)])
def test_what_may_be_going_on(ago, recent):
    section, found = entry(ago=ago)
    assert logged.is_recent(section, found, DEFAULT) is recent
    assert not logged.is_recent(section, found, settings.read({"thresholds": {"log_recent_seconds": 1}})) or ago in (
        0,
        -3600,
        None,
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "kubelet.service, once, 2026-11-21T07:59:30Z (30 s before the look): TCP"),
        ({"unit": None}, "the kernel's log, once,"),
        ({"pod": POD}, "the log of kube-system/etcd-node-a etcd (attempt 3), once,"),
        ({"pod": {**POD, "attempt": None}}, "the log of kube-system/etcd-node-a etcd, once,"),
        ({"unit": ""}, "the kernel's log"),
        (
            {"count": 7, "lasted": 3600.0},
            "kubelet.service, 7 times, 2026-11-21T06:59:30Z to 2026-11-21T07:59:30Z (30 s before the look)",
        ),
        ({"count": 2}, "kubelet.service, 2 times, 2026-11-21T07:59:30Z (30 s"),
        ({"ago": None}, "kubelet.service, once, at a time that was not told: TCP"),
    ],
)
def test_a_line_of_evidence(fields, words):
    assert logged.told(*entry(**fields)).startswith(words)


def test_an_entry_of_the_journal_without_a_unit():
    _section, found = entry()
    assert logged.where({**found, "unit": None}) == "the journal"


def test_long_texts_are_cut():
    section, found = entry()
    assert len(logged.told(section, {**found, "sample": "x" * 600})) < 400
    assert logged.fields({**found, "fields": {"name": "y" * 600}}) == f"name {'y' * 99}…"


def test_fields_in_words():
    assert logged.fields(entry(service="default/web", port="36527")[1]) == "port 36527, service default/web"
    assert not logged.fields(entry()[1])


def test_entries_of_some_signatures_in_their_order():
    section = logs(message("a", "1"), message("b", "2"), message("a", "3"))
    assert [found["sample"] for found in logged.entries(section, "a", "c")] == ["1", "3"]


OTHER = {"entries": 3, "lines": 40}
CUT = ("kubelet.service", "limit", 3600.0)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (logs(), []),
        (missing("journal", "no journalctl"), ["journal: no journalctl"]),
        (missing("times of kernel messages", "the machine was suspended for 7 s"), []),
        (logs(other=OTHER), ["logs: more different messages were found than are told"]),
        (
            logs(cut=[CUT]),
            ["kubelet.service: less than the last 24 h of it was read, because of the bound on bytes"],
        ),
        (
            {**logs(cut=[CUT]), **{key: missing("kubelet.service", "x")[key] for key in ("complete", "missing")}},
            ["kubelet.service: less than the last 24 h of it was read, because of the bound on bytes"],
        ),
        (
            logs(cut=[("pod logs", "budget", None)]),
            ["pod logs: less than the last 24 h of it was read, because there was no more time"],
        ),
    ],
)
def test_what_was_not_read(section, expected):
    assert list(logged.unread(section)) == expected


def test_sources_of_no_interest():
    section = {**missing("kernel ring", "forbidden"), "scanned": logs(cut=[("pod logs", "budget", None)])["scanned"]}
    assert list(logged.unread(section, (logged.KERNEL, logged.POD))) == []
    assert len(list(logged.unread(section))) == 2
