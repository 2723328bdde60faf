# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    Scene,
    no_cluster,
    with_service,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.service_scene import (
    HOSTILE,
    cluster,
    container,
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

STALE = "kubectl -n shop get statefulsets,daemonsets,deployments,jobs,cronjobs -o wide"


def captured(*others, **fields):
    """The captured cluster, in which the API server does write its own endpoints; with Services on top, or orphan changed."""
    document = cluster()
    document["services"] = [entry for entry in document["services"] if entry["name"] != "kubernetes"]
    document["services"] += [entry for entry, _piece in others]
    document["endpoint_slices"] += [piece for _entry, piece in others]
    return with_service(document, "orphan", **fields) if fields else document


def served(document, name="orphan", like="front"):
    """A copy in which a Service has the endpoints of another."""
    document = copy.deepcopy(document)
    places = {piece["service"]: piece for piece in document["endpoint_slices"]}
    places[name].update(ports=[{"name": "", "protocol": "TCP", "port": 5000}], endpoints=places[like]["endpoints"])
    return document


def behind(name, **fields):
    """A NodePort Service for one captured pod that is not ready, with the slice that the endpoint controller writes for it."""
    own = service(name, port(80, 8080, node_port=31000), **fields)
    (found,) = [entry for entry in cluster()["pods"] if entry["name"].startswith(name)]
    endpoint = {
        "addresses": found["ips"],
        "ready": False,
        "serving": False,
        "terminating": False,
        "node_name": "node-a",
        "target": {"kind": "Pod", "namespace": "shop", "name": found["name"], "uid": found["uid"]},
    }
    piece = {
        "namespace": "shop",
        "service": name,
        "name": f"{name}-x",
        "address_type": "IPv4",
        "ports": [{"name": "", "protocol": "TCP", "port": 8080}],
        "endpoints": [endpoint],
    }
    return own, piece


def crash(**fields):
    return behind("crash", **fields)


def only_crash(**kinds):
    """The captured cluster with orphan cured and a Service for the pod that crashes; ``kinds`` replaces what a kind holds."""
    return {**served(captured(crash())), **kinds}


def event(kind, name, reason, message, **fields):
    about = {"kind": kind, "namespace": "shop", "name": name, "uid": None, "reason": reason, "message": message}
    return {**about, "count": 1, "last": None, **fields}


BACK_OFF = event("Pod", "crash-78bf7549d-nkthh", "BackOff", "Back-off restarting failed container crash", count=3)


def dns(name, selector, *more, namespace="kube-system"):
    """A Service for DNS over UDP and TCP."""
    ports = [port(53, name=protocol, protocol=protocol) for protocol in ("UDP", "TCP")]
    return service(name, *ports, *more, selector=selector, namespace=namespace)


def scaled(replicas, events=(), of=None, **kinds):
    """A Service in front of a Deployment that has no pods."""

    def change(document):
        own = {**document["deployments"][0], "replicas": replicas}
        if of:
            own.update(namespace=of["namespace"], template_labels=of["selector"])
        changed = {**document, "deployments": [own], "pods": [], "endpoint_slices": []}
        return {**changed, "events": list(events), **kinds}

    return made(of or service("ui", port(9292, node_port=32530)), pod("ui-1", listens(9292)), change=change)


def emptied(**kinds):
    """A Service whose pods match and run, and are in no slice; ``kinds`` replaces what a kind holds."""
    return lambda document: {**document, "endpoint_slices": [], **kinds}


def piece(name, *endpoints, ports=((None, 9292),), family="IPv4"):
    return {
        "namespace": "shop",
        "service": name,
        "name": f"{name}-by-hand",
        "address_type": family,
        "ports": [{"name": entry[0] or "", "protocol": "TCP", "port": entry[1]} for entry in ports],
        "endpoints": [
            {
                "addresses": [address],
                "ready": ready,
                "serving": None,
                "terminating": None,
                "node_name": None,
                "target": None,
            }
            for address, ready in endpoints
        ],
    }


def labelled(*labels, deployments=None):
    """A Service that wants app=ui, among pods with other labels."""

    def change(document):
        pods = [{**entry, "labels": own} for entry, own in zip(document["pods"], labels, strict=True)]
        return {**document, "pods": pods, "deployments": deployments or [], "endpoint_slices": []}

    pods = [pod(f"one-{number}", listens(9292)) for number in range(len(labels))]
    return made(service("ui", port(9292, node_port=32530), selector={"app": "ui", "tier": "web"}), *pods, change=change)


def limited(document):
    """Only the pods of node-a were asked for."""
    return {
        **document,
        "pods_of": ["node-a"],
        "pods": [entry for entry in document["pods"] if entry["node"] == "node-a"],
    }


def hostile(document):
    pods = [{**entry, "labels": {"app": HOSTILE}} for entry in document["pods"]]
    events = [event("Service", "ui", HOSTILE, HOSTILE)]
    return {**document, "pods": pods, "endpoint_slices": [], "events": events}


# The captured pod that has ended has no labels.
LABELLED = {"pods": [{**entry, "labels": entry["labels"] or {"app": entry["name"]}} for entry in cluster()["pods"]]}

CASES = [
    Case(
        "captured: a selector that nothing matches",
        "fail",
        on_node_a(of=captured()),
        None,
        "warning",
        words=(
            "Service shop/orphan refuses connections on NodePort 31999/TCP: no pod matches app=missing",
            "nothing in namespace shop has app=missing",
            "values of app in namespace shop: hostnet, ",
            "front, ",
            'a client reads "connection refused" at once',
            "so a program of a node that listens on this number is refused as well; nodeport-shadows-listener tells",
        ),
        absent=("delete service",),
        commands=("kubectl -n shop get pods --show-labels", STALE),
    ),
    Case("captured: the same with a corrected selector", "pass", on_node_a(of=served(captured())), None),
    Case(
        "captured: the API servers' own Service",
        "fail",
        on_node_a(of=served(cluster())),
        None,
        "critical",
        words=(
            "The cluster itself needs this one",
            "Service default/kubernetes refuses connections: the API servers did not write their own addresses",
        ),
    ),
    Case(
        "a ClusterIP is a note",
        "fail",
        on_node_a(of=captured(type="ClusterIP", ports=[port(80, 8080)])),
        None,
        "info",
        words=("Service shop/orphan refuses connections: no pod matches",),
        absent=("on every address of every node",),
    ),
    Case(
        "a load balancer's",
        "fail",
        on_node_a(of=captured(type="LoadBalancer")),
        None,
        "warning",
    ),
    Case(
        "captured: its only pod crashes",
        "fail",
        on_node_a(of=only_crash(events=[BACK_OFF])),
        None,
        "warning",
        words=(
            "Service shop/crash refuses connections on NodePort 31000/TCP: its only endpoint is not ready",
            "pod shop/crash-78bf7549d-nkthh on node node-a: container crash ended with exit code 1 (Error), restarts 3",
            "event BackOff, 3 times: Back-off restarting failed container crash",
        ),
        commands=(
            "kubectl -n shop describe pod crash-78bf7549d-nkthh",
            "kubectl -n shop logs crash-78bf7549d-nkthh -c crash --previous --tail=20",
        ),
    ),
    Case(
        "captured: pods could not be read, the slices name them",
        "fail",
        on_node_a(of=without("pods", of=only_crash())),
        None,
        "warning",
        words=(
            "pod shop/crash-78bf7549d-nkthh (10.244.0.25) on node node-a is not ready",
            "why is not known of all: the pods are not known (Pods: pods is forbidden",
        ),
        commands=("kubectl -n shop get pods -o wide -l app=crash",),
    ),
    Case(
        "captured: Events could not be read",
        "fail",
        on_node_a(of=without("events", of=only_crash())),
        None,
        words=("container crash ended with exit code 1",),
        absent=("event ",),
    ),
    Case(
        "captured: the image of its only pod cannot be pulled",
        "fail",
        on_node_a(of=served(captured(behind("pull")))),
        None,
        "warning",
        words=(
            "its only endpoint is not ready",
            "container pull waits (ImagePullBackOff): Back-off pulling image",
        ),
        commands=("kubectl -n shop describe pod pull",),
    ),
    Case(
        "captured: its only pod has done its work",
        "fail",
        on_node_a(of=served(captured((service("done", port(80), selector={"app": "done"}), piece("done")))) | LABELLED),
        None,
        "info",
        words=("the pods that match its selector have ended", "container d ended with exit code 0 (Completed)"),
    ),
    Case(
        "no node was chosen for its pod",
        "fail",
        made(
            service("ui", port(9292)),
            pod("ui-1", ready=False, api={"phase": "Pending", "node": None, "ips": []}),
            change=emptied(events=[event("Pod", "ui-1", "FailedScheduling", "0/3 nodes are available")]),
        ),
        None,
        "warning",
        words=(
            "the pods that match its selector do not run",
            "pod shop/ui-1: no node was chosen for it; event FailedScheduling: 0/3 nodes are available",
        ),
    ),
    Case(
        "the cluster's DNS is scaled to 0",
        "fail",
        scaled(0, of=dns("kube-dns", {"k8s-app": "kube-dns", "app": "ui"})),
        None,
        "critical",
        words=("The cluster itself needs this one", "Deployment kube-system/ui is scaled to 0"),
    ),
    Case(
        "the cluster's DNS by its ports, and none of its pods is ready",
        "fail",
        made(dns("coredns", {"app": "ui"}), pod("ui-1", ready=False, namespace="kube-system")),
        None,
        "critical",
    ),
    Case(
        "a DNS that is not the cluster's",
        "fail",
        made(dns("own", None, namespace="shop")),
        None,
        "info",
        absent=("The cluster itself",),
    ),
    Case(
        "of the cluster's DNS only the metrics lack endpoints",
        "fail",
        made(
            dns("kube-dns", None, port(9153, name="metrics")),
            slices=[
                {
                    **piece("kube-dns", ("192.0.2.77", True), ports=[("UDP", 53), ("TCP", 53)]),
                    "namespace": "kube-system",
                    "ports": [{"name": protocol, "protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")],
                }
            ],
        ),
        None,
        "info",
        words=("on port 9153/TCP",),
    ),
    Case(
        "what may be a StatefulSet's is not deleted",
        "fail",
        made(service("db", port(5432, node_port=30432))),
        None,
        "warning",
        words=("a StatefulSet that is scaled to 0 looks the same", "look whether it is stale"),
        absent=("delete service",),
    ),
    Case(
        "nobody's endpoints: look, then delete",
        "fail",
        made(service("ui", port(9292, node_port=32530), selector=None)),
        None,
        "warning",
        words=("look whether it is stale",),
        commands=("kubectl -n shop delete service ui",),
    ),
    Case(
        "scaled to 0 is meant to be so",
        "fail",
        scaled(0),
        None,
        "info",
        words=("Deployment shop/ui is scaled to 0", "of which none is wanted"),
        absent=("delete service",),
        commands=("kubectl -n shop scale deployment/ui --replicas=1",),
    ),
    Case(
        "a quota keeps the pods from being made",
        "fail",
        scaled(2, [event("ReplicaSet", "ui-0000000001", "FailedCreate", "exceeded quota: small")]),
        None,
        "warning",
        words=("no pod of Deployment shop/ui runs", "there is none", "event FailedCreate: exceeded quota: small"),
        commands=("kubectl -n shop describe deployment ui",),
    ),
    Case(
        "of pods that were not asked for the Deployment is known",
        "fail",
        scaled(2, pods_of=["node-b"]),
        None,
        "warning",
        words=("no pod of Deployment shop/ui runs", "only the pods of node-b were asked for"),
    ),
    Case(
        "nothing but labels that could not be read",
        "fail",
        on_node_a(of=without("deployments", of=without("pods", of=captured()))),
        None,
        "warning",
        words=(
            "nothing that was seen matches app=missing",
            "not all labels were seen: the pods are not known (Pods: pods is forbidden",
            "not all labels were seen: the Deployments are not known (Deployments: pods is forbidden",
        ),
    ),
    Case(
        "some of the labels",
        "fail",
        labelled({"app": "ui", "tier": "wbe"}, {"app": "ui"}),
        None,
        words=(
            "pod shop/one-0 has app=ui, but tier=wbe instead of tier=web",
            "pod shop/one-1 has app=ui, but no label tier (wanted tier=web)",
        ),
    ),
    Case(
        "two letters in the wrong order",
        "fail",
        made(service("web", port(80, node_port=30080), selector={"app": "wbe"}), pod("web-1"), pod("cart-1")),
        None,
        words=("did you mean app=web? Deployment shop/web has it",),
        absent=("cart",),
    ),
    Case(
        "the same labels in another namespace",
        "fail",
        made_of(
            [service("ui", port(9292, node_port=32530))],
            [pod("ui-1", listens(9292), namespace="elsewhere")],
        ),
        None,
        words=("the same labels are in namespace elsewhere; a Service selects in its own only",),
    ),
    Case(
        "pods that have ended",
        "fail",
        made(
            service("ui", port(9292)),
            pod("ui-1", ready=False, api={"phase": "Failed", "containers": []}),
            change=emptied(),
        ),
        None,
        "warning",
        words=("the pods that match its selector have ended", "it has ended (phase Failed)"),
    ),
    Case(
        "ready pods that no slice has",
        "fail",
        made(service("ui", port(9292)), pod("ui-1", listens(9292)), change=emptied()),
        None,
        words=(
            "pods match its selector, but no EndpointSlice has them",
            "pod shop/ui-1 on node node-a: it is ready",
        ),
    ),
    Case(
        "many pods that are not ready",
        "fail",
        made(
            service("ui", port(9292)),
            *(
                pod(f"ui-{number}", ready=False, containers=[container("ui", probes=["readiness"])])
                for number in range(8)
            ),
        ),
        None,
        "warning",
        words=("none of its 8 endpoints is ready", "and 3 more"),
        absent=("pod shop/ui-5",),
    ),
    Case(
        "one that is still serving while it terminates is an endpoint",
        "pass",
        made(service("ui", port(9292)), pod("ui-1", listens(9292), api={"deleting": True})),
        None,
    ),
    Case(
        "nobody wrote endpoints for it",
        "fail",
        made(service("ui", port(9292, node_port=32530), selector=None)),
        None,
        "warning",
        words=("it has no selector, and nobody wrote endpoints for it",),
    ),
    Case(
        "endpoints by hand that are not ready",
        "fail",
        made(service("ui", port(9292), selector=None), slices=[piece("ui", ("192.0.2.77", False))]),
        None,
        words=("its only endpoint is not ready", "endpoint (192.0.2.77) is not ready", "whoever writes its slices"),
        absent=("pods",),
    ),
    Case(
        "endpoints by hand under another port name",
        "fail",
        made(
            service("ui", port(80), port(9292, name="web"), selector=None),
            slices=[piece("ui", ("192.0.2.77", True), ports=[("", 80), ("http", 9292)])],
        ),
        None,
        words=(
            "refuses connections on port 9292/TCP: its EndpointSlices have ready endpoints, but not for this port",
            "the Service has port web, TCP, its EndpointSlices (IPv4) port http, TCP, port without a name, TCP",
        ),
    ),
    Case(
        "endpoints by hand that are names",
        "fail",
        made(service("ui", port(9292), selector=None), slices=[piece("ui", ("db.example", True), family="FQDN")]),
        None,
        words=("needs addresses of type IPv4 or IPv6", "its EndpointSlices (FQDN)"),
    ),
    Case(
        "a named port that no container has is another rule's",
        "pass",
        made(service("ui", port(80, "web")), pod("ui-1")),
        None,
    ),
    Case(
        "what Events say about the Service",
        "fail",
        made(
            service("ui", port(9292, node_port=32530)),
            change=lambda document: {
                **document,
                "events": [
                    event("Service", "ui", "PortOutOfRange", "Port 32530 is not within the port range", uid="x")
                ],
            },
        ),
        None,
        words=("event PortOutOfRange: Port 32530 is not within the port range",),
    ),
    Case(
        "hostile labels, selector and Events",
        "fail",
        made(
            service("ui", port(9292, node_port=32530), selector={"app": f"ui{HOSTILE}", HOSTILE: "x"}),
            pod("ui-1"),
            change=hostile,
        ),
        None,
    ),
    Case(
        "hostile names make no command",
        "fail",
        made(
            service("ui", port(9292), selector=None, namespace="--all"),
        ),
        None,
        absent=("--all get",),
    ),
    Case(
        "no pod may be read but those of the play",
        "fail",
        made(
            service("ui", port(9292)),
            pod("web-1"),
            pod("ui-2", ready=False, node="node-b"),
            unasked=["node-b"],
            change=limited,
        ),
        None,
        words=("pod shop/ui-2 (10.244.0.11) on node node-b is not ready", "only the pods of node-a were asked for"),
    ),
    Case(
        "no Service was read",
        "unknown",
        Scene({"node-a": node_a()}, no_cluster()),
        None,
        words=("Services are not known",),
    ),
    Case(
        "no EndpointSlice was read",
        "unknown",
        on_node_a(of={**cluster(), "endpoint_slices": None, "missing": [{"what": "EndpointSlices", "why": "403"}]}),
        None,
        words=("the EndpointSlices are not known (EndpointSlices: 403)",),
    ),
    Case("no Service at all", "not_applicable", on_node_a(of=cluster(services=[])), None),
]
