# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controllers do when a Deployment's template was changed, done at once, for the fake API server.

As pkg/controller/deployment/{sync,util/deployment_util}.go of kubernetes/kubernetes have it: a ReplicaSet with the very
same template is taken again and gets the next revision, as after "kubectl rollout undo"; otherwise a new one is made.
"""

from __future__ import annotations

import copy
import hashlib
import json
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi

Object = dict[str, Any]
REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"


def roll_out(api: FakeApi, plural: str, deployment: Object) -> None:
    """Replace the Deployment's pods, which are ready at once; a paused Deployment and one rolled out stay as they are.

    A pod keeps its addresses and its place in EndpointSlices, and gets a name and uid of its own. The images' digests are
    those that pods with the same image had, or made from the image's name. For ``FakeApi.after_patch``.
    """
    if plural != "deployments" or deployment["spec"].get("paused"):
        return
    namespace = deployment["metadata"]["namespace"]
    owned = [item for item in api.objects("replicasets") if _owner(item) == deployment["metadata"]["uid"]]
    newest = max((_revision(item) for item in owned), default=0)
    wanted = next((item for item in owned if _template(item) == deployment["spec"]["template"]), None)
    if wanted is not None and _revision(wanted) == newest:
        return
    wanted = copy.deepcopy(wanted) or _replica_set(deployment)
    wanted["metadata"]["annotations"] = {**wanted["metadata"].get("annotations", {}), REVISION: str(newest + 1)}
    replicas = deployment["spec"].get("replicas", 1)
    for item in (*owned, wanted):
        if item["metadata"]["name"] != wanted["metadata"]["name"] or item is wanted:
            _scale(item, replicas if item is wanted else 0)
            api.put("replicasets", item)
    names = {item["metadata"]["uid"] for item in owned}
    old = [pod for pod in api.objects("pods") if pod["metadata"].get("namespace") == namespace and _owner(pod) in names]
    for number, pod in enumerate(old):
        api.delete("pods", namespace, pod["metadata"]["name"])
        if number < replicas:
            _replace(api, pod, _pod(api, pod, wanted, number))
    _finish(api, deployment, newest + 1)


def _template(replica_set: Object) -> Object:
    """The template as the Deployment has it: without the label that tells templates apart."""
    template: Object = copy.deepcopy(replica_set["spec"]["template"])
    template["metadata"].get("labels", {}).pop(HASH, None)
    return template


def _replica_set(deployment: Object) -> Object:
    meta, template = deployment["metadata"], copy.deepcopy(deployment["spec"]["template"])
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:9]
    labels = {**template["metadata"].get("labels", {}), HASH: digest}
    template["metadata"]["labels"] = labels
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
    }
    return {
        "metadata": {
            "name": f"{meta['name']}-{digest}",
            "namespace": meta["namespace"],
            "uid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{meta['uid']}/{digest}")),
            "generation": 1,
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
        "status": {"replicas": 0, "observedGeneration": 1},
    }


def _scale(replica_set: Object, replicas: int) -> None:
    replica_set["spec"]["replicas"] = replicas
    ready = {"readyReplicas": replicas, "availableReplicas": replicas} if replicas else {}
    generation = replica_set["metadata"].get("generation", 1)
    replica_set["status"] = {"replicas": replicas, "observedGeneration": generation, **ready}


def _pod(api: FakeApi, old: Object, replica_set: Object, number: int) -> Object:
    meta, template = replica_set["metadata"], replica_set["spec"]["template"]
    pod = copy.deepcopy(old)
    uid = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{meta['uid']}/{api.revision}/{number}"))
    pod["metadata"].update(
        name=f"{meta['name']}-{uid[:5]}",
        generateName=f"{meta['name']}-",
        uid=uid,
        labels=copy.deepcopy(template["metadata"]["labels"]),
        ownerReferences=[
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": meta["name"],
                "uid": meta["uid"],
                "controller": True,
            }
        ],
    )
    pod["spec"]["containers"] = copy.deepcopy(template["spec"]["containers"])
    pod["status"]["phase"] = "Running"
    pod["status"]["conditions"] = [
        {"type": kind, "status": "True"} for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    pod["status"]["containerStatuses"] = [_status(api, container) for container in pod["spec"]["containers"]]
    return pod


def _status(api: FakeApi, container: Object) -> Object:
    known = [
        status
        for pod in api.objects("pods")
        for spec, status in zip(pod["spec"]["containers"], pod["status"].get("containerStatuses", []), strict=False)
        if spec["image"] == container["image"] and status.get("imageID")
    ]
    made = f"sha256:{hashlib.sha256(container['image'].encode()).hexdigest()}"
    return {
        "name": container["name"],
        "state": {"running": {"startedAt": "2026-11-21T01:00:00Z"}},
        "lastState": {},
        "ready": True,
        "restartCount": 0,
        "image": known[0]["image"] if known else container["image"],
        "imageID": known[0]["imageID"] if known else made,
        "started": True,
    }


def _replace(api: FakeApi, old: Object, new: Object) -> None:
    """Put the new pod where the old one was: EndpointSlices name it by name and uid."""
    new = api.put("pods", new)
    for piece in api.objects("endpointslices"):
        targets = [endpoint.get("targetRef") for endpoint in piece.get("endpoints") or ()]
        mine = [target for target in targets if target and target.get("uid") == old["metadata"]["uid"]]
        for target in mine:
            target.update(name=new["metadata"]["name"], uid=new["metadata"]["uid"])
        if mine:
            api.put("endpointslices", piece)


def _finish(api: FakeApi, deployment: Object, revision: int) -> None:
    meta = deployment["metadata"]
    current = api.get("deployments", meta["namespace"], meta["name"])
    replicas = current["spec"].get("replicas", 1)
    current["metadata"].setdefault("annotations", {})[REVISION] = str(revision)
    current["status"] = {
        "observedGeneration": current["metadata"].get("generation", 1),
        **dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas),
    }
    api.put("deployments", current)


def _owner(item: Object) -> str | None:
    owners = item["metadata"].get("ownerReferences") or ()
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)


def _revision(replica_set: Object) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(REVISION, 0))
