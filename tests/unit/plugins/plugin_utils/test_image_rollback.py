# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of rollback-image: what it refuses, what it changes and what it says of that."""

from __future__ import annotations

import json

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import image_rollback
from ansible_collections.kubenode.doctor.plugins.plugin_utils.image_rollback import DONE, NEEDED, STOPPED, TargetError

OLD, NEW = "registry.example:5000/shop/front:v1", "[2001:db8::1]:5000/shop/front@sha256:" + "0a" * 32
UID = "6c7b6a1e-5b1e-4d2a-9a53-0f6f3c1d2b4a"
NAMES = {
    "namespace": "shop",
    "name": "front",
    "uid": UID,
    "resource_version": "1200",
    "container": "app",
    "from": NEW,
    "to": OLD,
}
UNDO = f"kubectl -n shop set image deployment/front 'app={NEW}'"


def target(**changed):
    return json.dumps({**NAMES, **changed})


def read(**changed):
    (found,) = image_rollback.read_targets([target(**changed)])
    return found


def deployment(image=NEW, spec=None, **metadata):
    """As the API server shows it: the container is the second one."""
    containers = [{"name": "side", "image": "envoy:1"}, {"name": "app", "image": image}]
    return {
        "metadata": {"namespace": "shop", "name": "front", "uid": UID, "resourceVersion": "1234", **metadata},
        "spec": {"replicas": 3, "template": {"spec": {"containers": containers}}, **(spec or {})},
    }


def plan(*found, **changed):
    return image_rollback.plan(read(**changed), found)


def test_a_target_is_written_as_it_is_read():
    known = {"namespace": "shop", "name": "front", "uid": UID, "resource_version": "1200", "images": {"app": NEW}}
    (found,) = image_rollback.read_targets([image_rollback.target_text(known, "app", OLD)])
    assert (found.namespace, found.name, found.uid, found.container) == ("shop", "front", UID, "app")
    assert (found.image, found.image_that_listened) == (NEW, OLD)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON text"),
        ("[" * 100_000, "no JSON text"),
        ("[]", "no JSON object"),
        ("{}", "no usable 'namespace'"),
        (target(namespace="../kube-system"), "no usable 'namespace'"),
        (target(namespace="shop "), "no usable 'namespace'"),
        (target(name="--all"), "no usable 'name'"),
        (target(name="a" * 254), "no usable 'name'"),
        (target(uid=None), "no usable 'uid'"),
        (target(uid="../../etc"), "no usable 'uid'"),
        (target(container="{{ 7 * 7 }}"), "no usable 'container'"),
        (target(to="v1; reboot"), "no usable 'to'"),
        (target(to="{% raw %}"), "no usable 'to'"),
        (target(**{"from": "v1\n"}), "no usable 'from'"),
        (target(**{"from": ["v1"]}), "no usable 'from'"),
        (target(to=NEW), "shop/front has that image already"),
    ],
    ids=range(16),
)
def test_what_no_api_server_accepts_is_refused(text, words):
    with pytest.raises(TargetError, match=words):
        image_rollback.read_targets([text])


def test_several_targets():
    texts = [target(), target(container="side"), target(uid="other"), target()]
    assert [found.place for found in image_rollback.read_targets(texts)] == [
        (UID, "app"),
        (UID, "side"),
        ("other", "app"),
    ]


def test_two_images_for_one_container_are_refused():
    with pytest.raises(TargetError, match="container app of Deployment shop/front is to have several images at once"):
        image_rollback.read_targets([target(), target(to="front:v0")])


def test_undo():
    assert image_rollback.undo(read()) == UNDO


def test_what_is_changed_and_what_has_to_be_as_it_was():
    container = "/spec/template/spec/containers/1"
    assert plan(deployment()).patch == (
        {"op": "test", "path": "/metadata/uid", "value": UID},
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1234"},
        {"op": "test", "path": f"{container}/name", "value": "app"},
        {"op": "test", "path": f"{container}/image", "value": NEW},
        {"op": "replace", "path": f"{container}/image", "value": OLD},
    )


@pytest.mark.parametrize(
    ("found", "state", "why"),
    [
        ((deployment(),), NEEDED, ""),
        ((deployment(OLD),), DONE, ""),
        ((deployment(OLD, {"paused": True}),), DONE, ""),
        ((), STOPPED, "there is no such Deployment any more"),
        ((deployment(uid="another"),), STOPPED, "it was deleted and made anew since it was diagnosed"),
        ((deployment(OLD, uid="another"),), STOPPED, "it was deleted and made anew since it was diagnosed"),
        ((deployment(deletionTimestamp="2026-11-21T08:00:00Z"),), STOPPED, "it is being deleted"),
        ((deployment("front:v3"),), STOPPED, "its container app has another image by now: front:v3"),
        ((deployment(spec={"template": {}}),), STOPPED, "it has no container app any more"),
        (
            (deployment(spec={"template": {"spec": {"containers": "none"}}}),),
            STOPPED,
            "it has no container app any more",
        ),
        (
            (deployment(spec={"paused": True}),),
            STOPPED,
            "it is paused, so nothing would be rolled out: kubectl -n shop rollout resume deployment/front",
        ),
        (
            (deployment(spec={"replicas": 0}),),
            STOPPED,
            "it was scaled to no pods, so whether the other image listens would not show",
        ),
        (({"metadata": None, "spec": []},), STOPPED, "it was deleted and made anew since it was diagnosed"),
    ],
    ids=range(13),
)
def test_whether_it_is_still_what_was_diagnosed(found, state, why):
    made = plan(*found)
    assert (made.state, made.why) == (state, why)
    assert bool(made.patch) == bool(made.told) == (state == NEEDED)


def test_the_plan_names_the_change_and_the_undo():
    first, *_others, last = plan(deployment()).told
    assert first == f"container app gets the image {OLD}, which was seen listening, in place of {NEW}"
    assert last == f"undo: {UNDO}"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}},
            "its 3 pods are replaced step by step (maxUnavailable 0, maxSurge 1): connections to them end",
        ),
        (
            {"replicas": 1},
            "its only pod is replaced step by step (maxUnavailable 25%, maxSurge 25%): connections to them end",
        ),
        (
            {"strategy": {"type": "Recreate", "rollingUpdate": None}},
            "its 3 pods are stopped before a new one starts (strategy Recreate): nobody answers meanwhile",
        ),
    ],
    ids=["rolling", "one", "recreate"],
)
def test_what_it_breaks_for_a_while(spec, words):
    assert words in plan(deployment(spec=spec)).told


OWNER = {"kind": "Shop", "name": "front", "controller": True}


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({}, []),
        ({"labels": None, "annotations": {"deployment.kubernetes.io/revision": "2"}, "managedFields": [None]}, []),
        ({"managedFields": [{"manager": "kubectl-client-side-apply"}], "ownerReferences": [{"kind": "Shop"}]}, []),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/front"}},
            ["Argo CD installed it"],
        ),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}, ["Flux installed it"]),
        ({"managedFields": [{"manager": "argocd-controller"}]}, ["Argo CD installed it"]),
        (
            {"labels": {"helm.toolkit.fluxcd.io/name": "shop"}, "annotations": {"meta.helm.sh/release-name": "shop"}},
            ["Flux and Helm installed it"],
        ),
        ({"ownerReferences": [OWNER]}, ["it belongs to Shop front, whose controller may put the other image back"]),
    ],
    ids=range(8),
)
def test_who_will_put_the_other_image_back(metadata, words):
    told = [line for line in plan(deployment(**metadata)).told if "put the other image back" in line]
    assert [line[: len(word)] for line, word in zip(told, words, strict=True)] == words
