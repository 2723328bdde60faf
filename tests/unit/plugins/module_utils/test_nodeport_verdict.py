# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nodeport_verdict: who is harmed, over modes, listeners, endpoints and families; the reason stands beside each row."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import nodeport_verdict
from ansible_collections.kubenode.doctor.plugins.module_utils.nodeport_capture import Proxy
from ansible_collections.kubenode.doctor.plugins.module_utils.nodeport_verdict import Node

LO4, NODE4, LO6, NODE6 = "127.0.0.1", "10.0.0.4", "::1", "fd00::4"
LOCAL = [
    {"interface": "lo", "address": LO4},
    {"interface": "eth0", "address": NODE4},
    {"interface": "lo", "address": LO6},
    {"interface": "eth0", "address": NODE6},
]
ALL = [LO4, NODE4, LO6, NODE6]
IPTABLES = Proxy("iptables", [], True)
NO_LOCALHOST = Proxy("iptables", [], False)
ONE_FAMILY = Proxy("iptables", ["10.0.0.0/8"], True)
RESTRICTED = Proxy("iptables", ["192.168.0.0/16", "2001:db8::/32"], True)
IPVS = Proxy("ipvs", [])
NFTABLES = Proxy("nftables", [], None, (NODE4, NODE6))
NFTABLES_UNSEEN = Proxy("nftables")
CILIUM = Proxy("cilium")

DOCKERSHIM = {"component": "dockershim", "role": "CRI streaming server", "source": "dockershim"}


def process(name, pid=12):
    return {"pid": pid, "name": name, "unit": None, "container_id": None, "pod_uid": None}


def socket(address="0.0.0.0", state="listen", **more):
    told = {
        "protocol": "tcp",
        "family": "ipv6" if ":" in address else "ipv4",
        "state": state,
        "address": address,
        "port": 36527,
        "v6only": None,
        "peer": None,
        "peer_port": None,
        "inode": 100,
        "ephemeral": True,
        "processes": [process("daemon")],
        "hidden": False,
        "known_as": None,
    }
    return {**told, **more}


def connection(state="established", address=NODE4, **more):
    return socket(address, state, **{"peer": "10.0.0.9", "peer_port": 443, **more})


def node_port(endpoints=True, **more):
    return {
        "namespace": "default",
        "service": "shop",
        "port_name": None,
        "protocol": "TCP",
        "node_port": 36527,
        "has_endpoints": endpoints,
        **more,
    }


HEALTH_CHECK = {
    "namespace": "default",
    "service": "shop",
    "port_name": None,
    "protocol": "TCP",
    "health_check_node_port": 36527,
    "has_endpoints": None,
}


def judge(port, described, proxy=IPTABLES, others=(), opens=False, local=None):
    return nodeport_verdict.verdicts(port, described, Node(proxy, LOCAL if local is None else local, opens), others)


def only(*arguments, **options):
    (verdict,) = judge(*arguments, **options)
    return verdict


def brief(verdict):
    return verdict["harmed"], verdict["effect"], verdict["certain"], verdict["addresses"], verdict["alive"]


DUAL, V6ONLY, UNSEEN = socket("::", v6only=False), socket("::", v6only=True), socket("::", v6only=None)
ANY4, ON_LO4, ON_NODE4, ON_LO6, ON_NODE6 = (
    socket(),
    socket(LO4),
    socket(NODE4),
    socket(LO6, v6only=True),
    socket(NODE6, v6only=True),
)
MAPPED = socket("::ffff:10.0.0.4", v6only=False)

SHADOWED, REJECTED, EITHER = "shadowed", "rejected", "shadowed or rejected"

