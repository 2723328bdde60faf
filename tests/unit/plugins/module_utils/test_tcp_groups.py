# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tcp_groups: what is told of many sockets, what is left out, and what keeps a connection in CLOSE-WAIT."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import tcp_groups, tcp_tally
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_groups import Groups, Key


def key(state="established", process="nginx", local_port=80, peer_port=None, netns="host"):
    return Key(netns, state, process, local_port, peer_port)


def peers(**counts):
    """Peers by the last number of their address: ``_7=3`` are three sockets with 10.0.0.7."""
    return {tcp_tally.packed("10.0.0." + name[1:]): count for name, count in counts.items()}


def stuck(number=0, **more):
    """A CLOSE-WAIT socket as tcp_states returns it."""
    told = {
        "netns": "host",
        "state": "close_wait",
        "address": "10.0.0.1",
        "port": 50000 + number,
        "peer": "10.0.0.7",
        "peer_port": 10250,
        "process": "kube-apiserver",
        "pid": 12,
        "inode": 100 + number,
        "age_seconds": None,
        "retransmits": 0,
        "unread": 0,
        "cause": None,
        "persisted": None,
    }
    return {**told, **more}


def add_stuck(groups, group, socket):
    """Add it with the entry from which it was made."""
    ends = (socket["address"], socket["port"], socket["peer"], socket["peer_port"])
    entry = Entry("tcp", "ipv4", socket["state"], *ends, None, None, None, socket["inode"])
    groups.add_stuck(group, socket, entry)


CLOSE_WAIT = key("close_wait", "kube-apiserver", None, 10250)
SYN_SENT = key("syn_sent", "bird", None, 179)


def told(groups, top=10):
    return groups.told(top)[0]


def test_nothing():
    groups = Groups()
    assert groups.told(10) == ([], {"groups": 0, "sockets": 0})
    assert groups.stuck() == []


def test_a_group():
    groups = Groups()
    groups.add(key(), peers(_7=2, _8=3))
    groups.add(key(), peers(_7=2))
    assert told(groups) == [
        {
            "netns": "host",
            "state": "established",
            "process": "nginx",
            "local_port": 80,
            "peer_port": None,
            "count": 7,
            "peers": 2,
            "top_peers": [{"address": "10.0.0.7", "count": 4}, {"address": "10.0.0.8", "count": 3}],
            "oldest_seconds": None,
            "persisted": None,
            "causes": None,
            "sketch": None,
        }
    ]


@pytest.mark.parametrize(
    "other",
    [
        key(state="time_wait"),
        key(process="haproxy"),
        key(process=None),
        key(local_port=443),
        key(local_port=None, peer_port=80),
        key(netns="4026532281"),
    ],
)
def test_what_makes_another_group(other):
    groups = Groups()
    groups.add(key(), peers(_7=1))
    groups.add(other, peers(_7=1))
    assert [group["count"] for group in told(groups)] == [1, 1]


@pytest.mark.parametrize(("top", "expected"), [(0, 0), (1, 1), (3, 3), (10, 4), (10**9, 4)])
def test_top_peers_are_the_largest_then_by_address(top, expected):
    groups = Groups()
    groups.add(key(), peers(_9=1, _10=5, _8=1, _7=3))
    (group,) = told(groups, top)
    assert [peer["address"] for peer in group["top_peers"]] == ["10.0.0.10", "10.0.0.7", "10.0.0.8", "10.0.0.9"][
        :expected
    ]
    assert group["peers"] == 4


def test_no_group_tells_more_peers_than_a_stuck_one():
    # One group of a hundred thousand peers must not be too long to be told at all.
    groups = Groups()
    groups.add(key(), {tcp_tally.packed(f"10.1.{number >> 8}.{number & 255}"): 1 for number in range(1000)})
    (group,) = told(groups, 10**9)
    assert (len(group["top_peers"]), group["peers"]) == (250, 1000)


def test_both_families_are_told():
    groups = Groups()
    groups.add(key(), {tcp_tally.packed("fd00::7"): 1, tcp_tally.packed("10.0.0.7"): 2})
    (group,) = told(groups)
    assert [peer["address"] for peer in group["top_peers"]] == ["10.0.0.7", "fd00::7"]


