# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the way from Services to sockets was looked at: counted, and told so that nothing unseen looks quiet."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import report_survey, report_text
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.checks import check_report
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Scene, captured, lost, no_cluster
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.service_scene import (
    cluster,
    listens,
    made,
    made_of,
    node_a,
    on_node_a,
    pod,
    port,
    service,
)

UNREAD = {"known": False, "services": 0, "ports": 0, "bare": 0}
NO_ENDPOINTS = {"listening": 0, "deaf": 0, "unseen": 0, "no_pod": 0}
BY_HAND = {
    "namespace": "shop",
    "service": "db",
    "name": "db-x",
    "address_type": "IPv4",
    "ports": [{"name": "", "protocol": "TCP", "port": 5432}],
    "endpoints": [
        {
            "addresses": ["192.0.2.77"],
            "ready": True,
            "serving": None,
            "terminating": None,
            "node_name": None,
            "target": None,
        }
    ],
}


def mixed():
    """One pod listens, one does not, one is on a host that is silent, and a Service leads to what is no pod."""
    services = [service("ui", port(9292, name="web"), port(80, name="old")), service("db", port(5432), selector=None)]
    pods = [
        pod("ui-1", listens(9292), listens(80)),
        pod("ui-2", listens(5000)),
        pod("ui-3", listens(9292), node="node-b"),
    ]
    return made_of(services, pods, slices=[BY_HAND], silent={"node-b": "timed out"})


def paths(scene):
    return scene.judged()["survey"]["paths"]


@pytest.mark.parametrize(
    ("scene", "told"),
    [
        (
            mixed(),
            {
                "known": True,
                "services": 2,
                "ports": 3,
                "bare": 0,
                "endpoints": {"listening": 2, "deaf": 2, "unseen": 2, "no_pod": 1},
                "hosts": 1,
                "pods": 2,
            },
        ),
        (
            made(service("ui", port(80))),
            {
                "known": True,
                "services": 1,
                "ports": 1,
                "bare": 1,
                "endpoints": NO_ENDPOINTS,
                "hosts": 1,
                "pods": 0,
            },
        ),
        (
            on_node_a(of=cluster(services=[])),
            {
                "known": True,
                "services": 0,
                "ports": 0,
                "bare": 0,
                "endpoints": NO_ENDPOINTS,
                "hosts": 1,
                "pods": len(node_a()["sections"]["pod_listeners"]["pods"]),
            },
        ),
        (
            Scene({"node-a": lost(node_a(), "pod_listeners", "pod_listeners", "no time")}, no_cluster()),
            {**UNREAD, "endpoints": NO_ENDPOINTS, "hosts": 0, "pods": 0},
        ),
        (
            on_node_a(
                of={
                    **cluster(),
                    "endpoint_slices": [{"junk": True, "namespace": "shop", "service": "front", "endpoints": []}],
                }
            ),
            {
                **UNREAD,
                "endpoints": NO_ENDPOINTS,
                "hosts": 1,
                "pods": len(node_a()["sections"]["pod_listeners"]["pods"]),
            },
        ),
    ],
    ids=["mixed", "no endpoint", "no Service", "nothing read", "junk"],
)
def test_what_was_looked_at(scene, told):
    assert paths(scene) == told


def report(scene):
    document = scene.judged()
    check_report(report_text.render(document))
    return " ".join(" ".join(report_survey.paths(document["survey"])).split())


@pytest.mark.parametrize(
    ("scene", "words"),
    [
        (
            mixed(),
            "what listens in 2 pods - 2 Services with 3 ports: of 7 endpoints 2 listen, 2 do not, 2 were not seen (see UNKNOWN), 1 are no pods",
        ),
        (
            made(service("ui", port(80))),
            "- 1 Service with 1 port: no endpoint",
        ),
        (
            Scene({"bare": lost(captured("bare"), "pod_listeners", "pod_listeners", "no time")}, no_cluster()),
            "- pods of 0 of 1 host: none were looked at (see UNKNOWN) - Services: none were looked at (see UNKNOWN)",
        ),
        (Scene({"a": "timed out"}, no_cluster()), ""),
    ],
    ids=["mixed", "no endpoint", "nothing read", "nobody answered"],
)
def test_it_is_told_in_two_lines(scene, words):
    assert words in report(scene)
    assert bool(words) == bool(report(scene))


def test_the_heading_tells_how_many_pods_the_api_named():
    named = on_node_a().judged()
    assert named["cluster"]["pods"] == len(cluster()["pods"])
    assert f"Pods {len(cluster()['pods'])}" in report_text.render(named)
    assert "Pods not seen" in report_text.render(on_node_a(of={**cluster(), "pods": None}).judged())
