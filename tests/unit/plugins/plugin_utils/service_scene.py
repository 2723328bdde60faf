# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes for the rules on Services: the captured cluster with its pods, and Services and pods of our making.

The captured one, whole or changed:

    on_node_a()                                               node-a with its pods' listeners, in the captured cluster
    on_node_a(of=without("pods"))                             the same, and pods may not be read
    on_node_a(seen_of("ui-5b667475f5-7r54x", redirects=True))    one of its pods is seen otherwise

One Service with its pods, or several; the EndpointSlices are those that the endpoint controller would write for them:

    made(service("ui", port(9292, node_port=32530)), pod("ui-1", listens(5000)), pod("ui-2", listens(9292), node="node-b"))
    made_of([service("ui", ...), service("post", ...)], [pod("ui-1", ...), pod("post-1", ...)], silent={"node-b": "timed out"})

A pod has the label app=ui, the container "ui" and the Deployment "ui" where its name begins with "ui-".
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_gather, cluster_trim
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import scene as scenes
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    Scene,
    captured,
    captured_section,
    changed,
    kubernetes_136,
    no_cluster,
)

SHOP = "shop"
NODES = {"node-a": "192.0.2.2", "node-b": "192.0.2.3", "node-c": "192.0.2.4"}
HOSTILE = "\x1b[2J\u202e'; rm -rf / # {{ 7 * 7 }}"
HOUR = 3600.0
FORBIDDEN = 'pods is forbidden: User "auditor" cannot list resource "pods" in API group "" at the cluster scope'
_KINDS = {"pods": "Pods", "events": "Events", "deployments": "Deployments", "replica_sets": "ReplicaSets"}


# -- the captured cluster -------------------------------------------------------------------------------------------


def cluster(**kinds):
    """The captured cluster with its pods, Deployments and ReplicaSets, as cluster_snapshot trims it."""
    document = {
        **kubernetes_136(),
        "pods_of": None,
        "pods": _trimmed("pods", cluster_trim.pod),
        "events": _warnings(),
        "deployments": _trimmed("deployments", cluster_trim.deployment),
        "replica_sets": _trimmed("replicasets", cluster_trim.replica_set),
    }
    assert kinds.keys() <= document.keys()
    return {**document, **kinds}


def _trimmed(kind, trim):
    return [trim(raw) for raw in copy.deepcopy(scenes._read(f"api/{kind}.json"))["items"]]


def _warnings():
    newest = cluster_gather.NewestWarnings()
    for raw in copy.deepcopy(scenes._read("api/events.json"))["items"]:
        newest.feed(raw)
    return newest.result()


def without(kind, why=FORBIDDEN, of=None):
    """A cluster of which one kind could not be read."""
    document = cluster() if of is None else of
    return {
        **document,
        kind: None,
        "complete": False,
        "missing": [*document["missing"], {"what": _KINDS[kind], "why": why}],
    }


def only(*names, of=None):
    """A cluster that has these Services of the captured one only."""
    document = cluster() if of is None else of
    return {**document, "services": [entry for entry in document["services"] if entry["name"] in names]}


def pod_listeners(*others):
    """The captured section of node-a; ``others`` take the places of those with their uid, or come on top."""
    section = captured_section("pod-listeners-node-a")
    by_uid = {entry["uid"]: entry for entry in [*section["pods"], *others]}
    return {**section, "pods": sorted(by_uid.values(), key=lambda entry: (str(entry["namespace"]), str(entry["name"])))}


def seen_of(name, **fields):
    """What node-a showed of one captured pod, with other values."""
    (found,) = [entry for entry in captured_section("pod-listeners-node-a")["pods"] if entry["name"] == name]
    assert fields.keys() <= found.keys()
    seen = {**found, **fields}
    return {**seen, "listeners": _in_container(seen["containers"][0]["name"], seen["listeners"])}


def _in_container(first, listeners):
    """Those that name no container are the first one's."""
    return [{**entry, "container": first if entry["container"] is ... else entry["container"]} for entry in listeners]


def node_a(*others):
    """The captured snapshot of node-a with what listens in its pods."""
    snapshot = captured("node-a")
    snapshot["sections"]["pod_listeners"] = pod_listeners(*others)
    return snapshot


