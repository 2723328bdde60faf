# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""known_ports: process first, number second, and no name that the kernel would have cut."""

from __future__ import annotations

import re

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import known_ports
from ansible_collections.kubenode.doctor.plugins.module_utils.known_ports import known_as, rightful_owners

STREAMING = known_ports.STREAMING


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        (("tcp", "::", 10250, ["kubelet"], False), ("kubelet", "API")),
        (("tcp", "127.0.0.1", 10257, ["kube-controller"], False), ("kube-controller-manager", "metrics and health")),
        # one comm, two programs: the number tells them apart
        (("tcp", "::", 9094, ["kube-controller"], False), ("calico kube-controllers", "metrics")),
        # seeds 000 and 001: kubelet with dockershim
        (("tcp", "127.0.0.1", 36527, ["kubelet"], True), ("dockershim", STREAMING)),
        (("tcp", "::1", 36527, ["kubelet"], None), ("dockershim", STREAMING)),
        # drawn before the range was changed
        (("tcp", "127.0.0.1", 36527, ["kubelet"], False), ("dockershim", STREAMING)),
        (("tcp", "127.0.0.1", 20000, ["kubelet"], False), None),
        (("tcp", "0.0.0.0", 36527, ["kubelet"], True), None),  # kubenet's hostPort sockets
        (("udp", "127.0.0.1", 36527, ["kubelet"], True), None),
        # a listener of kubelet's that is no streaming server although the range was widened over it
        (("tcp", "127.0.0.1", 10248, ["kubelet"], True), ("kubelet", "health")),
        # H1: containerd, real
        (("tcp", "127.0.0.1", 37403, ["containerd"], True), ("containerd", STREAMING)),
        (("tcp", "127.0.0.1", 10010, ["containerd"], False), ("containerd", STREAMING)),
        (("tcp", "::", 40001, ["containerd"], True), ("containerd", STREAMING)),
        (("tcp", "127.0.0.1", 1338, ["containerd"], False), ("containerd", "metrics")),
        (("tcp", "127.0.0.1", 5000, ["containerd"], False), None),
        (("tcp", "127.0.0.1", 41205, ["crio"], True), ("cri-o", STREAMING)),
        (("tcp", "127.0.0.1", 10010, ["crio"], False), ("cri-o", STREAMING)),
        (("tcp", "::", 9090, ["crio"], False), ("cri-o", "metrics")),
        (("tcp", "::", 35011, ["cri-dockerd"], True), ("cri-dockerd", STREAMING)),
        (("tcp", "127.0.0.1", 10010, ["k3s-server"], False), ("cri-dockerd", STREAMING)),
        (("tcp", "127.0.0.1", 35011, ["k3s-agent"], True), ("cri-dockerd", STREAMING)),
        # all in one
        (("tcp", "::", 6443, ["k3s-server"], False), ("kube-apiserver", "API")),
        (("tcp", "127.0.0.1", 10249, ["k3s-agent"], False), ("kube-proxy", "metrics and proxy mode")),
        (("tcp", "127.0.0.1", 6444, ["k3s-server"], False), ("k3s", "API through the supervisor")),
        (("tcp", "::", 10250, ["kubelite"], False), ("kubelet", "API")),
        (("tcp", "::", 16443, ["kubelite"], False), ("kube-apiserver", "API")),
        (("tcp", "::", 10250, ["microshift"], False), ("kubelet", "API")),
        (("tcp", "127.0.0.1", 2379, ["microshift-etcd"], False), ("etcd", "clients")),
        (("tcp", "::", 10256, ["hyperkube"], False), ("kube-proxy", "health")),
        (("tcp", "127.0.0.1", 36527, ["hyperkube"], True), ("dockershim", STREAMING)),
        # numbers that mean different things: the process decides
        (("tcp", "127.0.0.1", 2381, ["etcd"], False), ("etcd", "metrics")),
        (("tcp", "::", 10255, ["kubelet"], False), ("kubelet", "read-only API")),
        (("tcp", "::", 10255, ["kube-proxy"], False), ("kube-proxy", "health")),
        (("tcp", "::", 10256, ["ovnkube"], False), ("ovn-kubernetes", "kube-proxy health")),
        (("tcp", "::", 10256, ["calico-node"], False), ("calico", "kube-proxy health, eBPF data plane")),
        (("tcp", "::", 9443, ["kube-controller"], False), ("kube-controller-manager", "recovery controller")),
        (("tcp", "::", 9443, ["k0s"], False), ("k0s", "join API")),
        (("tcp", "127.0.0.1", 2381, [], False), None),
        (("tcp", "::", 10255, [], False), None),
        (("tcp", "127.0.0.1", 10010, [], False), None),
        (("tcp", "::", 9090, [], False), None),
        (("tcp", "::", 9443, [], False), None),
        # without a process: numbers that nothing else uses, and the kernel's own sockets
        (("tcp", "::", 10250, [], False), ("kubelet", "API")),
        (("tcp", "::", 10256, [], False), ("kube-proxy or its replacement", "health")),
        (("udp", "0.0.0.0", 8472, [], False), ("kernel", "VXLAN (Flannel, Cilium)")),
        (("tcp", "0.0.0.0", 8472, [], False), None),
        # somebody else on kubelet's port is not kubelet
        (("tcp", "::", 10250, ["metrics-server"], False), None),
        (("tcp", "::", 10250, ["webhook"], False), None),
        # several owners: the first that is known
        (("tcp", "0.0.0.0", 22, ["systemd", "sshd"], False), ("sshd", "SSH")),
        (("tcp", "::", 10247, ["sh", "nginx"], False), ("ingress-nginx", "streams")),
        # any port
        (("tcp", "::", 31999, ["kube-proxy"], False), ("kube-proxy", "NodePort (before 1.24) or healthCheckNodePort")),
        (("udp", "0.0.0.0", 5353, ["docker-proxy"], False), ("docker", "published container port")),
        (("tcp", "::", 48936, ["rpc.statd"], True), ("rpc.statd", "NFS lock recovery, random port")),
        # text that is no address, from a node we do not trust
        (("tcp", "$(reboot)", 36527, ["kubelet"], True), None),
    ],
)
def test_known_as(listener, expected):
    found = known_as(*listener)
    assert (found and (found["component"], found["role"])) == expected
    assert found is None or set(found) == {"component", "role", "source"}


