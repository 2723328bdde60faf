# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.cases.service_without_endpoints import (
    BACK_OFF,
    captured,
    crash,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Case, Scene, no_cluster
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.service_scene import (
    HOSTILE,
    container,
    listens,
    made,
    node_a,
    on_node_a,
    pod,
    port,
    service,
    without,
)


def publishing(**fields):
    """The captured cluster with a Service that publishes the captured pod that crashes."""
    own, piece = crash(publish_not_ready_addresses=True, **fields)
    piece["endpoints"][0]["ready"] = True  # so the endpoint controller writes it: serving is the pod's own
    return captured((own, piece))


def made_up(*pods, change=None, **fields):
    return made(service("ui", port(9292), publish_not_ready_addresses=True, **fields), *pods, change=change)


def unread(serving):
    """No pod was read, and the slices say this of what serves."""

    def change(document):
        for piece in document["endpoint_slices"]:
            for endpoint in piece["endpoints"]:
                endpoint["serving"] = serving
        return {**document, "pods": None, "missing": [{"what": "Pods", "why": "pods is forbidden"}]}

    return change


CASES = [
    Case(
        "captured: a pod that crashes",
        "fail",
        on_node_a(of=publishing() | {"events": [BACK_OFF]}),
        None,
        "warning",
        words=(
            "Service shop/crash sends packets to pods that are not ready (publishNotReadyAddresses): 1 of 1",
            "pod shop/crash-78bf7549d-nkthh: container crash ended with exit code 1 (Error), restarts 3; event BackOff, 3 times",
        ),
        commands=("kubectl -n shop get service crash -o yaml",),
    ),
    Case("captured: the same, headless", "not_applicable", on_node_a(of=publishing(cluster_ips=["None"])), None),
    Case("captured: no Service publishes", "not_applicable", on_node_a(of=captured()), None),
    Case("all pods are ready", "pass", made_up(pod("ui-1", listens(9292)), pod("ui-2", listens(9292))), None),
    Case(
        "some are not",
        "fail",
        made_up(
            pod("ui-1", listens(9292)),
            *(pod(f"ui-{n}", ready=False, containers=[container("ui", probes=["readiness"])]) for n in range(2, 9)),
        ),
        None,
        "warning",
        words=("(publishNotReadyAddresses): 7 of 8", "pod shop/ui-2: its condition Ready is False", "and 2 more"),
        absent=("pod shop/ui-1",),
    ),
    Case(
        "captured: pods could not be read, the slices say it",
        "fail",
        on_node_a(of=without("pods", of=publishing())),
        None,
        "warning",
        words=("pod shop/crash-78bf7549d-nkthh is not ready (serving is false in its EndpointSlice)",),
    ),
    Case("pods could not be read, and all serve", "pass", made_up(pod("ui-1"), change=unread(True)), None),
    Case(
        "pods could not be read, and the slices are too old to tell",
        "unknown",
        made_up(pod("ui-1"), change=unread(None)),
        None,
        words=(
            "whether all pods behind shop/ui are ready is not known: the pods are not known (Pods: pods is forbidden)",
        ),
    ),
    Case(
        "a pod that is gone by now",
        "unknown",
        made_up(pod("ui-1"), change=lambda document: unread(None)(document) | {"pods": []}),
        None,
        words=("ready is not known: they are gone by now",),
    ),
    Case("hostile reasons", "fail", made_up(pod("ui-1", ready=False, api={"ready_reason": HOSTILE})), None),
    Case(
        "no Service was read",
        "unknown",
        Scene({"node-a": node_a()}, no_cluster()),
        None,
        words=("Services are not known",),
    ),
]
