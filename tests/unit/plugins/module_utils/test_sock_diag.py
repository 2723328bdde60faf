# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sock_diag: what a kernel said of known sockets (tests/fixtures/sock_diag), and anything else that may arrive."""

from __future__ import annotations

import json
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink, procfs_net, sock_diag
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import STATES, Entry

FIXTURES = Path(__file__).parents[3] / "fixtures" / "sock_diag"
CAPTURED = json.loads((FIXTURES / "datagrams.json").read_text("ascii"))
SOCK_DIAG = 20


def payloads(name):
    return [
        bytes(payload)
        for text in CAPTURED[name]
        for kind, _flags, payload in netlink.messages(bytes.fromhex(text))
        if kind == SOCK_DIAG
    ]


def entries(name, ports=None):
    found = [sock_diag.parse(memoryview(payload), name[:3], ports) for payload in payloads(name)]
    return [entry for entry in found if entry is not None]


def brief(entry):
    return (*entry[2:9], entry.v6only)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "tcp_ipv4",
            {
                # One of its two connections waits to be accepted; the backlog is 7.
                ("listen", "127.0.0.1", 36527, "0.0.0.0", 0, 1, 7, None),
                ("listen", "10.77.0.1", 36532, "0.0.0.0", 0, 0, 1, None),
                ("bound", "127.0.0.1", 36531, "0.0.0.0", 0, 0, 0, None),
                ("syn_sent", "10.77.0.1", 40004, "10.77.0.99", 179, 0, 1, None),
                ("time_wait", "10.77.0.1", 40003, "10.77.0.1", 36532, 0, 0, None),
                ("established", "127.0.0.1", 36527, "127.0.0.1", 40001, 0, 0, None),
                ("established", "127.0.0.1", 36527, "127.0.0.1", 40002, 0, 0, None),
                ("established", "127.0.0.1", 40001, "127.0.0.1", 36527, 0, 0, None),
                ("established", "127.0.0.1", 40002, "127.0.0.1", 36527, 0, 0, None),
            },
        ),
        (
            "tcp_ipv6",
            {
                ("listen", "::", 36528, "::", 0, 0, 4096, False),
                ("listen", "::", 36529, "::", 0, 0, 128, True),
                ("listen", "::1", 36530, "::", 0, 0, 128, True),
                ("listen", "::ffff:10.77.0.1", 36533, "::", 0, 0, 128, False),
            },
        ),
        (
            "udp_ipv4",
            {
                ("close", "0.0.0.0", 36540, "0.0.0.0", 0, 0, 0, None),
                ("established", "127.0.0.1", 40005, "127.0.0.1", 53, 0, 0, None),
            },
        ),
        ("udp_ipv6", {("close", "::", 36541, "::", 0, 0, 0, True)}),
    ],
)
def test_captured(name, expected):
    found = entries(name)
    assert {brief(entry) for entry in found} == expected
    assert len(found) == len(expected)
    assert {(entry.protocol, entry.family, entry.uid) for entry in found} == {(name[:3], name[4:], 0)}


def test_inodes_and_cgroups():
    by_port = {entry.port: entry for entry in entries("tcp_ipv4") if entry.port != 36527}
    assert (by_port[40003].inode, by_port[40003].cgroup_id) == (0, None)  # TIME-WAIT: nobody's
    assert by_port[36531].inode > 0
    assert by_port[36531].cgroup_id == 1


@pytest.mark.parametrize(
    ("name", "ports", "expected"),
    [
        ("tcp_ipv4", {36527}, {36527}),
        ("tcp_ipv4", range(40003, 40005), {40003, 40004}),
        ("udp_ipv4", frozenset(), set()),
    ],
)
def test_ports(name, ports, expected):
    assert {entry.port for entry in entries(name, ports)} == expected


