# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""service_path: from the captured cluster's Services to the sockets in their pods, and why some of them are not known."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import settings, target_doubts
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import NotApplicable, Unknown
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_verdict import V6ONLY_UNKNOWN
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    captured,
    kubernetes_136,
    no_cluster,
    with_service,
)

HTTPD = {
    "protocol": "tcp",
    "family": "ipv6",
    "address": "::",
    "port": 5000,
    "v6only": False,
    "process": "httpd",
    "pid": 22283,
    "container": "ui",
    "container_id": "6ca1eb5d5681b868dd81a586a5ef0070e7de4d8645a9f396553b94b0d28800c5",
}
UI = ("909a2aa1-bf6a-4a8c-a274-3180ea640fb1", "38d2f2c1-dc61-4ac5-a861-9f501225f14d")
FRONT = ("02a647ae-4783-48f4-bea0-f1ebf8674102", "b24a851f-9d9c-47f3-ac43-f849e4572055")
ADDRESSES = dict(zip((*UI, *FRONT), ("10.244.0.19", "10.244.0.21", "10.244.0.22", "10.244.0.23"), strict=True))


def pod(uid, **fields):
    """A pod as pod_listeners tells it, with the captured listener."""
    container = {"id": HTTPD["container_id"], "name": "ui", "image": "docker.io/reddit/post:f5393576"}
    return {
        "uid": uid,
        "namespace": "reddit-entry",
        "name": f"pod-{uid[:8]}",
        "named_by": "logs",
        "host_network": False,
        "netns": "4026532281",
        "pid": 22283,
        "addresses": [ADDRESSES.get(uid, "10.244.0.19")],
        "redirects": False,
        "own_kernel": None,
        "containers": [{**container, "age_seconds": 3000.0}],
        "listeners": [HTTPD],
        "unlisted": 0,
        "why": None,
        **fields,
    }


def node_a(*pods, missing=()):
    snapshot = captured("node-a")
    snapshot["sections"]["pod_listeners"] = {
        "pods": list(pods),
        "truncated": {"pods": 0, "listeners": 0},
        "complete": not missing,
        "missing": list(missing),
    }
    return snapshot["sections"]


def learned(*pods, cluster=None, missing=()):
    context = Context(settings.read({}), kubernetes_136() if cluster is None else cluster)
    context.learn("node-a", node_a(*pods, missing=missing))
    return context


def kinds(context, service):
    return [
        (entry.port["port"], target.address, target.port, target.verdict.kind)
        for entry in context.paths.ports
        if entry.service["name"] == service
        for target in entry.targets
    ]


def whys(context):
    return [answer.why for answer in context.paths.unseen()]


def test_seed_004():
    context = learned(*map(pod, UI))
    assert kinds(context, "ui") == [(9292, "10.244.0.19", 9292, "nobody"), (9292, "10.244.0.21", 9292, "nobody")]
    ui = next(entry for entry in context.paths.ports if entry.service["name"] == "ui")
    assert ui.words == "Service reddit-entry/ui, port 9292/TCP, NodePort 32530"
    assert [target.name for target in ui.targets] == [
        "pod reddit-entry/ui-5b667475f5-7r54x",
        "pod reddit-entry/ui-5b667475f5-dwnb9",
    ]
    assert [entry.port for entry in ui.targets[0].verdict.instead] == [5000]


def test_a_named_port_that_pods_have():
    context = learned(*map(pod, FRONT))
    assert kinds(context, "front") == [(80, "10.244.0.22", 5000, "listens"), (80, "10.244.0.23", 5000, "listens")]
    front = next(entry for entry in context.paths.ports if entry.service["name"] == "front")
    assert front.words == "Service shop/front, port 80/TCP (web), NodePort 30080"
    assert front.unnamed == ()


def test_a_named_port_that_no_container_has():
    cart = next(entry for entry in learned().paths.ports if entry.service["name"] == "cart")
    assert (cart.targets, [endpoint["addresses"] for endpoint in cart.unnamed]) == ((), [["10.244.0.24"]])


def test_a_number_is_no_name():
    cluster = kubernetes_136()
    cart = next(service for service in cluster["services"] if service["name"] == "cart")
    ports = [{**cart["ports"][0], "target_port": 8080}]
    found = learned(cluster=with_service(cluster, "cart", ports=ports)).paths.ports
    assert next(entry for entry in found if entry.service["name"] == "cart").unnamed == ()


