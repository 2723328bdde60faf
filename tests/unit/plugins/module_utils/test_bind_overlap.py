# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bind_overlap: the matrix by table, and what happens when something was not seen.

tests/integration_real/test_bind_overlap_kernel.py compares the same functions with the kernel.
"""

from __future__ import annotations

import re

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.bind_overlap import (
    Address,
    Certainty,
    Holder,
    blocks_listen,
    overlaps,
)

NO, POSSIBLE, YES = Certainty.NO, Certainty.POSSIBLE, Certainty.YES

ANY4 = Address("ipv4", "0.0.0.0")
LOOPBACK = Address("ipv4", "127.0.0.1")
NODE = Address("ipv4", "10.0.0.4")
DUAL = Address("ipv6", "::", v6only=False)
ONLY6 = Address("ipv6", "::", v6only=True)
UNSEEN = Address("ipv6", "::", v6only=None)
LOOPBACK6 = Address("ipv6", "::1")
NODE6 = Address("ipv6", "fd00::4")
MAPPED = Address("ipv6", "::ffff:10.0.0.4")
MAPPED_ANY = Address("ipv6", "::ffff:0.0.0.0")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (ANY4, ANY4, YES),
        (ANY4, LOOPBACK, YES),
        (ANY4, MAPPED, YES),
        (ANY4, MAPPED_ANY, YES),
        (ANY4, DUAL, YES),
        (ANY4, ONLY6, NO),
        (ANY4, LOOPBACK6, NO),
        (LOOPBACK, NODE, NO),
        (LOOPBACK, Address("ipv4", "127.0.0.2"), NO),
        (NODE, MAPPED, YES),
        (NODE, MAPPED_ANY, YES),
        (LOOPBACK, DUAL, YES),
        (LOOPBACK, ONLY6, NO),
        (DUAL, ONLY6, YES),
        (ONLY6, ONLY6, YES),
        (ONLY6, NODE6, YES),
        (ONLY6, MAPPED, NO),
        (DUAL, MAPPED, YES),
        (LOOPBACK6, LOOPBACK6, YES),
        (LOOPBACK6, NODE6, NO),
        (LOOPBACK6, MAPPED, NO),
        (NODE6, Address("ipv6", "fd00:0:0::4"), YES),
        # v6only not seen: it decides nothing among IPv6 addresses, everything against IPv4
        (UNSEEN, DUAL, YES),
        (UNSEEN, ONLY6, YES),
        (UNSEEN, NODE6, YES),
        (UNSEEN, ANY4, POSSIBLE),
        (UNSEEN, LOOPBACK, POSSIBLE),
        (UNSEEN, MAPPED, POSSIBLE),
        # interfaces
        (Address("ipv6", "fe80::1%eth0"), Address("ipv6", "fe80::1%eth1"), NO),
        (Address("ipv6", "fe80::1%eth0"), Address("ipv6", "fe80::1%eth0"), YES),
        (Address("ipv6", "fe80::1%eth0"), Address("ipv6", "fe80::1%2"), POSSIBLE),
        (Address("ipv6", "fe80::1"), Address("ipv6", "fe80::1%eth0"), POSSIBLE),
        (Address("ipv6", "fe80::1"), Address("ipv6", "fe80::1"), POSSIBLE),
        (Address("ipv6", "fe80::1"), Address("ipv6", "fe80::2"), NO),
        (Address("ipv6", "fe80::1%eth0"), DUAL, YES),
        (Address("ipv4", "0.0.0.0%eth0"), ANY4, YES),
        (Address("ipv4", "0.0.0.0%eth0"), Address("ipv4", "0.0.0.0%eth1"), NO),
    ],
)
def test_overlaps(one, other, expected):
    assert [overlaps(*pair) for pair in ((one, other), (other, one))] == [expected, expected]


def test_only_no_is_false():
    assert [bool(answer) for answer in (NO, POSSIBLE, YES)] == [False, True, True]


@pytest.mark.parametrize(
    ("holder", "wanted", "reuseaddr", "expected"),
    [
        # a listener blocks whatever the options
        (Holder("tcp", LOOPBACK, "listen", None, True), ANY4, True, YES),
        (Holder("tcp", LOOPBACK, "listen"), NODE, None, NO),
        (Holder("tcp", UNSEEN, "listen"), ANY4, None, POSSIBLE),
        # seed 000 turned round: kube-proxy's healthCheckNodePort against a random loopback listener
        (Holder("tcp", LOOPBACK, "listen"), DUAL, None, YES),
        (Holder("tcp", LOOPBACK, "listen"), ONLY6, None, NO),
        # bound, never listened: both need SO_REUSEADDR
        (Holder("tcp", ANY4, "bound", None, None), ANY4, None, POSSIBLE),
        (Holder("tcp", ANY4, "bound", None, False), ANY4, None, YES),
        (Holder("tcp", ANY4, "bound", None, True), ANY4, None, NO),
        (Holder("tcp", ANY4, "bound", None, True), ANY4, False, YES),
        # an outgoing connection whose drawn port is the NodePort (DRBD, home-ops#11712)
        (Holder("tcp", NODE, "established", "outgoing"), ANY4, None, YES),
        (Holder("tcp", NODE, "time_wait", "outgoing"), ANY4, None, YES),
        (Holder("tcp", NODE, "fin_wait2", "outgoing"), NODE, None, YES),
        (Holder("tcp", NODE, "established", "outgoing"), LOOPBACK, None, NO),
        (Holder("tcp", NODE, "established", "outgoing", True), ANY4, None, NO),
        # a connection accepted by a listener that is gone
        (Holder("tcp", NODE, "time_wait", "accepted"), ANY4, None, POSSIBLE),
        (Holder("tcp", NODE, "time_wait", "accepted", True), ANY4, None, NO),
        (Holder("tcp", NODE, "time_wait", "accepted", False), ANY4, None, YES),
        (Holder("tcp", NODE, "time_wait", "accepted", True), ANY4, False, YES),
        (Holder("tcp", NODE, "close_wait"), ANY4, None, POSSIBLE),
        (Holder("tcp", NODE, "syn_recv"), ANY4, None, NO),
        # IPv6 connections and 0.0.0.0
        (Holder("tcp", NODE6._replace(v6only=False), "established", "outgoing"), ANY4, None, YES),
        (Holder("tcp", NODE6._replace(v6only=True), "established", "outgoing"), ANY4, None, NO),
        (Holder("tcp", NODE6, "time_wait", "outgoing"), ANY4, None, POSSIBLE),
        (Holder("tcp", NODE6, "established", "outgoing"), NODE, None, NO),
        (Holder("tcp", NODE6, "established", "outgoing"), DUAL, None, YES),
        (Holder("tcp", NODE6, "listen"), ANY4, None, NO),
        (Holder("tcp", NODE6, "bound"), ANY4, None, NO),
        # UDP: Go does not set SO_REUSEADDR there
        (Holder("udp", ANY4, "close", None, True), NODE, None, YES),
        (Holder("udp", ANY4, "close"), NODE, None, YES),
        (Holder("udp", ANY4, "close"), NODE, True, POSSIBLE),
        (Holder("udp", ANY4, "close", None, True), NODE, True, NO),
        (Holder("udp", LOOPBACK, "established", "outgoing"), NODE, None, NO),
    ],
)
def test_blocks_listen(holder, wanted, reuseaddr, expected):
    assert blocks_listen(holder, wanted, reuseaddr) is expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: overlaps(Address("ipv4", "10.0.0.300"), ANY4), "'10.0.0.300' is not an ipv4 address"),
        (lambda: overlaps(ANY4, Address("ipv4", "::1")), "'::1' is not an ipv4 address"),
        (lambda: overlaps(ANY4, Address("ipv6", "*")), "'*' is not an ipv6 address"),
        (lambda: overlaps(ANY4, Address("inet", "::1")), "address family 'inet' is neither ipv4 nor ipv6"),
        (lambda: blocks_listen(Holder("sctp", ANY4, "listen"), ANY4), "no bind rule for protocol 'sctp'"),
        (lambda: blocks_listen(Holder("tcp", ANY4, "time_wait", "out"), ANY4), "origin 'out' is neither"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        call()
