# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""proxy_words: what is said of a NodePort's rules."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import proxy_words
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.cases.nodeport_not_programmed import (
    entry,
    rules,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import captured_section

NODE_A = captured_section("proxy-rules-node-a")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (("tcp", 32530, "ipv4"), [["10.244.0.19:9292", "10.244.0.21:9292"]]),
        (("tcp", 32530, "ipv6"), None),
        (("udp", 32530, "ipv4"), None),
        (("tcp", 1, "ipv4"), None),
    ],
    ids=["there", "another family", "another protocol", "not there"],
)
def test_by_port(key, expected):
    found = proxy_words.by_port(NODE_A).get(key)
    assert (found and [one["endpoints"] for one in found]) == expected


def test_by_port_of_leftovers():
    both = [entry(1, "10.0.0.1:80"), entry(1, "10.0.0.2:80")]
    assert proxy_words.by_port(rules(*both)) == {("tcp", 1, "ipv4"): both}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "30080/tcp -> a"),
        ({"endpoint_count": 9}, "30080/tcp -> a and 8 more"),
        ({"endpoints": [], "endpoint_count": 2}, "30080/tcp -> 2 endpoints"),
        ({"addresses": ["192.0.2.2"]}, "30080/tcp on 192.0.2.2 -> a"),
        ({"addresses": []}, "30080/tcp on no address -> a"),
        ({"action": "reject"}, "30080/tcp: refused, as if the Service had no endpoints"),
        ({"action": "odd"}, "30080/tcp: odd"),
        ({"local": "endpoints"}, "30080/tcp -> a"),
        (
            {"local": "drop"},
            "30080/tcp -> a, for the node and its pods only: what comes from outside is dropped, as if this node had no endpoint of the Service",
        ),
    ],
)
def test_line(fields, expected):
    assert proxy_words.line(entry(30080, "a", **fields)) == expected


@pytest.mark.parametrize(
    ("what", "ipv4", "ipv6"),
    [
        ("service rules", True, True),
        ("service rules (ipv6)", False, True),
        ("iptables backend", False, False),
        ("proxy mode", False, False),
    ],
)
def test_unseen(what, ipv4, ipv6):
    section = rules(missing=[{"what": what, "why": "x"}])
    assert (bool(proxy_words.unseen(section, "ipv4")), bool(proxy_words.unseen(section, "ipv6"))) == (ipv4, ipv6)
    assert proxy_words.remarks(section) == ([] if ipv4 or ipv6 else [f"{what}: x"])


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (NODE_A, "there are rules for 7 NodePorts, by iptables-nft-save"),
        (rules(entry(1)), "there are rules for 1 NodePort, by iptables-nft-save"),
        (rules(programs=[]), "there are no rules for any NodePort, by what the kernel says"),
    ],
)
def test_source(section, expected):
    assert proxy_words.source(section) == expected
