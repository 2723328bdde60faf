# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""service_proxy: what a real kube-proxy answered, what other programs might, and what is said when nothing tells."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import service_proxy

FIXTURES = Path(__file__).parents[3] / "fixtures" / "kube_proxy"
PROXY_MODE = (FIXTURES / "proxyMode.txt").read_text("ascii")
CONFIGZ = (FIXTURES / "configz.json").read_text("utf-8")


def process(name, pid=12):
    return {"pid": pid, "name": name, "unit": None, "container_id": None, "pod_uid": None}


def metrics(*names, address="127.0.0.1", state="listen", v6only=None):
    return {
        "protocol": "tcp",
        "state": state,
        "address": address,
        "v6only": v6only,
        "processes": [process(name) for name in names],
        "known_as": None,
    }


def configz(**settings):
    return json.dumps({"kubeproxy.config.k8s.io": settings})


class Server:
    """Answers like kube-proxy's metrics; an exception is raised. ``asked`` are the URLs."""

    def __init__(self, mode=PROXY_MODE, configuration=CONFIGZ):
        self.answers = {"/proxyMode": mode, "/configz": configuration}
        self.asked = []

    def __call__(self, address, port, path):
        self.asked.append(f"{address}:{port}{path}")
        answer = self.answers[path]
        if isinstance(answer, Exception):
            raise answer
        return answer


def never(*_arguments):
    pytest.fail("a program that is not kube-proxy was asked")


def collect(node, *listeners, get=never):
    return service_proxy.collect(listeners, str(node.proc), str(node.root), get)


def what(section):
    return [gap["what"] for gap in section["missing"]]


def test_a_real_kube_proxy(node):
    node.process(12, "kube-proxy", ["kube-proxy", "--config=/var/lib/kube-proxy/config.conf"])
    assert collect(node, metrics("kube-proxy"), get=Server()) == {
        "program": "kube-proxy",
        "mode": "iptables",
        "source": "http://127.0.0.1:10249/proxyMode",
        "nodeport_addresses": [],
        "localhost_nodeports": True,
        "complete": True,
        "missing": [],
    }


@pytest.mark.parametrize(
    ("address", "v6only", "asked"),
    [
        ("127.0.0.1", None, "127.0.0.1"),
        ("0.0.0.0", None, "127.0.0.1"),
        ("::", False, "127.0.0.1"),
        ("::", True, "::1"),
        # Where the node has IPv6 only, and where metricsBindAddress is the node's.
        ("::1", True, "::1"),
        ("10.0.0.4", None, "10.0.0.4"),
    ],
)
def test_asked_where_it_listens(node, address, v6only, asked):
    server = Server()
    assert collect(node, metrics("kube-proxy", address=address, v6only=v6only), get=server)["mode"] == "iptables"
    assert server.asked == [f"{asked}:10249/proxyMode", f"{asked}:10249/configz"]


@pytest.mark.parametrize(
    ("configuration", "addresses", "localhost"),
    [
        (configz(nodePortAddresses=None, iptables={"localhostNodePorts": False}), [], False),
        (configz(nodePortAddresses=["10.0.0.0/8", "fd00::/8"], iptables=None), ["10.0.0.0/8", "fd00::/8"], None),
        (configz(nodePortAddresses=["primary"], iptables={"localhostNodePorts": "yes"}), ["primary"], None),
        (configz(), [], None),
    ],
)
def test_settings(node, configuration, addresses, localhost):
    section = collect(node, metrics("kube-proxy"), get=Server(configuration=configuration))
    assert (section["nodeport_addresses"], section["localhost_nodeports"]) == (addresses, localhost)
    assert section["complete"] is True