def test_names_are_what_the_kernel_keeps():
    """comm holds 15 bytes (TASK_COMM_LEN 16): a longer name would never match."""
    names = {name for row in known_ports.CATALOGUE for name in row.names}
    names |= {row[0] for row in known_ports.WHATEVER_PORT} | known_ports.ALL_IN_ONE
    for port in (10250, 10248, 10249, 10256, 10257, 10259, 2379, 2380, 6443):
        names |= rightful_owners("tcp", port)
    assert [name for name in sorted(names) if len(name.encode()) > 15 or name != name.strip()] == []


def test_a_process_and_port_are_told_one_way():
    seen = {}
    for row in known_ports.CATALOGUE:
        for name in row.names:
            assert seen.setdefault((name, row.protocol, row.port), row) is row


def test_every_row_names_a_source_that_the_docstring_lists():
    listed = set(re.findall(r"^  ([a-z0-9-]+) ", known_ports.__doc__, re.MULTILINE))
    rows = known_ports.CATALOGUE + known_ports.UNMISTAKABLE
    assert {row.source for row in rows} | {row[3] for row in known_ports.WHATEVER_PORT} <= listed
    assert all(row.protocol in ("tcp", "udp") and 1 <= row.port <= 65535 for row in rows)


PINNED = frozenset({("containerd", 31000), ("cri-o", 31001), ("cri-dockerd", 1338), ("containerd", 10010)})


@pytest.mark.parametrize(
    ("protocol", "port", "names", "component"),
    [
        ("tcp", 31000, ["containerd"], "containerd"),
        ("tcp", 31001, ["crio"], "cri-o"),
        ("tcp", 10010, ["containerd"], "containerd"),
        # Another's setting, another's process, nobody that was seen, another protocol: the number alone tells nothing.
        ("tcp", 31001, ["containerd"], None),
        ("tcp", 31000, ["java"], None),
        ("tcp", 31000, [], None),
        ("udp", 31000, ["containerd"], None),
    ],
)
def test_a_streaming_port_that_is_set(protocol, port, names, component):
    found = known_as(protocol, "127.0.0.1", port, names, False, PINNED)
    assert (found and (found["component"], found["role"])) == (component and (component, "CRI streaming server"))


@pytest.mark.parametrize(
    ("protocol", "port", "rightful", "wrongful"),
    [
        ("tcp", 10250, {"kubelet", "k3s-server", "kubelite", "virtual-kubelet"}, {"metrics-server", "webhook"}),
        ("tcp", 10248, {"kubelet", "microshift"}, {"python3"}),
        ("tcp", 10249, {"kube-proxy", "ovnkube"}, {"java"}),
        ("tcp", 10256, {"kube-proxy", "cilium-agent", "ovnkube", "calico-node", "antrea-agent"}, {"java"}),
        ("tcp", 10257, {"kube-controller", "hyperkube"}, {"kube-scheduler"}),
        ("tcp", 10259, {"kube-scheduler", "koord-scheduler"}, {"kube-controller"}),
        ("tcp", 2379, {"etcd", "microshift-etcd", "k3s-server", "haproxy"}, {"java"}),
        ("tcp", 2380, {"etcd"}, {"java"}),
        (
            "tcp",
            6443,
            {"kube-apiserver", "haproxy", "nginx", "envoy", "kube-vip", "docker-proxy", "ssh", "kubectl"},
            {"java", "kubelet"},
        ),
    ],
)
def test_rightful_owners(protocol, port, rightful, wrongful):
    owners = rightful_owners(protocol, port)
    assert rightful <= owners
    assert not wrongful & owners


@pytest.mark.parametrize(("protocol", "port"), [("udp", 10250), ("tcp", 2381), ("tcp", 10255), ("tcp", 8080)])
def test_ports_without_a_strict_owner(protocol, port):
    assert rightful_owners(protocol, port) == frozenset()
