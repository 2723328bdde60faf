# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words, names and tables that the rules on TCP share."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import known_ports
from ansible_collections.kubenode.doctor.plugins.plugin_utils import listening, node_protocols, restarts, tcp_words
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.tcp_scene import queue, quiet


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 s"),
        (59.9, "59 s"),
        (119.0, "119 s"),
        (120.0, "2 min"),
        (7199.0, "119 min"),
        (7200.0, "2 h"),
        (172799.0, "47 h"),
        (172800.0, "2 d"),
    ],
)
def test_age(seconds, words):
    assert tcp_words.age(seconds) == words


@pytest.mark.parametrize(
    ("process", "port", "words"),
    [
        ("bird", 179, "port 179 (calico BGP)"),
        ("kube-router", 179, "port 179 (kube-router BGP)"),
        ("curl", 179, "port 179"),
        ("kube-apiserver", 10250, "port 10250 (kubelet API)"),
        (None, 10250, "port 10250 (kubelet API)"),
        (None, 8080, "port 8080"),
        ("containerd", 36000, "port 36000"),
        ("kube-proxy", 30080, "port 30080"),
    ],
)
def test_what_a_port_is_for_when_it_is_dialled(process, port, words):
    assert tcp_words.port(process, port) == words


@pytest.mark.parametrize(("address", "words"), [("192.0.2.1", "192.0.2.1:80"), ("2001:db8::1", "[2001:db8::1]:80")])
def test_endpoint(address, words):
    assert tcp_words.endpoint(address, 80) == words


@pytest.mark.parametrize(
    ("value", "words"), [(1.0, "100 %"), (0.999, "99 %"), (0.6, "60 %"), (0.29, "29 %"), (0.0, "0 %")]
)
def test_share(value, words):
    assert tcp_words.share(value) == words


@pytest.mark.parametrize(
    ("looked_at", "words"),
    [
        ({"host"}, "in the hosts' own network (those of pods were not looked at)"),
        ({"pods"}, "in the networks of pods (the hosts' own was not looked at)"),
        ({"host", "all"}, "in the network namespaces that were looked at"),
        ({"all"}, ""),
        (set(), ""),
        ({"junk"}, ""),
    ],
)
def test_which_networks_were_looked_at(looked_at, words):
    assert tcp_words.networks(looked_at) == words


def process(name="java", **fields):
    return {"pid": 7, "name": name, "unit": None, "container_id": None, "pod_uid": None, **fields}


@pytest.mark.parametrize(
    ("name", "held_by", "words", "commands"),
    [
        ("java", process(unit="java.service"), "restart java.service, ", ("systemctl restart java.service",)),
        ("java", process(unit="-x.service"), "restart java, ", ()),  # systemd has no such unit
        ("java", process(unit="a b$(id).service"), "restart java, ", ()),
        ("java", process(unit="session-3.scope"), "restart java, ", ()),
        ("java", process(), "restart java, ", ()),
        (
            "java",
            process(unit="java.service", container_id="ab"),
            "restart java in its container, or the container, ",
            (),
        ),
        ("java", process(unit="java.service", pod_uid="1-2"), "restart its container (a static pod's", ()),
        ("systemd", process("systemd", unit="init.scope"), "restart the socket unit", ()),
        ("sshd", process("systemd", unit="init.scope"), "restart the socket unit", ()),
        ("dockerd", process("dockerd", unit="docker.service"), "restart docker.service, ", ()),
        ("dockerd", process("dockerd"), "restart dockerd, ", ()),
        ("etcd", process("etcd", unit="etcd.service"), "restart etcd.service, ", ("systemctl restart etcd.service",)),
    ],
)
def test_how_a_program_is_restarted(name, held_by, words, commands):
    remedy = restarts.remedy(name, [held_by], "which helps", "it is away")
    assert remedy.summary.startswith(words)
    assert remedy.summary.endswith(", which helps")
    assert remedy.commands == commands
    # Which restart helps against what, and by which fix, those know who ask for one.
    assert bool(remedy.by_hand) is bool(commands)
    assert remedy.fix == ""


