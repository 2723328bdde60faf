# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Case, Scene, lost, no_cluster
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.service_scene import (
    HOSTILE,
    cluster,
    container,
    listens,
    made,
    made_of,
    node_a,
    on_node_a,
    pod,
    port,
    seen_of,
    service,
    without,
)

UI = ("ui-5b667475f5-7r54x", "ui-5b667475f5-dwnb9")


def on_port_9292():
    """The captured pods of ui, as if they listened where their Service wants them."""
    return [
        {**seen, "listeners": [{**socket, "port": 9292} for socket in seen["listeners"]]} for seen in map(seen_of, UI)
    ]


def probed():
    """The captured cluster in which the containers of ui have readiness probes."""
    document = copy.deepcopy(cluster())
    for entry in document["pods"]:
        for one in entry["containers"]:
            one["readiness"] = one["readiness"] or one["name"] == "ui"
    return document


def ui(*containers, target=9292, listening=9292, by=None, change=None, **fields):
    """``by`` is the container that is seen to listen; None where that was not seen."""
    return made(
        service("ui", port(9292, target)),
        pod("ui-1", listens(listening, container=by), containers=containers, **fields),
        change=change,
    )


BARE = container("ui")
PROBED = container("side", probes=["readiness"])

CASES = [
    Case(
        "captured: ui, where it listens as it should",
        "fail",
        on_node_a(*on_port_9292()),
        None,
        "info",
        words=(
            "1 Service has endpoints that are ready without any readiness probe",
            "Service reddit-entry/ui: pod reddit-entry/ui-5b667475f5-7r54x, pod reddit-entry/ui-5b667475f5-dwnb9",
        ),
        absent=("front",),
    ),
    Case("captured: the same with a probe", "pass", on_node_a(*on_port_9292(), of=probed()), None),
    Case("captured: ui, which a target rule tells", "pass", on_node_a(), None),
    Case(
        "captured: ui, which was not seen",
        "fail",
        on_node_a(snapshot=lost(node_a(), "pod_listeners", "pod_listeners", "no time")),
        None,
        words=("1 Service has", "Service reddit-entry/ui: "),
    ),
    Case(
        "many Services",
        "fail",
        made_of(
            [service(f"web-{number:02}", port(80), selector={"app": "web"}) for number in range(25)],
            [pod("web-1", listens(80)), pod("web-2", listens(80)), pod("web-3", listens(80))],
        ),
        None,
        "info",
        words=("25 Services have", "Service shop/web-09: pod shop/web-1, pod shop/web-2 and 1 more", "and 15 more"),
        absent=("web-10",),
    ),
    Case("a startup probe has seen it answer", "pass", ui(container("ui", probes=["startup"])), None),
    Case("a liveness probe proves nothing yet", "fail", ui(container("ui", probes=["liveness"])), None, "info"),
    Case("a probe of another container, where nobody declares the port", "pass", ui(BARE, PROBED), None),
    Case(
        "a probe of another container than the one that declares the port",
        "fail",
        ui(container("ui", ports=[("http", 9292)]), PROBED),
        None,
        "info",
    ),
    Case(
        "by name",
        "fail",
        ui(container("ui", ports=[("http", 9292)]), PROBED, target="http"),
        None,
        "info",
    ),
    Case(
        "the same number of another protocol declares nothing",
        "pass",
        ui(container("ui", ports=[("dns", 9292, "UDP")]), PROBED),
        None,
    ),
    Case(
        "a sidecar that serves the port",
        "pass",
        ui(BARE, container("proxy", kind="sidecar", ports=[("http", 9292)], probes=["readiness"])),
        None,
    ),
    Case(
        "nothing declares the port, and the container that listens has no probe",
        "fail",
        ui(BARE, PROBED, by="ui"),
        None,
        "info",
    ),
    Case(
        "nothing declares the port, and the container that listens has one", "pass", ui(BARE, PROBED, by="side"), None
    ),
    Case("who listens was not seen, and one of them has a probe", "pass", ui(BARE, PROBED), None),
    Case(
        "an init container serves nothing", "fail", ui(BARE, container("init", kind="init", probes=["readiness"])), None
    ),
    Case("a readiness gate proves it", "pass", ui(BARE, api={"readiness_gates": ["example.com/lb"]}), None),
    Case("it listens elsewhere: a target rule tells it", "pass", ui(BARE, listening=5000), None),
    Case("no pod behind any Service", "not_applicable", made(service("ui", port(80), selector=None)), None),
    Case(
        "pods could not be read",
        "unknown",
        on_node_a(*on_port_9292(), of=without("pods", of=cluster())),
        None,
        words=(
            "whether a probe stands behind each endpoint that is ready is not known: the pods are not known (Pods: pods is",
        ),
    ),
    Case(
        "only the pods of some nodes",
        "unknown",
        made(
            service("ui", port(9292)),
            pod("ui-1", listens(9292), containers=[container("ui", probes=["readiness"])]),
            pod("ui-2", listens(9292), node="node-b"),
            change=lambda document: {**document, "pods_of": ["node-a"], "pods": document["pods"][:1]},
        ),
        None,
        words=("only the pods of node-a were asked for",),
    ),
    Case(
        "a pod that is gone by now",
        "unknown",
        ui(BARE, change=lambda document: {**document, "pods": []}),
        None,
        words=("some were gone when the pods were read",),
    ),
    Case("hostile names", "fail", ui(container(HOSTILE)), None, "info"),
    Case(
        "no Service was read",
        "unknown",
        Scene({"node-a": node_a()}, no_cluster()),
        None,
        words=("Services are not known",),
    ),
]
