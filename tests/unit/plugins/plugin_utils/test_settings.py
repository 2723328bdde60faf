# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator may set: every mistake is named, and waivers hold for what they name and until their day."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.expected_listeners import Expected
from ansible_collections.kubenode.doctor.plugins.plugin_utils import settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings, SettingsError, Waiver

TODAY = datetime.date(2026, 11, 21)
WAIVER = {"rule": "nodeport-*", "reason": "known since 2019"}
FINDING = {
    "rule": "nodeport-shadows-listener",
    "host": "node-a",
    "object": "Service shop/orphan, NodePort 31999/TCP against hostnet",
}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Settings()),
        ({"fail_on": None, "nodeport_range": "", "proxy_mode": "", "waivers": None}, Settings()),
        ({"fail_on": "info"}, Settings(fail_on="info")),
        ({"nodeport_range": "30000-40000"}, Settings(nodeport_range=(30000, 40000))),
        ({"nodeport_range": 30000}, Settings(nodeport_range=(30000, 30000))),
        ({"proxy_mode": "nftables"}, Settings(proxy_mode="nftables")),
        ({"skew_share": "0.5"}, Settings(skew_share=0.5)),
        ({"thresholds": {}}, Settings()),
        ({"thresholds": {"files_share": "0.5"}}, Settings(thresholds={"files_share": 0.5})),
        ({"expected_listeners": []}, Settings()),
        (
            {"expected_listeners": [{"process": "agent", "port": 9100}]},
            Settings(expected_listeners=(Expected("agent", (9100, 9100)),)),
        ),
        ({"waivers": [WAIVER]}, Settings(waivers=(Waiver("nodeport-*", "known since 2019"),))),
        (
            {"waivers": [{**WAIVER, "host": "node-*", "owner": "ops", "until": "2026-12-31"}]},
            Settings(
                waivers=(
                    Waiver("nodeport-*", "known since 2019", "node-*", owner="ops", until=datetime.date(2026, 12, 31)),
                )
            ),
        ),
    ],
)
def test_read(options, expected):
    assert settings.read(options) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fail_on": "fatal"}, "fail_on: 'fatal' is none of info, warning, critical"),
        ({"fail_on": ["critical"]}, "fail_on: ['critical'] is none of info, warning, critical"),
        ({"nodeport_range": "40000-30000"}, "nodeport_range: '40000-30000': the range ends before it begins"),
        ({"nodeport_range": "0-70000"}, "nodeport_range: '0-70000': a port lies between 1 and 65535"),
        ({"nodeport_range": [30000, 40000]}, "nodeport_range: '[30000, 40000]' is no port range like 30000-32767"),
        ({"proxy_mode": "iptable"}, "proxy_mode: 'iptable' is none of iptables, ipvs, nftables, userspace, cilium"),
        ({"skew_share": 0}, "skew_share: 0 is no share above 0 and up to 1"),
        ({"skew_share": "nan"}, "skew_share: 'nan' is no share above 0 and up to 1"),
        ({"skew_share": "10 %"}, "skew_share: '10 %' is no share above 0 and up to 1"),
        ({"expected_listeners": {"port": 1}}, "expected_listeners: a list of mappings is expected"),
        ({"expected_listeners": [{"port": 1}, {"prot": 1}]}, "expected_listeners[1]: unknown keys prot"),
        ({"waivers": {}}, "waivers: a list of mappings is expected"),
        ({"waivers": "all"}, "waivers: a list of mappings is expected"),
        ({"waivers": [WAIVER, "all"]}, "waivers[1]: a mapping is expected"),
        ({"waivers": [{"rule": "x"}]}, "waivers[0]: reason is needed"),
        ({"waivers": [{"rule": "x", "reason": "  "}]}, "waivers[0]: reason is needed"),
        ({"waivers": [{"reason": "x"}]}, "waivers[0]: rule is needed"),
        ({"waivers": [{**WAIVER, "hots": "a", 1: 2}]}, "waivers[0]: unknown keys 1, hots"),
        ({"waivers": [{**WAIVER, "until": "soon"}]}, "waivers[0]: until 'soon' is no date (YYYY-MM-DD)"),
    ],
)
def test_a_mistake_is_named(options, message):
    with pytest.raises(SettingsError) as caught:
        settings.read(options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("waiver", "covered"),
    [
        ({}, True),
        ({"rule": "nodeport-cannot-open"}, False),
        ({"host": "node-?"}, True),
        ({"host": "NODE-A"}, False),
        ({"object": "Service shop/orphan*"}, True),
        ({"object": "Service shop/orphan"}, False),
        ({"until": "2026-11-21"}, True),
        ({"until": TODAY}, True),
        ({"until": datetime.datetime(2026, 11, 21, 0, 0, tzinfo=datetime.timezone.utc)}, True),
        ({"until": "2026-11-20"}, False),
    ],
)
def test_what_a_waiver_covers(waiver, covered):
    (read,) = settings.read({"waivers": [{**WAIVER, **waiver}]}).waivers
    assert read.covers(FINDING, TODAY) is covered


def test_a_host_pattern_covers_no_finding_of_the_cluster():
    finding = {**FINDING, "host": None}
    assert not Waiver("*", "x", host="node-*").covers(finding, TODAY)
    assert Waiver("*", "x").covers(finding, TODAY)
