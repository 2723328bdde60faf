# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of real pods: containers that a real runtime started, and an API server that tells of them what a real one would.

What kubelet and the controllers do is done by ``run``, ``serve`` and ``run_captured``. An image's name and id in a pod's status are
what the runtime really says of the container.

    cluster = RealCluster(api)
    cluster.join(node, "192.0.2.2")
    cluster.run("node-a", "shop", "web", [Part(httpd("web", "8080"))])
    cluster.serve(kube_objects.service("shop", "web", {"app": "web"}, {"port": 80, "targetPort": 8080}))
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.tests.support import images, kube_objects, pod_network, real_pods
from ansible_collections.kubenode.doctor.tests.support.containerd_node import ContainerdNode
from ansible_collections.kubenode.doctor.tests.support.docker_engine_node import Pod
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi
from ansible_collections.kubenode.doctor.tests.support.kube_objects import Object
from ansible_collections.kubenode.doctor.tests.support.real_pods import Node, RealContainer, RealPod, Running

_RUNTIMES = {True: "containerd", False: "docker"}
_CAPTURED_PROGRAM = images.POST.command  # of the only image in the captured cluster


class Part(NamedTuple):
    """A container, and what the API has of it besides: declared ports, a readiness probe, whether it is ready."""

    container: RealContainer
    ports: tuple[Object, ...] = ()
    probe: Object | None = None
    ready: bool = True