# Packets to a captured address are redirected before a listener is looked for, in PREROUTING and, for the node's own, in OUTPUT.
WITH_ENDPOINTS = [
    # iptables: every local address, ::1 excepted
    (IPTABLES, ANY4, "listener", [LO4, NODE4], []),
    (IPTABLES, DUAL, "listener", [LO4, NODE4, NODE6], [LO6]),
    (IPTABLES, V6ONLY, "listener", [NODE6], [LO6]),
    (IPTABLES, ON_LO4, "listener", [LO4], []),
    (IPTABLES, socket("127.0.0.53"), "listener", ["127.0.0.53"], []),
    (IPTABLES, ON_NODE4, "listener", [NODE4], []),
    (IPTABLES, MAPPED, "listener", [NODE4], []),
    (IPTABLES, ON_NODE6, "listener", [NODE6], []),
    (IPTABLES, ON_LO6, "nobody", [], []),
    (NO_LOCALHOST, ANY4, "listener", [NODE4], [LO4]),
    (NO_LOCALHOST, ON_LO4, "nobody", [], []),
    # --nodeport-addresses of one family leaves the other at every address
    (ONE_FAMILY, DUAL, "listener", [NODE4, NODE6], [LO4, LO6]),
    (ONE_FAMILY, ON_LO4, "nobody", [], []),
    (RESTRICTED, DUAL, "nobody", [], []),
    # ipvs: no virtual server on loopback
    (IPVS, DUAL, "listener", [NODE4, NODE6], [LO4, LO6]),
    (IPVS, ON_LO6, "nobody", [], []),
    # nftables: the Node's IPs, never loopback
    (NFTABLES, DUAL, "listener", [NODE4, NODE6], [LO4, LO6]),
    (NFTABLES, ON_LO4, "nobody", [], []),
    (NFTABLES, socket("192.168.9.9"), "nobody", [], []),
    (CILIUM, ON_LO4, "listener", [LO4], []),
    (CILIUM, DUAL, "listener", ALL, []),
]


@pytest.mark.parametrize(("proxy", "listener", "harmed", "addresses", "alive"), WITH_ENDPOINTS)
def test_with_endpoints_a_captured_listener_is_shadowed(proxy, listener, harmed, addresses, alive):
    effect = SHADOWED if harmed == "listener" else "none"
    assert brief(only(node_port(), listener, proxy)) == (harmed, effect, True, addresses, alive)


# The REJECT of KUBE-EXTERNAL-SERVICES (iptables) has no address; the other modes refuse where they would capture.
WITHOUT_ENDPOINTS = [
    (IPTABLES, DUAL, "listener", ALL, []),
    (IPTABLES, ON_LO4, "listener", [LO4], []),
    (IPTABLES, ON_LO6, "listener", [LO6], []),
    (NO_LOCALHOST, ON_LO4, "listener", [LO4], []),
    (RESTRICTED, DUAL, "listener", ALL, []),
    (IPVS, ON_NODE4, "listener", [NODE4], []),
    (IPVS, ON_LO6, "nobody", [], []),
    (NFTABLES, ON_LO4, "nobody", [], []),
    (NFTABLES, ANY4, "listener", [NODE4], [LO4]),
    (CILIUM, ON_LO4, "listener", [LO4], []),
]


@pytest.mark.parametrize(("proxy", "listener", "harmed", "addresses", "alive"), WITHOUT_ENDPOINTS)
def test_without_endpoints_a_listener_is_refused(proxy, listener, harmed, addresses, alive):
    effect = REJECTED if harmed == "listener" else "none"
    assert brief(only(node_port(False), listener, proxy)) == (harmed, effect, True, addresses, alive)


@pytest.mark.parametrize(
    ("proxy", "listener", "expected"),
    [
        # Captured or refused: cut off either way.
        (IPTABLES, ON_LO4, ("listener", EITHER, True, [LO4], [])),
        (IPTABLES, ON_NODE4, ("listener", EITHER, True, [NODE4], [])),
        # Refused without endpoints, alive with them: it depends.
        (NO_LOCALHOST, ON_LO4, ("listener", EITHER, False, [LO4], [])),
        (IPTABLES, ON_LO6, ("listener", EITHER, False, [LO6], [])),
        (NFTABLES, ON_LO4, ("nobody", "none", True, [], [])),
    ],
)
def test_endpoints_unknown(proxy, listener, expected):
    assert brief(only(node_port(None), listener, proxy)) == expected