def test_the_ports_of_a_service_are_told_together():
    names = [service["name"] for service, _ports in learned().paths.by_service()]
    assert len(names) == len(set(names))
    assert {service["name"]: len(ports) for service, ports in learned().paths.by_service()}["dns"] == 2


def test_endpoints_that_are_no_pods_and_pods_that_were_not_seen():
    assert whys(learned(cluster=with_service(kubernetes_136(), "db", cluster_ips=["10.96.0.77"]))) == [
        "10 endpoints of 4 Services could not be judged: its node shows no process of the pod, which may have ended or moved meanwhile (node-a)",
    ]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"listeners": None, "why": "the process ended"}, "the process ended (pod reddit-entry/ui-5b667475f5-7r54x)"),
        ({"listeners": None}, "its sockets were not seen (pod reddit-entry/ui-5b667475f5-7r54x)"),
        ({"unlisted": 3}, "the pod has more listeners than are told"),
        (
            {"redirects": None},
            "whether packets are redirected inside the pod's network was not seen: run with become (-b)",
        ),
        ({"redirects": True}, "packets are redirected inside the pod's network (a nat table is there), as a mesh does"),
        ({"listeners": [{**HTTPD, "port": 9292, "v6only": None}]}, V6ONLY_UNKNOWN),
        (
            {"containers": [{"id": "", "name": "ui", "image": None, "age_seconds": 5.0}]},
            "a container of the pod runs for less than 60 s and may not listen yet",
        ),
        ({"containers": []}, target_doubts.ONLY_SANDBOX),
        (
            {"containers": [{"id": "", "name": None, "image": None, "age_seconds": 5000.0}]},
            target_doubts.ONLY_SANDBOX,
        ),
        ({"addresses": []}, target_doubts.ELSEWHERE),
        ({"addresses": ["10.244.0.91"], "listeners": [{**HTTPD, "port": 9292}]}, target_doubts.ELSEWHERE),
    ],
    ids=[
        "process ended",
        "no reason told",
        "too many",
        "mesh not seen",
        "mesh",
        "v6only not told",
        "young",
        "no process, pods unread",
        "only one without a name",
        "no address",
        "another address, whoever listens",
    ],
)
def test_why_it_is_not_known(fields, why):
    context = learned(pod(UI[0], **fields), pod(UI[1]), *map(pod, FRONT))
    assert kinds(context, "ui")[0][3] == "unseen"
    assert any(why in told for told in whys(context)), whys(context)


def test_who_listens_is_known_even_where_packets_are_redirected_or_the_pod_is_young():
    young = [{"id": "", "name": "ui", "image": None, "age_seconds": 5.0}]
    context = learned(pod(FRONT[0], redirects=True), pod(FRONT[1], containers=young))
    assert [kind for *_rest, kind in kinds(context, "front")] == ["listens", "listens"]


def test_a_pod_in_its_hosts_network():
    # 6443 is kube-apiserver's on node-a, and nobody listens on 6444.
    cluster = kubernetes_136()
    piece = next(piece for piece in cluster["endpoint_slices"] if piece["service"] == "ui")
    for port, expected in ((6443, "unseen"), (6444, "nobody")):
        piece["ports"] = [{"name": "", "protocol": "TCP", "port": port}]
        context = learned(pod(UI[0], host_network=True, netns="host"), cluster=cluster)
        assert kinds(context, "ui")[0][3] == expected


def test_what_has_an_address_is_told_by_what_it_means_not_by_how_it_is_written():
    context = learned(pod(UI[0]))
    seen = context.pods.find(UI[0], None, None)._replace(addresses=("fd00:244::a",))
    assert target_doubts.elsewhere(seen, "fd00:0244:0::000a") == ""
    assert target_doubts.elsewhere(seen, "fd00:244::b") == target_doubts.ELSEWHERE
    assert target_doubts.elsewhere(seen._replace(addresses=None), "fd00:244::b") == ""
    assert target_doubts.elsewhere(seen._replace(host_network=True), "192.0.2.2") == ""


def test_containers_without_names_count_where_they_are_more_than_those_that_are_missing():
    """One of them may be the sandbox."""
    nameless = [{"id": "", "name": None, "image": None, "age_seconds": 5000.0}] * 2
    assert kinds(learned(pod(UI[0], containers=nameless)), "ui")[0][3] == "nobody"