def on_node_a(*others, snapshot=None, of=None, **options):
    """The captured node in the captured cluster, ``of`` which something may be missing."""
    return Scene(
        {"node-a": node_a(*others) if snapshot is None else snapshot}, cluster() if of is None else of, options
    )


# -- Services and pods of our making --------------------------------------------------------------------------------


def port(number, target=..., *, node_port=None, name=None, protocol="TCP"):
    """A Service's port; its targetPort is the same number unless another one, or a name, is given."""
    wanted = number if target is ... else target
    return {"name": name, "protocol": protocol, "port": number, "target_port": wanted, "node_port": node_port}


def service(name, *ports, namespace=SHOP, families=("IPv4",), **fields):
    """A Service that selects app=name: NodePort where a port has one, else ClusterIP."""
    made_service = {
        **cluster_trim.service({"metadata": {}, "spec": {}}),
        "namespace": namespace,
        "name": name,
        "uid": f"service-{name}",
        "type": "NodePort" if any(entry["node_port"] for entry in ports) else "ClusterIP",
        "cluster_ips": [{"IPv4": "10.96.0.10", "IPv6": "fd00:96::10"}[family] for family in families],
        "ip_families": list(families),
        "external_traffic_policy": "Cluster",
        "internal_traffic_policy": "Cluster",
        "selector": {"app": name},
        "ports": list(ports),
    }
    assert fields.keys() <= made_service.keys()
    return {**made_service, **fields}


def listens(number, address="0.0.0.0", protocol="tcp", process="python3", container=..., v6only=...):
    """A waiting socket of a pod; it is the pod's first container's unless another one is named."""
    family = "ipv6" if ":" in address else "ipv4"
    only = (False if family == "ipv6" else None) if v6only is ... else v6only
    return {
        "protocol": protocol,
        "family": family,
        "address": address,
        "port": number,
        "v6only": only,
        "process": process,
        "pid": 20000 + number % 1000,
        "container": container,
        "container_id": None,
    }


def container(name, image=..., *, ports=(), runtime_image=..., image_id=..., probes=(), **fields):
    """A running container as the API has it. ``ports`` are (name, number) or (name, number, protocol); ``probes`` of readiness, ..."""
    wanted = f"docker.io/{SHOP}/{name}:1" if image is ... else image
    made_container = {
        "name": name,
        "kind": "container",
        "image": wanted,
        "pull_policy": "IfNotPresent",
        "ports": [
            {"name": entry[0], "port": entry[1], "protocol": entry[2] if len(entry) > 2 else "TCP"} for entry in ports
        ],
        **{probe: probe in probes for probe in ("readiness", "liveness", "startup")},
        "status": {
            "image": wanted if runtime_image is ... else runtime_image,
            "image_id": digest(wanted) if image_id is ... else image_id,
            "ready": True,
            "restarts": 0,
            "state": "running",
            "reason": None,
            "message": None,
            "exit_code": None,
        },
    }
    assert fields.keys() <= made_container.keys()
    return {**made_container, **fields}


def digest(text):
    """The id of an image that is known by this text."""
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


