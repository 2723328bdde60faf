# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Case, Scene, no_cluster
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.service_scene import (
    HOSTILE,
    cluster,
    container,
    digest,
    listens,
    made,
    made_of,
    node_a,
    on_node_a,
    pod,
    port,
    service,
    without,
)

POST_IMAGE = "docker.io/reddit/post:f5393576"
OLD, NEW = digest("old"), digest("new")
IMAGE = "docker.io/shop/web:1"


def captured(name, image_id):
    """The captured cluster in which the containers of one pod run another image under the same tag."""
    document = cluster()
    for entry in document["pods"]:
        if entry["name"].startswith(name):
            for one in entry["containers"]:
                one["status"] = {**one["status"], "image_id": image_id}
    return document


def seen_at_5353():
    """The captured node, on which the pods of front answer all that their Services want."""
    ports = [("tcp", "0.0.0.0", 5353), ("udp", "0.0.0.0", 5353)]
    section = node_a()["sections"]["pod_listeners"]["pods"]
    fronts = [entry for entry in section if (entry["name"] or "").startswith("front")]
    return [
        {
            **entry,
            "listeners": [
                *entry["listeners"],
                *({**listens(number, address, protocol), "container": "front"} for protocol, address, number in ports),
            ],
        }
        for entry in fronts
    ]


def web(*ids, nodes=None, listening=80, change=None, **fields):
    """Pods of one Deployment, on node-a, node-b and so on, whose one tag stands for these ids."""
    pods = [
        pod(
            f"web-{number}",
            listens(listening),
            node=(nodes or ["node-a", "node-b", "node-c"])[number],
            containers=[container("web", IMAGE, image_id=image_id, **fields)],
        )
        for number, image_id in enumerate(ids)
    ]
    return made(service("web", port(80)), *pods, change=change)


def node_b(**fields):
    """node-b is unlike the other Nodes."""

    def change(document):
        document = copy.deepcopy(document)
        for entry in document["nodes"]:
            if entry["name"] == "node-b":
                entry.update(fields)
        return document

    return change


def no_nodes(document):
    return {**document, "nodes": None, "missing": [{"what": "Nodes", "why": "nodes is forbidden"}]}


def jobs(document):
    """The second pod is that of a job that has ended."""
    document = copy.deepcopy(document)
    document["pods"][1]["containers"][0]["status"].update(state="terminated", reason="Completed", exit_code=0)
    return document


MIXED = web(OLD, f"docker.io/shop/web@{NEW}")

