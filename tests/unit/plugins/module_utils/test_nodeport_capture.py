# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nodeport_capture: each row is a sentence of kube-proxy's source, named beside it."""

from __future__ import annotations

import ipaddress
import itertools

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import nodeport_capture
from ansible_collections.kubenode.doctor.plugins.module_utils.nodeport_capture import Proxy

LO4, LO4_OTHER, LO6 = "127.0.0.1", "127.0.0.53", "::1"
NODE4, OTHER4, NODE6, OTHER6 = "10.0.0.4", "192.168.9.9", "fd00::4", "2001:db8::9"
EVERY = (LO4, LO4_OTHER, LO6, NODE4, OTHER4, NODE6, OTHER6)
BOTH_IPS = (NODE4, NODE6)

# (why, proxy, the addresses captured; the others of EVERY are not)
CAPTURES = [
    (
        "iptables/proxier.go, Capture nodeports: without --nodeport-addresses every addrtype LOCAL, never ::1",
        Proxy("iptables", [], True),
        {LO4, LO4_OTHER, NODE4, OTHER4, NODE6, OTHER6},
    ),
    (
        "v1alpha1/defaults.go: localhostNodePorts is true unless set, so also where it was not seen",
        Proxy("iptables", None, None),
        {LO4, LO4_OTHER, NODE4, OTHER4, NODE6, OTHER6},
    ),
    (
        "iptables/proxier.go: localhostNodePorts false leaves out 127.0.0.0/8",
        Proxy("iptables", [], False),
        {NODE4, OTHER4, NODE6, OTHER6},
    ),
    (
        "nodeport_addresses.go: a list of both families captures what lies in it",
        Proxy("iptables", ["10.0.0.0/8", "fd00::/8"], True),
        {NODE4, NODE6},
    ),
    (
        "nodeport_addresses.go NewNodePortAddresses: a list of one family leaves the other at match-all",
        Proxy("iptables", ["10.0.0.0/8"], True),
        {NODE4, NODE6, OTHER6},
    ),
    (
        "the same for IPv6, and with it IPv4's loopback",
        Proxy("iptables", ["fd00::/8"], True),
        {LO4, LO4_OTHER, NODE4, OTHER4, NODE6},
    ),
    (
        "a list that names 127.0.0.0/8 and both families",
        Proxy("iptables", ["127.0.0.0/8", "fd00::/8"], True),
        {LO4, LO4_OTHER, NODE6},
    ),
    ("the same with localhostNodePorts false", Proxy("iptables", ["127.0.0.0/8", "fd00::/8"], False), {NODE6}),
    ("::1 never works, even when listed", Proxy("iptables", ["::1/128", "10.0.0.0/8"], True), {NODE4}),
    (
        "0.0.0.0/0 is match-all",
        Proxy("iptables", ["0.0.0.0/0", "::/0"], True),
        {LO4, LO4_OTHER, NODE4, OTHER4, NODE6, OTHER6},
    ),
    (
        "server.go newProxyServer: primary is the Node's IP of each family",
        Proxy("iptables", ["primary"], True, BOTH_IPS),
        {NODE4, NODE6},
    ),
    (
        "ipvs/proxier.go: all local addresses, loopback excluded",
        Proxy("ipvs", [], True),
        {NODE4, OTHER4, NODE6, OTHER6},
    ),
    ("the same with a list", Proxy("ipvs", ["10.0.0.0/8", "fd00::/8"], True), {NODE4, NODE6}),
    ("a list with loopback does not help", Proxy("ipvs", ["127.0.0.0/8", "fd00::/8"], True), {NODE6}),
    (
        "server_linux.go platformApplyDefaults: nftables defaults to primary",
        Proxy("nftables", [], True, BOTH_IPS),
        {NODE4, NODE6},
    ),
    ("the same when no configuration was seen", Proxy("nftables", None, None, BOTH_IPS), {NODE4, NODE6}),
    (
        "the first InternalIP of a family counts",
        Proxy("nftables", [], None, (NODE4, OTHER4, NODE6, OTHER6)),
        {NODE4, NODE6},
    ),
    (
        "server.go newProxyServer: primary becomes a list, so a family in which the Node has no IP is at match-all",
        Proxy("nftables", [], None, (NODE4,)),
        {NODE4, NODE6, OTHER6},
    ),
    (
        "nftables/proxier.go: a list",
        Proxy("nftables", ["192.168.0.0/16", "2001:db8::/32"], None, BOTH_IPS),
        {OTHER4, OTHER6},
    ),
    (
        "nftables/proxier.go: ip daddr != 127.0.0.0/8, and ::1 excluded",
        Proxy("nftables", ["0.0.0.0/0", "::/0"], True),
        {NODE4, OTHER4, NODE6, OTHER6},
    ),
    ("bpf_sock.c translates every connect, loopback too", Proxy("cilium"), set(EVERY)),
]


