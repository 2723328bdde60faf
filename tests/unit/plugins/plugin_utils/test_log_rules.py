# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is scanned for is told: each signature of the catalogue becomes a finding of some rule when it was logged just now."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.signatures import IDS, SIGNATURES
from ansible_collections.kubenode.doctor.plugins.plugin_utils import catalogue, log_causes, plain_text, settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rules import known_error_in_log
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import tcp_scene
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.log_scene import POD, logs, message
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import kubernetes_136, live

UID = "909a2aa1-bf6a-4a8c-a274-3180ea640fb9"
HOLDER = "0f" * 32
FIELDS = {
    "address": "127.0.0.1:2379",
    "container": "web",
    "holder": HOLDER,
    "id": HOLDER,
    "name": f"k8s_web_web-0_shop_{UID}_2",
    "namespace": "shop",
    "pod": "web-0",
    "reason": "CreateContainerError",
    "seconds": "-7.5",
    "stage": "container runtime creation",
    "uid": UID,
}
CONTAINERD = {
    "containerd-name-reserved": f"web_web-0_shop_{UID}_2",
    "containerd-sandbox-name-reserved": f"web-0_shop_{UID}_2",
}
ORPHAN = "Service shop/orphan, NodePort 31999/TCP"
API_SERVER = {**POD, "name": "kube-apiserver-node-a", "container": "kube-apiserver"}


def just_now(signature):
    """A message of it, repeated for ten minutes, from where it may come from."""
    fields = {name: FIELDS.get(name, "1") for name in signature.fields}
    if signature.id in CONTAINERD:
        fields["name"] = CONTAINERD[signature.id]
    pod = API_SERVER if signature.id == "etcd-dial-refused" else None
    unit = None if "journal" not in signature.sources else f"{(*signature.units, 'kubelet')[0]}.service"
    told = {**message(signature.id, "x", pod=pod, unit=unit, count=40, lasted=600.0), "fields": fields}
    return live("logs", logs(told)).judged()


def sick():
    """A node with listeners whose queues are full, as rules see it."""
    snapshot = tcp_scene.sick()
    context = Context(settings.read({}), kubernetes_136())
    return NodeView("node-a", snapshot["sections"]), context


def faults(document):
    return {(entry["rule"], entry["object"]) for entry in document["findings"] if entry["status"] == "fail"}


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: signature.id)
def test_no_signature_is_looked_for_in_vain(signature):
    found = just_now(signature)
    assert faults(found) > faults(live().judged())
    assert not [entry for entry in found["findings"] if entry["broken"]]


def test_what_is_left_to_other_rules_and_what_explains_it_is_known():
    assert set(IDS) > known_error_in_log.ELSEWHERE
    assert set(IDS) - known_error_in_log.ELSEWHERE >= log_causes.EXPLAINED


# What a message names, the section of the captured nodes in which that is found, and the finding that is about it.
NAMED = [
    ("exec-dial-refused", {"port": "31999"}, ("nodeport-shadows-listener", f"{ORPHAN} against hostnet")),
    ("nodeport-bind-failed", {"port": "31999"}, ("nodeport-cannot-open", f"{ORPHAN} against hostnet")),
    ("syn-flooding", {"port": "8080"}, ("accept-queue-overflow", "java on port 8080")),
    (
        "cannot-assign-address",
        {"destination": "[2001:db8::5]:443"},
        ("ephemeral-destination-exhausted", "connections to [2001:db8::5]:443"),
    ),
    ("kube-proxy-metrics-bind-failed", {"address": "0.0.0.0:10249"}, ("component-port-taken", "kube-proxy port 10249")),
    ("too-many-open-files", {}, ("file-handles-near-limit", "open files of dockerd")),
    ("too-many-orphans", {}, "orphans-near-limit"),
]


@pytest.mark.parametrize(("signature", "fields", "cause"), NAMED)
def test_what_a_message_names_explains_it(signature, fields, cause):
    node, context = sick()
    entry = {**message(signature, "x", unit="docker.service"), "fields": fields}
    assert cause in log_causes.of(signature, [entry], node, context)
    assert (cause if isinstance(cause, str) else cause[0]) in {rule.id for rule in catalogue.rules()}


@pytest.mark.parametrize(("peers", "explained"), [("192.0.2.9,192.0.2.7", True), ("192.0.2.9", False), ("", False)])
def test_a_bgp_session_is_explained_by_who_dials_that_peer(peers, explained):
    node, context = sick()
    group = {"state": "syn_sent", "netns": "host", "process": "bird", "local_port": None, "peer_port": 179, "count": 1}
    node["tcp_states"]["groups"] = [{**group, "top_peers": [{"address": "192.0.2.7", "count": 1}]}]
    entry = message("bgp-not-established", "x", peers=peers)
    expected = (("syn-sent-unanswered", "bird to port 179"),) if explained else ()
    assert log_causes.of("bgp-not-established", [entry], node, context) == expected


@pytest.mark.parametrize("signature", sorted(log_causes.EXPLAINED))
def test_a_message_that_names_nothing_is_explained_by_nothing_that_is_named(signature):
    """Nor does a section that is not there break it."""
    node, context = sick()
    for section in ("nodeport_conflict", "tcp_states"):
        del node.sections[section]
    entry = message(signature, "x", unit=None)
    found = log_causes.of(signature, [entry], node, context)
    assert not [cause for cause in found if not isinstance(cause, str) and cause[1] != "open files of "]


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: signature.id)
def test_texts_of_the_catalogue_fit_into_a_report(signature):
    """A title is one line of 500 characters at most, so is a cure; neither is cut."""
    for text in (signature.title, signature.cure):
        assert plain_text.clean(text) == text