@dataclass
class Pod:
    """A pod in both views: the API's (``api`` are its other values) and its node's (``seen``; None: the node does not show it)."""

    name: str
    listeners: tuple[Any, ...]
    namespace: str
    app: str
    node: str
    revision: int
    containers: tuple[Any, ...]
    ready: bool
    host_network: bool
    age: float
    api: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, Any] | None = field(default_factory=dict)
    number: int = 0  # among the pods of a scene; its addresses have it

    @property
    def uid(self):
        told = hashlib.sha256(f"{self.namespace}/{self.name}".encode("utf-8", "surrogatepass")).hexdigest()
        return f"{told[:8]}-{told[8:12]}-4{told[13:16]}-8{told[17:20]}-{told[20:32]}"

    @property
    def addresses(self):
        own = {"IPv4": f"10.244.0.{10 + self.number}", "IPv6": f"fd00:244::{10 + self.number:x}"}
        return {**own, "IPv4": NODES[self.node]} if self.host_network else own

    @property
    def replica_set(self):
        return f"{self.app}-{self.revision:010x}"

    def trimmed(self):
        """As cluster_snapshot has it."""
        return {
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
            "node": self.node,
            "labels": {"app": self.app, "pod-template-hash": f"{self.revision:010x}"},
            "owner": {"kind": "ReplicaSet", "name": self.replica_set, "uid": f"rs-{self.replica_set}"},
            "host_network": self.host_network,
            "ips": list(self.addresses.values()),
            "phase": "Running",
            "ready": "True" if self.ready else "False",
            "ready_reason": None if self.ready else "ContainersNotReady",
            "deleting": False,
            "runtime_class": None,
            "mirror": False,
            "readiness_gates": [],
            "containers": list(self.containers),
            **self.api,
        }

    def shown(self):
        """As pod_listeners has it."""
        told = _in_container(self.containers[0]["name"], self.listeners)
        running = [
            {
                "id": hashlib.sha256(f"{self.uid}{one['name']}".encode("utf-8", "surrogatepass")).hexdigest(),
                "name": one["name"],
                "image": one["status"]["image"],
                "age_seconds": self.age,
            }
            for one in self.containers
        ]
        return {
            "uid": self.uid,
            "namespace": self.namespace,
            "name": self.name,
            "named_by": "logs",
            "host_network": self.host_network,
            "netns": "host" if self.host_network else str(4026532000 + self.number),
            "pid": 20000 + self.number,
            "addresses": None if self.host_network else list(self.addresses.values()),
            "redirects": None if self.host_network else False,
            "own_kernel": None,
            "containers": running,
            "listeners": told,
            "unlisted": 0,
            "why": None,
            **(self.seen or {}),
        }


def pod(
    name,
    *listeners,
    containers=(),
    namespace=SHOP,
    app=...,
    node="node-a",
    revision=1,
    ready=True,
    host_network=False,
    age=HOUR,
    api=None,
    seen=...,
):
    """A pod that has run for an hour, of one container that is named after its app; see Pod."""
    called = name.rsplit("-", 1)[0] if app is ... else app
    return Pod(
        name,
        listeners,
        namespace,
        called,
        node,
        revision,
        tuple(containers) or (container(called),),
        ready,
        host_network,
        age,
        api or {},
        {} if seen is ... else seen,
    )


def made(made_service, *pods, **options):
    """One Service with its pods; see made_of."""
    return made_of([made_service], pods, **options)


def made_of(services, pods, *, silent=None, unasked=(), slices=(), change=None, **options):
    """Services and pods of our making, all of whose nodes answered but the ``silent`` (why, by name) and the ``unasked`` ones.

    ``slices`` are EndpointSlices on top of those that the endpoint controller would write; ``change`` may change the cluster.
    """
    for number, entry in enumerate(pods):
        entry.number = number
    written = [piece for one in services if one["selector"] is not None for piece in _slices(one, pods)]
    document = {
        **kubernetes_136(),
        "services": list(services),
        "endpoint_slices": [*written, *slices],
        "nodes": [_node(name) for name in NODES],
        "pods_of": None,
        "pods": [entry.trimmed() for entry in pods],
        "events": [],
        "deployments": _deployments(pods),
        "replica_sets": _replica_sets(pods),
    }
    asked = sorted({"node-a", *(entry.node for entry in pods)} - set(unasked))
    snapshots = {name: (silent or {}).get(name) or _snapshot(name, pods) for name in asked}
    return Scene(snapshots, change(document) if change else document, options)


def _snapshot(name, pods):
    snapshot = captured("node-a")
    snapshot["sections"]["host"]["hostname"] = name
    snapshot["sections"]["host"]["addresses"][0]["address"] = NODES[name]
    shown = [entry.shown() for entry in pods if entry.node == name and entry.seen is not None]
    snapshot["sections"]["pod_listeners"] = {**pod_listeners(), "pods": shown}
    return snapshot


def _node(name):
    (raw,) = copy.deepcopy(scenes._read("api/nodes.json"))["items"]
    made_node = cluster_trim.node(raw)
    return {
        **made_node,
        "name": name,
        "hostname": name,
        "uid": f"node-{name}",
        "internal_ips": [NODES[name]],
        "shared_images": [],
    }


