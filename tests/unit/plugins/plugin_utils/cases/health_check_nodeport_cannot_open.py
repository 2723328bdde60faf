# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    changed,
    gap,
    live,
    no_cluster,
    no_node,
    unknowns,
    with_socket,
    without_sockets,
)

FREE = without_sockets(captured("node-a"), 30787)

CASES = [
    Case(
        "another program has it",
        "fail",
        live(snapshot=with_socket(FREE, "node_exporter", port=30787)),
        "node-a",
        "critical",
        words=(
            "kube-proxy cannot open Service shop/local, healthCheckNodePort 30787/TCP: node_exporter has the port",
            "The Service loses",
            "FailedToStartServiceHealthcheck",
            "answered by another program",
        ),
        absent=("Service's pods",),
        causes=(),
    ),
    Case(
        "on [::] for both families",
        "fail",
        live(snapshot=with_socket(FREE, port=30787, family="ipv6", address="::", v6only=False)),
        "node-a",
        "critical",
    ),
    Case(
        "a random listener drew it",
        "fail",
        live(
            "port_settings.kernel.sysctl.ip_local_port_range",
            "1024\t65535",
            snapshot=with_socket(
                changed(FREE, "port_settings.kernel.sysctl.ip_local_port_range", "1024\t65535"),
                port=30787,
                processes=[{"pid": 9, "name": "java", "unit": "app.service", "container_id": None, "pod_uid": None}],
            ),
        ),
        "node-a",
        "critical",
        commands=("systemctl restart app.service", "sysctl -p /etc/sysctl.d/60-nodeports.conf"),
        causes=("nodeport-range-overlaps-ephemeral",),
    ),
    Case(
        "kubelet drew it",
        "fail",
        live(
            snapshot=with_socket(
                changed(FREE, "port_settings.kernel.sysctl.ip_local_port_range", "1024\t65535"),
                port=30787,
                address="127.0.0.1",
                processes=[
                    {"pid": 9, "name": "kubelet", "unit": "kubelet.service", "container_id": None, "pod_uid": None}
                ],
            ),
        ),
        "node-a",
        commands=("systemctl restart kubelet.service",),
    ),
    Case(
        "TIME-WAIT of an outgoing connection has it",
        "fail",
        live(
            snapshot=with_socket(
                changed(FREE, "port_settings.kernel.sysctl.ip_local_port_range", "1024\t65535"),
                None,
                port=30787,
                state="time_wait",
                address="192.0.2.2",
                peer="198.51.100.7",
                peer_port=443,
                inode=None,
            )
        ),
        "node-a",
        "critical",
        words=("TIME-WAIT to 198.51.100.7 port 443", "no process has the port"),
    ),
    Case("kube-proxy has opened it", "pass", live(), "node-a"),
    Case("nobody has it", "pass", live(snapshot=FREE), "node-a"),
    Case(
        "UDP is another port",
        "pass",
        live(snapshot=with_socket(FREE, port=30787, protocol="udp", state="unconnected")),
        "node-a",
    ),
    Case(
        "nftables mode opens it on the Node's own address only",
        "pass",
        live("nodeport_conflict.proxy.mode", "nftables", snapshot=with_socket(FREE, port=30787, address="127.0.0.1")),
        "node-a",
    ),
    Case(
        "with an assumed mode a loopback holder proves nothing",
        "unknown",
        live("nodeport_conflict.proxy.mode", None, snapshot=with_socket(FREE, port=30787, address="127.0.0.1")),
        "node-a",
    ),
    Case(
        "whose it is needs root",
        "unknown",
        live(snapshot=with_socket(FREE, None, port=30787, hidden=True)),
        "node-a",
        words=("root needed",),
    ),
    Case(
        "sockets were cut off",
        "unknown",
        live(snapshot=gap(FREE, "nodeport_conflict", "sockets", "the first 1000 kept")),
        "node-a",
        words=("the first 1000 kept",),
    ),
    Case("the API server is dead", "unknown", live(cluster=no_cluster()), "node-a", words=("connection refused",)),
    *unknowns(("host", "nodeport_conflict", "port_settings")),
    no_node(),
]
