# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    live,
    no_cluster,
    no_node,
    unknowns,
    with_socket,
    without_sockets,
)

MODE = "nodeport_conflict.proxy.mode"
SYN_SENT = {"port": 35776, "state": "syn_sent", "address": "192.0.2.2", "peer": "198.51.100.7", "peer_port": 443}


def dialling(**fields):
    """node-a with one outgoing connection from shop/local's NodePort."""
    return with_socket(without_sockets(captured("node-a"), 31999, 35776), "curl", **{**SYN_SENT, **fields})


CASES = [
    Case(
        "it waits for its answer (kubernetes#111682)",
        "fail",
        live(MODE, "ipvs", snapshot=dialling()),
        "node-a",
        "warning",
        words=("curl may never be established", "Service shop/local, NodePort 35776/TCP", "198.51.100.7 port 443"),
        causes=("nodeport-range-overlaps-ephemeral",),
    ),
    Case(
        "its port is reserved by now",
        "fail",
        live(
            MODE,
            "ipvs",
            "port_settings.kernel.sysctl.ip_local_reserved_ports",
            "30000-65535",
            snapshot=dialling(),
        ),
        "node-a",
        words=("move the Service from NodePort 35776",),
    ),
    Case(
        "an established one has its answer",
        "pass",
        live(MODE, "ipvs", snapshot=dialling(state="established")),
        "node-a",
    ),
    Case("another number", "pass", live(MODE, "ipvs", snapshot=dialling(port=40123)), "node-a"),
    Case("iptables leaves it alone", "not_applicable", live(snapshot=dialling()), "node-a"),
    Case("an assumed mode is iptables", "pass", live(MODE, None, snapshot=dialling()), "node-a"),
    Case(
        "the API server is dead",
        "unknown",
        live(MODE, "ipvs", cluster=no_cluster()),
        "node-a",
        words=("connection refused",),
    ),
    *unknowns(("host", "nodeport_conflict")),
    no_node(),
]
