# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nodeport_sockets: what is kept of all sockets, and what is said of the rest."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    cri_config,
    kernel_settings,
    nodeport_sockets,
    service_proxy,
    sockets,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders
from ansible_collections.kubenode.doctor.plugins.module_utils.sockets import Seen

HOLDERS = SocketHolders(Deadline(1e6))
PROXY = {"program": None, "mode": "iptables", "complete": True, "missing": []}


def entry(port, state="listen", protocol="tcp", inode=100, peer_port=0):
    return Entry(
        protocol, "ipv4", state, "10.0.0.4", port, "10.0.0.9" if peer_port else "0.0.0.0", peer_port, 0, 0, 0, inode
    )


class Node:
    """What the collectors see, and what they were asked."""

    def __init__(self):
        self.entries = []
        self.ports = None
        self.searched = None
        self.metrics = None
        self.missing = []

    def sockets(self, protocols, _backend, ports):
        assert protocols == ("tcp", "udp")
        self.ports = ports
        return Seen([found for found in self.entries if found.port in ports], "sock_diag", [])

    def owners(self, entries, _deadline):
        self.searched = list(entries)
        return self

    def processes(self, found):
        return [{"pid": found.inode, "name": "daemon", "unit": None, "container_id": None, "pod_uid": None}]

    def hidden(self, _entry):
        return False

    def cgroup(self, _entry):
        return None

    def proxy(self, metrics):
        self.metrics = metrics
        return PROXY


@pytest.fixture
def host(monkeypatch):
    made = Node()
    monkeypatch.setattr(sockets, "collect", made.sockets)
    monkeypatch.setattr(nodeport_sockets, "Owners", made.owners)
    monkeypatch.setattr(service_proxy, "collect", made.proxy)
    monkeypatch.setattr(kernel_settings, "ephemeral_range", lambda: (32768, 60999))
    monkeypatch.setattr(cri_config, "pinned", lambda: (frozenset(), []))
    monkeypatch.setattr(nodeport_sockets, "_SCTP_TABLE", "/nowhere")
    return made


def test_every_state_is_kept_and_what_waits_comes_first(host):
    host.entries = [
        entry(36527, "time_wait", inode=0, peer_port=443),
        entry(36527, "established", peer_port=80),
        entry(36527, "close", "udp"),
        entry(36527),
        entry(30080, "bound"),
        entry(22),
    ]
    section = nodeport_sockets.collect(HOLDERS, [36527, 30080])
    told = [
        (found["protocol"], found["port"], found["state"], found["peer_port"], found["inode"])
        for found in section["sockets"]
    ]
    assert told == [
        ("tcp", 30080, "bound", None, 100),
        ("tcp", 36527, "listen", None, 100),
        ("udp", 36527, "unconnected", None, 100),
        ("tcp", 36527, "established", 80, 100),
        ("tcp", 36527, "time_wait", 443, None),
    ]
    assert (section["complete"], section["missing"], section["proxy"]) == (True, [], PROXY)


def test_the_proxys_metrics_are_looked_for_and_not_told(host):
    host.entries = [entry(10249), entry(10249, "established", peer_port=5), entry(36527)]
    section = nodeport_sockets.collect(HOLDERS, [36527])
    assert host.ports == {36527, 10249}
    assert [found["port"] for found in section["sockets"]] == [36527]
    assert [(found["port"], found["state"]) for found in host.metrics] == [(10249, "listen")]
    # One search for all of them.
    assert [found.port for found in host.searched] == [36527, 10249]


def test_a_node_port_of_that_very_number(host):
    host.entries = [entry(10249)]
    section = nodeport_sockets.collect(HOLDERS, [10249])
    assert [found["port"] for found in section["sockets"]] == [10249]


def test_no_ports(host):
    host.entries = [entry(36527), entry(10249)]
    assert nodeport_sockets.collect(HOLDERS, [])["sockets"] == []


def test_a_streaming_port_that_is_set(host, monkeypatch):
    gap = {"what": "CRI settings", "why": "OSError: as the test says"}
    monkeypatch.setattr(cri_config, "pinned", lambda: (frozenset({("containerd", 31000)}), [gap]))
    containerd = {"pid": 7, "name": "containerd", "unit": None, "container_id": None, "pod_uid": None}
    monkeypatch.setattr(host, "processes", lambda _entry: [containerd])
    host.entries = [entry(31000), entry(31001)]
    section = nodeport_sockets.collect(HOLDERS, [31000, 31001])
    known = {found["port"]: found["known_as"] for found in section["sockets"]}
    assert known[31000]["role"] == "CRI streaming server"
    assert known[31001] is None
    assert section["missing"] == [gap]


def test_too_many_connections_leave_the_listeners(host, monkeypatch):
    monkeypatch.setattr(nodeport_sockets, "_LIMIT", 3)
    host.entries = [entry(36527, "established", peer_port=port) for port in range(1, 11)] + [entry(36527)]
    section = nodeport_sockets.collect(HOLDERS, [36527])
    assert [found["state"] for found in section["sockets"]] == ["listen", "established", "established"]
    assert section["truncated"] == 8
    assert section["missing"] == [{"what": "sockets", "why": "11 touch these ports, the first 3 kept"}]
    assert section["complete"] is False


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(
    ("lines", "complete"), [(["ENDPT SOCK"], True), (["ENDPT SOCK", "0 0 2 10 1 9999"], False), (None, True)]
)
def test_sctp_in_use_is_said(monkeypatch, tmp_path, lines, complete):
    if lines is not None:
        (tmp_path / "eps").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(nodeport_sockets, "_SCTP_TABLE", str(tmp_path / "eps"))
    section = nodeport_sockets.collect(HOLDERS, [36527])
    assert section["complete"] is complete
    assert [gap["what"] for gap in section["missing"]] == ([] if complete else ["sctp sockets"])


def test_what_others_miss_is_passed_on(host, monkeypatch):
    gap = {"what": "kube-proxy mode", "why": "nothing told it"}
    host.missing = [{"what": "processes", "why": "2 sockets have no visible process"}]
    monkeypatch.setattr(service_proxy, "collect", lambda _metrics: {**PROXY, "complete": False, "missing": [gap]})
    section = nodeport_sockets.collect(HOLDERS, [36527])
    assert section["complete"] is False
    assert section["missing"] == [*host.missing, gap]


def described(name, port=36527, state="listen"):
    return {"port": port, "state": state, "address": "0.0.0.0", "processes": [{"name": name}], "known_as": None}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], False),
        ([described("nginx")], False),
        ([described("nginx"), described("kube-proxy")], True),
        ([described("kube-proxy", state="unconnected")], True),
        # Its own client connection draws ports as any.
        ([described("kube-proxy", state="established")], False),
        # A healthCheckNodePort, not among the numbers.
        ([described("kube-proxy", port=30787)], False),
    ],
)
def test_opens_node_ports(found, expected):
    assert nodeport_sockets.opens_node_ports(found, {36527}) is expected