@pytest.mark.parametrize("mode", ["iptables", "ipvs\n", "nftables", "userspace"])
def test_modes(node, mode):
    assert collect(node, metrics("kube-proxy"), get=Server(mode))["mode"] == mode.strip()


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("<html>" + "x" * 5000, "answered '<html>xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'"),
        ("kernelspace", "answered 'kernelspace'"),
        ("", "answered ''"),
        (socket.timeout("timed out"), "timed out"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (ValueError("HTTP status 404"), "HTTP status 404"),
        (ValueError("y" * 5000), "y" * 200),
    ],
)
def test_no_mode(node, mode, why):
    section = collect(node, metrics("kube-proxy"), get=Server(mode))
    assert section["mode"] is None
    assert section["missing"][0]["what"] == "kube-proxy mode"
    assert section["missing"][0]["why"].startswith("http://127.0.0.1:10249/proxyMode")
    assert section["missing"][0]["why"].endswith(why)
    assert section["missing"][-1]["why"].endswith("tell it with proxy_mode")
    assert section["complete"] is False
    # The other answer is still believed.
    assert section["localhost_nodeports"] is True


@pytest.mark.parametrize(
    "configuration",
    [
        "",
        "404 page not found",
        "[]",
        "null",
        "{}",
        '{"kubeproxy.config.k8s.io": []}',
        '{"kubeproxy.config.k8s.io": "iptables"}',
        "[" * 100_000,
        configz(nodePortAddresses=["10.0.0.0/33"]),
        configz(nodePortAddresses=["everywhere"]),
        configz(nodePortAddresses=[10, None]),
        configz(nodePortAddresses=["\ud800"]),
        configz(nodePortAddresses=["x" * 5000]),
        TimeoutError("no end of the answer in 2 s"),
    ],
)
def test_no_configuration(node, configuration):
    section = collect(node, metrics("kube-proxy"), get=Server(configuration=configuration))
    assert section["mode"] == "iptables"
    assert (section["nodeport_addresses"], section["localhost_nodeports"]) == (None, None)
    assert what(section) == ["kube-proxy configuration"]
    assert len(section["missing"][0]["why"]) < 300
    json.dumps(section).encode("ascii")


@pytest.mark.parametrize(
    "listener",
    [
        metrics("nginx"),
        metrics("prometheus", "nginx"),
        metrics("kube-proxy", state="bound"),
        {**metrics("kube-proxy"), "protocol": "udp", "state": "unconnected"},
    ],
)
def test_another_programs_port_is_never_asked(node, listener):
    section = collect(node, listener)
    assert section["mode"] is None
    assert what(section) == ["kube-proxy mode"]


def test_the_proxys_own_listener_is_asked_among_others(node):
    server = Server()
    collect(node, metrics("nginx", address="10.0.0.4"), metrics(address="10.0.0.5"), metrics("kube-proxy"), get=server)
    assert server.asked[0] == "127.0.0.1:10249/proxyMode"


def test_without_root_the_listener_of_an_unseen_process_is_asked(node):
    node.process(12, "kube-proxy", [])
    assert collect(node, metrics(), get=Server())["mode"] == "iptables"


@pytest.mark.parametrize(
    ("argv", "mode", "addresses", "localhost"),
    [
        (["--proxy-mode=ipvs", "--nodeport-addresses=10.0.0.0/8,fd00::/8"], "ipvs", ["10.0.0.0/8", "fd00::/8"], None),
        (["--proxy-mode", "nftables", "--nodeport-addresses", "primary"], "nftables", ["primary"], None),
        (["--proxy-mode=iptables", "--iptables-localhost-nodeports=false"], "iptables", None, False),
        (["--iptables-localhost-nodeports=true", "--nodeport-addresses="], None, [], True),
        (["--proxy-mode=fast", "--nodeport-addresses=here", "--iptables-localhost-nodeports=maybe"], None, None, None),
        (["--proxy-mode"], None, None, None),
        ([], None, None, None),
        # With a file, kube-proxy does not look at the flags that the file could hold.
        (["--config=/etc/kube-proxy.yaml", "--proxy-mode=ipvs", "--nodeport-addresses=10.0.0.0/8"], None, None, None),
        (["--proxy-mode=ipvs", "--config", "/etc/kube-proxy.yaml"], None, None, None),
    ],
)
def test_flags(node, argv, mode, addresses, localhost):
    node.process(12, "kube-proxy", ["/usr/local/bin/kube-proxy", *argv, "--token=secret"])
    section = collect(node)
    assert (section["mode"], section["nodeport_addresses"], section["localhost_nodeports"]) == (
        mode,
        addresses,
        localhost,
    )
    assert what(section) == ([] if mode else ["kube-proxy mode"])
    assert "secret" not in json.dumps(section)