@pytest.mark.parametrize(
    ("name", "word"),
    [("dockerd", "live-restore"), ("etcd", "majority"), ("kube-apiserver", "majority"), ("k3s-server", "majority")],
)
def test_a_restart_that_costs_more_says_so(name, word):
    assert word in restarts.remedy(name, [], "which helps", "it is away").risk
    assert word not in restarts.remedy("java", [], "which helps", "it is away").risk


def test_of_a_pod_only_its_container_is_restarted():
    found = restarts.remedy("java", [process(unit="java.service")], "which helps", "it is away", in_pod=True)
    assert found.summary.startswith("restart its container")
    assert not found.commands


def named(span=(32768, 60999), **fields):
    section = quiet(changes=("tcp_states.limits.ip_local_port_range", span))["sections"]["tcp_states"]
    return listening.as_socket(queue(**fields), section)


@pytest.mark.parametrize(
    ("fields", "name", "key"),
    [
        ({"port": 10250, "name": "kubelet"}, "kubelet API on port 10250", "kubelet API"),
        ({"port": 10250, "name": "k3s-server"}, "k3s-server (kubelet API) on port 10250", "kubelet API"),
        ({"port": 10250, "name": None}, "kubelet API on port 10250", "kubelet API"),
        ({"port": 80, "name": "nginx"}, "nginx on port 80", "nginx on port 80"),
        ({"port": 41234, "name": "nginx"}, "nginx", None),
        ({"port": 41234, "name": "nginx", "span": [50000, 60000]}, "nginx on port 41234", "nginx on port 41234"),
        ({"port": 41234, "name": "nginx", "span": None}, "nginx", None),
        (
            {"port": 41234, "name": "containerd", "address": "127.0.0.1"},
            "containerd CRI streaming server",
            "containerd CRI streaming server",
        ),
        (
            {"port": 10010, "name": "containerd", "address": "127.0.0.1"},
            "containerd CRI streaming server on port 10010",
            "containerd CRI streaming server",
        ),
        (
            {"port": 37000, "name": "containerd", "address": "127.0.0.1", "span": [50000, 60000]},
            "containerd CRI streaming server",
            "containerd CRI streaming server",
        ),
        (
            {"port": 41234, "name": "rpc.statd"},
            "rpc.statd NFS lock recovery, random port",
            "rpc.statd NFS lock recovery, random port",
        ),
        ({"port": 80, "name": None}, "an unseen process on port 80", None),
        ({"port": 80, "name": "nginx", "netns": "4026532281"}, "nginx in a pod on port 80", None),
    ],
)
def test_what_a_listener_is_called_and_what_is_the_same_elsewhere(fields, name, key):
    socket = named(**fields)
    assert listening.name(socket) == name
    assert listening.service_key(socket) == key


def test_every_protocol_between_nodes_is_one_that_the_program_is_known_for():
    known = {(name, row.port) for row in known_ports.CATALOGUE if row.protocol == "tcp" for name in row.names}
    known |= {(name, port) for name in known_ports.ALL_IN_ONE for port in (2380,)}
    for protocol in node_protocols.PROTOCOLS:
        assert protocol.cures
        for port in protocol.ports:
            assert any((name, port) in known for name in protocol.names), (protocol.speaks, port)


@pytest.mark.parametrize(
    ("process", "port", "speaks"),
    [
        ("bird", 179, "BGP"),
        ("bird6", 179, "BGP"),
        (None, 179, "BGP"),
        ("protokube", 3999, "gossip"),
        ("protokube", 4000, "gossip"),
        (None, 4000, None),
        ("dns-controller", 3998, "gossip"),
        ("k3s-server", 2380, "etcd's peer protocol"),
        ("speaker", 7946, "MetalLB's memberlist"),
        ("dockerd", 7946, None),
        ("speaker", 179, None),
        ("bird", 80, None),
    ],
)
def test_which_dialler_speaks_with_nodes_only(process, port, speaks):
    found = node_protocols.of(process, port)
    assert (found and found.speaks) == speaks
