# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pod_listeners: the section, of a captured node and of made-up ones."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import nat_tables, pod_held, pod_listeners, rights
from ansible_collections.kubenode.doctor.plugins.module_utils import pod_processes as processes_module
from ansible_collections.kubenode.doctor.plugins.module_utils.containers import Seen
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_pods import (
    ID,
    INNER_ID,
    NO_RUNTIME,
    OTHER_UID,
    SANDBOX_ID,
    SIDE_ID,
    UID,
    MadeUpPods,
    captured_node,
    path,
    refuse,
    row,
    runtime,
    ui,
)

RUNTIME = Seen(None, [runtime("containerd", ui(SANDBOX_ID, "POD"), ui(), ui(SIDE_ID, "side"))])
KEYS = {
    "uid",
    "namespace",
    "name",
    "named_by",
    "host_network",
    "netns",
    "pid",
    "addresses",
    "redirects",
    "own_kernel",
    "containers",
    "listeners",
    "unlisted",
    "why",
}


@pytest.fixture
def pods(node, monkeypatch):
    """A node on which all may be seen: root's, with NAT rules in none of the pods."""
    monkeypatch.setattr(processes_module.os, "sysconf", lambda _name: 100)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(nat_tables, "has_rules", lambda _namespace: False)
    made = MadeUpPods(node, monkeypatch)
    (node.proc / "self" / "ns" / "pid").symlink_to("pid:[4026531836]")
    return made


def collect(made, seen=RUNTIME, seconds=60, holders=True, **options):
    deadline = Deadline(seconds)
    section = pod_listeners.collect(
        deadline, SocketHolders(deadline, made.proc) if holders else None, seen, made.proc, made.root, **options
    )
    assert set(section) == {"pods", "truncated", "complete", "missing"}
    assert section["complete"] is not bool(section["missing"])
    assert all(set(pod) == KEYS for pod in section["pods"])
    json.dumps(section).encode("ascii")
    return section


def one(section):
    (pod,) = section["pods"]
    return pod


def heard(pod):
    return [(entry["address"], entry["port"], entry["process"], entry["container"]) for entry in pod["listeners"]]


def gaps(section):
    return {gap["what"]: gap["why"] for gap in section["missing"]}


def test_a_pod_in_full(pods):
    pods.network("other", row("0.0.0.0:5000", 11), row("[::]:8080", 12), row("127.0.0.1:9000", 0))
    pods.process(29, path(id_=SANDBOX_ID), name="pause", started=100)
    pods.process(30, path(), name="python3", started=900, sockets=[7, 11])
    pods.process(31, path(), name="python3", started=950, sockets=[11])
    pods.process(32, path(id_=SIDE_ID), name="side", started=960.5, sockets=[12])
    pods.folder(f"reddit-entry_ui-1_{UID}")
    section = collect(pods)
    listener = {"protocol": "tcp", "family": "ipv4", "v6only": None}
    assert one(section) == {
        "uid": UID,
        "namespace": "reddit-entry",
        "name": "ui-1",
        "named_by": "logs",
        "host_network": False,
        "netns": pods.number("other"),
        "pid": 29,
        "addresses": ["10.244.0.19"],
        "redirects": False,
        "own_kernel": None,
        "containers": [
            {"id": SANDBOX_ID, "name": "POD", "image": "docker.io/reddit/post:f5393576", "age_seconds": 900.0},
            {"id": SIDE_ID, "name": "side", "image": "docker.io/reddit/post:f5393576", "age_seconds": 39.5},
            {"id": ID, "name": "ui", "image": "docker.io/reddit/post:f5393576", "age_seconds": 100.0},
        ],
        "listeners": [
            {
                **listener,
                "address": "0.0.0.0",
                "port": 5000,
                "process": "python3",
                "pid": 30,
                "container": "ui",
                "container_id": ID,
            },
            {
                **listener,
                "family": "ipv6",
                "address": "::",
                "port": 8080,
                "process": "side",
                "pid": 32,
                "container": "side",
                "container_id": SIDE_ID,
            },
            {
                **listener,
                "address": "127.0.0.1",
                "port": 9000,
                "process": None,
                "pid": None,
                "container": None,
                "container_id": None,
            },
        ],
        "unlisted": 0,
        "why": None,
    }
    # The made-up namespace cannot be entered, and /proc does not tell v6only.
    assert list(gaps(section)) == ["v6only"]
    assert gaps(section)["v6only"].endswith("run as root that has CAP_SYS_ADMIN and CAP_NET_ADMIN and CAP_SYS_PTRACE")
    assert section["truncated"] == {"pods": 0, "listeners": 0}