def test_a_static_pod_is_found_by_its_name():
    own = pod("1403dda53affdfee1130475a6d9609da", namespace="reddit-entry", name="ui-5b667475f5-7r54x")
    assert kinds(learned(own), "ui")[0][3] == "nobody"


def test_sctp_is_not_collected():
    cluster = kubernetes_136()
    piece = next(piece for piece in cluster["endpoint_slices"] if piece["service"] == "ui")
    piece["ports"] = [{"name": "", "protocol": "SCTP", "port": 9292}]
    ports = [{**cluster["services"][1]["ports"][0], "protocol": "SCTP"}]
    context = learned(*map(pod, UI), cluster=with_service(cluster, "ui", ports=ports))
    assert any("sockets of SCTP are not collected" in why for why in whys(context))


def test_hosts_that_were_not_asked_or_did_not_answer():
    context = Context(settings.read({}), kubernetes_136())
    assert any("its node is not among the hosts that were asked (node-a)" in why for why in whys(context))
    context = Context(settings.read({}), kubernetes_136())
    context.learn_silence("node-a", "Connection timed out")
    assert any("node-a did not answer: Connection timed out" in why for why in whys(context))


def test_what_a_node_left_out_is_why_a_pod_is_not_seen():
    gap = {"what": "pods", "why": "the time budget ended: raise budget_seconds"}
    assert any("the time budget ended" in why for why in whys(learned(missing=[gap])))


@pytest.mark.parametrize(
    ("cluster", "kind", "words"),
    [
        (no_cluster(), Unknown, "connection refused"),
        (
            {**kubernetes_136(), "endpoint_slices": None, "missing": [{"what": "EndpointSlices", "why": "403"}]},
            Unknown,
            "403",
        ),
        ({**kubernetes_136(), "services": []}, NotApplicable, "no Service that kube-proxy handles"),
    ],
    ids=["API dead", "slices forbidden", "no Services"],
)
def test_why_there_is_nothing_to_judge(cluster, kind, words):
    paths = Context(settings.read({}), cluster).paths
    assert isinstance(paths.refusal, kind)
    assert words in paths.refusal.why
    assert paths.ports == []


@pytest.mark.parametrize(
    "junk",
    [
        {"listeners": [{**HTTPD, "port": "5000"}]},
        {"listeners": [{**HTTPD, "port": 0}]},
        {"listeners": [{**HTTPD, "address": "nowhere"}]},
        {"listeners": [{**HTTPD, "v6only": "no"}]},
        {"listeners": [[]]},
        {"listeners": 5000},
        {"redirects": []},
        {"host_network": "yes"},
        {"addresses": ["nowhere"]},
        {"containers": [{"id": "", "name": "ui", "image": None, "age_seconds": "long"}]},
        {"containers": None},
    ],
    ids=str,
)
def test_what_cannot_be_read_of_one_host_costs_that_host_only(junk):
    context = learned(pod(UI[0], **junk), pod(UI[1]))
    context.pods.learn("elsewhere", None, node_a(*map(pod, FRONT)))
    assert [kind for *_rest, kind in kinds(context, "ui")] == ["unseen", "unseen"]
    assert [kind for *_rest, kind in kinds(context, "front")] == ["listens", "listens"]
    assert any("what node-a tells of its pods cannot be read" in why for why in whys(context)), whys(context)
    assert context.pods.hosts == 1


def test_what_else_listens_in_a_hosts_network_was_not_seen():
    sections = node_a(pod(UI[0], host_network=True, netns="host", addresses=None))
    context = Context(settings.read({}), kubernetes_136())
    context.learn("node-a", {**sections, "listen_ports": {"complete": False, "missing": [{"what": "x", "why": "y"}]}})
    assert kinds(context, "ui")[0][3] == "unseen"
    assert any("what else listens there was not seen" in why for why in whys(context)), whys(context)


@pytest.mark.parametrize(
    "fields",
    [
        {"uid": 0.5},
        {"name": 1e308},
        {"unlisted": "many"},
        {"listeners": [{**HTTPD, "protocol": 0.5}]},
        {"containers": [{"name": "ui", "image": None, "age_seconds": 10**400}]},
    ],
)
def test_a_pod_of_another_form_costs_its_own_host_only(fields):
    context = learned(*map(pod, FRONT), {**pod(UI[0]), **fields})
    assert {kind for *_port, kind in kinds(context, "ui") + kinds(context, "front")} == {"unseen"}
    assert any("what node-a tells of its pods cannot be read: " in why for why in whys(context))
