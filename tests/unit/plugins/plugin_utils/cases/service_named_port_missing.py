# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    Scene,
    captured,
    kubernetes_136,
    no_cluster,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.service_scene import (
    HOSTILE,
    cluster,
    container,
    listens,
    made,
    made_of,
    on_node_a,
    only,
    pod,
    port,
    service,
    without,
)

WEB = service("web", port(80, "http", node_port=30080))


def web(*ports, name="web"):
    return [container(name, ports=ports)]


def patched(value, wanted='"http"'):
    return (
        "kubectl -n shop patch service web --type=json -p '"
        f'[{{"op": "test", "path": "/spec/ports/0/targetPort", "value": {wanted}}}, '
        f'{{"op": "replace", "path": "/spec/ports/0/targetPort", "value": {value}}}]\''
    )


def named(number, name="http", protocol="TCP"):
    return (
        'kubectl -n shop patch deployment web -p \'{"spec": {"template": {"spec": {"containers": [{"name": "web", "ports": '
        f'[{{"name": "{name}", "containerPort": {number}, "protocol": "{protocol}"}}]}}]}}}}}}}}\''
    )


CASES = [
    Case(
        "the captured cluster",
        "fail",
        on_node_a(),
        None,
        "critical",
        words=(
            "Service shop/cart, NodePort 30081/TCP refuses connections: no container of its pod has a TCP port named web",
            "port 80/TCP (web), NodePort 30081, targetPort web: EndpointSlices have 10.244.0.24 without a number for it; no endpoint is left",
            "container cart has no ports in its spec; it listens on [::]:5000/tcp (process httpd, container cart)",
            "let the Service want the number: these pods have 5000/TCP",
            "or give 5000/TCP of container cart the name web in the pod template",
        ),
        commands=(
            patched(5000, '"web"').replace("service web", "service cart"),
            named(5000, "web")
            .replace("deployment web", "deployment cart")
            .replace('"name": "web", "ports"', '"name": "cart", "ports"'),
        ),
        causes=(),
    ),
    Case(
        "the Services of the captured cluster that name what is there", "pass", on_node_a(of=only("front", "ui")), None
    ),
    Case("the healthy twin", "pass", made(WEB, pod("web-1", listens(8080), containers=web(("http", 8080)))), None),
    Case(
        "a name that is spelled otherwise",
        "fail",
        made(WEB, pod("web-1", listens(8080), containers=web(("htpp", 8080), ("metrics", 9100)))),
        None,
        "critical",
        words=(
            "container web has htpp (8080/TCP), metrics (9100/TCP)",
            "let the Service want htpp, the name that these pods have, in place of http",
            "or let the Service want the number: these pods have 8080/TCP",
        ),
        commands=(patched('"htpp"'), patched(8080), named(8080)),
    ),
    Case(
        "the only name that there is",
        "fail",
        made(WEB, pod("web-1", containers=web(("server", 8080)))),
        None,
        words=("let the Service want server, the name that these pods have",),
        commands=(patched('"server"'), patched(8080)),
    ),
    Case(
        "names that are all quite different",
        "fail",
        made(WEB, pod("web-1", containers=web(("metrics", 9100), ("admin", 9101)))),
        None,
        words=("give its TCP port of container web the name http",),
        absent=("let the Service want",),
    ),
    Case(
        "the name is there, for the other protocol",
        "fail",
        made(service("web", port(53, "dns", protocol="UDP")), pod("web-1", containers=web(("dns", 53)))),
        None,
        words=(
            "no container of its pod has a UDP port named dns",
            "container web has dns (53/TCP); the name is there, but for another protocol",
        ),
        absent=("let the Service want",),
    ),
    Case(
        "one of three pods",
        "fail",
        made(
            WEB,
            pod("web-1", listens(8080), containers=web(("web", 8080)), revision=2),
            pod("web-2", listens(8080), containers=web(("http", 8080))),
            pod("web-3", listens(8080), containers=web(("http", 8080))),
        ),
        None,
        "warning",
        words=(
            "Service shop/web, NodePort 30080/TCP leaves out some of its pods: no container of 1 of its 3 pods has a TCP port named http",
            "2 other endpoints are in use",
        ),
        absent=("kubectl -n shop patch service",),
        commands=(named(8080),),
    ),
    Case(
        "pods that are not ready",
        "fail",
        made(WEB, pod("web-1", ready=False, containers=web(("web", 8080)))),
        None,
        "warning",
    ),
    Case("a pod that goes away", "pass", made(WEB, pod("web-1", containers=web(), api={"deleting": True})), None),
    Case(
        "two ports, one of them by a name that is missing",
        "fail",
        made(
            service("web", port(80, 8080, name="web"), port(9100, "metrics", name="metrics")),
            pod("web-1", listens(8080), containers=web(("http", 8080))),
        ),
        None,
        "critical",
        words=(
            "Service shop/web, port 9100/TCP refuses connections: no container of its pod has a TCP port named metrics",
        ),
    ),
    Case(
        "many pods, of several containers",
        "fail",
        made(
            WEB,
            *(
                pod(
                    f"web-{number}",
                    listens(8080),
                    containers=[
                        container("web"),
                        container("side", ports=[(None, 8080)]),
                        container("init", kind="init"),
                    ],
                )
                for number in range(7)
            ),
        ),
        None,
        words=(
            "of its 7 pods",
            "and 2 more pods",
            "container web has no ports in its spec; container side has no name (8080/TCP)",
            "10.244.0.10, 10.244.0.11, 10.244.0.12 and 4 more",
        ),
        absent=("container init has",),
        commands=(named(8080).replace('"name": "web", "ports"', '"name": "side", "ports"'),),
    ),
    Case(
        "the container that listens is a native sidecar, which is among the init containers of the template",
        "fail",
        made(
            WEB,
            pod(
                "web-1",
                listens(8080, container="envoy"),
                containers=[container("web"), container("envoy", kind="sidecar", ports=[("proxy", 8080)])],
            ),
        ),
        None,
        words=("give 8080/TCP of container envoy the name http",),
        commands=(
            named(8080)
            .replace('"containers": ', '"initContainers": ')
            .replace('"name": "web", "ports"', '"name": "envoy", "ports"'),
        ),
    ),
    Case(
        "pods of two Deployments",
        "fail",
        made_of(
            [{**WEB, "selector": {}}],
            [pod("web-1", listens(8080)), pod("other-1", listens(8080))],
        ),
        None,
        absent=("kubectl -n shop patch deployment",),
        commands=(patched(8080),),
    ),
    Case(
        "pods may not be read",
        "fail",
        on_node_a(of=without("pods")),
        None,
        "critical",
        words=("which names its containers have was not seen (Pods: pods is forbidden", "these pods have 5000/TCP"),
        commands=(patched(5000, '"web"').replace("service web", "service cart"),),
    ),
    Case(
        "the node is silent: slices and pods tell enough",
        "fail",
        Scene({"node-a": "Connection timed out", "bare": captured("bare")}, cluster()),
        None,
        "critical",
        words=("no container of its pod has a TCP port named web",),
        absent=("it listens on",),
    ),
    Case(
        "an older bundle, without pods",
        "fail",
        Scene({"node-a": "Connection timed out", "bare": captured("bare")}, kubernetes_136()),
        None,
        words=("which names its containers have was not seen",),
        absent=("let the Service want",),
    ),
    Case(
        "endpoints that are no pods have no names",
        "pass",
        made_of(
            [service("db", port(5432, "db"), selector=None)],
            [],
            slices=[{**piece, "ports": []} for piece in cluster()["endpoint_slices"] if piece["service"] == "db"],
        ),
        None,
    ),
    Case(
        "hostile names",
        "fail",
        made(
            {**service(HOSTILE, port(80, HOSTILE), namespace=HOSTILE), "selector": {"app": "web"}},
            pod(
                HOSTILE,
                listens(8080, process=HOSTILE),
                app="web",
                namespace=HOSTILE,
                containers=[container(HOSTILE, HOSTILE, ports=[(f"x{HOSTILE}", 8080)])],
            ),
        ),
        None,
        absent=("kubectl -n",),
    ),
    Case("the API server is dead", "unknown", on_node_a(of=no_cluster()), None, words=("connection refused",)),
    Case(
        "the EndpointSlices are not known",
        "unknown",
        on_node_a(
            of={**cluster(endpoint_slices=None), "missing": [{"what": "EndpointSlices", "why": "403 Forbidden"}]}
        ),
        None,
        words=("EndpointSlices: 403 Forbidden",),
    ),
    Case("no Services", "not_applicable", on_node_a(of=cluster(services=[])), None),
]
