# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    BARE,
    Case,
    captured,
    changed,
    gap,
    ipv6_of,
    kubernetes_136,
    live,
    no_cluster,
    unknowns,
    with_service,
)

ADDRESSES = "nodeport_conflict.proxy.nodeport_addresses"
DUAL = ipv6_of(captured("node-a"))
DUAL_CLUSTER = with_service(kubernetes_136(), "front", ip_families=["IPv4", "IPv6"])


def dual(value, cluster=DUAL_CLUSTER, *changes):
    return live(ADDRESSES, value, *changes, snapshot=DUAL, cluster=cluster)


CASES = [
    Case(
        "IPv4 restricted, IPv6 open",
        "fail",
        dual(["192.0.2.0/24"]),
        "node-a",
        "warning",
        words=("restricted to 192.0.2.0/24, but on IPv6 every address", "IPv6 addresses of this node: 2001:db8::2"),
    ),
    Case(
        "IPv6 restricted, IPv4 open",
        "fail",
        dual(["2001:db8::/64"]),
        "node-a",
        words=("on IPv4 every address", "192.0.2.2"),
    ),
    Case("both named", "pass", dual(["192.0.2.0/24", "2001:db8::/64"]), "node-a"),
    Case("primary", "pass", dual(["primary"]), "node-a"),
    Case("not restricted", "pass", dual([]), "node-a"),
    Case("no Service has IPv6", "pass", dual(["192.0.2.0/24"], kubernetes_136()), "node-a"),
    Case(
        "the node has no other address of that family",
        "pass",
        live(ADDRESSES, ["192.0.2.0/24"], cluster=DUAL_CLUSTER),
        "node-a",
    ),
    Case(
        "Services are not known",
        "unknown",
        dual(["192.0.2.0/24"], no_cluster()),
        "node-a",
        words=("connection refused",),
    ),
    Case(
        "addresses are not known",
        "unknown",
        live(
            ADDRESSES,
            ["192.0.2.0/24"],
            snapshot=gap(
                changed(captured("node-a"), "host.addresses", None), "host", "local addresses", "rtnetlink: timed out"
            ),
        ),
        "node-a",
        words=("rtnetlink: timed out",),
    ),
    Case(
        "kube-proxy did not tell",
        "unknown",
        live(
            ADDRESSES,
            None,
            snapshot=gap(
                captured("node-a"), "nodeport_conflict.proxy", "kube-proxy configuration", "/configz: HTTP status 404"
            ),
        ),
        "node-a",
        words=("HTTP status 404",),
    ),
    Case(
        "k3s has kube-proxy inside",
        "unknown",
        live(ADDRESSES, None, "nodeport_conflict.proxy.program", "k3s"),
        "node-a",
        words=("kube-proxy's configuration was not seen",),
    ),
    Case(
        "another data plane",
        "not_applicable",
        live(ADDRESSES, None, "nodeport_conflict.proxy.program", "cilium-agent"),
        "node-a",
    ),
    Case("no kube-proxy here", "not_applicable", BARE, "bare"),
    *unknowns(("host", "nodeport_conflict")),
]