def test_an_answer_comes_before_a_flag(node):
    node.process(12, "kube-proxy", ["kube-proxy", "--proxy-mode=ipvs", "--nodeport-addresses=10.0.0.0/8"])
    section = collect(node, metrics("kube-proxy"), get=Server("nftables"))
    assert (section["mode"], section["nodeport_addresses"]) == ("nftables", [])


@pytest.mark.parametrize(
    ("comm", "mode"),
    [
        ("cilium-agent", "cilium"),
        ("ovnkube", "ovn-kubernetes"),
        ("kube-router", "kube-router"),
        ("antrea-agent", "antrea"),
    ],
)
def test_replacements(node, comm, mode):
    node.process(12, comm, [])
    section = collect(node)
    assert (section["program"], section["mode"]) == (comm, mode)
    assert section["source"] == f"{comm} runs here and kube-proxy does not"
    assert section["complete"] is True


def test_kube_proxy_beside_cilium_is_the_proxy(node):
    node.process(12, "cilium-agent", [])
    node.process(13, "kube-proxy", ["kube-proxy", "--proxy-mode=iptables"])
    assert collect(node)["mode"] == "iptables"


def test_the_kube_proxy_inside_k3s_answers_for_itself(node):
    node.process(12, "k3s-server", [])
    section = collect(node, metrics("k3s-server"), get=Server())
    assert (section["program"], section["mode"], section["complete"]) == ("k3s-server", "iptables", True)


def test_cilium_beside_k3s_replaces_nothing_while_kube_proxy_answers(node):
    node.process(12, "k3s-server", [])
    node.process(13, "cilium-agent", [])
    section = collect(node, metrics("k3s-server"), get=Server())
    assert (section["program"], section["mode"]) == ("k3s-server", "iptables")
    # k3s --disable-kube-proxy: nobody listens there.
    assert collect(node)["mode"] == "cilium"


def test_embedded_and_silent(node):
    node.process(12, "kubelite", [])
    section = collect(node)
    assert (section["program"], section["mode"]) == ("kubelite", None)
    assert section["missing"] == [
        {"what": "kube-proxy mode", "why": "kubelite runs here but did not tell its mode: tell it with proxy_mode"}
    ]


def test_nobody(node):
    section = collect(node)
    assert (section["program"], section["mode"]) == (None, None)
    assert section["missing"][0]["why"].startswith("no kube-proxy and no known replacement was seen running here")


def test_another_networks_kube_proxy_is_not_this_nodes(node):
    # A kind host sees the processes of its nodes.
    node.process(12, "kube-proxy", ["kube-proxy", "--proxy-mode=ipvs"], netns="other")
    assert collect(node)["program"] is None


def test_the_ipvs_link_tells(node):
    node.file("/class/net/kube-ipvs0", "")
    section = collect(node)
    assert (section["mode"], section["source"]) == ("ipvs", "the link kube-ipvs0 exists")


STREAMING = {"component": "dockershim", "role": "CRI streaming server", "source": "dockershim"}


@pytest.mark.parametrize(
    ("name", "address", "known_as", "expected"),
    [
        ("kube-proxy", "0.0.0.0", None, True),
        ("k3s-server", "::", None, True),
        ("cilium-agent", "0.0.0.0", None, True),
        ("kubelet", "0.0.0.0", None, False),
        (None, "0.0.0.0", None, False),
        # kubelet and kube-proxy of the same name: kubelet's streaming server is not the proxy's socket,
        ("hyperkube", "127.0.0.1", STREAMING, False),
        ("k3s", "127.0.0.1", STREAMING, False),
        # while NodePorts are opened on all addresses.
        ("hyperkube", "0.0.0.0", None, True),
    ],
)
def test_whose_socket_it_is(name, address, known_as, expected):
    described = {**metrics(name, address=address), "known_as": known_as}
    assert service_proxy.is_kube_proxy(described) is expected


