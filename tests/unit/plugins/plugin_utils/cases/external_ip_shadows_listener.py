# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    changed,
    gap,
    ipv6_of,
    kubernetes_136,
    live,
    no_cluster,
    no_node,
    unknowns,
    with_service,
    with_socket,
)

WEB = with_socket(captured("node-a"), "nginx", port=80)
OUTSIDE = with_service(kubernetes_136(), "front", external_ips=["192.0.2.2"])
BALANCED = with_service(kubernetes_136(), "front", load_balancer_ips=[{"ip": "192.0.2.2", "ip_mode": None}])


def own_endpoint():
    """front's endpoint is a hostNetwork pod on the Node's InternalIP; the external address is another of its addresses."""
    cluster = with_service(kubernetes_136(), "front", external_ips=["198.51.100.80"])
    piece = next(piece for piece in cluster["endpoint_slices"] if piece["service"] == "front")
    piece["ports"] = [{"name": "web", "protocol": "TCP", "port": 80}]
    piece["endpoints"] = [{**piece["endpoints"][0], "addresses": ["192.0.2.2"]}]
    snapshot = ipv6_of(WEB, "198.51.100.80")
    return live(snapshot=snapshot, cluster=cluster)


CASES = [
    Case(
        "an external IP that is the node's",
        "fail",
        live(snapshot=WEB, cluster=OUTSIDE),
        "node-a",
        "warning",
        words=(
            "nginx is not reached on 192.0.2.2 port 80: Service shop/front has that address as an external one",
            "still answers on the node's other addresses",
            "refuses them while there are none",
        ),
    ),
    Case(
        "the listener has that one address only",
        "fail",
        live(snapshot=with_socket(captured("node-a"), "nginx", port=80, address="192.0.2.2"), cluster=OUTSIDE),
        "node-a",
        "critical",
    ),
    Case(
        "a load balancer's address that is the node's",
        "fail",
        live(snapshot=WEB, cluster=BALANCED),
        "node-a",
        "warning",
    ),
    Case(
        "not this node's address",
        "pass",
        live(snapshot=WEB, cluster=with_service(kubernetes_136(), "front", external_ips=["198.51.100.1"])),
        "node-a",
    ),
    Case(
        "ipMode Proxy takes no packets on the node",
        "pass",
        live(
            snapshot=WEB,
            cluster=with_service(
                kubernetes_136(), "front", load_balancer_ips=[{"ip": "192.0.2.2", "ip_mode": "Proxy"}]
            ),
        ),
        "node-a",
    ),
    Case(
        "a Service of another proxy",
        "pass",
        live(snapshot=WEB, cluster=with_service(OUTSIDE, "front", proxy_name="other")),
        "node-a",
    ),
    Case(
        "another port",
        "pass",
        live(snapshot=with_socket(captured("node-a"), "nginx", port=8080), cluster=OUTSIDE),
        "node-a",
    ),
    Case(
        "another protocol",
        "pass",
        live(
            snapshot=with_socket(captured("node-a"), "nginx", port=80, protocol="udp", state="unconnected"),
            cluster=OUTSIDE,
        ),
        "node-a",
    ),
    Case(
        "on loopback only",
        "pass",
        live(snapshot=with_socket(captured("node-a"), "nginx", port=80, address="127.0.0.1"), cluster=OUTSIDE),
        "node-a",
    ),
    Case(
        "kube-proxy up to 1.23 holds it itself",
        "pass",
        live(snapshot=with_socket(captured("node-a"), "kube-proxy", port=80, address="192.0.2.2"), cluster=OUTSIDE),
        "node-a",
    ),
    Case("the listener is the Service's own endpoint", "pass", own_endpoint(), "node-a"),
    Case(
        "whose it is needs root",
        "unknown",
        live(snapshot=with_socket(captured("node-a"), None, port=80, hidden=True), cluster=OUTSIDE),
        "node-a",
        words=("which needs root to be seen",),
    ),
    Case(
        "listeners were cut off",
        "unknown",
        live(snapshot=gap(captured("node-a"), "listen_ports", "listeners", "6000 found, the first 5000 kept")),
        "node-a",
        words=("6000 found",),
    ),
    Case(
        "local addresses were not seen",
        "unknown",
        live(
            snapshot=gap(
                changed(captured("node-a"), "host.addresses", None), "host", "local addresses", "rtnetlink: timed out"
            )
        ),
        "node-a",
        words=("rtnetlink: timed out",),
    ),
    Case("the API server is dead", "unknown", live(cluster=no_cluster()), "node-a", words=("connection refused",)),
    *unknowns(("host", "listen_ports")),
    no_node(),
]
