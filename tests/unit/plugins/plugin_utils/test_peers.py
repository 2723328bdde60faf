# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import peers
from ansible_collections.kubenode.doctor.plugins.plugin_utils.peers import Directory, Peer
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import service_scene
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    changed,
    kubernetes_136,
    with_service,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.tcp_scene import no_api, with_node, without

NODES = with_node(kubernetes_136(), "node-b", "192.0.2.3", external_ips=["198.51.100.3"], pod_cidrs=["10.1.0.0/24"])
NODES = with_node(NODES, "node-c", "192.0.2.4", ready="False", pod_cidrs=["10.1.2.0/24", "2001:db8:c::/64", "junk"])
NODES = with_node(NODES, "twin", "192.0.2.3")
BALANCED = with_service(
    kubernetes_136(),
    "front",
    external_ips=["198.51.100.80"],
    load_balancer_ips=[{"ip": "198.51.100.81", "ip_mode": "VIP"}],
)

PODS = service_scene.cluster()
UNPLACED = {**PODS, "pods": [{**entry, "node": None} for entry in PODS["pods"]]}

TWO_PORTS = changed(kubernetes_136(), "services.5.ports", [{"port": 80}, {"port": 443}])


@pytest.mark.parametrize(
    ("cluster", "address", "port", "peer"),
    [
        (NODES, "192.0.2.2", 179, Peer(peers.NODE, "node node-a")),
        (NODES, "198.51.100.3", 179, Peer(peers.NODE, "node node-b")),
        (NODES, "192.0.2.4", 179, Peer(peers.NODE, "node node-c (not Ready)")),
        (NODES, "192.0.2.3", 179, Peer(peers.NODE, "one of 2 nodes that have this same address")),
        (NODES, "10.1.0.0", 80, Peer(peers.POD, "an address of node node-b's pods that no EndpointSlice names")),
        (NODES, "10.1.0.255", 80, Peer(peers.POD, "an address of node node-b's pods that no EndpointSlice names")),
        (NODES, "10.1.1.0", 80, None),
        (NODES, "10.1.2.9", 80, Peer(peers.POD, "an address of node node-c's pods that no EndpointSlice names")),
        (NODES, "2001:db8:c::9", 80, Peer(peers.POD, "an address of node node-c's pods that no EndpointSlice names")),
        (NODES, "2001:db8:d::9", 80, None),
        (NODES, "junk", 80, None),
        (NODES, "9.9.9.9", 80, None),
        (BALANCED, "10.96.146.107", 80, Peer(peers.SERVICE, "Service shop/front")),
        (BALANCED, "10.96.146.107", None, Peer(peers.SERVICE, "Service shop/front")),
        (kubernetes_136(), "10.96.142.15", 53, Peer(peers.SERVICE, "Service shop/dns")),
        (TWO_PORTS, "10.96.146.107", 443, Peer(peers.SERVICE, "Service shop/front")),
        (BALANCED, "10.96.146.107", 81, Peer(peers.SERVICE, "Service shop/front, which has no port 81")),
        (BALANCED, "198.51.100.80", 80, Peer(peers.SERVICE, "Service shop/front")),
        (BALANCED, "198.51.100.81", 80, Peer(peers.SERVICE, "Service shop/front")),
        (BALANCED, "10.96.44.65", 80, Peer(peers.SERVICE, "Service shop/orphan without endpoints")),
        (without(BALANCED, "endpoint_slices"), "10.96.44.65", 80, Peer(peers.SERVICE, "Service shop/orphan")),
        (BALANCED, "192.0.2.77", 5432, Peer(peers.POD, "endpoint of Service shop/db")),
        (
            BALANCED,
            "10.244.0.24",
            8080,
            Peer(peers.POD, "pod shop/cart-544947bc8d-2ld8r on node node-a"),
        ),
        (no_api(), "192.0.2.2", 179, None),
        # Behind no Service, but pods were read.
        (PODS, "10.244.0.20", 5000, Peer(peers.POD, "pod reddit-entry/post-696c5c5cdc-g4hn5 on node node-a")),
        # In its node's network, so its address is the node's.
        (PODS, "192.0.2.2", 31999, Peer(peers.NODE, "node node-a")),
        # Of a pod that has ended: its address may be another one's by now.
        (PODS, "10.244.0.27", 80, None),
        (UNPLACED, "10.244.0.26", 80, Peer(peers.POD, "pod shop/pull")),
    ],
)
def test_who_has_an_address(cluster, address, port, peer):
    assert Directory(cluster).find(address, port) == peer


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("2001:0DB8:0:0::0003", "2001:db8::3"),
        ("::ffff:192.0.2.3", "192.0.2.3"),
        ("::ffff:c000:203", "192.0.2.3"),
        ("192.0.2.3", "192.0.2.3"),
        ("192.0.2.003", "192.0.2.003"),
        ("junk", "junk"),
        ("", ""),
    ],
)
def test_addresses_are_compared_in_one_notation(address, plain):
    assert peers.plain(address) == plain


def test_whatever_the_notation_it_is_the_same_address():
    long = with_node(kubernetes_136(), "node-6", "2001:0DB8:0000::0003")
    assert Directory(long).find("2001:db8::3", 179) == Peer(peers.NODE, "node node-6")
    assert Directory(kubernetes_136()).find("::ffff:192.0.2.2", 179) == Peer(peers.NODE, "node node-a")
    pods = changed(kubernetes_136(), "endpoint_slices.0.endpoints.0.addresses", ["2001:0db8::0:9"])
    assert Directory(pods).find("2001:db8::9", 80).kind == peers.POD


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        ((), ""),
        (("services",), "the cluster's Services are not known (Services: services is forbidden)"),
        (
            ("nodes", "endpoint_slices"),
            "the cluster's Nodes and EndpointSlices are not known (Nodes: nodes is forbidden)",
        ),
    ],
)
def test_which_lists_could_not_be_read(missing, why):
    assert Directory(without(kubernetes_136(), *missing)).unseen() == why


def test_why_nothing_is_known():
    assert "connection refused" in Directory(no_api()).unseen()
    silent = {**no_api(), "missing": []}
    assert "cluster.json does not say why" in Directory(silent).unseen()


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("192.0.2.1", False), ("junk", False), ("", False)],
)
def test_loopback(address, loopback):
    assert peers.is_loopback(address) is loopback