def test_the_captured_node(pods):
    for pid, cgroups in captured_node(pods).items():
        is_host = "0910f365" in cgroups
        uid = cgroups.split("/pod")[1][:36]
        netns = "host" if is_host else uid
        if netns == uid:
            pods.network(netns, row("[::]:5000", int(pid)))
        pods.process(int(pid), cgroups, netns=netns, name="python3", sockets=[int(pid)])
    pods.network("host", row("0.0.0.0:31999", 25787), row("0.0.0.0:10250", 1))
    section = pod_listeners.collect(
        Deadline(60), SocketHolders(Deadline(60), pods.proc), proc=pods.proc, root=pods.root
    )
    assert [
        (pod["namespace"], pod["name"], pod["named_by"], pod["host_network"], heard(pod)) for pod in section["pods"]
    ] == [
        ("reddit-entry", "post-696c5c5cdc-g4hn5", "logs", False, [("::", 5000, "python3", "post")]),
        ("reddit-entry", "ui-5b667475f5-7r54x", "logs", False, [("::", 5000, "python3", "ui")]),
        ("reddit-entry", "ui-5b667475f5-dwnb9", "logs", False, [("::", 5000, "python3", "ui")]),
        ("shop", "cart-544947bc8d-2ld8r", "logs", False, [("::", 5000, "python3", "cart")]),
        ("shop", "front-6559f5d576-ctfs7", "logs", False, [("::", 5000, "python3", "side")]),
        ("shop", "front-6559f5d576-nzsjv", "logs", False, [("::", 5000, "python3", "side")]),
        ("shop", "hostnet", "logs", True, [("0.0.0.0", 31999, "python3", "web")]),
    ]
    assert {each["image"] for pod in section["pods"] for each in pod["containers"]} == {
        "docker.io/reddit/post:f5393576"
    }


def test_a_pod_of_which_only_the_sandbox_is_left(pods):
    pods.process(29, path(id_=SANDBOX_ID), name="pause")
    pod = one(collect(pods))
    assert ([each["name"] for each in pod["containers"]], pod["listeners"]) == (["POD"], [])


def test_no_pods(pods):
    assert collect(pods) == {"pods": [], "truncated": {"pods": 0, "listeners": 0}, "complete": True, "missing": []}


