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
    seen_of,
    service,
    target_unknowns,
    without,
)

WEB = service("web", port(80, 8080, node_port=30080))
LOOPBACK = "127.0.0.1"
BOTH = ("IPv4", "IPv6")
PROBE = (
    'kubectl -n shop patch deployment web -p \'{"spec": {"template": {"spec": {"containers": [{"name": "web", "readinessProbe": '
    '{"tcpSocket": {"port": 8080}, "periodSeconds": 10}}]}}}}\''
)

CASES = [
    Case(
        "loopback only",
        "fail",
        made(WEB, pod("web-1", listens(8080, LOOPBACK, process="node"))),
        None,
        "critical",
        words=(
            "Service shop/web, NodePort 30080/TCP refuses connections: its pod listens on 8080, but only at 127.0.0.1, which is reached from inside",
            "it listens on 127.0.0.1:8080/tcp (process node, container web)",
            "answers kubectl port-forward",
            "let node listen on 0.0.0.0: mostly an option",
            "no container of this pod has a readiness probe",
        ),
        absent=("image", "roll Deployment"),
        commands=(PROBE,),
        causes=(),
    ),
    Case("the healthy twin", "pass", made(WEB, pod("web-1", listens(8080))), None),
    Case("the pod's own address", "pass", made(WEB, pod("web-1", listens(8080, "10.244.0.10"))), None),
    Case(
        "loopback, and the pod's own address too",
        "pass",
        made(WEB, pod("web-1", listens(8080, LOOPBACK), listens(8080, "10.244.0.10"))),
        None,
    ),
    Case(
        "the sidecar of the captured cluster, had its Service wanted it",
        "fail",
        on_node_a(
            *(
                seen_of(name, listeners=[listens(5000, LOOPBACK)])
                for name in ("front-6559f5d576-nzsjv", "front-6559f5d576-ctfs7")
            )
        ),
        None,
        words=(
            "Service shop/front, NodePort 30080/TCP refuses connections: its 2 pods listen on 5000, but only at 127.0.0.1",
        ),
    ),
    Case(
        "loopback of IPv6, for a Service of IPv4",
        "fail",
        made(WEB, pod("web-1", listens(8080, "::1"))),
        None,
        "critical",
        words=("listens on 8080, but only at ::1",),
    ),
    Case(
        "another address of the pod",
        "fail",
        made(WEB, pod("web-1", listens(8080, "192.0.2.77"))),
        None,
        "critical",
        words=(
            "listens on 8080, but only at 192.0.2.77, and the packets come to another address",
            "listens on other addresses of the pod only",
        ),
        absent=("port-forward",),
    ),
    Case(
        "loopback, in both families",
        "fail",
        made(service("web", port(8080), families=BOTH), pod("web-1", listens(8080, LOOPBACK), listens(8080, "::1"))),
        None,
        "critical",
        words=("Service shop/web, port 8080/TCP refuses", "only at 127.0.0.1, ::1", "listen on 0.0.0.0 and [::]"),
    ),
    Case(
        "one of two pods",
        "fail",
        made(WEB, pod("web-1", listens(8080, LOOPBACK)), pod("web-2", listens(8080))),
        None,
        "warning",
        words=("refuses a part of its connections: 1 of its 2 pods listens on 8080", "50 % of new connections fail"),
    ),
    Case(
        "UDP",
        "fail",
        made(service("web", port(53, protocol="UDP")), pod("web-1", listens(53, LOOPBACK, "udp", process=None))),
        None,
        words=(
            "port 53/UDP gives no answer: its pod listens on 53/UDP, but only at 127.0.0.1",
            "let the program listen",
        ),
    ),
    Case(
        "a pod in its host's network",
        "fail",
        made(WEB, pod("web-1", listens(8080, LOOPBACK), host_network=True)),
        None,
        words=(
            "in the network of its host, 192.0.2.2:8080",
            "only at 127.0.0.1, which is reached from inside the node only",
            "its loopback is the host's: every process of that node reaches the program",
            "let python3 listen on the address of its node that the endpoint has (192.0.2.2)",
            "with 0.0.0.0 or [::] it is open on all addresses of the node, those that are reached from outside the cluster too",
        ),
        absent=("kubectl port-forward", "a NetworkPolicy limits that", "inside the pod only"),
    ),
    Case(
        "pods may not be read",
        "fail",
        made(WEB, pod("web-1", listens(8080, LOOPBACK)), change=lambda document: without("pods", of=document)),
        None,
        words=("whether these pods have readiness probes was not seen (Pods: pods is forbidden",),
        absent=("kubectl -n",),
    ),
    Case("another port is no other address", "pass", made(WEB, pod("web-1", listens(5000, LOOPBACK))), None),
    Case(
        "hostile names",
        "fail",
        made(
            {**service(HOSTILE, port(80, 8080), namespace=HOSTILE), "selector": {"app": "web"}},
            pod(
                HOSTILE,
                listens(8080, LOOPBACK, process=HOSTILE, container=HOSTILE),
                app="web",
                namespace=HOSTILE,
                containers=[container(HOSTILE, HOSTILE)],
            ),
        ),
        None,
    ),
    *target_unknowns(),
]
