# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thresholds: each is documented and used, each mistake is named, and what is set is in force."""

from __future__ import annotations

import re

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import catalogue, limits, settings, thresholds
from ansible_collections.kubenode.doctor.plugins.plugin_utils.limits import Use
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings, SettingsError
from ansible_collections.kubenode.doctor.plugins.plugin_utils.thresholds import BY_NAME, THRESHOLDS

# Where a default may come from; "our choice" must be followed by a reason.
SOURCES = r"our choice(:|, ).{20}|Netdata|node-exporter's mixin|node-problem-detector|kubeadm's|kubelet's|Linux "


def test_names_are_given_once_and_sorted():
    names = [threshold.name for threshold in THRESHOLDS]
    assert names == sorted(set(names))


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=lambda threshold: threshold.name)
def test_a_threshold_says_enough(threshold):
    assert re.fullmatch("[a-z]+(_[a-z]+)+", threshold.name)
    assert re.match(SOURCES, threshold.source)
    assert len(threshold.meaning.split()) > 3
    assert threshold.unit
    assert thresholds.read({threshold.name: threshold.default}) == {threshold.name: threshold.default}


def test_rules_name_the_thresholds_they_use_and_all_are_used():
    named = {name for rule in catalogue.rules() for name in rule.thresholds}
    assert named == BY_NAME.keys()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"conntrack_share": 0.5}, {"conntrack_share": 0.5}),
        ({"conntrack_share": "0.5"}, {"conntrack_share": 0.5}),  # as -e passes it on
        ({"conntrack_share_critical": 1}, {"conntrack_share_critical": 1.0}),
        ({"syn_sent_count": 12}, {"syn_sent_count": 12.0}),
        ({"syn_sent_seconds": 0.5}, {"syn_sent_seconds": 0.5}),
        ({"run_queue_per_cpu": 1.5}, {"run_queue_per_cpu": 1.5}),
        ({"files_share": 0.95, "files_share_critical": 0.95}, {"files_share": 0.95, "files_share_critical": 0.95}),
        ({"tcp_memory_share_critical": 0.01}, {"tcp_memory_share_critical": 0.01}),
    ],
)
def test_read(given, expected):
    assert thresholds.read(given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "thresholds: a mapping of names to numbers is expected"),
        ("conntrack_share=1", "thresholds: a mapping of names to numbers is expected"),
        ({"conntrack_share": 0}, "thresholds: conntrack_share: 0 is no share above 0 and up to 1"),
        ({"conntrack_share": 75}, "thresholds: conntrack_share: 75 is no share above 0 and up to 1"),
        ({"conntrack_share": "75 %"}, "thresholds: conntrack_share: '75 %' is no share above 0 and up to 1"),
        ({"conntrack_share": True}, "thresholds: conntrack_share: True is no share above 0 and up to 1"),
        ({"conntrack_share": None}, "thresholds: conntrack_share: None is no share above 0 and up to 1"),
        ({"conntrack_share": "nan"}, "thresholds: conntrack_share: 'nan' is no share above 0 and up to 1"),
        ({"syn_sent_seconds": -1}, "thresholds: syn_sent_seconds: -1 is no number above 0"),
        ({"syn_sent_seconds": "inf"}, "thresholds: syn_sent_seconds: 'inf' is no number above 0"),
        ({"syn_sent_seconds": [3]}, "thresholds: syn_sent_seconds: [3] is no number above 0"),
        ({"syn_sent_count": 2.5}, "thresholds: syn_sent_count: 2.5 is no whole number of sockets"),
        ({"syn_sent_hosts": 0}, "thresholds: syn_sent_hosts: 0 is no number above 0"),
        (
            {"conntrack_share": 0.95},
            "thresholds: conntrack_share_critical is 0.9, below conntrack_share, which is 0.95: set both",
        ),
        (
            {"close_wait_count_critical": 10},
            "thresholds: close_wait_count_critical is 10, below close_wait_count, which is 20: set both",
        ),
    ],
)
def test_a_mistake_is_named(given, message):
    with pytest.raises(SettingsError) as caught:
        settings.read({"thresholds": given})
    assert str(caught.value) == message


def test_a_name_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(SettingsError) as caught:
        settings.read({"thresholds": {"conntrack": 0.5, 7: 1, "files_share": 0.8}})
    assert str(caught.value) == f"thresholds: none is named 7, conntrack; there are {', '.join(BY_NAME)}"


@pytest.mark.parametrize(
    ("given", "name", "expected"),
    [
        ({}, "conntrack_share", 0.75),
        ({"conntrack_share": 0.5}, "conntrack_share", 0.5),
        ({"conntrack_share": 0.5}, "conntrack_share_critical", 0.9),
    ],
)
def test_what_is_in_force(given, name, expected):
    assert settings.read({"thresholds": given}).threshold(name) == expected


@pytest.mark.parametrize(
    ("use", "share", "text"),
    [
        (Use(0, 10), 0.0, "0 of 10 (0 %)"),
        (Use(3, 4), 0.75, "3 of 4 (75 %)"),
        (Use(5, 4), 1.25, "5 of 4 (125 %)"),
        (Use(0, 0), 0.0, "0 of 0"),
        (Use(1, 0), float("inf"), "1 of 0"),
    ],
)
def test_use_of_a_limit(use, share, text):
    assert (use.share, str(use)) == (share, text)


@pytest.mark.parametrize(
    ("use", "name", "expected"),
    [
        (Use(74, 100), "conntrack_share", ""),
        (Use(75, 100), "conntrack_share", "warning"),
        (Use(90, 100), "conntrack_share", "critical"),
        (Use(100, 100), "time_wait_share", "warning"),  # has no critical twin
    ],
)
def test_severity(use, name, expected):
    assert limits.severity(use, Settings(), name) == expected