def test_stuck_groups_come_first_then_the_largest():
    groups = Groups()
    groups.add(key(process="small"), peers(_7=1))
    groups.add(key(process="large"), peers(_7=1000))
    add_stuck(groups, CLOSE_WAIT, stuck())
    add_stuck(groups, SYN_SENT, stuck(1, state="syn_sent"))
    add_stuck(groups, SYN_SENT, stuck(2, state="syn_sent"))
    assert [group["process"] for group in told(groups)] == ["bird", "kube-apiserver", "large", "small"]


def test_equally_large_groups_have_one_order():
    keys = [
        key("established", None, None, 443),
        key("established", "a", 80, None),
        key("established", "a", None, 443),
        key("time_wait", "a", 80, None),
        key("established", "a", 80, None, "1"),
    ]
    orders = []
    for order in (keys, keys[::-1]):
        groups = Groups()
        for each in order:
            groups.add(each, peers(_7=1))
        orders.append(told(groups))
    assert orders[0] == orders[1]


def test_a_stuck_group():
    groups = Groups()
    add_stuck(groups, CLOSE_WAIT, stuck(0, age_seconds=3.5, cause="leaked", persisted=True))
    add_stuck(groups, CLOSE_WAIT, stuck(1, age_seconds=70.5, cause="leaked", persisted=False, peer="10.0.0.8"))
    add_stuck(groups, CLOSE_WAIT, stuck(2, age_seconds=None, cause="never_read", persisted=True))
    add_stuck(groups, CLOSE_WAIT, stuck(3, age_seconds=0.0, cause=None, persisted=True, peer="fd00::7"))
    (group,) = told(groups)
    assert {name: group[name] for name in ("count", "peers", "oldest_seconds", "persisted", "causes")} == {
        "count": 4,
        "peers": 3,
        "oldest_seconds": 70.5,
        "persisted": 3,
        "causes": {"never_read": 1, "leaked": 2, "never_accepted": 0},
    }


@pytest.mark.parametrize(
    ("sockets", "oldest", "persisted"),
    [
        ([stuck(age_seconds=None, persisted=None)], None, None),  # procfs, and no first sample
        ([stuck(age_seconds=0.0, persisted=False)], 0.0, 0),  # this is not "unknown"
        ([stuck(age_seconds=0.0, persisted=None), stuck(age_seconds=None, persisted=None)], 0.0, None),
    ],
)
def test_zero_is_not_unknown(sockets, oldest, persisted):
    groups = Groups()
    for socket in sockets:
        add_stuck(groups, CLOSE_WAIT, socket)
    (group,) = told(groups)
    assert (group["oldest_seconds"], group["persisted"]) == (oldest, persisted)
    assert group["causes"] == {"never_read": 0, "leaked": 0, "never_accepted": 0}


def test_syn_sent_has_no_causes():
    groups = Groups()
    add_stuck(groups, SYN_SENT, stuck(state="syn_sent", age_seconds=1.0, persisted=True))
    (group,) = told(groups)
    assert (group["causes"], group["oldest_seconds"], group["persisted"]) == (None, 1.0, 1)


def test_the_smallest_groups_are_left_out_and_counted():
    groups = Groups()
    for port in range(1, 131):
        groups.add(key(local_port=port), peers(_7=port))
    kept, others = groups.told(10)
    assert [group["local_port"] for group in kept] == list(range(130, 30, -1))
    assert others == {"groups": 30, "sockets": sum(range(1, 31))}


def test_every_socket_is_in_a_group_or_in_the_others():
    groups = Groups()
    for number in range(300):
        groups.add(key(local_port=number % 150 + 1), peers(_7=number % 7 + 1))
        add_stuck(groups, key("close_wait", f"p{number % 20}", None, 443), stuck(number))
    kept, others = groups.told(10)
    assert sum(group["count"] for group in kept) + others["sockets"] == 300 + sum(n % 7 + 1 for n in range(300))


def add_peers(groups, group, count):
    for number in range(count):
        add_stuck(groups, group, stuck(number, state=group.state, peer=f"10.1.{number >> 8}.{number & 255}"))


