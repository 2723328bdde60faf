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
STUCK = json.loads((FIXTURES / "stuck.json").read_text("ascii"))
SOCK_DIAG = 20


def payloads(name, captured=CAPTURED):
    return [
        bytes(payload)
        for text in captured[name]
        for kind, _flags, payload in netlink.messages(bytes.fromhex(text))
        if kind == SOCK_DIAG
    ]


def entries(name, ports=None, captured=CAPTURED):
    found = [sock_diag.parse(memoryview(payload), name[:3], ports) for payload in payloads(name, captured)]
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
    # What they do not show: backlog, v6only, cgroup, cookie, and bound sockets. What was not asked for: the age, which they show.
    name = protocol + ("6" if table == "ipv6" else "")
    with open(str(FIXTURES / f"proc-net-{name}.txt")) as lines:
        rows = {
            entry._replace(age_ms=None, retransmits=None) for entry in procfs_net.parse(iter(lines), protocol, table)
        }
    known = {in_proc_net(entry) for entry in entries(f"{protocol}_{table}") if entry.state != "bound"}
    assert rows == known


def in_proc_net(entry):
    """As much of a socket as /proc/net shows."""
    wqueue = None if entry.state == "listen" else entry.wqueue
    return entry._replace(v6only=None, cgroup_id=None, cookie=None, age_ms=None, retransmits=None, wqueue=wqueue)


@pytest.mark.parametrize("table", ["ipv4", "ipv6"])
def test_the_tables_of_proc_net_say_the_same_of_what_is_stuck(table):
    lines = STUCK["tables"]["tcp6" if table == "ipv6" else "tcp"].splitlines()
    rows = list(procfs_net.parse(iter(lines), "tcp", table))
    known = entries(f"tcp_{table}", captured=STUCK["datagrams"])
    assert {in_proc_net(row) for row in rows} == {in_proc_net(entry) for entry in known}
    assert len(rows) == len(known) == (11 if table == "ipv4" else 22)


def test_what_keeps_close_wait_is_in_its_queue_and_inode():
    # KNOWLEDGE B1: the FIN counts as one byte. Ports end in 1, 2 or 3 by family; see tests/tools/capture_netlink.py.
    found = {}
    for table in ("ipv4", "ipv6"):
        for entry in entries(f"tcp_{table}", captured=STUCK["datagrams"]):
            if entry.state == "close_wait":
                found[entry.port] = (entry.rqueue, entry.inode > 0)
    for digit in (1, 2, 3):
        assert found[35010 + digit] == (5 + 1, True)  # never read, 5 bytes
        assert found[35020 + digit] == (1, True)  # never read, nothing but the end
        assert found[35030 + digit] == (0, True)  # read to the end
        assert found[36600 + digit] == (3 + 1, False)  # never accepted, 3 bytes
    assert len(found) == 12


def test_cookies_tell_sockets_apart():
    found = [entry for table in ("ipv4", "ipv6") for entry in entries(f"tcp_{table}", captured=STUCK["datagrams"])]
    assert len({entry.cookie for entry in found}) == len(found) == 33
    assert {len(entry.cookie) for entry in found} == {8}


@pytest.mark.parametrize("state", ["fin_wait2", "time_wait", "listen"])
def test_no_age_is_told_of_other_states(state):
    found = [entry for entry in entries("tcp_ipv4", captured=STUCK["datagrams"]) if entry.state == state]
    assert found
    assert {entry.age_ms for entry in found} == {None}


def test_without_tcp_info_there_is_no_age():
    (calling,) = [entry for entry in entries("tcp_ipv4") if entry.state == "syn_sent"]
    assert (calling.age_ms, calling.retransmits) == (None, None)


def test_request():
    body = sock_diag.request("ipv6", "udp", 1 << 7)
    assert len(body) == 56
    assert body[:8] == struct.pack("=BBBBI", socket.AF_INET6, socket.IPPROTO_UDP, 0, 0, 0x80)
    assert body[8:48] == bytes(40)
    assert body[48:] == b"\xff" * 8  # INET_DIAG_NOCOOKIE


def test_request_for_tcp_info():
    # INET_DIAG_INFO is 2, and its bit 1 << (2 - 1).
    plain, more = sock_diag.request("ipv4", "tcp", 4), sock_diag.request("ipv4", "tcp", 4, tcp_info=True)
    assert more == plain[:2] + b"\x02" + plain[3:]


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
    # SKV6ONLY (11) without a byte, CGROUP_ID (21) with four, INFO (2) with 56
    attributes = struct.pack("=HH", 4, 11) + struct.pack("=HHI", 8, 21, 7) + struct.pack("=HH56x", 60, 2)
    entry = sock_diag.parse(memoryview(b"\x0a\x08" + bytes(70) + attributes), "tcp")
    assert (entry.v6only, entry.cgroup_id, entry.age_ms, entry.retransmits) == (None, None, None, None)


def damaged():
    def damage(payload, end, flips):
        turned = bytearray(payload[: end % (len(payload) + 1)])
        for where, bit in flips if turned else ():
            turned[where % len(turned)] ^= 1 << bit
        return bytes(turned)

    every = [payload for name in sorted(CAPTURED) for payload in payloads(name)]
    every += [payload for name in ("tcp_ipv4", "tcp_ipv6") for payload in payloads(name, STUCK["datagrams"])]
    flips = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 7)), max_size=6)
    return st.builds(damage, st.sampled_from(every), st.integers(0, 400), flips) | st.binary(max_size=512)


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


def answers(monkeypatch, name):
    """Let every dump answer with these captured sockets; returns what was asked."""
    asked = []

    def dump(protocol, kind, body, connect):
        asked.append((protocol, kind, body[0], body[2], struct.unpack_from("=I", body, 4)[0], connect))
        return [memoryview(payload) for payload in payloads(name)]

    monkeypatch.setattr(sock_diag.netlink, "dump", dump)
    return asked


def test_sockets_asks_for_both_families_and_keeps_each_its_own(monkeypatch):
    # As if the kernel knew no IPv6 and answered with IPv4's sockets both times.
    asked = answers(monkeypatch, "udp_ipv4")
    assert [entry.port for entry in sock_diag.sockets("udp", 0x82)] == [36540, 40005]
    assert asked == [(4, 20, family, 0, 0x82, netlink.connect) for family in (socket.AF_INET, socket.AF_INET6)]


def test_sockets_of_one_family_in_another_namespace_with_tcp_info(monkeypatch):
    asked = answers(monkeypatch, "tcp_ipv6")

    def inside(_protocol):
        raise AssertionError("opened before it was asked for anything")

    found = sock_diag.sockets_of("ipv6", "tcp", 1 << 10, {36530}, tcp_info=True, connect=inside)
    assert [entry.port for entry in found] == [36530]
    assert asked == [(4, 20, socket.AF_INET6, 2, 1 << 10, inside)]


def test_the_namespace_is_the_one_that_connect_opens():
    opened = []

    def inside(protocol):
        opened.append(protocol)
        raise netlink.NetlinkError("the namespace is gone", 2)

    with pytest.raises(netlink.NetlinkError, match="gone"):
        list(sock_diag.sockets("tcp", connect=inside))
    assert opened == [netlink.NETLINK_SOCK_DIAG]