@pytest.mark.parametrize(
    ("families", "expected"),
    [
        # Endpoints of one family only: that family is shadowed, which spares ::1, the other refused, which spares nothing.
        (["IPv4"], ("listener", EITHER, True, ALL, [])),
        (["IPv6"], ("listener", EITHER, True, [LO4, NODE4, NODE6], [LO6])),
        ([], ("listener", REJECTED, True, ALL, [])),
        (["IPv4", "IPv6"], ("listener", SHADOWED, True, [LO4, NODE4, NODE6], [LO6])),
    ],
)
def test_endpoints_of_one_family(families, expected):
    assert brief(only(node_port(bool(families), endpoint_families=families), DUAL)) == expected


@pytest.mark.parametrize(
    ("families", "listener", "expected"),
    [
        # kube-proxy writes rules for the Service's families only.
        (["IPv4"], DUAL, ("listener", SHADOWED, True, [LO4, NODE4], [LO6, NODE6])),
        (["IPv4"], V6ONLY, ("nobody", "none", True, [], [])),
        (["IPv6"], DUAL, ("listener", SHADOWED, True, [NODE6], [LO4, NODE4, LO6])),
        (["IPv6"], ON_LO4, ("nobody", "none", True, [], [])),
        (["IPv4"], MAPPED, ("listener", SHADOWED, True, [NODE4], [])),
    ],
)
def test_services_of_one_family(families, listener, expected):
    assert brief(only(node_port(ip_families=families), listener)) == expected


@pytest.mark.parametrize(
    ("proxy", "listener", "expected"),
    [
        # [::] whose v6only was not seen may or may not answer IPv4,
        (IPTABLES, UNSEEN, ("listener", SHADOWED, False, [LO4, NODE4, NODE6], [LO6])),
        # which does not matter at one address.
        (IPTABLES, socket(NODE6, v6only=None), ("listener", SHADOWED, True, [NODE6], [])),
        # The Node's own IP decides, and was not seen.
        (NFTABLES_UNSEEN, ON_NODE4, ("listener", SHADOWED, False, [NODE4], [])),
        (NFTABLES_UNSEEN, ON_LO4, ("nobody", "none", True, [], [])),
    ],
)
def test_not_all_was_seen(proxy, listener, expected):
    assert brief(only(node_port(), listener, proxy)) == expected


@pytest.mark.parametrize("mode", ["userspace", "kube-router", "ovn-kubernetes", "antrea"])
@pytest.mark.parametrize("endpoints", [True, False, None])
def test_modes_whose_rules_are_not_known(mode, endpoints):
    verdict = only(node_port(endpoints), ANY4, Proxy(mode))
    assert brief(verdict) == ("unknown", "unknown", False, [], [])
    assert mode in verdict["meaning"]


def test_ipvs_masquerades_what_it_does_not_capture():
    # KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT matches the number alone (kubernetes#112559).
    assert brief(only(node_port(), ON_LO4, IPVS)) == ("listener", "masqueraded", False, [LO4], [])


@pytest.mark.parametrize("udp", [True, False])
def test_only_the_same_protocol_and_number_meet(udp):
    described = [socket(), socket(protocol="udp", state="unconnected"), socket(port=36528), socket(protocol="sctp")]
    port = node_port(protocol="UDP" if udp else "TCP")
    assert nodeport_verdict.sharing(port, described) == ([(1, described[1])] if udp else [(0, described[0])])
    assert nodeport_verdict.sharing(node_port(protocol="SCTP"), described) == [(3, described[3])]


