# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pod_network: whose network a process is in, with and without the right to see its namespace."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.pod_network import Network, Networks, main_network
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_pods import MadeUpPods, path, refuse

OWN, OTHER, THIRD = Network("ns/net", 1), Network("ns/net", 2), Network("ns/net", 3)


@pytest.fixture
def pods(node, monkeypatch):
    made = MadeUpPods(node, monkeypatch)
    made.process(10, path(), netns="host")
    made.process(20, path(), netns="other")
    made.process(21, path(), netns="other")
    made.process(30, path(), netns="third")
    return made


@pytest.mark.parametrize(
    ("refused", "file"),
    [((), "ns/net"), (("ns/net",), "net/dev"), (("/20/ns/net",), "net/dev")],
    ids=["root", "nobody", "one that may not be traced"],
)
def test_each_is_told_from_the_others(pods, monkeypatch, refused, file):
    refuse(monkeypatch, *refused)
    networks = Networks(pods.proc)
    found = networks.of([10, 20, 21, 30])
    assert {network.file for network in found.values()} == {file}
    assert [networks.is_own(found[pid]) for pid in (10, 20, 21, 30)] == [True, False, False, False]
    assert found[20] == found[21] != found[30]
    assert found[30].name == (pods.number("third") if file == "ns/net" else None)
    assert networks.is_still(20, found[20])
    assert not networks.is_still(30, found[20])
    assert not networks.is_still(40, found[20])


def test_the_hosts_network_from_a_container(pods):
    """With hostPID alone: process 1 is the host's, and in its network."""
    (pods.node.proc / "1" / "ns" / "net").unlink()
    os.link(str(pods.node.folder / "third"), str(pods.node.proc / "1" / "ns" / "net"))
    networks = Networks(pods.proc)
    found = networks.of([10, 20, 30])
    assert [(networks.is_own(found[pid]), networks.is_hosts(found[pid])) for pid in (10, 20, 30)] == [
        (True, True),
        (False, False),
        (False, True),
    ]


def test_what_has_ended_is_left_out(pods):
    assert list(Networks(pods.proc).of([10, 40])) == [10]


def test_what_hides_is_not_told(pods, monkeypatch):
    refuse(monkeypatch, "ns/net", "/20/net/dev")
    assert Networks(pods.proc).of([10, 20]) == {}


def test_equal_numbers_of_different_files_are_no_equal_networks():
    assert Network("ns/net", 7) != Network("net/dev", 7)


@pytest.mark.parametrize(
    ("networks", "oldest", "sandbox", "expected"),
    [
        ({}, [], [], None),
        ({1: OTHER}, [1], [], OTHER),
        ({1: OTHER, 2: OWN, 3: OWN}, [1, 2, 3], [1], OTHER),
        ({1: OTHER, 2: OWN, 3: OWN}, [1, 2, 3], [], OWN),
        ({1: OTHER, 2: OWN, 3: OWN}, [1, 2, 3], [9], OWN),  # the sandbox has ended
        ({1: OTHER, 2: OWN}, [2, 1], [], OTHER),  # of equally many, that of the lowest pid
        ({5: THIRD, 6: OWN}, [4], [], THIRD),  # the first processes have ended
        ({1: OTHER, 2: OWN, 3: OWN, 4: OWN}, [1], [], OTHER),  # children that went elsewhere
    ],
)
def test_main_network(networks, oldest, sandbox, expected):
    assert main_network(networks, oldest, sandbox) == expected
