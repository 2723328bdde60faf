# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    changed,
    contained,
    gap,
    in_unit,
    live,
    no_cluster,
    no_node,
    seed,
    unknowns,
    with_socket,
    without_sockets,
)

MODE = "nodeport_conflict.proxy.mode"
API_SERVER = "port_settings.api_server"
STREAMING = {"component": "containerd", "role": "CRI streaming server", "source": "containerd"}
PINNED = {
    "runtime": "containerd",
    "key": "stream_server_port",
    "value": "31000",
    "default": "0",
    "address": "127.0.0.1",
    "file": "/etc/containerd/config.toml",
    "fixed": True,
    "edit": {"file": "/etc/containerd/config.toml", "section": '[plugins."io.containerd.grpc.v1.cri"]', "new": False},
}
NONE = without_sockets(
    captured("node-a"),
    *(socket["port"] for socket in captured("node-a")["sections"]["listen_ports"]["listeners"] if socket["ephemeral"]),
)


def streaming(port=31000, address="127.0.0.1", value="31000"):
    """The captured node, whose containerd is told a streaming port."""
    snapshot = with_socket(NONE, "containerd", port=port, address=address, known_as=STREAMING)
    return changed(snapshot, "port_settings.cri.runtimes", [{**PINNED, "value": value, "fixed": value != "0"}])


CASES = [
    Case(
        "containerd in its unit, which a fix restarts",
        "fail",
        live(snapshot=in_unit(streaming(), 31000, "containerd.service")),
        "node-a",
        commands=("ss -tlnp sport = :10010",),
    ),
    Case(
        "containerd's streaming server is pinned into the range",
        "fail",
        live(snapshot=streaming()),
        "node-a",
        "warning",
        words=(
            "fixed ports of this node lie in NodePort range 30000-40000: 31000",
            "127.0.0.1:31000/tcp LISTEN, held by containerd",
            "10010",
        ),
        absent=("give the programs ports", "is not known"),
    ),
    Case(
        "a NodePort range that holds the components' ports",
        "fail",
        live(nodeport_range="1024-65535"),
        "node-a",
        words=("1024-65535: 6443, 10248, 10250\n", "such as its default 30000-32767", "give the programs ports"),
        # A socket of kube-proxy's own for a Service, a hostNetwork pod, a random streaming port.
        absent=("30787", "31999", "46553"),
    ),
    Case(
        "the Services are not known",
        "fail",
        live(snapshot=streaming(), cluster=no_cluster()),
        "node-a",
        words=("whether a Service has one of these numbers already is not known", "connection refused"),
    ),
    Case(
        "k3s holds kubelet's port and is the service proxy as well",
        "fail",
        live(
            snapshot=with_socket(without_sockets(NONE, 10250), "k3s-server", port=10250), nodeport_range="10250-10260"
        ),
        "node-a",
        words=("10250-10260: 10250\n",),
    ),
    Case("an assumed range is enough", "fail", live(API_SERVER + ".range", None, snapshot=streaming()), "node-a"),
    Case("nothing fixed lies in it", "pass", live(), "node-a"),
    Case("a streaming server on a random port", "pass", live(snapshot=streaming(33375, value="0")), "node-a"),
    Case("a number that a Service has", "pass", live(snapshot=streaming(30080, value="30080")), "node-a"),
    Case("nftables mode leaves loopback alone", "pass", live(MODE, "nftables", snapshot=streaming()), "node-a"),
    Case("an unknown program", "pass", live(snapshot=with_socket(NONE, "java", port=31000)), "node-a"),
    Case("a published container port", "pass", live(snapshot=with_socket(NONE, "docker-proxy", port=31000)), "node-a"),
    Case(
        "a NodePort that kube-proxy holds", "pass", live(snapshot=with_socket(NONE, "kube-proxy", port=31000)), "node-a"
    ),
    Case(
        "nothing told the range",
        "unknown",
        live(API_SERVER + ".range", None),
        "node-a",
        words=("the NodePort range is not known", "no API server was seen among the hosts"),
    ),
    Case("without root", "unknown", seed(sick="sick-as-nobody"), "sick", words=("sockets have no visible process",)),
    Case(
        "listeners were cut off",
        "unknown",
        live(snapshot=gap(captured("node-a"), "listen_ports", "listeners", "6000 found, the first 5000 kept")),
        "node-a",
        words=("6000 found",),
    ),
    *unknowns(("host", "listen_ports", "nodeport_conflict", "port_settings")),
    no_node(),
    Case("a container that sees only the host's sockets", "unknown", contained(), "bare", words=("processes: ",)),
]
