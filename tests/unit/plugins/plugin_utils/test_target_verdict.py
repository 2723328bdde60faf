# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""target_verdict: which socket answers at which endpoint."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_verdict import (
    LISTENS,
    NOBODY,
    UNSEEN,
    V6ONLY_UNKNOWN,
    WRONG_ADDRESS,
    WRONG_FAMILY,
    WRONG_PROTOCOL,
    Listening,
    judge,
)

V4, V6 = "10.244.0.19", "fd00:10:244::19"


def tcp(address, port=9292, v6only=None):
    return Listening("tcp", "ipv6" if ":" in address else "ipv4", address, port, v6only)


def udp(address, port=9292):
    return tcp(address, port)._replace(protocol="udp")


ANY = tcp("::", v6only=False)  # what Go, Java and busybox make of "listen on 9292"
ONLY_V6 = tcp("::", v6only=True)
NOT_TOLD = tcp("::")

TABLE = [
    # name, sockets, protocol, endpoint's address, verdict
    ("0.0.0.0", [tcp("0.0.0.0")], "tcp", V4, LISTENS),
    ("its own address", [tcp(V4)], "tcp", V4, LISTENS),
    ("both families", [ANY], "tcp", V4, LISTENS),
    ("both families, asked for IPv6", [ANY], "tcp", V6, LISTENS),
    ("IPv4 written as IPv6", [tcp(f"::ffff:{V4}", v6only=False)], "tcp", V4, LISTENS),
    ("any IPv4, written as IPv6", [tcp("::ffff:0.0.0.0", v6only=False)], "tcp", V4, LISTENS),
    ("any IPv4, written as IPv6, is no IPv6", [tcp("::ffff:0.0.0.0", v6only=False)], "tcp", V6, WRONG_FAMILY),
    ("two sockets, one of them right", [tcp("127.0.0.1"), tcp(V4)], "tcp", V4, LISTENS),
    ("UDP", [udp("0.0.0.0")], "udp", V4, LISTENS),
    ("IPv6 only", [ONLY_V6], "tcp", V4, WRONG_FAMILY),
    ("IPv6 only, asked for it", [ONLY_V6], "tcp", V6, LISTENS),
    ("IPv4 only, asked for IPv6", [tcp("0.0.0.0")], "tcp", V6, WRONG_FAMILY),
    ("its other family's address", [tcp(V6)], "tcp", V4, WRONG_FAMILY),
    ("loopback", [tcp("127.0.0.1")], "tcp", V4, WRONG_ADDRESS),
    ("another loopback", [tcp("127.0.0.53")], "tcp", V4, WRONG_ADDRESS),
    ("loopback of both families", [tcp("127.0.0.1"), tcp("::1")], "tcp", V4, WRONG_ADDRESS),
    ("loopback of the other family", [tcp("::1")], "tcp", V4, WRONG_ADDRESS),
    ("another interface's address", [tcp("192.168.7.2")], "tcp", V4, WRONG_ADDRESS),
    ("loopback and the other family", [tcp("127.0.0.1"), ONLY_V6], "tcp", V4, WRONG_FAMILY),
    ("a zone", [tcp("fe80::1%eth0")], "tcp", V6, WRONG_ADDRESS),
    ("the other protocol", [udp("0.0.0.0")], "tcp", V4, WRONG_PROTOCOL),
    ("the other protocol, the other way", [ANY], "udp", V4, WRONG_PROTOCOL),
    ("nothing", [], "tcp", V4, NOBODY),
    ("another port", [tcp("0.0.0.0", 5000)], "tcp", V4, NOBODY),
    ("not told whether IPv6 only", [NOT_TOLD], "tcp", V4, UNSEEN),
    ("not told, but asked for IPv6", [NOT_TOLD], "tcp", V6, LISTENS),
    ("not told, but another one is right", [NOT_TOLD, tcp("0.0.0.0")], "tcp", V4, LISTENS),
]


@pytest.mark.parametrize(
    ("sockets", "protocol", "address", "kind"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_verdict(sockets, protocol, address, kind):
    assert judge(sockets, protocol, address, 9292).kind == kind


def test_what_explains_it():
    right, wrong, other = tcp("0.0.0.0"), tcp("127.0.0.1"), tcp("0.0.0.0", 5000)
    assert judge([other, wrong, right], "tcp", V4, 9292).instead == (right,)
    assert judge([other, wrong], "tcp", V4, 9292).instead == (wrong,)
    assert judge([other, udp("0.0.0.0", 53)], "tcp", V4, 9292).instead == (other,)
    assert judge([other, udp("0.0.0.0")], "tcp", V4, 9292).instead == (udp("0.0.0.0"),)
    assert judge([NOT_TOLD], "tcp", V4, 9292)[1:] == ((NOT_TOLD,), V6ONLY_UNKNOWN, "")


def test_an_address_that_is_none_is_an_error_and_no_verdict():
    with pytest.raises(ValueError, match="nonsense"):
        judge([tcp("nonsense")], "tcp", V4, 9292)
