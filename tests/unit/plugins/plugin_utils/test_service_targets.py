# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules on targets stand on: whose pods they are, what an automatic rollback is told, commands, and kube-proxy's word."""

from __future__ import annotations

import json
import shlex

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import image_rollback, image_words, kubectl, settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.proxy_seen import ProxySeen
from ansible_collections.kubenode.doctor.plugins.plugin_utils.workloads import Workloads
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
    replica_set,
    service,
    without,
)

RULE = "service-target-not-listening"
UI = service("ui", port(9292, node_port=32530))
NEW, OLD = "docker.io/shop/ui:2", "docker.io/shop/ui:1"


def fault(scene, rule=RULE):
    """The finding of a rule in a scene."""
    (found,) = [
        finding for finding in scene.judged()["findings"] if (finding["rule"], finding["status"]) == (rule, "fail")
    ]
    return found


def rolled_out_pod(name="ui-2", *listeners, **fields):
    """A pod of the newest revision."""
    return pod(name, *listeners, **{"revision": 2, "containers": [container("ui", NEW)], **fields})


def rolled_out(*, new=NEW, old=OLD, old_listens=9292, change=None, **api):
    """A rollout that got stuck half way: a pod of revision 2 that does not answer, and one of revision 1."""
    return made(
        UI,
        pod("ui-2", listens(5000), revision=2, containers=[container("ui", new)], api=api),
        pod("ui-1", listens(old_listens), containers=[container("ui", old)]),
        change=change,
    )


# -- the automatic rollback -----------------------------------------------------------------------------------------


def fixes(scene):
    return [(remedy["fix"], remedy["targets"]) for remedy in fault(scene)["remedies"] if remedy["fix"]]


def test_the_fix_is_offered_where_a_pod_of_the_revision_before_was_seen_to_listen():
    ((name, (target,)),) = fixes(rolled_out())
    assert name == image_rollback.FIX
    assert json.loads(target) == {
        "container": "ui",
        "from": NEW,
        "name": "ui",
        "namespace": "shop",
        "generation": 7,
        "to": OLD,
        "uid": "deployment-ui",
        "deaf": [
            {
                "host": "node-a",
                "namespace": "shop",
                "name": "ui-2",
                "uid": rolled_out_pod().uid,
                "protocol": "tcp",
                "address": "10.244.0.10",
                "port": 9292,
            }
        ],
    }
    assert list(json.loads(target)) == sorted(json.loads(target))
    assert image_rollback.read_targets([target])[0].image_that_listened == OLD


def changed_deployment(**fields):
    return lambda document: {
        **document,
        "deployments": [{**entry, **fields} for entry in document["deployments"]],
    }


@pytest.mark.parametrize(
    "scene",
    [
        pytest.param(rolled_out(old_listens=5000), id="the old pod does not listen either"),
        pytest.param(rolled_out(old=NEW), id="both have one image"),
        pytest.param(rolled_out(old="; rm -rf / #"), id="the old image has no name"),
        pytest.param(rolled_out(change=lambda document: without("deployments", of=document)), id="no Deployments"),
        pytest.param(rolled_out(change=lambda document: without("replica_sets", of=document)), id="no ReplicaSets"),
        pytest.param(
            rolled_out(change=changed_deployment(images={"ui": "docker.io/shop/ui:3"})),
            id="the Deployment has a third image by now",
        ),
        pytest.param(rolled_out(change=changed_deployment(uid=HOSTILE)), id="a uid that is none"),
        pytest.param(rolled_out(owner=None), id="the pod belongs to nobody"),
        pytest.param(
            rolled_out(
                change=lambda document: {
                    **document,
                    "replica_sets": [{**entry, "revision": None} for entry in document["replica_sets"]],
                }
            ),
            id="revisions are not told",
        ),
    ],
)
def test_no_fix_is_offered_on_less(scene):
    assert fixes(scene) == []


GOOD = pod("ui-1", listens(9292), containers=[container("ui", OLD)])
NEXT = service("next", port(9300), selector={"app": "ui", "pod-template-hash": f"{2:010x}"})