def _slices(of, pods):
    """The EndpointSlices of a Service: one for each address family, and for each set of numbers that its names stand for."""
    chosen = [
        entry
        for entry in pods
        if entry.namespace == of["namespace"] and of["selector"].items() <= entry.trimmed()["labels"].items()
    ]
    for family in of["ip_families"]:
        groups: dict[Any, list[Any]] = {}
        for entry in chosen:
            numbers = tuple(_number(wanted, entry) for wanted in of["ports"])
            groups.setdefault(numbers, []).append(_endpoint(of, entry, family))
        for index, (numbers, endpoints) in enumerate(groups.items()):
            yield {
                "namespace": of["namespace"],
                "service": of["name"],
                "name": f"{of['name']}-{family.lower()}-{index}",
                "address_type": family,
                "ports": [
                    {"name": wanted["name"] or "", "protocol": wanted["protocol"], "port": number}
                    for wanted, number in zip(of["ports"], numbers, strict=True)
                    if number
                ],
                "endpoints": endpoints,
            }


def _number(wanted, entry):
    """What targetPort is in a pod; None where no container has the name (kubernetes/kubernetes pkg/api/v1/pod, FindPort)."""
    target = wanted["port"] if wanted["target_port"] is None else wanted["target_port"]
    if isinstance(target, int):
        return target
    found = [
        named["port"]
        for one in entry.containers
        for named in one["ports"]
        if (named["name"], named["protocol"]) == (target, wanted["protocol"])
    ]
    return found[0] if found else None


def _endpoint(of, entry, family):
    trimmed = entry.trimmed()
    return {
        "addresses": [entry.addresses[family]],
        "ready": (entry.ready and not trimmed["deleting"]) or of["publish_not_ready_addresses"],
        "serving": entry.ready,
        "terminating": trimmed["deleting"],
        "node_name": entry.node,
        "target": {"kind": "Pod", "namespace": entry.namespace, "name": entry.name, "uid": trimmed["uid"]},
    }


def _images(entry):
    return {one["name"]: one["image"] for one in entry.containers if one["kind"] == "container"}


def _newest(pods):
    newest: dict[Any, Any] = {}
    for entry in sorted(pods, key=lambda one: one.revision):
        newest[entry.namespace, entry.app] = entry
    return newest


def _deployments(pods):
    return [
        {
            "namespace": namespace,
            "name": app,
            "uid": f"deployment-{app}",
            "replicas": sum((one.namespace, one.app) == (namespace, app) for one in pods),
            "selector": {"app": app},
            "template_labels": {"app": app},
            "images": _images(entry),
            "strategy": "RollingUpdate",
            "paused": False,
            "resource_version": "4711",
            "generation": 7,
        }
        for (namespace, app), entry in _newest(pods).items()
    ]


def _replica_sets(pods):
    found = {(entry.namespace, entry.replica_set): entry for entry in pods}
    return [
        {
            "namespace": namespace,
            "name": name,
            "uid": f"rs-{name}",
            "owner": {"kind": "Deployment", "name": entry.app, "uid": f"deployment-{entry.app}"},
            "revision": entry.revision,
            "replicas": sum(one.replica_set == name for one in pods),
            "images": _images(entry),
        }
        for (namespace, name), entry in found.items()
    ]


def replica_set(app, revision, namespace=SHOP, replicas=0, **images):
    """A ReplicaSet of a Deployment that has no pods any more."""
    name = f"{app}-{revision:010x}"
    return {
        "namespace": namespace,
        "name": name,
        "uid": f"rs-{name}",
        "owner": {"kind": "Deployment", "name": app, "uid": f"deployment-{app}"},
        "revision": revision,
        "replicas": replicas,
        "images": images,
    }


# -- what every rule on targets has in common -----------------------------------------------------------------------


def _older():
    """A snapshot of a time when nobody looked into pods."""
    snapshot = captured("node-a")
    snapshot["sections"].pop("pod_listeners", None)
    return snapshot