def told_peers(groups, top):
    return [len(group["top_peers"]) for group in told(groups, top)]


def test_many_peers_of_stuck_groups_are_told_for_the_rules_to_look_up():
    groups = Groups()
    add_peers(groups, SYN_SENT, 145)  # seed 003
    assert told_peers(groups, 10) == [145]
    add_peers(groups, key("syn_sent", "bird6", None, 179), 400)
    assert told_peers(groups, 10) == [250, 145]


def test_all_stuck_groups_together_tell_no_more_than_two_would():
    groups = Groups()
    for number in range(4):
        add_peers(groups, key("syn_sent", f"p{number}", None, 179), 300 - number)
    assert told_peers(groups, 10) == [250, 250, 10, 10]
    assert told_peers(groups, 0) == [250, 250, 0, 0]
    assert told_peers(groups, 300) == [250, 250, 250, 250]


def test_the_oldest_of_each_stuck_group_are_samples():
    groups = Groups()
    for number in range(50):
        add_stuck(groups, CLOSE_WAIT, stuck(number, age_seconds=float(number)))
        add_stuck(groups, SYN_SENT, stuck(number, state="syn_sent", age_seconds=number / 10))
    samples = groups.stuck()
    assert [sample["age_seconds"] for sample in samples if sample["state"] == "close_wait"] == list(range(49, 29, -1))
    assert len(samples) == 40
    ages = [sample["age_seconds"] for sample in samples]
    assert ages == sorted(ages, reverse=True)


@pytest.mark.parametrize("step", [1, -1, 7919])  # 7919 is prime: every number once, in a mixed order
def test_of_very_many_the_oldest_are_samples_too(step):
    groups = Groups()
    for number in range(5000):
        socket = number * step % 5000
        add_stuck(groups, CLOSE_WAIT, stuck(socket, age_seconds=float(socket)))
    assert [sample["port"] for sample in groups.stuck()] == list(range(54999, 54979, -1))
    assert told(groups)[0]["count"] == 5000


def test_samples_without_an_age_have_one_order():
    orders = []
    for numbers in (range(5), range(4, -1, -1)):
        groups = Groups()
        for number in numbers:
            add_stuck(groups, CLOSE_WAIT, stuck(number))
        add_stuck(groups, CLOSE_WAIT, stuck(9, age_seconds=1.0))
        orders.append([sample["port"] for sample in groups.stuck()])
    assert orders == [[50009, 50000, 50001, 50002, 50003, 50004]] * 2


def test_samples_are_bounded_and_the_largest_groups_have_them():
    groups = Groups()
    for number in range(30):
        for socket in range(20 + number):
            add_stuck(groups, key("close_wait", f"p{number}", None, 443), stuck(socket, process=f"p{number}"))
    samples = groups.stuck()
    assert len(samples) == 200
    assert {sample["process"] for sample in samples} == {f"p{number}" for number in range(20, 30)}


def test_hostile_names_are_told_as_they_are():
    name = "{{ lookup('x'\x1b\n\0"
    groups = Groups()
    groups.add(key(process=name), peers(_7=1))
    assert told(groups)[0]["process"] == name


def entry(inode, rqueue):
    return Entry("tcp", "ipv4", "close_wait", "10.0.0.1", 80, "10.0.0.7", 40000, rqueue, 0, 0, inode)


@pytest.mark.parametrize(
    ("inode", "rqueue", "listening", "expected"),
    [
        # KNOWLEDGE B1, and what the kernel said of such sockets in test_sock_diag.py
        (7, 1, False, "never_read"),
        (7, 6, False, "never_read"),
        (7, 0, False, "leaked"),
        (7, 0, True, "leaked"),  # a connection that came in and was accepted
        (7, 1, True, "never_read"),
        (0, 4, True, "never_accepted"),
        (0, 0, True, "never_accepted"),
        (0, 1, False, None),  # its listener has been closed: nobody is left to blame
        (7, None, False, None),  # a backend that shows no queue
        (0, None, True, "never_accepted"),
        (None, None, True, None),
    ],
)
def test_cause(inode, rqueue, listening, expected):
    assert tcp_groups.cause(entry(inode, rqueue), listening) == expected
