# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Case
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.service_scene import (
    HOSTILE,
    container,
    listens,
    made,
    on_node_a,
    pod,
    port,
    service,
    target_unknowns,
)

BOTH = ("IPv4", "IPv6")
ONE_FAMILY = 'kubectl -n shop patch service web --type=merge -p \'{"spec": {"ipFamilyPolicy": "SingleStack"}}\''


def web(*families, **fields):
    return service("web", port(80, 8080, node_port=30080), families=families, **fields)


CASES = [
    Case(
        "a Service of IPv4, and a program that takes IPv6 only",
        "fail",
        made(web("IPv4"), pod("web-1", listens(8080, "::", v6only=True))),
        None,
        "critical",
        words=(
            "Service shop/web, NodePort 30080/TCP refuses connections: its pod listens on 8080 over IPv6 only, and these packets are IPv4",
            "[::]:8080/tcp (process python3, container web, IPv6 only)",
            "let python3 listen on 0.0.0.0 too, or on [::] without IPV6_V6ONLY",
        ),
        absent=("let the Service be",),
        causes=(),
    ),
    Case(
        "a Service of both, and a program that takes IPv4 only",
        "fail",
        made(web(*BOTH), pod("web-1", listens(8080))),
        None,
        "warning",
        words=(
            "Service shop/web, NodePort 30080/TCP refuses a part of its connections: its pod listens on 8080 over IPv4 only, and these packets are IPv6",
            "1 of them answer, and over IPv6 every connection fails",
            "pod shop/web-1 on node-a, [fd00:244::a]:8080",
            "or let the Service be IPv4 only, until the program is ready for IPv6",
            "let python3 listen on [::], which takes both families",
        ),
        commands=(ONE_FAMILY,),
    ),
    Case(
        "the first family of a Service cannot be taken away",
        "fail",
        made(web("IPv6", "IPv4"), pod("web-1", listens(8080))),
        None,
        "warning",
        absent=("let the Service be",),
    ),
    Case(
        "a Service of IPv6",
        "fail",
        made(web("IPv6"), pod("web-1", listens(8080))),
        None,
        "critical",
        words=("over IPv4 only, and these packets are IPv6",),
        absent=("let the Service be",),
    ),
    Case(
        "pods that have one family each",
        "fail",
        made(web(*BOTH), pod("web-1", listens(8080)), pod("web-2", listens(8080, "::", v6only=True))),
        None,
        "warning",
        words=("its 2 pods listen on 8080 over one family each, and packets of both come to them",),
        absent=("let the Service be",),
    ),
    Case(
        "UDP",
        "fail",
        made(service("web", port(53, protocol="UDP"), families=["IPv6"]), pod("web-1", listens(53, protocol="udp"))),
        None,
        words=("gives no answer: its pod listens on 53/UDP over IPv4 only",),
    ),
    Case(
        "a pod in its host's network",
        "fail",
        made(service("web", port(8080)), pod("web-1", listens(8080, "::", v6only=True), host_network=True)),
        None,
        words=("what listens on all addresses is open on all of the node's",),
        absent=("by every pod and node of the cluster",),
    ),
    Case("the healthy twin: both on one socket", "pass", made(web(*BOTH), pod("web-1", listens(8080, "::"))), None),
    Case(
        "a socket for each family",
        "pass",
        made(web(*BOTH), pod("web-1", listens(8080), listens(8080, "::", v6only=True))),
        None,
    ),
    Case("one family, and that is wanted", "pass", made(web("IPv4"), pod("web-1", listens(8080))), None),
    Case("the captured cluster", "pass", on_node_a(), None),
    Case(
        "whether the socket takes IPv4 too was not seen",
        "unknown",
        made(web("IPv4"), pod("web-1", listens(8080, "::", v6only=None))),
        None,
        words=("1 endpoint of 1 Service could not be judged: whether a listener on [::] takes IPv4 too was not seen",),
    ),
    Case(
        "hostile names",
        "fail",
        made(
            {**web(*BOTH), "name": HOSTILE, "namespace": HOSTILE},
            pod(
                HOSTILE,
                listens(8080, process=HOSTILE),
                app="web",
                namespace=HOSTILE,
                containers=[container(HOSTILE, HOSTILE)],
            ),
        ),
        None,
        absent=("kubectl -n",),
    ),
    *target_unknowns(),
]