@pytest.mark.parametrize(("protocol", "table"), [("tcp", "ipv4"), ("tcp", "ipv6"), ("udp", "ipv4"), ("udp", "ipv6")])
def test_the_tables_of_proc_net_say_the_same(protocol, table):
    # What they do not show: backlog, v6only, cgroup, and bound sockets.
    name = protocol + ("6" if table == "ipv6" else "")
    with open(str(FIXTURES / f"proc-net-{name}.txt")) as lines:
        rows = set(procfs_net.parse(iter(lines), protocol, table))
    known = {
        entry._replace(v6only=None, cgroup_id=None, wqueue=None if entry.state == "listen" else entry.wqueue)
        for entry in entries(f"{protocol}_{table}")
        if entry.state != "bound"
    }
    assert rows == known


def test_request():
    body = sock_diag.request("ipv6", "udp", 1 << 7)
    assert len(body) == 56
    assert body[:8] == struct.pack("=BBBBI", socket.AF_INET6, socket.IPPROTO_UDP, 0, 0, 0x80)
    assert body[8:48] == bytes(40)
    assert body[48:] == b"\xff" * 8  # INET_DIAG_NOCOOKIE


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"", "malformed inet_diag message: 0 bytes, at least 72 expected"),
        (bytes(71), "malformed inet_diag message: 71 bytes, at least 72 expected"),
        (bytes(72), "malformed inet_diag message: family 0, state 0"),
        (b"\x02\x0e" + bytes(70), "malformed inet_diag message: family 2, state 14"),
        (b"\x02\x0a" + bytes(70) + b"\x03\x00\x00\x00", "malformed netlink attribute: length 3 with 4 bytes left"),
    ],
)
def test_malformed(payload, told):
    with pytest.raises(netlink.NetlinkError) as caught:
        sock_diag.parse(memoryview(payload), "tcp")
    assert str(caught.value) == told


def test_attributes_that_are_too_short_are_not_believed():
    # SKV6ONLY (11) without a byte, CGROUP_ID (21) with four
    attributes = struct.pack("=HH", 4, 11) + struct.pack("=HHI", 8, 21, 7)
    entry = sock_diag.parse(memoryview(b"\x0a\x0a" + bytes(70) + attributes), "tcp")
    assert (entry.v6only, entry.cgroup_id) == (None, None)


def damaged():
    def damage(payload, end, flips):
        turned = bytearray(payload[: end % (len(payload) + 1)])
        for where, bit in flips if turned else ():
            turned[where % len(turned)] ^= 1 << bit
        return bytes(turned)

    every = [payload for name in sorted(CAPTURED) for payload in payloads(name)]
    flips = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 7)), max_size=6)
    return st.builds(damage, st.sampled_from(every), st.integers(0, 200), flips) | st.binary(max_size=512)


@given(damaged(), st.sampled_from(["tcp", "udp"]))
def test_any_bytes_are_an_entry_or_a_netlink_error(payload, protocol):
    try:
        entry = sock_diag.parse(memoryview(payload), protocol)
    except netlink.NetlinkError:
        return
    assert isinstance(entry, Entry)
    assert entry.state in STATES.values()
    assert 0 <= entry.port <= 65535
    assert socket.inet_pton(socket.AF_INET if entry.family == "ipv4" else socket.AF_INET6, entry.address)


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("6.8.0-45-generic", True),
        ("6.18.44", True),
        ("10.0", True),
        ("6.7.12", False),
        ("5.15.0-1070-aws", False),
        ("4.18.0-553.el8.x86_64", False),
        ("a kernel", False),
        ("", False),
    ],
)
def test_which_kernels_show_bound_sockets(release, expected):
    assert sock_diag.shows_bound_sockets(release) is expected


def test_sockets_asks_for_both_families_and_keeps_each_its_own(monkeypatch):
    asked = []

    def dump(protocol, kind, body):
        asked.append((protocol, kind, body[0], struct.unpack_from("=I", body, 4)[0]))
        # As if the kernel knew no IPv6 and answered with IPv4's sockets both times.
        return [memoryview(payload) for payload in payloads("udp_ipv4")]

    monkeypatch.setattr(sock_diag.netlink, "dump", dump)
    assert [entry.port for entry in sock_diag.sockets("udp", 0x82)] == [36540, 40005]
    assert asked == [(4, 20, socket.AF_INET, 0x82), (4, 20, socket.AF_INET6, 0x82)]