@dataclass
class RealCluster:
    """The nodes by name, and all pods that were started, by namespace and name."""

    api: FakeApi
    nodes: dict[str, Node] = field(default_factory=dict)
    pods: dict[tuple[str, str], tuple[Node, RealPod, Running]] = field(default_factory=dict)

    def join(self, node: Node, address: str, holds: Sequence[images.Image] = ()) -> None:
        """Give a node its address and these images, and the API server a Node, unless it has one of that name."""
        for words in (
            "link add eth0 type veth peer name eth0-peer",
            f"addr add {address}/24 dev eth0",
            "link set eth0 up",
        ):
            node.run("ip", *words.split())
        if holds:
            node.load(*holds)
        self.nodes[node.name] = node
        if not any(known["metadata"]["name"] == node.name for known in self.api.objects("nodes")):
            runtime = "containerd://1.6.20" if isinstance(node, ContainerdNode) else "docker://20.10.24"
            names = [image.names for image in (images.BUSYBOX, *holds)]
            self.api.add("nodes", kube_objects.node(node.name, address, runtime, names))

    def run(
        self,
        node: str,
        namespace: str,
        name: str,
        parts: Sequence[Part],
        pod: Pod | None = None,
        labels: Mapping[str, str] | None = None,
        owner: Object | None = None,
    ) -> Running:
        """Run a pod, with a network of its own unless ``pod`` says otherwise, and tell the API server of it.

        Its label app is its name unless ``labels`` are given. ``owner``: its ReplicaSet.
        """
        pod = pod or Pod(namespace, name, str(uuid.uuid4()), own_network=True)
        running = self._start(node, RealPod(pod, tuple(part.container for part in parts)))
        where = self.api.get("nodes", "", node)
        item = kube_objects.pod(
            namespace, name, pod.uid, where, [_spec(part) for part in parts], **(labels or {"app": name})
        )
        if owner:
            kube_objects.owned(item, owner, "ReplicaSet")
        addresses = running.addresses or (where["status"]["addresses"][0]["address"],)
        item["spec"]["hostNetwork"] = not pod.own_network
        item["status"] |= {"podIP": addresses[0], "podIPs": [{"ip": address} for address in addresses]}
        item["status"]["containerStatuses"] = [self._status(node, part, running) for part in parts]
        if not all(part.ready for part in parts):
            _set_unready(item)
        self.api.add("pods", item)
        return running

    def mirror(self, namespace: str, name: str) -> None:
        """Make a pod the mirror of a static one: with another uid than its node's files and cgroups have."""
        item = self.api.get("pods", namespace, name)
        item["metadata"]["annotations"] = {
            "kubernetes.io/config.source": "file",
            **{f"kubernetes.io/config.{what}": item["metadata"]["uid"] for what in ("hash", "mirror")},
        }
        item["metadata"]["uid"] = str(uuid.uuid4())
        self.api.put("pods", item)

    def run_captured(self, node: str) -> None:
        """Run the captured cluster's pods, with their uids and addresses, on the node of its name. The API server knows them already."""
        for item in self.api.objects("pods"):
            if item["spec"].get("nodeName") == node and item["status"]["phase"] in ("Running", "Pending"):
                if not item["spec"].get("hostNetwork"):
                    pod_network.give_next(self.nodes[node], item["status"]["podIP"])
                self._start(node, _captured_pod(item))

    def serve(self, *services: Object) -> None:
        """Add Services, with the EndpointSlices that the pods of this moment give."""
        for service in services:
            self.api.add("services", service)
            slices = kube_objects.endpoint_slices(service, self.api.objects("pods"))
            self.api.add("endpointslices", *slices)

    def stop(self, namespace: str, name: str) -> None:
        """End a pod of containerd's, and delete it."""
        node, _wanted, running = self.pods.pop((namespace, name))
        assert isinstance(node, ContainerdNode)
        for method in ("StopPodSandbox", "RemovePodSandbox"):
            node.cri(method, {"podSandboxId": running.sandbox})
        self.api.delete("pods", namespace, name)

    def update_slices(self, namespace: str, name: str) -> None:
        """Replace the EndpointSlices of a Service by those that the pods of this moment give."""
        service = self.api.get("services", namespace, name)
        others = [
            piece
            for piece in self.api.objects("endpointslices")
            if (piece["metadata"]["namespace"], piece["metadata"]["labels"]["kubernetes.io/service-name"])
            != (namespace, name)
        ]
        self.api.replace("endpointslices", [*others, *kube_objects.endpoint_slices(service, self.api.objects("pods"))])

    def wait(self) -> None:
        """Wait until all that is to listen does."""
        for node, wanted, running in self.pods.values():
            if wanted.pod.own_network:
                real_pods.wait(node, wanted, running)

    def _start(self, node: str, wanted: RealPod) -> Running:
        running = real_pods.start(self.nodes[node], wanted)
        self.pods[wanted.pod.namespace, wanted.pod.name] = self.nodes[node], wanted, running
        return running

    def _status(self, node: str, part: Part, running: Running) -> Object:
        status = kube_objects.captured("pods", "shop", "front")["status"]["containerStatuses"][0]
        id_ = running.containers[part.container.name]
        where = self.nodes[node]
        image, image_id = where.image_of(id_)
        runtime = _RUNTIMES[isinstance(where, ContainerdNode)]
        told = {"name": part.container.name, "image": image, "imageID": image_id, "containerID": f"{runtime}://{id_}"}
        return {**status, **told, "ready": part.ready}


def _spec(part: Part) -> Object:
    own: dict[str, Any] = {"command": list(part.container.command)}
    if part.probe:
        own["readinessProbe"] = part.probe
    return kube_objects.container(part.container.name, part.container.image, part.ports, **own)


def _set_unready(item: Object) -> None:
    for condition in item["status"]["conditions"]:
        if condition["type"] in ("Ready", "ContainersReady"):
            condition |= {"status": "False", "reason": "ContainersNotReady"}


def _captured_pod(item: Object) -> RealPod:
    metadata, statuses = item["metadata"], {one["name"]: one for one in item["status"]["containerStatuses"]}
    own_network = not item["spec"].get("hostNetwork")
    pod = Pod(metadata["namespace"], metadata["name"], metadata["uid"], own_network, item["status"]["qosClass"].lower())
    containers = tuple(
        RealContainer(
            one["name"],
            one.get("command", _CAPTURED_PROGRAM),
            one["image"],
            sockets=int(one.get("command", _CAPTURED_PROGRAM)[0].endswith("httpd")),
            ends="terminated" in statuses[one["name"]]["state"],
        )
        for one in item["spec"]["containers"]
        if "waiting" not in statuses[one["name"]]["state"]
    )
    return RealPod(pod, containers)
