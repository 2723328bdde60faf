# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nodeport_conflict: what options mean, and what is wrong with some."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.modules import nodeport_conflict

PORT = {
    "namespace": "default",
    "service": "shop",
    "port_name": None,
    "protocol": "TCP",
    "node_port": 36527,
    "health_check_node_port": None,
    "has_endpoints": False,
    "endpoint_families": None,
    "external_traffic_policy": "Cluster",
    "ip_families": None,
}
PARAMS = {"node_ports": [PORT], "proxy_mode": "auto", "nodeport_addresses": None, "node_ips": []}
LOCAL = [{"interface": "lo", "address": "127.0.0.1"}]
MODE_GAP = {"what": "kube-proxy mode", "why": "nothing told it"}
SOCKETS_GAP = {"what": "bound sockets", "why": "only sock_diag of Linux 6.8 or newer shows them"}
OTHER_GAP = {"what": "kube-proxy configuration", "why": "no answer"}


class FailedError(Exception):
    pass


class Module:
    """As much of an AnsibleModule as check() uses."""

    def __init__(self, **params):
        self.params = {**PARAMS, **params}

    def fail_json(self, msg):
        raise FailedError(msg)


def test_check_accepts():
    nodeport_conflict.check(Module(nodeport_addresses=["10.0.0.0/8", "fd00::/64"], node_ips=["10.0.0.4", "fd00::4"]))
    nodeport_conflict.check(Module(nodeport_addresses=["primary"]))


@pytest.mark.parametrize(
    ("params", "told"),
    [
        (
            {"node_ports": [PORT, {**PORT, "node_port": 0}]},
            "node_ports[1].node_port: 0 is no port: 1 to 65535 expected",
        ),
        (
            {"node_ports": [{**PORT, "node_port": 65536}]},
            "node_ports[0].node_port: 65536 is no port: 1 to 65535 expected",
        ),
        ({"node_ports": [{**PORT, "node_port": -1}]}, "node_ports[0].node_port: -1 is no port: 1 to 65535 expected"),
        (
            {"node_ports": [{**PORT, "node_port": None, "health_check_node_port": 70000}]},
            "node_ports[0].health_check_node_port: 70000 is no port: 1 to 65535 expected",
        ),
        ({"nodeport_addresses": ["lan"]}, "nodeport_addresses: 'lan' does not appear to be an IPv4 or IPv6 network"),
        ({"node_ips": ["primary"]}, "node_ips: 'primary' does not appear to be an IPv4 or IPv6 address"),
        ({"node_ips": ["10.0.0.0/24"]}, "node_ips: '10.0.0.0/24' does not appear to be an IPv4 or IPv6 address"),
    ],
)
def test_check_names_what_is_wrong(params, told):
    with pytest.raises(FailedError) as caught:
        nodeport_conflict.check(Module(**params))
    assert str(caught.value) == told


def found(**more):
    return {
        "program": None,
        "mode": None,
        "source": None,
        "nodeport_addresses": None,
        "localhost_nodeports": None,
        **more,
    }


def section(*elsewhere, **proxy):
    """A section whose proxy misses something, and which misses more elsewhere."""
    missing = [*elsewhere, *proxy["missing"]]
    return {
        "sockets": [],
        "proxy": found(complete=not proxy["missing"], **proxy),
        "complete": not missing,
        "missing": missing,
    }


@pytest.mark.parametrize(
    ("before", "params", "after"),
    [
        (section(missing=[MODE_GAP]), {}, section(missing=[MODE_GAP])),
        (
            section(SOCKETS_GAP, missing=[MODE_GAP, OTHER_GAP]),
            {"proxy_mode": "ipvs"},
            section(SOCKETS_GAP, mode="ipvs", source="the option proxy_mode", missing=[OTHER_GAP]),
        ),
        # What was told is not missing, so nothing is.
        (
            section(missing=[MODE_GAP]),
            {"proxy_mode": "iptables"},
            section(mode="iptables", source="the option proxy_mode", missing=[]),
        ),
        (
            section(mode="nftables", source="asked", nodeport_addresses=["10.0.0.0/8"], missing=[]),
            {"nodeport_addresses": []},
            section(mode="nftables", source="asked", nodeport_addresses=[], missing=[]),
        ),
    ],
)
def test_told(before, params, after):
    assert nodeport_conflict.told(before, {**PARAMS, **params}) == after


def listener(**more):
    told = {
        "protocol": "tcp",
        "family": "ipv4",
        "state": "listen",
        "address": "127.0.0.1",
        "port": 36527,
        "v6only": None,
        "processes": [{"name": "kubelet"}],
        "hidden": False,
        "ephemeral": True,
        "known_as": None,
    }
    return {**told, **more}


def judge(sockets, *ports, **proxy):
    seen = {"sockets": sockets, "proxy": found(mode="iptables", **proxy)}
    return nodeport_conflict.judge(nodeport_conflict.one_number_each(list(ports) or [PORT]), seen, [], LOCAL)


def test_judge():
    (conflict,) = judge([listener(port=22), listener()])
    assert {key: value for key, value in conflict.items() if key != "meaning"} == {
        "namespace": "default",
        "service": "shop",
        "port_name": None,
        "protocol": "TCP",
        "port": 36527,
        "kind": "nodePort",
        "socket": 1,
        "harmed": "listener",
        "effect": "rejected",
        "certain": True,
        "addresses": ["127.0.0.1"],
        "alive": [],
    }


def test_ports_and_sockets_are_joined_by_number_and_protocol():
    ports = [
        PORT,
        {**PORT, "protocol": "UDP"},
        {**PORT, "protocol": "SCTP"},
        {**PORT, "node_port": 30080},
        {**PORT, "node_port": 30081, "health_check_node_port": 30787, "port_name": "http"},
    ]
    sockets = [listener(), listener(protocol="udp", state="unconnected"), listener(port=30787)]
    told = [
        (conflict["protocol"], conflict["port"], conflict["kind"], conflict["socket"])
        for conflict in judge(sockets, *ports)
    ]
    assert told == [
        ("TCP", 36527, "nodePort", 0),
        ("UDP", 36527, "nodePort", 1),
        ("TCP", 30787, "healthCheckNodePort", 2),
    ]


def test_a_socket_does_not_explain_itself():
    # The listener on the number accepted the connection; without it the connection went out.
    connection = listener(state="established", address="127.0.0.1")
    assert "accepted" in judge([listener(), connection])[1]["meaning"]
    assert "outgoing" in judge([connection])[0]["meaning"]


def test_a_kube_proxy_that_holds_another_node_port_opens_them_itself():
    held = listener(port=30080, address="0.0.0.0", processes=[{"name": "kube-proxy"}])
    ports = [PORT, {**PORT, "node_port": 30080}]
    effects = [(conflict["port"], conflict["effect"]) for conflict in judge([listener(), held], *ports)]
    assert effects == [(36527, "rejected"), (36527, "cannot open"), (30080, "none")]
