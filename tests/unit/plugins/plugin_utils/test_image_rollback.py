# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of rollback-image: what it refuses, what it changes and what it says of that."""

from __future__ import annotations

import json

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import DONE, NEEDED, STOPPED, TargetError
from ansible_collections.kubenode.doctor.plugins.plugin_utils import deaf_pods, image_rollback

OLD, NEW = "registry.example:5000/shop/front:v1", "[2001:db8::1]:5000/shop/front@sha256:" + "0a" * 32
UID = "6c7b6a1e-5b1e-4d2a-9a53-0f6f3c1d2b4a"
DEAF = {
    "host": "node-a",
    "namespace": "shop",
    "name": "front-2",
    "uid": "909a2aa1-bf6a-4a8c-a274-3180ea640fb1",
    "protocol": "tcp",
    "address": "10.244.0.19",
    "port": 9292,
}
NAMES = {
    "namespace": "shop",
    "name": "front",
    "uid": UID,
    "generation": 7,
    "container": "app",
    "from": NEW,
    "to": OLD,
    "deaf": [DEAF],
}
CHANGED = "changed since it was diagnosed:"
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
        "metadata": {
            "namespace": "shop",
            "name": "front",
            "uid": UID,
            "resourceVersion": "1234",
            "generation": 7,
            **metadata,
        },
        "spec": {"replicas": 3, "template": {"spec": {"containers": containers}}, **(spec or {})},
    }


def listening(*ports, **fields):
    """What node-a says of the pod now."""
    told = [{"protocol": "tcp", "family": "ipv4", "address": "0.0.0.0", "port": port, "v6only": None} for port in ports]
    return {"pods": [{"uid": DEAF["uid"], "listeners": told, "unlisted": 0, "redirects": False, "why": None, **fields}]}


def plan(*found, answer=None, **changed):
    return image_rollback.plan(read(**changed), found, {"node-a": listening(5000) if answer is None else answer})


def test_a_target_is_written_as_it_is_read():
    known = {"namespace": "shop", "name": "front", "uid": UID, "generation": 7, "images": {"app": NEW}}
    deaf = deaf_pods.DeafPod(**DEAF)
    (found,) = image_rollback.read_targets([image_rollback.target_text(known, "app", OLD, [deaf, deaf])])
    assert (found.generation, found.deaf) == (7, (deaf,))
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
        (target(generation=None), "no usable 'generation'"),
        (target(generation=True), "no usable 'generation'"),
        (target(deaf=None), "no usable 'deaf'"),
        (target(deaf=[]), "no usable 'deaf'"),
        (target(deaf=["front-2"]), "no usable 'deaf'"),
        (target(deaf=[{**DEAF, "host": "node a\n"}]), "no usable 'deaf'"),
        (target(deaf=[{**DEAF, "uid": "../x"}]), "no usable 'deaf'"),
        (target(deaf=[{**DEAF, "protocol": "sctp"}]), "no usable 'deaf'"),
        (target(deaf=[{**DEAF, "address": "localhost"}]), "no usable 'deaf'"),
        (target(deaf=[{**DEAF, "port": 0}]), "no usable 'deaf'"),
    ],
    ids=range(26),
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


def test_two_images_for_one_container_are_left_alone_and_the_others_are_not():
    targets = image_rollback.read_targets([target(), target(uid="other"), target(to="front:v0")])
    sound, skipped = image_rollback.sort_out(targets)
    assert [found.uid for found in sound] == ["other"]
    assert skipped == [
        "container app of Deployment shop/front is to have several images at once: choose by hand",
    ]


def test_undo():
    assert image_rollback.change(read()).undo == UNDO


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
        ((deployment(OLD),), DONE, "the image is there already"),
        ((deployment(OLD, {"paused": True}),), DONE, "the image is there already"),
        ((), STOPPED, "there is no such Deployment any more"),
        ((deployment(uid="another"),), STOPPED, "it was deleted and made anew since it was diagnosed. Diagnose again"),
        (
            (deployment(OLD, uid="another"),),
            STOPPED,
            "it was deleted and made anew since it was diagnosed. Diagnose again",
        ),
        ((deployment(deletionTimestamp="2026-11-21T08:00:00Z"),), STOPPED, "it is being deleted"),
        (
            (deployment("front:v3"),),
            STOPPED,
            f"{CHANGED} its container app has another image by now, front:v3. Diagnose again",
        ),
        ((deployment(spec={"template": {}}),), STOPPED, f"{CHANGED} it has no container app any more. Diagnose again"),
        (
            (deployment(spec={"template": {"spec": {"containers": "none"}}}),),
            STOPPED,
            f"{CHANGED} it has no container app any more. Diagnose again",
        ),
        (
            (deployment(generation=8, resourceVersion="1200"),),
            STOPPED,
            f"{CHANGED} it is at generation 8 and was at 7. Diagnose again",
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
        (
            ({"metadata": None, "spec": []},),
            STOPPED,
            "it was deleted and made anew since it was diagnosed. Diagnose again",
        ),
    ],
    ids=range(14),
)
def test_whether_it_is_still_what_was_diagnosed(found, state, why):
    made = plan(*found)
    assert (made.state, made.why) == (state, why)
    assert bool(made.patch) == bool(made.told) == (state == NEEDED)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (listening(5000, 9292), "listens on 9292/TCP by now"),
        ({"pods": []}, "is gone by now"),
        ({"unreachable": True, "msg": "no route"}, "could not be looked at once more: no route"),
        ({}, "could not be looked at once more: no answer"),
        (
            listening(listeners=None, why="permission denied"),
            "does not show any more whether it listens: permission denied",
        ),
        (listening(unlisted=2), "does not show any more whether it listens: too many listeners, or redirected packets"),
        (listening(redirects=True), "does not show any more whether it listens: too many listeners"),
        (listening(listeners=["junk"]), "was told of in another form than expected"),
    ],
    ids=range(8),
)
def test_whether_the_pods_still_do_not_listen(answer, why):
    made = plan(deployment(), answer=answer)
    assert (made.state, made.patch) == (STOPPED, ())
    assert made.why.startswith(f"{CHANGED} pod shop/front-2 on node-a {why}")
    assert made.why.endswith(". Diagnose again")


def test_a_host_that_was_not_asked_stops_it():
    assert image_rollback.plan(read(), [deployment()], {}).state == STOPPED


def test_each_host_is_asked_once():
    others = [{**DEAF, "port": 9393}, {**DEAF, "uid": "1"}, {**DEAF, "host": "node-b", "uid": "2"}]
    assert deaf_pods.by_host(read(deaf=[DEAF, *others]).deaf) == [
        {"host": "node-a", "uids": [DEAF["uid"], "1"]},
        {"host": "node-b", "uids": ["2"]},
    ]


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
