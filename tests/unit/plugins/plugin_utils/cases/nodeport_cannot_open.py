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
    seed,
    unknowns,
    with_socket,
    without_sockets,
)


def opener(snapshot=None):
    """The node with a kube-proxy that opens NodePorts itself: it holds 30080, 30081 and 32530 as 1.23 did."""
    snapshot = without_sockets(captured("node-a"), 30081, 32530) if snapshot is None else snapshot
    for port in (30080, 30081, 32530):
        snapshot = with_socket(snapshot, "kube-proxy", port=port)
    return snapshot


CLOSE_WAIT = {"state": "close_wait", "address": "192.0.2.2", "peer": "198.51.100.7", "peer_port": 40000, "inode": None}

CASES = [
    Case(
        "hostnet has the port of shop/orphan",
        "fail",
        live(snapshot=without_sockets(opener(), 35776)),
        "node-a",
        "warning",
        words=(
            "kube-proxy cannot open Service shop/orphan, NodePort 31999/TCP: hostnet has the port",
            "bind: address already in use",
            "the Service works and the socket's owner loses",
        ),
        commands=("kubectl -n shop delete service orphan",),
        causes=("nodeport-shadows-listener",),
    ),
    Case(
        "an outgoing connection has the port, and nothing listens",
        "fail",
        live(snapshot=without_sockets(opener(), 31999)),
        "node-a",
        "warning",
        words=("NodePort 35776/TCP: agent has the port", "ESTABLISHED to 192.0.2.2 port 10250"),
        causes=("nodeport-range-overlaps-ephemeral",),
    ),
    Case("it holds them all", "pass", live(snapshot=without_sockets(opener(), 31999, 35776)), "node-a"),
    Case(
        "connections that nobody accepts are its own (kubernetes#106713)",
        "pass",
        live(snapshot=with_socket(without_sockets(opener(), 31999, 35776), None, port=30080, **CLOSE_WAIT)),
        "node-a",
    ),
    Case(
        "an IPv4-only Service and a foreign [::] with v6only",
        "pass",
        live(
            snapshot=with_socket(
                without_sockets(opener(), 31999, 35776), port=30080, family="ipv6", address="::", v6only=True
            )
        ),
        "node-a",
    ),
    Case(
        "without root kube-proxy's sockets are not seen",
        "unknown",
        seed(sick="sick-as-nobody"),
        "sick",
        words=("sockets have no visible process",),
    ),
    Case("kube-proxy 1.24 and newer opens none", "not_applicable", live(), "node-a"),
    Case("the API server is dead", "unknown", live(cluster=no_cluster()), "node-a", words=("connection refused",)),
    *unknowns(("host", "nodeport_conflict")),
    no_node(),
]