@pytest.mark.parametrize(
    ("scene", "words"),
    [
        pytest.param(
            made(UI, rolled_out_pod("ui-2", listens(5000)), rolled_out_pod("ui-3", listens(9292)), GOOD),
            None,
            id="a pod of the newest revision listens",
        ),
        pytest.param(
            made(
                UI,
                rolled_out_pod("ui-2", listens(5000)),
                rolled_out_pod("ui-3", listens(5000), node="node-b"),
                GOOD,
                unasked=["node-b"],
            ),
            "; whether 1 endpoint of the newest revision answers was not seen",
            id="a pod of the newest revision is on a host that was not asked",
        ),
        pytest.param(
            made(
                UI,
                rolled_out_pod("ui-2", listens(5000)),
                rolled_out_pod(f"ui-{2:010x}-x7k2p", app="ui", node="node-b"),
                GOOD,
                unasked=["node-b"],
                change=lambda document: {
                    **document,
                    "pods_of": ["node-a"],
                    "pods": [entry for entry in document["pods"] if entry["node"] == "node-a"],
                },
            ),
            "; whether 1 endpoint of the newest revision answers was not seen",
            id="a pod that was not read has the name of the newest ReplicaSet",
        ),
        pytest.param(
            made(UI, rolled_out_pod("ui-2", listens(5000)), rolled_out_pod("ui-3", listens(5000), age=59.0), GOOD),
            "; whether 1 endpoint of the newest revision answers was not seen",
            id="a pod of the newest revision has only begun",
        ),
        pytest.param(
            made_of([UI, NEXT], [rolled_out_pod("ui-2", listens(9300)), GOOD]),
            "; but pod shop/ui-2, of the newest revision, listens on 9300, which a Service wants too",
            id="the newest revision serves another Service",
        ),
        pytest.param(
            made(
                UI,
                rolled_out_pod("ui-2", listens(5000)),
                GOOD,
                pod("ui-0", listens(5000), containers=[container("ui", OLD)]),
            ),
            None,
            id="a pod of the older revision does not listen either",
        ),
    ],
)
def test_no_fix_is_offered_where_the_newest_revision_may_be_the_right_one(scene, words):
    assert fixes(scene) == []
    back = [
        remedy["summary"] for remedy in fault(scene)["remedies"] if "its pod shop/ui-1 listens on" in remedy["summary"]
    ]
    assert [summary.partition("listens on 9292")[2] for summary in back] == ([words] if words else [])


def test_a_revision_whose_pods_are_there_is_not_said_to_have_none():
    old = [container("ui", OLD)]
    scene = made(UI, rolled_out_pod("ui-2", listens(5000)), pod("ui-0", listens(5000), containers=old), GOOD)
    (back,) = [remedy["summary"] for remedy in fault(scene)["remedies"] if remedy["summary"].startswith("roll ")]
    assert back.endswith("not all of its pods were seen to listen")


def test_the_last_revision_that_listened_is_chosen():
    scene = made(
        UI,
        pod("ui-3", listens(5000), revision=3, containers=[container("ui", NEW)]),
        pod("ui-2", listens(5000), revision=2, containers=[container("ui", "docker.io/shop/ui:1.5")]),
        pod("ui-1", listens(9292), revision=1, containers=[container("ui", OLD)]),
    )
    ((_name, (target,)),) = fixes(scene)
    assert json.loads(target)["to"] == OLD


def test_every_port_that_is_refused_must_have_been_listened_on():
    two = service("ui", port(9292), port(9393, name="more"))
    scene = made(
        two,
        pod("ui-2", listens(5000), revision=2, containers=[container("ui", NEW)]),
        pod("ui-1", listens(9292), containers=[container("ui", OLD)]),
    )
    assert fixes(scene) == []


# -- workloads ------------------------------------------------------------------------------------------------------


def workloads(document):
    return Workloads(Context(settings.read({}), document))


def captured_pod(document, name):
    return next(entry for entry in document["pods"] if entry["name"].startswith(name))


def test_a_pod_of_a_deployment():
    document = cluster()
    found = workloads(document).of(captured_pod(document, "ui-"))
    assert found.words == "Deployment reddit-entry/ui"
    assert (found.resource, found.is_rolled_out, found.revision) == ("deployment/ui", True, 1)
    assert found.deployment["images"] == {"ui": "docker.io/reddit/ui:f5393576"}


def test_a_deployment_by_the_name_of_its_replica_set_where_these_may_not_be_read():
    document = without("replica_sets")
    found = workloads(document).of(captured_pod(document, "ui-"))
    assert (found.words, found.revision) == ("Deployment reddit-entry/ui", None)
    assert workloads(document).earlier(found) is None


