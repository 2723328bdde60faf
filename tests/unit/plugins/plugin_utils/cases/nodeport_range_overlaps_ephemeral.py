# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    changed,
    gap,
    kubernetes_136,
    live,
    no_cluster,
    no_node,
    seed,
    unknowns,
)

LOCAL = "port_settings.kernel.sysctl.ip_local_port_range"
RESERVED = "port_settings.kernel.sysctl.ip_local_reserved_ports"
API = "port_settings.api_server"
NO_API = {"range": None, "source": None, "complete": True, "missing": []}

CASES = [
    Case(
        "30000-40000 and the kernel's default",
        "fail",
        live(),
        "node-a",
        "warning",
        words=(
            "may draw 7233 ports of NodePort range 30000-40000, a NodePort in use among them",
            "NodePort range 30000-40000 (node-a: running kube-apiserver",
            "net.ipv4.ip_local_port_range is 32768 60999",
            "ip_local_reserved_ports is empty",
            "Service shop/local, NodePort 35776/TCP lies in the ephemeral range",
            "let the ephemeral range be 40001 to 60999, which begins above the NodePort range",
            "20999 ports are left",
            "this protects the NodePort that is in use today, a Service created later may get another number",
            "outside the ephemeral range, such as its default 30000-32767,",
        ),
        commands=(
            "printf '\\n%s\\n' 'net.ipv4.ip_local_reserved_ports = 35776' >> /etc/sysctl.d/60-nodeports.conf",
            "printf '\\n%s\\n' 'net.ipv4.ip_local_port_range = 40001 60999' >> /etc/sysctl.d/60-port-range.conf",
        ),
        causes=(),
    ),
    Case(
        "what is reserved already stays reserved",
        "fail",
        live(RESERVED, "8080,35000-35010"),
        "node-a",
        commands=(
            "printf '\\n%s\\n' 'net.ipv4.ip_local_reserved_ports = 8080,35000-35010,35776' >> /etc/sysctl.d/60-nodeports.conf",
        ),
    ),
    Case(
        "1024 65535 (tuned's)",
        "fail",
        live(LOCAL, "1024\t65535"),
        "node-a",
        words=("may draw 10001 ports", "8 NodePorts in use among them", "the ephemeral range be 40001 to 65535"),
        absent=("such as its default",),
    ),
    Case(
        "the default range, assumed, overlaps",
        "fail",
        live(LOCAL, "1024\t65535", API, NO_API, cluster=changed(kubernetes_136(), "services", [])),
        "node-a",
        words=("NodePort range 30000-32767 (assumed, Kubernetes' default", "tell it with nodeport_range"),
    ),
    Case(
        "Services refute the assumed range, so no cure rests on it",
        "fail",
        live(API, NO_API),
        "node-a",
        words=("NodePort range 30000-35776 (at least, by the NodePorts in use", "-e nodeport_range=LOW-HIGH"),
        absent=("ip_local_port_range =",),
    ),
    Case(
        "the variable decides",
        "fail",
        live(nodeport_range="50000-50099"),
        "node-a",
        words=(
            "may draw 100 ports of NodePort range 50000-50099, a NodePort in use among them",
            "the variable nodeport_range",
        ),
    ),
    Case(
        "too little would be left above, and no NodePort is in use",
        "fail",
        live(LOCAL, "1024\t65535", cluster=changed(kubernetes_136(), "services", []), nodeport_range="60000-65000"),
        "node-a",
        words=("a large reserved block makes the port after it the favourite",),
        commands=("sysctl -p /etc/sysctl.d/60-nodeports.conf",),
        absent=("which begins above", "this protects"),
    ),
    Case(
        "a block that reserved-ports-skew would ask to take back is not offered",
        "fail",
        live(LOCAL, "1024\t65535", cluster=changed(kubernetes_136(), "services", []), nodeport_range="50000-65000"),
        "node-a",
        words=("give kube-apiserver a --service-node-port-range outside",),
        absent=("which begins above", "reserve the NodePorts"),
    ),
    Case(
        "nor is a range in which a reserved block would do so",
        "fail",
        live(RESERVED, "41000-46000"),
        "node-a",
        words=("reserve the NodePorts",),
        absent=("which begins above",),
    ),
    Case(
        "unless such a share was allowed",
        "fail",
        live(
            LOCAL,
            "1024\t65535",
            cluster=changed(kubernetes_136(), "services", []),
            nodeport_range="50000-65000",
            skew_share=0.5,
        ),
        "node-a",
        words=("reserve the NodePorts", "a large reserved block"),
    ),
    Case("the healthy twin draws above the range", "pass", seed(), "healthy"),
    Case("all of it is reserved", "pass", live(RESERVED, "30000-40000"), "node-a"),
    Case(
        "the range is not known, the Services are",
        "unknown",
        live(API, NO_API, cluster=changed(kubernetes_136(), "services", [])),
        "node-a",
        words=("the NodePort range is not known (assumed", "the NodePorts that Services have were looked at"),
    ),
    Case(
        "neither is known",
        "unknown",
        live(API, NO_API, cluster=no_cluster()),
        "node-a",
        words=("connection refused", "nor are the Services"),
    ),
    Case(
        "the reserved ports could not be read",
        "unknown",
        live(
            snapshot=gap(
                changed(captured("node-a"), RESERVED, None),
                "port_settings.kernel",
                "net.ipv4.ip_local_reserved_ports",
                "Permission denied",
            )
        ),
        "node-a",
        words=("Permission denied",),
    ),
    Case(
        "the ephemeral range could not be read",
        "unknown",
        live(
            snapshot=gap(
                changed(captured("node-a"), LOCAL, None),
                "port_settings.kernel",
                "net.ipv4.ip_local_port_range",
                "Permission denied",
            )
        ),
        "node-a",
        words=("Permission denied",),
    ),
    Case(
        "the ephemeral range is junk",
        "unknown",
        live(LOCAL, "lots"),
        "node-a",
        words=("the data could not be judged", "lots"),
    ),
    *unknowns(("host", "port_settings")),
    no_node(),
]
