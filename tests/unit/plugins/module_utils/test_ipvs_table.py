# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipvs_table: /proc/net/ip_vs as ip_vs_info_seq_show prints it."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import ipvs_table

TABLE = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A600001:7F12 rr persistent 10800
  -> 0AF40063:244C      Masq    1      0          0
TCP  C0000202:7F12 rr
  -> 0AF40013:244C      Masq    1      2          0
  -> 0AF40015:244C      Masq    1      0          7
  -> 0AF40017:244C      Masq    0      1          0
TCP  C6336407:7F12 rr
  -> 0AF40013:244C      Masq    1      2          0
  -> 0AF40015:244C      Masq    1      0          7
UDP  C0000202:7565 rr ops
TCP  [2001:0db8:0000:0000:0000:0000:0000:0002]:7F12 rr
  -> [fd00:0244:0000:0000:0000:0000:0000:0013]:244C      Masq    1      0          0
SCTP C0000202:7566 wrr
  -> 0AF40013:0050      Route   3      0          0
FWM  00000001 rr
  -> 0AF40013:0050      Route   3      0          0
"""
LOCAL = {"192.0.2.2", "198.51.100.7", "2001:db8::2"}


def read(text, addresses=frozenset(LOCAL)):
    found = ipvs_table.node_ports(ipvs_table.servers(text.splitlines(True)), addresses)
    return [
        (f"{one['port']}/{one['protocol']}", one["family"], one["action"], one["endpoints"], one["addresses"])
        for one in found
    ]


def test_the_table():
    assert read(TABLE) == [
        ("30054/sctp", "ipv4", "endpoints", ["10.244.0.19:80"], ["192.0.2.2"]),
        ("32530/tcp", "ipv4", "endpoints", ["10.244.0.19:9292", "10.244.0.21:9292"], ["192.0.2.2", "198.51.100.7"]),
        ("32530/tcp", "ipv6", "endpoints", ["[fd00:244::13]:9292"], ["2001:db8::2"]),
        ("30053/udp", "ipv4", "reject", [], ["192.0.2.2"]),
    ]


def test_cluster_ips_are_no_node_ports():
    assert read(TABLE, {"203.0.113.1"}) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "junk\n",
        "TCP  ZZZZZZZZ:7F12 rr\n",
        "TCP  [:::::::]:7F12 rr\n",
        "TCP  C0000202\n",
        "ICMP C0000202:7F12 rr\n",
        "  -> 0AF40013:244C      Masq    1      0          0\n",
    ],
)
def test_what_is_no_server(text):
    assert read(text) == []


def test_a_broken_destination_is_none():
    assert read("TCP  C0000202:7F12 rr\n  -> [::::]:0050      Masq    1      0          0\n") == [
        ("32530/tcp", "ipv4", "reject", [], ["192.0.2.2"])
    ]