@pytest.mark.parametrize(
    ("port", "number"), [(node_port(), 36527), (HEALTH_CHECK, 36527), (node_port(node_port=30080), 30080)]
)
def test_number(port, number):
    assert nodeport_verdict.number(port) == number


def test_a_udp_listener_is_judged_alike():
    verdict = only(node_port(protocol="UDP"), socket(protocol="udp", state="unconnected"))
    assert brief(verdict) == ("listener", SHADOWED, True, [LO4, NODE4], [])


def test_a_bound_socket_is_cut_off_from_nothing():
    assert brief(only(node_port(False), socket(state="bound"))) == ("nobody", "none", True, [], [])


@pytest.mark.parametrize("port", [node_port(), node_port(False), HEALTH_CHECK])
@pytest.mark.parametrize("name", ["kube-proxy", "k3s-server", "cilium-agent"])
@pytest.mark.parametrize("state", ["listen", "bound", "close_wait"])
def test_the_proxys_own_socket_is_no_conflict(port, name, state):
    verdict = only(port, socket(state=state, processes=[process("other"), process(name)]), opens=True)
    assert brief(verdict) == ("nobody", "none", True, [], [])
    assert verdict["meaning"] == "the socket is the service proxy's own"


def test_a_kubelet_called_hyperkube_is_not_the_proxy():
    verdict = only(node_port(False), socket(LO4, processes=[process("hyperkube")], known_as=DOCKERSHIM))
    assert brief(verdict) == ("listener", REJECTED, True, [LO4], [])


@pytest.mark.parametrize(("endpoints", "says"), [(True, "reach the Service's pods"), (False, "are refused")])
def test_seed_000(endpoints, says):
    # kubelet's streaming server on 127.0.0.1:36527, a Service with that nodePort.
    verdict = only(node_port(endpoints), socket(LO4, known_as=DOCKERSHIM))
    assert says in verdict["meaning"]
    assert verdict["meaning"].endswith("kubectl exec, attach and port-forward on this node fail")


def test_local_traffic_policy_tells_that_a_test_from_the_node_deceives():
    # KUBE-EXT short-circuits --src-type LOCAL, so the node's own traffic reaches endpoints elsewhere.
    told = [
        only(node_port(endpoints, external_traffic_policy="Local"), ANY4)["meaning"]
        for endpoints in (True, False, None)
    ]
    assert ["externalTrafficPolicy" in meaning for meaning in told] == [True, False, True]


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [
        (True, ("nobody", "none", True, [], [])),
        (None, ("nobody", "none", False, [], [])),
        # Its pod is not ready, so the Service has no endpoint: then even the readiness probe is refused.
        (False, ("listener", REJECTED, True, [LO4, NODE4], [])),
    ],
)
def test_a_host_network_pod_on_its_own_node_port(endpoints, expected):
    assert brief(only(node_port(endpoints, own_endpoints=[NODE4]), ANY4)) == expected


def test_another_programs_listener_beside_the_host_network_pod():
    # One number on two addresses: the pod's endpoint excuses its own listener, not containerd's on loopback.
    port = node_port(own_endpoints=[NODE4])
    assert only(port, ON_NODE4)["harmed"] == "nobody"
    assert brief(only(port, ON_LO4)) == ("listener", SHADOWED, True, [LO4], [])


@pytest.mark.parametrize(
    ("address", "v6only", "broken"),
    [("127.0.0.1", None, True), ("0.0.0.0", None, True), ("::", False, False), ("10.0.0.4", None, True)],
)
def test_exec_breaks_where_kubelet_dials(address, v6only, broken):
    # cri-dockerd on [::]: its URL says [::], which Linux dials as ::1, and an IPv4-only Service leaves that alone.
    listener = socket(address, v6only=v6only, known_as=DOCKERSHIM)
    verdict = only(node_port(False, ip_families=["IPv4"]), listener)
    assert verdict["harmed"] == "listener"
    assert ("kubectl exec" in verdict["meaning"]) is broken
    assert nodeport_verdict.breaks_exec(listener, verdict["addresses"]) is broken


