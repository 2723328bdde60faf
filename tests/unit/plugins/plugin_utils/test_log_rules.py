# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is scanned for is told: each signature of the catalogue becomes a finding of some rule when it was logged just now."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.signatures import IDS, SIGNATURES
from ansible_collections.kubenode.doctor.plugins.plugin_utils import catalogue, plain_text
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rules import known_error_in_log
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.log_scene import POD, logs, message
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import live

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


def faults(document):
    return {(entry["rule"], entry["object"]) for entry in document["findings"] if entry["status"] == "fail"}


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: signature.id)
def test_no_signature_is_looked_for_in_vain(signature):
    found = just_now(signature)
    assert faults(found) > faults(live().judged())
    assert not [entry for entry in found["findings"] if entry["broken"]]


def test_what_is_left_to_other_rules_and_what_explains_it_is_known():
    assert set(IDS) > known_error_in_log.ELSEWHERE
    causes = known_error_in_log.CAUSES
    assert causes.keys() <= set(IDS) - known_error_in_log.ELSEWHERE
    rules = {rule.id for rule in catalogue.rules()}
    assert {rule for named in causes.values() for rule in named} <= rules


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: signature.id)
def test_texts_of_the_catalogue_fit_into_a_report(signature):
    """A title is one line of 500 characters at most, so is a cure; neither is cut."""
    for text in (signature.title, signature.cure):
        assert plain_text.clean(text) == text