class TestHostNetwork:
    @pytest.fixture
    def pods(self, pods):
        pods.network("host", row("0.0.0.0:31999", 11), row("0.0.0.0:10250", 12), udp=[row("0.0.0.0:53", 13, "udp")])
        pods.process(30, path(), netns="host", name="web", sockets=[11])
        pods.process(31, path(OTHER_UID), netns="host", name="dns", sockets=[13])
        pods.process(32, "/system.slice/kubelet.service", netns="host", name="kubelet", sockets=[12])
        return pods

    def test_only_what_its_own_processes_hold(self, pods):
        section = collect(pods)
        told = {pod["uid"]: pod for pod in section["pods"]}
        assert heard(told[UID]) == [("0.0.0.0", 31999, "web", "ui")]
        assert [entry["port"] for entry in told[OTHER_UID]["listeners"]] == [53]
        assert {(pod["host_network"], pod["netns"], pod["addresses"], pod["redirects"]) for pod in told.values()} == {
            (True, "host", None, None)
        }

    def test_nothing_is_ascribed_to_it_when_nobody_was_looked_for(self, pods):
        for pod in collect(pods, holders=False)["pods"]:
            assert pod["listeners"] is None
            assert pod["why"] == "its sockets are among those of its host, and who holds them was not looked for"

    def test_nor_when_its_files_may_not_be_read(self, pods, monkeypatch):
        real, real_open = os.listdir, os.open

        def refused(real):
            def call(place, *arguments, **options):
                if str(place).endswith("/30/fd"):
                    raise PermissionError
                return real(place, *arguments, **options)

            return call

        monkeypatch.setattr(os, "listdir", refused(real))
        monkeypatch.setattr(os, "open", refused(real_open))
        told = {pod["uid"]: pod for pod in collect(pods)["pods"]}
        assert told[UID]["listeners"] is None
        assert told[UID]["why"].endswith(
            "the open files of its processes could not be read: run as root that has CAP_SYS_PTRACE"
        )
        assert [entry["port"] for entry in told[OTHER_UID]["listeners"]] == [53]

    def test_nor_when_its_files_are_listed_and_not_shown(self, pods, monkeypatch):
        """Root without CAP_SYS_PTRACE, and a process of root."""
        real = os.readlink

        def readlink(place, *arguments, **options):
            if real(place, *arguments, **options) == "socket:[11]":
                raise PermissionError
            return real(place, *arguments, **options)

        monkeypatch.setattr(os, "readlink", readlink)
        told = {pod["uid"]: pod for pod in collect(pods)["pods"]}
        assert told[UID]["listeners"] is None
        assert "the open files of its processes could not be read" in told[UID]["why"]
        assert [entry["port"] for entry in told[OTHER_UID]["listeners"]] == [53]

    def test_nor_when_only_threads_of_it_are_left(self, pods):
        pods.process(40, path(), netns="host", name="web", state="Z", threads=2)
        told = {pod["uid"]: pod for pod in collect(pods)["pods"]}
        assert told[UID]["listeners"] is None
        assert "of which the first thread has ended" in told[UID]["why"]

    def test_nor_when_the_time_was_over(self, pods):
        holders = SocketHolders(Deadline(0), pods.proc)
        section = pod_listeners.collect(Deadline(60), holders, RUNTIME, pods.proc, pods.root)
        assert [(pod["host_network"], pod["listeners"]) for pod in section["pods"]] == [(True, None)] * 2
        assert {pod["why"] for pod in section["pods"]} == {processes_module.BUDGET}

    def test_a_process_that_began_after_the_pass(self, pods, monkeypatch):
        real = SocketHolders.look_for

        def look_for(holders, inodes):
            pods.process(40, path(), netns="host", name="late", sockets=[12])
            real(holders, inodes)

        monkeypatch.setattr(SocketHolders, "look_for", look_for)
        (pods.node.proc / "32" / "fd" / "0").unlink()
        told = {pod["uid"]: pod for pod in collect(pods)["pods"]}
        assert heard(told[UID]) == [("0.0.0.0", 10250, "late", "ui"), ("0.0.0.0", 31999, "web", "ui")]


