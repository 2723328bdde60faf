# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nat_tables against the kernel: rules that every tool makes in a network namespace are seen, and nothing is taken for rules."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import nat_tables
from ansible_collections.kubenode.doctor.plugins.module_utils.net_namespaces import OWN
from ansible_collections.kubenode.doctor.tests.integration_real.fresh_netns import in_fresh_netns, needs_root

pytestmark = needs_root

MESH = ("-A", "PREROUTING", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "15006")
TPROXY = ("-A", "PREROUTING", "-p", "tcp", "-j", "TPROXY", "--on-port", "15006")
NFT_TPROXY = """
table inet mesh {
  chain to_envoy { meta l4proto tcp tproxy to :15006 accept; }
  chain in { type filter hook prerouting priority mangle; tcp dport 1-65535 jump to_envoy; }
}
"""
NFT = """
table inet mesh {
  chain in { type nat hook prerouting priority -100; tcp dport 1-65535 redirect to :15006; }
}
"""
# Chains of a nat type that hold nothing, and rules in chains that do no NAT.
NFT_WITHOUT_NAT = """
table ip nat {
  chain PREROUTING { type nat hook prerouting priority -100; policy accept; }
  chain UNUSED { tcp dport 80 redirect to :15006; }
}
table inet filter {
  chain input { type filter hook input priority 0; tcp dport 80 accept; }
  chain prerouting { type filter hook prerouting priority raw; tcp dport 80 counter; }
}
"""


def seen(*commands):
    """What is seen before and after the commands."""
    before = nat_tables.has_rules(OWN)
    for words, text in commands:
        subprocess.run(words, input=text, text=True, check=True, capture_output=True)
    listed = [
        (Path("/proc/net") / name).exists() and (Path("/proc/net") / name).read_text() for name in nat_tables.FILES
    ]
    return [before, nat_tables.has_rules(OWN), listed]


@pytest.mark.parametrize(
    ("tool", "words", "text", "expected"),
    [
        ("iptables-legacy", ("-t", "nat", *MESH), None, True),
        ("ip6tables-legacy", ("-t", "nat", *MESH), None, True),
        ("iptables-nft", ("-t", "nat", *MESH), None, True),
        ("ip6tables-nft", ("-t", "nat", *MESH), None, True),
        ("nft", ("-f", "-"), NFT, True),
        ("iptables-legacy", ("-t", "mangle", *TPROXY), None, True),
        ("ip6tables-legacy", ("-t", "mangle", *TPROXY), None, True),
        ("iptables-nft", ("-t", "mangle", *TPROXY), None, True),
        ("nft", ("-f", "-"), NFT_TPROXY, True),
        ("iptables-legacy", ("-t", "mangle", "-L"), None, False),
        ("iptables-legacy", ("-t", "mangle", "-A", "POSTROUTING", "-j", "ACCEPT"), None, False),
        ("iptables-nft", ("-t", "mangle", "-A", "PREROUTING", "-j", "ACCEPT"), None, False),
        # Whoever looks at iptables' table makes it: with no rules in it.
        ("iptables-legacy", ("-t", "nat", "-L"), None, False),
        ("iptables-legacy", ("-t", "nat", "-N", "OWN_CHAIN"), None, True),
        ("iptables-legacy", ("-A", "INPUT", "-p", "tcp", "-j", "ACCEPT"), None, False),
        ("iptables-nft", ("-A", "INPUT", "-p", "tcp", "-j", "ACCEPT"), None, False),
        ("nft", ("-f", "-"), NFT_WITHOUT_NAT, False),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, tuple) else None,
)
def test_what_each_tool_makes(tool, words, text, expected):
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool} here")
    before, after, _listed = in_fresh_netns(seen, ((tool, *words), text))
    assert (before, after) == (False, expected)


def test_looking_makes_no_table():
    _before, _after, listed = in_fresh_netns(seen)
    assert not any(listed)