@pytest.mark.parametrize(("proxy", "captured"), [row[1:] for row in CAPTURES], ids=[row[0] for row in CAPTURES])
def test_captures(proxy, captured):
    answers = {address: nodeport_capture.captures(proxy, ipaddress.ip_address(address)) for address in EVERY}
    assert answers == {address: address in captured for address in EVERY}


@pytest.mark.parametrize(
    "proxy", [Proxy("nftables"), Proxy("nftables", []), Proxy("iptables", ["primary"]), Proxy("ipvs", ["primary"])]
)
def test_primary_needs_the_node(proxy):
    answers = {address: nodeport_capture.captures(proxy, ipaddress.ip_address(address)) for address in EVERY}
    assert answers == {address: False if address in (LO4, LO4_OTHER, LO6) else None for address in EVERY}


@pytest.mark.parametrize(
    ("addresses", "localhost"),
    list(itertools.product([[], None, ["10.0.0.0/8"], ["primary"], ["fd00::/8"]], [True, False, None])),
)
def test_iptables_rejects_on_every_local_address(addresses, localhost):
    # KUBE-EXTERNAL-SERVICES: -m addrtype --dst-type LOCAL --dport P -j REJECT, without any address of its own.
    proxy = Proxy("iptables", addresses, localhost)
    assert all(nodeport_capture.rejects(proxy, ipaddress.ip_address(address)) is True for address in EVERY)


@pytest.mark.parametrize(
    "proxy",
    [row[1] for row in CAPTURES if row[1].mode != "iptables"],
    ids=[row[0] for row in CAPTURES if row[1].mode != "iptables"],
)
def test_the_others_reject_where_they_would_capture(proxy):
    # nftables/proxier.go, nodePortEndpointsCheckChain: the same address set.
    for address in map(ipaddress.ip_address, EVERY):
        assert nodeport_capture.rejects(proxy, address) is nodeport_capture.captures(proxy, address)


@pytest.mark.parametrize("mode", ["userspace", "kube-router", "ovn-kubernetes", ""])
def test_nothing_is_said_of_other_modes(mode):
    with pytest.raises(ValueError, match=f"no capture rules known for the proxy mode '{mode}'"):
        nodeport_capture.captures(Proxy(mode), ipaddress.ip_address(NODE4))


ADDRESSES = [
    {"interface": "lo", "address": LO4},
    {"interface": "eth0", "address": NODE4},
    {"interface": "eth0", "address": "fe80::1%eth0"},
    {"interface": "kube-ipvs0", "address": "10.96.0.1"},
]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        # netlink_linux.go: GetAllLocalAddressesExcept kube-ipvs0, which carries the cluster IPs
        ("ipvs", [LO4, NODE4, "fe80::1"]),
        ("iptables", [LO4, NODE4, "fe80::1", "10.96.0.1"]),
    ],
)
def test_locals_of(mode, expected):
    assert [str(address) for address in nodeport_capture.locals_of(ADDRESSES, mode)] == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, Proxy("iptables", None, None, (NODE4,))),
        ({"mode": None, "nodeport_addresses": None}, Proxy("iptables", None, None, (NODE4,))),
        (
            {"mode": "ipvs", "nodeport_addresses": [], "localhost_nodeports": False},
            Proxy("ipvs", [], False, (NODE4,)),
        ),
    ],
)
def test_proxy_from(facts, expected):
    assert nodeport_capture.proxy_from(facts, [NODE4]) == expected