@pytest.mark.parametrize("endpoints", [True, False])
def test_a_hidden_owner_may_be_the_proxy_itself(endpoints):
    verdict = only(node_port(endpoints), socket(hidden=True, processes=[]))
    assert brief(verdict) == ("unknown", SHADOWED if endpoints else REJECTED, False, [LO4, NODE4], [])
    assert "root needed" in verdict["meaning"]


def test_without_local_addresses_a_wildcard_answers_nowhere():
    assert only(node_port(), ANY4, local=[])["harmed"] == "nobody"


@pytest.mark.parametrize(
    ("described", "others", "proxy", "expected"),
    [
        # iptables: the reply direction of a connection skips the nat table.
        (connection(), [], IPTABLES, ("nobody", "none")),
        (connection("time_wait", inode=None, processes=[]), [], IPTABLES, ("nobody", "none")),
        (connection("syn_sent"), [], IPTABLES, ("nobody", "none")),
        # ipvs: tcp_conn_schedule takes SYN+ACK too, so the answer to a new connection is scheduled to a pod (kubernetes#111682).
        (connection("syn_sent"), [], IPVS, ("connection", "hijacked")),
        (connection("established"), [], IPVS, ("nobody", "none")),
        (connection("time_wait"), [], IPVS, ("nobody", "none")),
        # Accepted by the listener on that number, which is judged by itself.
        (connection("syn_recv"), [socket()], IPVS, ("nobody", "none")),
    ],
)
def test_connections(described, others, proxy, expected):
    verdict = only(node_port(), described, proxy, others)
    assert (verdict["harmed"], verdict["effect"]) == expected


@pytest.mark.parametrize(
    ("listener", "accepted"),
    [
        (socket(), True),
        (ON_NODE4, True),
        (MAPPED, True),
        (DUAL, True),
        (UNSEEN, True),
        (V6ONLY, False),
        (ON_LO4, False),
        (socket(state="bound"), False),
        (socket(protocol="udp", state="unconnected"), False),
    ],
)
def test_accepted(listener, accepted):
    assert nodeport_verdict.accepted(connection(), [listener]) is accepted
    assert nodeport_verdict.accepted(connection(address="::ffff:10.0.0.4"), [listener]) is accepted


def blocked(verdict):
    return verdict["harmed"], verdict["certain"]


NO_EVENT, EVENT, PERHAPS = ("nobody", True), ("service", True), ("service", False)


@pytest.mark.parametrize(
    ("described", "others", "expected"),
    [
        # It is a listener of kube-proxy on every address, so any listener blocks it (one bind fails, service_health.go).
        (socket(), [], EVENT),
        (ON_LO4, [], EVENT),
        (ON_LO6, [], EVENT),
        # An outgoing connection that drew the number blocks it, TIME-WAIT included, whatever the options.
        (connection(), [], EVENT),
        (connection("time_wait", inode=None, processes=[]), [], EVENT),
        (connection("syn_sent", ephemeral=False), [], EVENT),
        # From a client's port to a random one here: a listener that is gone may have accepted it.
        (connection("time_wait", inode=None, processes=[], peer_port=51234), [], PERHAPS),
        # Not drawn, so left from a listener that is gone: it blocks only if that had no SO_REUSEADDR.
        (connection("time_wait", ephemeral=False), [], PERHAPS),
        (connection("established", ephemeral=None), [], PERHAPS),
        # A bound socket blocks unless it has SO_REUSEADDR, which nobody shows.
        (socket(state="bound"), [], PERHAPS),
        # What a living listener accepted has the listener's setting; the listener is judged itself.
        (connection(), [socket()], PERHAPS),
        (connection("syn_recv"), [socket()], NO_EVENT),
        # kube-proxy holds the port already: whatever else there is did not stop it.
        (connection(), [socket(processes=[process("kube-proxy")])], NO_EVENT),
        (socket(state="bound"), [socket(processes=[process("kube-proxy")])], NO_EVENT),
        # UDP never meets TCP (sharing()), but a hidden owner may be kube-proxy.
        (socket(hidden=True, processes=[]), [], ("unknown", False)),
    ],
)
def test_health_check_node_port(described, others, expected):
    verdict = only(HEALTH_CHECK, described, others=others)
    assert blocked(verdict) == expected
    assert ("FailedToStartServiceHealthcheck" in verdict["meaning"]) is (expected in (EVENT, PERHAPS))