@pytest.mark.parametrize(
    ("name", "address", "program", "expected"),
    [
        # Beside a kube-proxy an agent holds ports like any other program: its healthchecks, gops.
        ("cilium-agent", "0.0.0.0", "kube-proxy", False),
        ("k3s-server", "0.0.0.0", "kube-proxy", False),
        ("kube-proxy", "0.0.0.0", "cilium-agent", True),
        ("cilium-agent", "0.0.0.0", "cilium-agent", True),
        # gops of cilium-agent: a random port on loopback (cilium#14218).
        ("cilium-agent", "127.0.0.1", "cilium-agent", False),
        # The nftables mode from 1.37 on: NodePorts on loopback (KEP-6032).
        ("kube-proxy", "127.0.0.1", "kube-proxy", True),
    ],
)
def test_whose_socket_it_is_beside_others(name, address, program, expected):
    described = {**metrics(name, address=address), "known_as": None}
    assert service_proxy.is_kube_proxy(described, program) is expected


@pytest.mark.parametrize(
    ("program", "expected"), [("kube-proxy", True), ("k3s-server", True), (None, True), ("cilium-agent", False)]
)
def test_who_may_open_node_ports(program, expected):
    assert service_proxy.opens_node_ports(program) is expected


@pytest.mark.parametrize("values", [["10.0.0.0/8"], ["fd00::/64", "10.0.0.1"], ["primary"], []])
def test_addresses(values):
    assert service_proxy.checked_addresses(values) == values


@pytest.mark.parametrize("value", ["", "secondary", "10.0.0.0/33", "10.0.0.0/8,fd00::/8", 7, None, ["10.0.0.0/8"]])
def test_no_addresses(value):
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 network"):
        service_proxy.checked_addresses(["10.0.0.0/8", value])


@pytest.fixture
def serve():
    """Start a server on 127.0.0.1 that reads a request and hands the connection to a function; returns its port."""
    listening = []

    def start(behave):
        listener = socket.create_server(("127.0.0.1", 0))
        listening.append(listener)

        def run():
            connection, _peer = listener.accept()
            with connection:
                connection.recv(65536)
                behave(connection)

        threading.Thread(target=run, daemon=True).start()
        return listener.getsockname()[1]

    yield start
    for listener in listening:
        listener.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\niptables", "iptables"),
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 200\r\n\r\n\xff", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_http(serve, answer, expected):
    assert (
        service_proxy._http_get("127.0.0.1", serve(lambda connection: connection.sendall(answer)), "/proxyMode")
        == expected
    )


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n404 page not found", "HTTP status 404"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP: b'SSH-2.0"),
        (b"\x15\x03\x01\x00\x02\x02\x16", "no HTTP: "),
        (b"", "no HTTP: b''"),
        (b"HTTP/1.1", "no HTTP: "),
        (b"HTTP/1.1 \xff\xff", "HTTP status "),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * (1 << 20), "more than 1048576 bytes"),
    ],
)
def test_no_http(serve, answer, told):
    with pytest.raises(ValueError, match=told):
        service_proxy._http_get("127.0.0.1", serve(lambda connection: connection.sendall(answer)), "/proxyMode")


def silent(connection):
    connection.recv(1)


def dripping(connection):
    try:
        while True:
            connection.sendall(b"H")
            time.sleep(0.02)
    except OSError:  # the asker had enough
        pass


@pytest.mark.parametrize("behave", [silent, dripping])
def test_a_server_that_never_ends_is_left(serve, monkeypatch, behave):
    monkeypatch.setattr(service_proxy, "_HTTP_SECONDS", 0.3)
    started = time.monotonic()
    with pytest.raises(OSError):  # noqa: PT011 - TimeoutError, which was socket.timeout before Python 3.10
        service_proxy._http_get("127.0.0.1", serve(behave), "/proxyMode")
    assert time.monotonic() - started < 30