def test_without_rights(pods, monkeypatch):
    """As nobody: networks are told apart all the same, and the host's sockets are nobody's."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(rights, "effective", lambda: 0)
    monkeypatch.setattr(nat_tables, "has_rules", lambda _namespace: None)
    refuse(monkeypatch, "ns/net")

    def hide(holders):
        holders.refused = {30, 31, 7}

    monkeypatch.setattr(SocketHolders, "look", hide)
    pods.network("other", row("0.0.0.0:5000", 11))
    pods.network("host", row("0.0.0.0:10250", 12))
    pods.process(30, path())
    pods.process(31, path(OTHER_UID), netns="host")
    section = collect(pods)
    told = {pod["uid"]: pod for pod in section["pods"]}
    assert heard(told[UID]) == [("0.0.0.0", 5000, None, None)]
    assert (told[UID]["host_network"], told[UID]["netns"], told[UID]["redirects"]) == (False, None, None)
    assert told[UID]["addresses"] == ["10.244.0.19"]
    assert (told[OTHER_UID]["host_network"], told[OTHER_UID]["netns"], told[OTHER_UID]["listeners"]) == (
        True,
        "host",
        None,
    )
    assert told[OTHER_UID]["why"].endswith("run with become (-b)")
    assert set(gaps(section)) == {"names", "v6only", "redirects", "processes"}
    assert all("run with become (-b)" in gaps(section)[what] for what in ("v6only", "redirects", "processes"))


def test_a_network_that_cannot_be_told_is_nobodys(pods, monkeypatch):
    pods.network("host", row("0.0.0.0:10250", 12))
    pods.process(30, path(), netns="host", sockets=[12])
    refuse(monkeypatch, "30/ns/net", "30/net/dev")
    section = collect(pods)
    pod = one(section)
    assert (pod["host_network"], pod["netns"], pod["listeners"]) == (None, None, None)
    assert "in which network it is could not be told" in pod["why"]
    assert gaps(section)["networks of pods"].startswith("1 could not be read, the first because in which network")


def test_a_kernel_of_its_own(pods):
    pods.network("other", row("0.0.0.0:5000", 11))
    pods.process(30, path(), name="exe", argv=["runsc-sandbox"], sockets=[11])
    section = collect(pods)
    pod = one(section)
    assert (pod["own_kernel"], pod["listeners"], pod["addresses"]) == ("runsc", None, None)
    assert "a kernel of its own (runsc)" in pod["why"]
    assert section["complete"] is True  # there was nothing to be seen


def test_processes_in_other_networks(pods):
    pods.network("other", row("0.0.0.0:5000", 11))
    pods.network("inner", row("0.0.0.0:80", 12))
    pods.process(29, path(id_=SANDBOX_ID), name="pause")
    pods.process(30, path(), sockets=[11])
    pods.process(31, f"{path()}/docker/{INNER_ID}", netns="inner", sockets=[12])
    pod = one(collect(pods))
    assert heard(pod) == [("0.0.0.0", 5000, "app", "ui")]
    assert pod["why"] == "networks that were not looked at have 1 of its processes"
    assert {each["id"] for each in pod["containers"]} == {SANDBOX_ID, ID}


def test_a_holder_that_is_none_of_the_pod(pods):
    """ztunnel of Istio opens sockets in the network of each pod."""
    pods.network("other", row("0.0.0.0:15008", 11), row("0.0.0.0:5000", 12))
    pods.process(20, path(OTHER_UID, SIDE_ID), netns="mesh", name="ztunnel", sockets=[11, 12])
    pods.process(30, path(), sockets=[12])
    told = {pod["uid"]: pod for pod in collect(pods)["pods"]}
    assert heard(told[UID]) == [("0.0.0.0", 5000, "app", "ui"), ("0.0.0.0", 15008, "ztunnel", None)]
    assert [entry["container_id"] for entry in told[UID]["listeners"]] == [ID, None]
    assert told[OTHER_UID]["listeners"] == []


def test_workers_that_share_a_port_are_one_listener(pods):
    pods.network("other", *(row("0.0.0.0:80", inode) for inode in range(11, 20)))
    for number in range(9):
        pods.process(38 - number, path(), name="nginx", sockets=[11 + number])
    assert [(entry["port"], entry["pid"]) for entry in one(collect(pods))["listeners"]] == [(80, 30)]


def test_names_of_processes_are_shown_without_what_a_terminal_obeys(pods):
    pods.network("other", row("0.0.0.0:80", 11))
    pods.process(30, path(), name="\x1b[2J{{ evil", sockets=[11])
    assert heard(one(collect(pods))) == [("0.0.0.0", 80, "?[2J{{ evil", "ui")]


class TestBounds:
    def test_listeners_of_one_pod(self, pods, monkeypatch):
        monkeypatch.setattr(pod_held, "MOST_LISTENERS", 3)
        monkeypatch.setattr(pod_held.within, "__defaults__", (3,))
        pods.network(
            "other",
            row("0.0.0.0:9999", 1),
            row("0.0.0.0:80", 2),
            udp=[row(f"0.0.0.0:{port}", port, "udp") for port in (40000, 53, 33000, 161)],
        )
        pods.process(30, path())
        section = collect(pods)
        pod = one(section)
        assert [(entry["protocol"], entry["port"]) for entry in pod["listeners"]] == [
            ("tcp", 80),
            ("tcp", 9999),
            ("udp", 53),
        ]
        assert (pod["unlisted"], pod["why"]) == (3, "3 of its listeners are beyond the 3 that are told")
        assert section["truncated"] == {"pods": 0, "listeners": 3}
        assert gaps(section)["listeners"].startswith("3 are beyond")

    def test_listeners_of_a_node(self, pods, monkeypatch):
        monkeypatch.setattr(pod_listeners, "MOST_LISTENERS", 4)
        for number, ports in enumerate((3, 1, 2)):
            netns, uid = f"n{number}", f"{number:032x}"
            pods.network(netns, *(row(f"0.0.0.0:{80 + port}", 10 * number + port) for port in range(ports)))
            pods.process(30 + number, path(uid), netns=netns)
        section = collect(pods)
        assert [(pod["listeners"] is None, pod["unlisted"]) for pod in section["pods"]] == [
            (True, 3),
            (False, 0),
            (False, 0),
        ]
        assert section["pods"][0]["why"] == "its 3 listeners are beyond the 4 that are told of one node"
        assert section["truncated"] == {"pods": 0, "listeners": 3}

    def test_pods(self, pods, monkeypatch):
        monkeypatch.setattr(pod_listeners, "MOST_PODS", 2)
        for number in range(5):
            pods.process(30 + number, path(f"{number:032x}"), netns=f"n{number}")
        section = collect(pods)
        assert [pod["uid"][-1] for pod in section["pods"]] == ["0", "1"]
        assert section["truncated"] == {"pods": 3, "listeners": 0}
        assert gaps(section)["pods"] == "3 are beyond the 2 that are told"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["", "a", "b"]),
        ({"pods": ["a"]}, ["a"]),
        ({"pods": ["a", f"{0:032x}"]}, ["", "a"]),
        ({"pods": [f"{2:032x}"]}, ["b"]),
        ({"pods": ["c"]}, []),
        ({"pods": []}, []),
        ({"namespaces": ["shop"]}, ["a", "b"]),
        ({"namespaces": ["kube-system"]}, []),
        ({"namespaces": ["shop"], "pods": ["b"]}, ["b"]),
    ],
)
def test_what_is_asked_for(pods, options, expected):
    for number in range(3):
        pods.process(30 + number, path(f"{number:032x}"), netns=f"n{number}")
    for number, name in ((1, "a"), (2, "b")):
        pods.folder(f"shop_{name}_{number:032x}")
    assert [pod["name"] or "" for pod in collect(pods, **options)["pods"]] == expected


def test_no_time(pods):
    pods.process(30, path())
    section = collect(pods, NO_RUNTIME, seconds=0)
    assert section["pods"] == []
    assert gaps(section)["processes of pods"] == processes_module.BUDGET


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda pods: pods.node.hidepid(), "hidepid"),
        (lambda pods: _in_a_container(pods, "bash"), "this is a container with its own pid namespace: run on the host"),
        (lambda pods: _in_a_container(pods, "containerd"), None),  # kind: a container that is a node
    ],
    ids=["hidepid", "container", "kind"],
)
def test_processes_that_are_not_shown(pods, spoil, why):
    spoil(pods)
    told = gaps(collect(pods)).get("processes of pods")
    assert told is None if why is None else why in told


def _in_a_container(pods, program):
    (pods.node.proc / "self" / "ns" / "pid").unlink()
    (pods.node.proc / "self" / "ns" / "pid").symlink_to("pid:[4026532200]")
    pods.process(50, "/", name=program)


def test_addresses_that_cannot_be_read_are_told(pods):
    pods.process(30, path())
    (pods.node.folder / "net-other" / "fib_trie").unlink()
    assert gaps(collect(pods))["addresses"] == "those of 1 pod could not be read from /proc/PID/net"
