# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""socket_age: the age of what waits, beside the schedules by which kernels repeat a SYN and beside a clock."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink, procfs_net, sock_diag, socket_age

STUCK = json.loads((Path(__file__).parents[3] / "fixtures" / "sock_diag" / "stuck.json").read_text("ascii"))
RTO_MAX = 120_000
NEW, OLD = 4, 0  # net.ipv4.tcp_syn_linear_timeouts


def schedule(linear, most, longest=RTO_MAX):
    """What a kernel does (net/ipv4/tcp_timer.c, tcp_retransmit_timer): ``(retransmits, backoff, rto, age)`` after each SYN, in ms."""
    age, backoff, rto = 0, 0, 1000
    for retransmits in range(most + 1):
        yield retransmits, backoff, rto, age
        age += rto
        if retransmits >= linear:
            backoff, rto = backoff + 1, min(2 * rto, longest)


def test_the_schedules_are_those_that_are_documented():
    # ip-sysctl.rst: "the final timeout ... will happen after 127 seconds" of older kernels, 131 since 6.5; 1,1,1,1,1,2,4 s and 1,2,4 s
    assert [step[3] / 1000 for step in schedule(NEW, 8)] == [0, 1, 2, 3, 4, 5, 7, 11, 19]
    assert [step[3] / 1000 for step in schedule(OLD, 7)] == [0, 1, 3, 7, 15, 31, 63, 127]
    assert list(schedule(NEW, 11))[-1][3] == 131_000


@pytest.mark.parametrize("linear", [OLD, NEW, 10])
@pytest.mark.parametrize(
    ("longest", "tries"),
    [
        (RTO_MAX, 6),
        (RTO_MAX, 60),  # net.ipv4.tcp_syn_retries or TCP_SYNCNT at more than 6: the timeout no longer doubles
        (3000, 20),  # net.ipv4.tcp_rto_max_ms
        (1000, 20),
    ],
)
@pytest.mark.parametrize("waited", [0, 1, 999])
def test_syn_sent(linear, longest, tries, waited):
    for retransmits, backoff, rto, age in schedule(linear, tries, longest):
        assert socket_age.syn_sent_ms(retransmits, backoff, rto, rto - waited) == age + waited


@pytest.mark.parametrize("linear", [OLD, NEW])
def test_syn_sent_by_proc_net_is_the_same_for_as_long_as_kernels_try(linear):
    # tcp_syn_retries is 6, to which Linux 6.5 adds the four that came at the first timeout.
    for retransmits, backoff, rto, age in schedule(linear, 6 + linear):
        assert socket_age.backoff_of(retransmits, rto) == backoff
        assert socket_age.syn_sent_ms(retransmits, socket_age.backoff_of(retransmits, rto), rto, rto) == age


@pytest.mark.parametrize("linear", [OLD, NEW])
@pytest.mark.parametrize("longest", [RTO_MAX, 1000, 3000, 4000])
def test_syn_sent_by_proc_net_is_never_too_old(linear, longest):
    for retransmits, _backoff, rto, age in schedule(linear, 60, longest):
        told = socket_age.syn_sent_ms(retransmits, socket_age.backoff_of(retransmits, rto), rto, rto)
        assert told <= age
        if longest == RTO_MAX and linear == NEW:
            assert told == age


@pytest.mark.parametrize("expires", [1001, 4_294_967_295])
def test_a_timer_that_is_late_makes_nothing_younger(expires):
    # Older kernels (EXPIRES_IN_MS in net/ipv4/inet_diag.c) tell a time that has passed as 2**32 less it.
    assert socket_age.syn_sent_ms(3, 3, 8000, 8000 + expires) == 7000


def tcp_info(retransmits=0, backoff=0, rto_us=0, last_ack_recv_ms=0, size=280):
    info = bytearray(280)
    info[2], info[4] = retransmits, backoff
    struct.pack_into("=I", info, 8, rto_us)
    struct.pack_into("=I", info, 56, last_ack_recv_ms)
    return memoryview(bytes(info[:size]))


@pytest.mark.parametrize(
    ("state", "info", "expires", "expected"),
    [
        ("syn_sent", tcp_info(retransmits=3, backoff=3, rto_us=8_000_000), 7500, (7500, 3)),
        ("syn_sent", tcp_info(retransmits=5, backoff=1, rto_us=2_000_000), 500, (6500, 5)),
        ("syn_sent", tcp_info(rto_us=1_000_000), 400, (600, 0)),
        # Whatever is due, the age of CLOSE-WAIT is when the other end was last heard.
        ("close_wait", tcp_info(retransmits=2, rto_us=1_000_000, last_ack_recv_ms=63_000), 400, (63_000, 2)),
        ("established", tcp_info(retransmits=1, last_ack_recv_ms=63_000), 0, (None, 1)),
        ("fin_wait2", tcp_info(last_ack_recv_ms=63_000), 0, (None, 0)),
        # The oldest struct that has all that is needed, and shorter ones
        ("close_wait", tcp_info(last_ack_recv_ms=7, size=60), 0, (7, 0)),
        ("close_wait", tcp_info(last_ack_recv_ms=7, size=59), 0, (None, None)),
        ("syn_sent", memoryview(b""), 0, (None, None)),
    ],
)
def test_from_tcp_info(state, info, expires, expected):
    assert socket_age.from_tcp_info(state, info, expires) == expected


@given(st.sampled_from(["syn_sent", "close_wait", "listen"]), st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_any_bytes_are_an_age_or_none(state, info, expires):
    age, retransmits = socket_age.from_tcp_info(state, memoryview(info), expires)
    assert age is None or age >= 0
    assert retransmits is None or 0 <= retransmits <= 255


def captured(state):
    """``(age by sock_diag, age by /proc/net or None, retransmits)`` of the captured sockets in a state, by local address and port."""
    rows = {}
    for name, family in (("tcp", "ipv4"), ("tcp6", "ipv6")):
        for entry in procfs_net.parse(iter(STUCK["tables"][name].splitlines()), "tcp", family):
            rows[entry.address, entry.port] = entry
    found = {}
    for datagram in (text for texts in STUCK["datagrams"].values() for text in texts):
        for kind, _flags, payload in netlink.messages(bytes.fromhex(datagram)):
            entry = sock_diag.parse(payload, "tcp") if kind == sock_diag.BY_FAMILY else None
            if entry is not None and entry.state == state:
                row = rows[entry.address, entry.port]
                found[entry.address, entry.port] = (entry.age_ms, row.age_ms, entry.retransmits, row.retransmits)
    return found


def test_captured_syn_sent_is_as_old_as_the_clock_says():
    found = captured("syn_sent")
    assert sorted(found) == [("10.77.0.1", 35701), ("::ffff:10.77.0.1", 35702), ("fd00:77::1", 35703)]
    for by_sock_diag, by_procfs, *retransmits in found.values():
        assert by_sock_diag == pytest.approx(1000 * STUCK["seconds"], abs=100)
        assert by_procfs == pytest.approx(by_sock_diag, abs=100)  # read a little later
        assert retransmits == [3, 3]


def test_captured_close_wait_is_as_old_as_the_clock_says():
    found = captured("close_wait")
    assert len(found) == 12
    for by_sock_diag, by_procfs, *_retransmits in found.values():
        assert by_sock_diag == pytest.approx(1000 * STUCK["seconds"], abs=100)
        assert by_procfs is None