@pytest.mark.parametrize(
    ("owner", "words", "rolled_out"),
    [
        ({"kind": "StatefulSet", "name": "db", "uid": "1"}, "StatefulSet reddit-entry/db", True),
        ({"kind": "ReplicaSet", "name": "alone", "uid": "1"}, "ReplicaSet reddit-entry/alone", False),
        ({"kind": "Job", "name": "backup", "uid": "1"}, "Job reddit-entry/backup", False),
        ({"kind": "DaemonSet", "name": "-o", "uid": "1"}, "DaemonSet reddit-entry/-o", False),
    ],
)
def test_other_owners(owner, words, rolled_out):
    document = cluster()
    found = workloads(document).of({**captured_pod(document, "ui-"), "owner": owner})
    assert (found.words, found.is_rolled_out) == (words, rolled_out)


def test_a_pod_without_owner_and_no_pod():
    document = cluster()
    assert workloads(document).of(captured_pod(document, "hostnet")) is None
    assert workloads(document).of(None) is None


def test_revisions_before_and_the_latest():
    document = cluster()
    newer = {
        **replica_set("ui", 2),
        "owner": {"kind": "Deployment", "name": "ui", "uid": document["deployments"][1]["uid"]},
    }
    assert document["deployments"][1]["name"] == "ui"
    document["replica_sets"].append(newer)
    found = workloads(document)
    own = found.of(captured_pod(document, "ui-"))
    assert not found.is_latest(own)
    latest = own._replace(replica_set=newer)
    assert found.is_latest(latest)
    assert [one["revision"] for one in found.earlier(latest)] == [1]


# -- commands -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "-o", "a b", "$(id)", "ui\n", HOSTILE, "UI", None, "a" * 254])
def test_no_commands_about_what_has_no_name(name):
    assert not kubectl.is_name(name)
    ports = [{"target_port": 1, "protocol": "TCP"}]
    assert kubectl.service_patch({"namespace": "shop", "name": name, "ports": ports}, 0, "targetPort", 2) == ()
    assert kubectl.service_patch({"namespace": name, "name": "ui", "ports": ports}, 0, "targetPort", 2) == ()
    assert kubectl.container_patch("shop", "Deployment", "ui", name, {}) == ()
    assert kubectl.container_patch("shop", "Deployment", name, "ui", {}) == ()


def test_what_is_patched_is_quoted():
    (command,) = kubectl.service_patch(
        {"namespace": "shop", "name": "ui", "ports": [{}, {"target_port": "it's"}]}, 1, "targetPort", 2
    )
    words = shlex.split(command)
    assert words[:6] == ["kubectl", "-n", "shop", "patch", "service", "ui"]
    assert json.loads(words[-1]) == [
        {"op": "test", "path": "/spec/ports/1/targetPort", "value": "it's"},
        {"op": "replace", "path": "/spec/ports/1/targetPort", "value": 2},
    ]


def test_a_target_port_that_is_not_set_is_not_replaced():
    unset = {"namespace": "shop", "name": "ui", "ports": [{"target_port": None}]}
    assert kubectl.service_patch(unset, 0, "targetPort", 2) == ()


def test_a_native_sidecar_is_patched_where_it_is():
    (command,) = kubectl.container_patch("shop", "Deployment", "ui", "envoy", {"ports": []}, sidecar=True)
    patch = json.loads(shlex.split(command)[-1])
    assert patch == {"spec": {"template": {"spec": {"initContainers": [{"name": "envoy", "ports": []}]}}}}


# -- images ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("docker.io/reddit/ui:1", "docker.io/reddit/post:1", True),
        ("docker.io/reddit/ui:1", "docker.io/reddit/ui:2", False),
        ("mirror.example:5000/ui:1", "docker.io/reddit/ui:1", False),
        ("registry:5000/app", "app:1", False),
        ("registry:5000/app", "registry:5001/other", True),
        ("docker.io/reddit/ui:1", "sha256:" + "0" * 64, False),
        (HOSTILE, "docker.io/reddit/ui:1", False),
        ("gcr.io/x/user-10-ui:1", "gcr.io/x/user-10-post:1", True),
        ("gcr.io/x/user-10-ui:1", "gcr.io/x/user-11-ui:1", False),
        ("quay.io/team/ui:1", "mirror.local/team-ui:1", False),
        ("quay.io/team/ui:1", "mirror.local/quay-io-team_ui:1", False),
        ("rancher/mirrored-coredns-coredns:1", "coredns/coredns:1", False),
        ("gcr.io/x/ui-prod:1", "gcr.io/x/ui-dev:1", False),
        ("gcr.io/x/ui-prod:1", "gcr.io/x/post-dev:1", True),
        ("registry.k8s.io/pause-amd64:3", "registry.k8s.io/pause-arm64:3", False),
        ("gcr.io/x/prod:1", "gcr.io/x/ui:1", False),
    ],
)
def test_other_programs_by_name(one, other, expected):
    for names in ((one, other), (other, one)):
        assert image_words.is_other_program(*names) is expected