@pytest.mark.parametrize(
    ("proxy", "described", "expected"),
    [
        # --nodeport-addresses: kube-proxy listens for health checks on those of the node's addresses only.
        (Proxy("iptables", ["10.0.0.0/8", "fd00::/8"]), ON_NODE4, EVENT),
        (Proxy("iptables", ["10.0.0.0/8", "fd00::/8"]), ON_LO4, NO_EVENT),
        (Proxy("iptables", ["10.0.0.0/8", "fd00::/8"]), socket(), EVENT),
        (NFTABLES, ON_LO4, NO_EVENT),
        (NFTABLES, ON_NODE6, EVENT),
        (Proxy("iptables", ["192.168.0.0/16", "2001:db8::/32"]), socket(), NO_EVENT),
        # Modes without known rules: on every address.
        (Proxy("kube-router", ["10.0.0.0/8"]), ON_LO4, EVENT),
    ],
)
def test_health_checks_on_chosen_addresses(proxy, described, expected):
    assert blocked(only(HEALTH_CHECK, described, proxy)) == expected


LISTENER_LOSES = ("listener", SHADOWED)
CANNOT_OPEN = ("service", "cannot open")


@pytest.mark.parametrize(
    ("described", "others", "port", "expected"),
    [
        # kube-proxy up to 1.23 opens the port as well; since 1.11 a failure does not stop the redirection.
        (ANY4, [], node_port(), [LISTENER_LOSES, CANNOT_OPEN]),
        (ON_LO4, [], node_port(), [LISTENER_LOSES, CANNOT_OPEN]),
        (connection(), [], node_port(), [("nobody", "none"), CANNOT_OPEN]),
        (socket(state="bound"), [], node_port(), [("nobody", "none"), CANNOT_OPEN]),
        # Its sockets are of the Service's families: tcp4 for IPv4.
        (ON_LO6, [], node_port(ip_families=["IPv4"]), [("nobody", "none")]),
        (ON_LO6, [], node_port(ip_families=["IPv6"]), [("nobody", "none"), CANNOT_OPEN]),
        # It has opened both already, or the one that matters.
        (
            connection(address=NODE6),
            [socket(processes=[process("kube-proxy")]), socket("::", v6only=True, processes=[process("kube-proxy")])],
            node_port(),
            [("nobody", "none")],
        ),
        (ON_LO6, [socket(processes=[process("kube-proxy")])], node_port(), [("nobody", "none"), CANNOT_OPEN]),
        (ON_LO6, [socket("::", v6only=False, processes=[process("kube-proxy")])], node_port(), [("nobody", "none")]),
    ],
)
def test_a_proxy_that_opens_node_ports_itself(described, others, port, expected):
    found = judge(port, described, others=others, opens=True)
    assert [(verdict["harmed"], verdict["effect"]) for verdict in found] == expected


def test_a_proxy_that_opens_nothing_never_fails_to():
    assert len(judge(node_port(), ANY4)) == 1


@pytest.mark.parametrize(
    ("described", "expected"),
    [(socket(known_as=DOCKERSHIM), True), (socket(), False), (socket(known_as={**DOCKERSHIM, "role": "API"}), False)],
)
def test_is_streaming(described, expected):
    assert nodeport_verdict.is_streaming(described) is expected
