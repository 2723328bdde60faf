# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    Scene,
    captured,
    changed,
    kubernetes_136,
    live,
    no_cluster,
    no_node,
    unknowns,
)


def stranger(*changes):
    """The captured node under a name and an address that the cluster does not know."""
    node = changed(captured("node-a"), "host.hostname", "web-1", "host.addresses.0.address", "198.51.100.9", *changes)
    return Scene({"web-1": node}, kubernetes_136())


def named(host, *changes):
    return Scene({host: changed(captured("node-a"), *changes)}, kubernetes_136())


CASES = [
    Case(
        "runs kubelet and no Node has its name or address",
        "fail",
        stranger(),
        "web-1",
        "warning",
        words=(
            "has no Node for it",
            "host name web-1, running containerd, kube-apiserver, kube-proxy, kubelet",
            "Nodes: node-a",
        ),
        commands=("kubectl get nodes -o wide",),
    ),
    Case(
        "a cluster without Nodes",
        "fail",
        live(cluster=changed(kubernetes_136(), "nodes", [])),
        "node-a",
        words=("Nodes: none",),
    ),
    Case(
        "lo's address is no proof",
        "fail",
        Scene(
            {"web-1": stranger().snapshots["web-1"]}, changed(kubernetes_136(), "nodes.0.internal_ips", ["127.0.0.1"])
        ),
        "web-1",
    ),
    Case(
        "by its name in the inventory",
        "pass",
        named("node-a", "host.hostname", "other", "host.addresses", []),
        "node-a",
    ),
    Case("by its host name", "pass", named("web-1", "host.addresses", []), "web-1"),
    Case("by its address", "pass", named("web-1", "host.hostname", "other"), "web-1"),
    Case(
        "an API server range that is junk hides no Node",
        "pass",
        named("node-a", "port_settings.api_server.range", ["x"]),
        "node-a",
    ),
    Case(
        "Nodes could not be read",
        "unknown",
        live(
            cluster=changed(
                kubernetes_136(), "nodes", None, "missing", [{"what": "Nodes", "why": "403: nodes is forbidden"}]
            )
        ),
        "node-a",
        words=("403: nodes is forbidden",),
    ),
    Case("the API server is dead", "unknown", live(cluster=no_cluster()), "node-a", words=("connection refused",)),
    *unknowns(("host",)),
    no_node(),
]