# -- kube-proxy -----------------------------------------------------------------------------------------------------

ENTRY = {
    "protocol": "tcp",
    "port": 32530,
    "family": "ipv4",
    "addresses": None,
    "action": "endpoints",
    "service": "reddit-entry/ui",
    "endpoints": ["10.244.0.19:9292", "10.244.0.21:9292"],
    "endpoint_count": 2,
    "local": None,
}


def rules(*entries):
    section = {"programs": ["iptables-nft-save"], "mode": "iptables", "node_ports": list(entries)}
    return {"proxy_rules": {**section, "truncated": 0, "complete": True, "missing": []}}


@pytest.mark.parametrize(
    ("hosts", "line"),
    [
        ([rules(ENTRY)], "kube-proxy has programmed it on host-0: 32530/tcp -> 10.244.0.19:9292, 10.244.0.21:9292"),
        (
            [rules(), rules(ENTRY), rules(ENTRY), rules(ENTRY, ENTRY)],
            "kube-proxy has programmed it on host-1 and 2 more hosts: 32530/tcp -> ",
        ),
        ([rules({**ENTRY, "action": "reject"})], None),
        ([rules({**ENTRY, "addresses": []})], None),
        ([rules({**ENTRY, "protocol": "udp"})], None),
        ([{}], None),
    ],
)
def test_what_kube_proxy_has_programmed(hosts, line):
    proxies = ProxySeen()
    for number, sections in enumerate(hosts):
        proxies.learn(f"host-{number}", sections)
    told = list(proxies.lines("TCP", 32530, frozenset(ENTRY["endpoints"])))
    assert len(told) == (0 if line is None else 1)
    assert all(one.startswith(line) for one in told)


def test_rules_that_lead_elsewhere_are_told_apart():
    proxies = ProxySeen()
    proxies.learn("node-a", rules(ENTRY))
    proxies.learn("node-b", rules({**ENTRY, "endpoints": ["10.244.0.19:9292", "10.244.0.91:80"]}))
    assert list(proxies.lines("TCP", 32530, frozenset(ENTRY["endpoints"]))) == [
        "kube-proxy has programmed it on node-a: 32530/tcp -> 10.244.0.19:9292, 10.244.0.21:9292",
        (
            "kube-proxy's rules on node-b lead elsewhere: 32530/tcp -> 10.244.0.19:9292, 10.244.0.91:80; "
            "by its EndpointSlices the Service does not have 10.244.0.91:80"
        ),
    ]


def test_a_fleet_of_which_each_node_leads_to_its_own_endpoints_takes_little():
    proxies = ProxySeen()
    for number in range(20):
        proxies.learn(f"node-{number}", rules({**ENTRY, "endpoints": [f"10.244.0.{number}:9292"]}))
    assert len(list(proxies.lines("TCP", 32530, frozenset()))) == 8


def test_it_is_evidence_of_a_target_that_does_not_listen():
    scene = on_node_a(of=only("ui"))
    scene.snapshots["node-a"]["sections"].update(rules(ENTRY))
    assert (
        "kube-proxy has programmed it on node-a: 32530/tcp -> 10.244.0.19:9292, 10.244.0.21:9292"
        in fault(scene)["evidence"]
    )


# -- the scenes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["services", "endpoint_slices", "nodes", "pods", "deployments", "replica_sets"])
def test_objects_of_our_making_have_the_form_of_captured_ones(kind):
    ours = made(UI, pod("ui-1", listens(5000))).cluster_document[kind][0]
    assert ours.keys() == cluster()[kind][0].keys()


def test_containers_and_pods_on_nodes_have_it_too():
    scene, real = made(UI, pod("ui-1", listens(5000))), on_node_a()
    assert scene.cluster_document["pods"][0]["containers"][0].keys() == cluster()["pods"][0]["containers"][0].keys()
    ours, captured = (entry.snapshots["node-a"]["sections"]["pod_listeners"]["pods"][0] for entry in (scene, real))
    assert ours.keys() == captured.keys()
    assert ours["listeners"][0].keys() == captured["listeners"][0].keys()
    assert ours["containers"][0].keys() == captured["containers"][0].keys()
