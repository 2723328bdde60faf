# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator may set: every mistake is named."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.expected_listeners import Expected
from ansible_collections.kubenode.doctor.plugins.plugin_utils import settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings, SettingsError
from ansible_collections.kubenode.doctor.plugins.plugin_utils.waivers import Waiver

WAIVER = {"rule": "nodeport-*", "reason": "known since 2019", "owner": "ops", "until": "2026-12-31"}


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
        (
            {"waivers": [WAIVER]},
            Settings(waivers=(Waiver("nodeport-*", "known since 2019", "ops", datetime.date(2026, 12, 31)),)),
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
        ({"waivers": "all"}, "waivers: a list of mappings is expected"),
        ({"waivers": [{**WAIVER, "until": "soon"}]}, "waivers[0]: until 'soon' is no date (YYYY-MM-DD)"),
        ({"waivers_file": "/nonexistent/w.yml"}, "/nonexistent/w.yml: there is no such file of waivers"),
    ],
)
def test_a_mistake_is_named(options, message):
    with pytest.raises(SettingsError) as caught:
        settings.read(options)
    assert str(caught.value) == message


def test_waivers_of_the_variable_come_before_those_of_the_file(tmp_path):
    path = tmp_path / "waivers.yml"
    path.write_text("waivers:\n- {rule: host-*, reason: known, owner: ops, until: 2026-12-31}\n")
    read = settings.read({"waivers": [WAIVER], "waivers_file": str(path)})
    assert [waiver.rule for waiver in read.waivers] == ["nodeport-*", "host-*"]