CASES = [
    Case(
        "captured: one pod of front runs another image",
        "fail",
        on_node_a(*seen_at_5353(), of=captured("front-6559f5d576-ctfs7", NEW)),
        None,
        "warning",
        words=(
            f"the tag {POST_IMAGE} stands for 2 different images in pods that run",
            f"{NEW}: 2 containers, pods shop/front-6559f5d576-ctfs7 on node-a",
            "they belong to Deployment reddit-entry/post, Deployment shop/front; imagePullPolicy IfNotPresent",
            "With imagePullPolicy IfNotPresent a node that has any image of this tag never looks for a newer one",
            "(docker.io/reddit/post@sha256:…)",
        ),
        commands=(
            "kubectl -n reddit-entry rollout restart deployment/post",
            "kubectl -n shop rollout restart deployment/front",
        ),
    ),
    Case("captured: each tag stands for one image", "pass", on_node_a(), None),
    Case(
        "captured: pods of a Service that does not answer",
        "pass",
        on_node_a(of=captured("ui-5b667475f5-7r54x", NEW)),
        None,
    ),
    Case(
        "across nodes",
        "fail",
        web(NEW, NEW, OLD),
        None,
        "warning",
        words=(
            f"the tag {IMAGE} stands for 2 different images",
            f"{NEW}: 2 containers, pods shop/web-0 on node-a, shop/web-1 on node-b",
            f"{OLD}: 1 container, pods shop/web-2 on node-c",
        ),
        commands=("kubectl -n shop rollout restart deployment/web",),
    ),
    Case(
        "by manifests, whatever repository they were pulled from",
        "fail",
        web(f"docker-pullable://shop/web@{OLD}", f"mirror.example/shop/web@{NEW}"),
        None,
        "warning",
    ),
    Case(
        "a mirror of the same image", "pass", web(f"docker.io/shop/web@{NEW}", f"mirror.example/shop/web@{NEW}"), None
    ),
    Case("another form of the id", "pass", MIXED, None),
    Case("another architecture", "pass", web(NEW, OLD, change=node_b(architecture="arm64")), None),
    Case("another operating system", "pass", web(NEW, OLD, change=node_b(os="windows")), None),
    Case("another runtime", "pass", web(NEW, OLD, change=node_b(container_runtime_version="cri-o://1.31.0")), None),
    Case(
        "Windows nodes of another build",
        "pass",
        web(
            NEW,
            OLD,
            nodes=["node-b", "node-c"],
            change=lambda document: {
                **document,
                "nodes": [
                    {**entry, "os": "windows", "kernel_version": f"10.0.{number}"}
                    for number, entry in enumerate(document["nodes"])
                ],
            },
        ),
        None,
    ),
    Case(
        "imagePullPolicy Always",
        "fail",
        web(NEW, OLD, pull_policy="Always"),
        None,
        words=("imagePullPolicy Always",),
        absent=("never looks for a newer one",),
    ),
    Case(
        "an image by its digest is never another one",
        "pass",
        made(
            service("web", port(80)),
            pod("web-1", listens(80), containers=[container("web", f"shop/web@{OLD}", image_id=OLD)]),
            pod("web-2", listens(80), containers=[container("web", IMAGE, image_id=NEW)]),
        ),
        None,
    ),
    Case("a job that has ended ran what the tag was then", "pass", web(NEW, OLD, change=jobs), None),
    Case("an image that is not known yet", "pass", web(NEW, None, ""), None),
    Case("pods of a Service that does not answer", "pass", web(NEW, OLD, listening=5000), None),
    Case(
        "pods of a Service that does not answer on their address: nothing is told of their images there",
        "fail",
        made(
            service("web", port(80)),
            *(
                pod(f"web-{number}", listens(80, "127.0.0.1"), containers=[container("web", IMAGE, image_id=image_id)])
                for number, image_id in enumerate((NEW, OLD))
            ),
        ),
        None,
        "warning",
    ),
    Case(
        "pods that serve another Service: nothing is told of their images there",
        "fail",
        made_of(
            [service("web", port(80)), service("next", port(5000), selector={"app": "web"})],
            [
                pod(f"web-{number}", listens(5000), containers=[container("web", IMAGE, image_id=image_id)])
                for number, image_id in enumerate((NEW, OLD))
            ],
        ),
        None,
        "warning",
    ),
    Case(
        "only pods that answer have another image",
        "fail",
        made(
            service("web", port(80), selector={}),
            pod("ui-0", listens(5000)),
            *(
                pod(f"cart-{number}", listens(80), containers=[container("cart", IMAGE, image_id=image_id)])
                for number, image_id in enumerate((NEW, OLD))
            ),
        ),
        None,
        "warning",
    ),
    Case(
        "many images and pods",
        "fail",
        made(
            service("web", port(80)),
            *(
                pod(
                    f"web-{number:02}",
                    listens(80),
                    containers=[container("web", IMAGE, image_id=digest(str(number % 7)))],
                )
                for number in range(40)
            ),
        ),
        None,
        words=(
            "stands for 7 different images",
            "6 containers, pods shop/web-00 on node-a, shop/web-07 on node-a",
            "and 3 more",
            "and 2 more images",
        ),
    ),
    Case(
        "Nodes could not be read: on one and the same node it is sure",
        "fail",
        web(NEW, OLD, nodes=["node-a", "node-a"], change=no_nodes),
        None,
        "warning",
    ),
    Case(
        "Nodes could not be read",
        "unknown",
        web(NEW, OLD, change=no_nodes),
        None,
        words=("because their architectures are not known: the Nodes are not known (Nodes: nodes is forbidden)",),
    ),
    Case(
        "pods could not be read",
        "unknown",
        on_node_a(of=without("pods")),
        None,
        words=("the pods are not known (Pods: pods is forbidden",),
    ),
    Case(
        "only the pods of some nodes",
        "unknown",
        web(NEW, change=lambda document: {**document, "pods_of": ["node-a"]}),
        None,
        words=("what pods of other nodes run is not known: only the pods of node-a were asked for",),
    ),
    Case("the pods of all nodes were asked for", "pass", on_node_a(of=cluster(pods_of=["node-a"])), None),
    Case("no pod at all", "not_applicable", on_node_a(of=cluster(pods=[])), None),
    Case("no Service was read, the pods were", "pass", on_node_a(of={**cluster(), "services": None}), None),
    Case("nothing was read", "unknown", Scene({"node-a": node_a()}, no_cluster()), None, words=("connection refused",)),
    Case(
        "hostile names",
        "fail",
        made(
            service("web", port(80)),
            *(
                pod(
                    f"web-{number}",
                    listens(80),
                    containers=[container(HOSTILE, IMAGE, image_id=image_id, pull_policy=HOSTILE)],
                    api={"owner": {"kind": HOSTILE, "name": HOSTILE, "uid": "x"}},
                )
                for number, image_id in enumerate((NEW, OLD))
            ),
        ),
        None,
        "warning",
    ),
]