def target_unknowns():
    """The cases in which nobody can know whether the pods of a Service answer; of a rule whose fault none of these pods has."""
    ui = service("ui", port(9292, node_port=32530))
    lost = {"complete": False, "missing": [{"what": "pod_listeners", "why": "the budget of 20 s ended before it"}]}
    cut = {**pod_listeners(), "pods": [], "complete": False, "missing": [{"what": "pods", "why": "2 were left out"}]}
    for name, scene, words in (
        (
            "the node of the pod was not asked",
            made(ui, pod("ui-1", node="node-b"), pod("ui-2", node="node-b"), unasked=["node-b"]),
            "2 endpoints of 1 Service could not be judged: its node is not among the hosts that were asked (node-b)",
        ),
        (
            "the node of the pod is silent",
            made(ui, pod("ui-1", node="node-b"), silent={"node-b": "Connection timed out"}),
            "1 endpoint of 1 Service could not be judged: node-b did not answer: Connection timed out (node-b)",
        ),
        (
            "what listens in pods was not collected",
            on_node_a(snapshot=changed(node_a(), "pod_listeners", lost), of=only("front")),
            "could not be judged: pod_listeners: the budget of 20 s ended before it (node-a)",
        ),
        (
            "pods were left out",
            on_node_a(snapshot=changed(node_a(), "pod_listeners", cut), of=only("front")),
            "could not be judged: pods: 2 were left out (node-a)",
        ),
        (
            "the section is of another form",
            on_node_a(snapshot=changed(node_a(), "pod_listeners", ["junk"]), of=only("front")),
            "the section pod_listeners was not collected",
        ),
        (
            "the pod is not to be seen",
            made(ui, pod("ui-1", seen=None)),
            "its node shows no process of the pod, which may have ended or moved meanwhile (node-a)",
        ),
        (
            "a StatefulSet's pod was made anew: what listened in the old one does not matter",
            made(ui, pod("ui-0", listens(5000), seen={"uid": "00000000-0000-4000-8000-000000000000"})),
            "its node shows no process of the pod",
        ),
        (
            "a kernel of its own",
            made(
                ui,
                pod("ui-1", seen={"listeners": None, "own_kernel": "runsc", "why": "the pod has a kernel of its own"}),
            ),
            "could not be judged: the pod has a kernel of its own (pod shop/ui-1)",
        ),
        (
            "packets are redirected inside the pod",
            made(ui, pod("ui-1", listens(5000), seen={"redirects": True})),
            "packets are redirected inside the pod's network (a nat table is there), as a mesh does (pod shop/ui-1)",
        ),
        (
            "more listeners than are told",
            made(ui, pod("ui-1", listens(5000), seen={"unlisted": 3})),
            "the pod has more listeners than are told (pod shop/ui-1)",
        ),
        (
            "a young container",
            made(ui, pod("ui-1", listens(5000), age=59.0)),
            "a container of the pod runs for less than 60 s and may not listen yet (pod shop/ui-1)",
        ),
        (
            "a pod in its host's network, where somebody else listens",
            made(service("ui", port(10250)), pod("ui-1", listens(5000), host_network=True)),
            "the pod is in its host's network, and a process listens there that was not seen to be its own",
        ),
        (
            "SCTP",
            made(service("ui", port(9292, protocol="SCTP")), pod("ui-1", listens(5000))),
            "sockets of SCTP are not collected",
        ),
        (
            "the EndpointSlices are not known",
            on_node_a(
                of={
                    **cluster(endpoint_slices=None),
                    "missing": [{"what": "EndpointSlices", "why": "403 Forbidden"}],
                }
            ),
            "the EndpointSlices are not known (EndpointSlices: 403 Forbidden)",
        ),
        ("the API server is dead", on_node_a(of=no_cluster()), "connection refused"),
        (
            "an older bundle",
            Scene({"node-a": _older()}, kubernetes_136()),
            "could not be judged: the section pod_listeners was not collected (node-a)",
        ),
    ):
        yield Case(name, "unknown", scene, None, words=(words,))
    yield Case("no Services", "not_applicable", on_node_a(of=cluster(services=[])), None)
    manual = [piece for piece in cluster()["endpoint_slices"] if piece["service"] == "db"]
    yield Case(
        "endpoints that are no pods",
        "not_applicable",
        made_of([service("db", port(5432), selector=None)], [], slices=manual),
        None,
    )
