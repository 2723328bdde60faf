# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import tracemalloc

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils.fleet import Fleet, Listener, Queue
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import captured, changed
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.tcp_scene import (
    group,
    other,
    queue,
    sick,
    with_groups,
    with_queues,
)


def learned(**snapshots):
    fleet = Fleet()
    for host, snapshot in snapshots.items():
        fleet.learn(host, snapshot["sections"])
    return fleet


def at(*addresses, interface="eth0"):
    """A host with these addresses."""
    told = [{"interface": interface, "address": address} for address in addresses]
    return changed(captured("node-a"), "host.addresses", told)


def test_what_the_two_captured_nodes_tell_of_each_other():
    fleet = learned(a=sick(), b=other())
    assert [fleet.host_of(address) for address in ("192.0.2.2", "192.0.2.3", "192.0.2.4")] == ["a", "b", None]
    here, there = fleet.ends("a"), fleet.ends("b")
    assert here.listener(8080) == Listener(8080, ("java",), False)
    assert here.queues == {8080: Queue(5, 4)}
    assert here.queues[8080].drops
    assert there.listener(8080) is None
    assert there.queues == {}
    assert there.still_closing(True, 10250, ["192.0.2.2", "127.0.0.1"]) == 25
    assert there.still_closing(False, 8080, ["192.0.2.2"]) == 5
    assert there.still_closing(True, 8080, ["192.0.2.2"]) == 0
    assert (here.closing_untold, there.closing_untold) == (0, 0)


@pytest.mark.parametrize(
    ("length", "backlog", "drops"), [(4, 4, False), (5, 4, True), (1, 0, True), (0, 0, False), (9, None, False)]
)
def test_a_queue_drops_when_it_holds_one_more_than_its_backlog(length, backlog, drops):
    assert Queue(length, backlog).drops is drops


@pytest.mark.parametrize(
    ("snapshots", "address", "host"),
    [
        ({"a": at("10.0.0.1"), "b": at("10.0.0.2")}, "10.0.0.2", "b"),
        ({"a": at("10.0.2.15"), "b": at("10.0.2.15")}, "10.0.2.15", None),
        ({"a": at("fe80::1"), "b": at("10.0.0.2")}, "fe80::1", None),
        ({"a": at("169.254.20.10")}, "169.254.20.10", None),
        ({"a": at("127.0.0.1", interface="eth0")}, "127.0.0.1", None),
        ({"a": at("10.96.0.1", interface="kube-ipvs0")}, "10.96.0.1", None),
        ({"a": at("172.17.0.1", interface="docker0")}, "172.17.0.1", None),
        ({"a": at("192.0.2.50", interface="lo")}, "192.0.2.50", None),
        ({"a": at("2001:db8::1")}, "2001:db8::1", "a"),
        ({"a": at("no address", "10.0.0.1")}, "10.0.0.1", "a"),
    ],
)
def test_which_host_an_address_tells(snapshots, address, host):
    assert learned(**snapshots).host_of(address) == host


def test_an_address_of_several_hosts_is_known_to_be_theirs():
    fleet = learned(a=at("10.0.2.15"), b=at("10.0.2.15"))
    assert fleet.has_address("10.0.2.15")
    assert not fleet.has_address("10.0.2.16")


def test_listeners_of_one_port_are_told_together():
    fleet = learned(
        a=with_queues(
            captured("node-a"),
            queue(53, "node-cache", 2, address="127.0.0.1"),
            queue(53, "coredns", 7, family="ipv6", address="::1"),
            queue(53, None, 1, address="169.254.20.10"),
        )
    )
    assert fleet.ends("a").listener(53) == Listener(53, ("coredns", "node-cache"), False)
    assert fleet.ends("a").queues[53] == Queue(7, 128)


def test_open_connections_are_known_by_their_other_end():
    node = with_groups(
        captured("node-a"),
        group("established", "gw", {"192.0.2.9": 25, "::ffff:192.0.2.8": 2}, local_port=9000),
        group("established", "gw", {"192.0.2.9": 9}, local_port=9000, netns="4026532281"),
    )
    ends = learned(a=node).ends("a")
    assert ends.still_open(True, 9000, ["192.0.2.9", "192.0.2.7"]) == 25
    assert ends.still_open(True, 9000, ["192.0.2.8"]) == 2
    assert ends.still_open(False, 9000, ["192.0.2.9"]) == 0


def test_a_host_is_found_by_any_notation_of_its_address():
    fleet = learned(a=at("2001:0DB8:0::3"))
    assert fleet.host_of("2001:db8::3") == "a"
    assert fleet.has_address("2001:db8:0:0::3")


def test_which_networks_were_looked_at():
    everything = changed(captured("node-a"), "tcp_states.netns", "all")
    assert learned(a=captured("node-a"), b=everything).networks == {"host", "all"}


def test_pods_are_none_of_the_hosts_own():
    pod = {"netns": "4026532281"}
    snapshot = with_groups(
        with_queues(captured("node-a"), queue(53, "coredns", 7, **pod)),
        group("fin_wait2", None, {"192.0.2.9": 2}, local_port=53, **pod),
    )
    ends = learned(a=snapshot).ends("a")
    assert ends.listener(53) is None
    assert ends.queues == {}
    assert ends.closing == {}
    assert ends.closing_untold == 2  # the states count all namespaces


@pytest.mark.parametrize(("cut", "whole"), [({"accept_queues": 0}, True), ({}, True), ({"accept_queues": 1}, False)])
def test_whether_all_listeners_are_told(cut, whole):
    assert learned(a=changed(captured("node-a"), "tcp_states.truncated", cut)).ends("a").all_listeners is whole


@pytest.mark.parametrize("sections", [{}, {"tcp_states": None}, {"tcp_states": {"complete": False, "missing": []}}])
def test_a_host_that_tells_nothing_has_no_ends(sections):
    fleet = Fleet()
    fleet.learn("a", sections)
    assert fleet.ends("a") is None


def test_what_one_host_may_cost_whatever_it_tells():
    many = {f"10.{i // 250}.{i % 250}.9": 1 for i in range(5000)}
    snapshot = with_groups(
        with_queues(captured("node-a"), *(queue(port, f"p{port}" * 9, 1) for port in range(1000, 6000))),
        group("fin_wait2", None, many, local_port=80),
    )
    addresses = [{"interface": "eth0", "address": address} for address in many]
    fleet = learned(a=changed(snapshot, "host.addresses", addresses))
    ends = fleet.ends("a")
    assert len(ends.listeners) <= 300
    assert len(ends.queues) <= 300
    assert len(ends.closing) <= 200
    assert ends.closing_untold == 5000 - len(ends.closing)
    assert sum(fleet.has_address(address) for address in many) <= 200


def test_hosts_that_are_alike_fit_into_little_memory():
    """Their listeners are kept once, so a host costs its addresses and what is unlike."""
    text = json.dumps(with_queues(captured("node-a"), *(queue(port, "java") for port in range(8000, 8100))))
    fleet = Fleet()

    def learn(number):
        snapshot = json.loads(text)
        snapshot["sections"]["host"]["addresses"][0]["address"] = f"10.0.{number}.1"
        fleet.learn(f"host-{number}", snapshot["sections"])

    learn(0)
    tracemalloc.start()
    for number in range(1, 101):
        learn(number)
    kept, _most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert fleet.ends("host-7").listeners is fleet.ends("host-0").listeners
    assert kept / 100 < 2048
