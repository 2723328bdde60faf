# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster_hosts: which Nodes the hosts of a play are."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_hosts


def node(name, hostname=None, *internal_ips, external=()):
    return {"name": name, "hostname": hostname, "internal_ips": list(internal_ips), "external_ips": list(external)}


NODES = [
    node("a", "a.example.com", "192.0.2.1"),
    node("b", "b", "192.0.2.2", "2001:db8::2"),
    node("c", external=["203.0.113.7"]),
]


def host(name, *addresses):
    return {"name": name, "addresses": list(addresses)}


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([host("a")], ["a"]),
        ([host("A.Example.com.")], ["a"]),
        ([host("192.0.2.2")], ["b"]),
        ([host("worker-1", "192.0.2.2")], ["b"]),
        ([host("worker-1", "2001:DB8:0::2")], ["b"]),
        ([host("worker-1", "[2001:db8::2]")], ["b"]),
        ([host("worker-1", "c", "a")], ["a", "c"]),
        ([host("worker-1", "203.0.113.7"), host("b")], ["b", "c"]),
        ([host("worker-1", "B")], ["b"]),
        # no limit: all of them, none of them, one that may be a Node by a name of the inventory's own, nobody
        ([host("b"), host("w2", "jump-w2.example.com")], None),
        ([host("b"), host("")], None),
        ([host("a"), host("b"), host("c")], None),
        ([host("elsewhere", "192.0.2.99"), host("")], None),
        ([host("x", "")], None),
        ([], None),
        # suboptions that were left out
        ([{"name": "c", "addresses": None}], ["c"]),
        ([{"name": "c"}], ["c"]),
    ],
)
def test_hosts_that_are_nodes(hosts, expected):
    assert cluster_hosts.limited_to(NODES, hosts) == expected


@pytest.mark.parametrize("nodes", [None, []])
def test_without_nodes_there_is_no_limit(nodes):
    assert cluster_hosts.limited_to(nodes, [host("a")]) is None


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a"], ["a"]),
        (["worker-1", "2001:DB8:0::2"], ["b"]),
        (["a", "192.0.2.2"], ["a", "b"]),
        (["elsewhere", ""], []),
        ([], []),
    ],
)
def test_the_nodes_that_one_host_is_called(names, expected):
    assert cluster_hosts.called(NODES, names) == expected
