# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A big cluster that nobody has to hold in memory: an API server that makes the objects of each page when it is asked for.

5,000 Services, 2,000 of them with a NodePort, select the pods of 1,500 Deployments, 20 pods each: 30,000 pods on 280 Nodes, 100,000 endpoints. A pod is as
large as real ones are, with environment, volumes and managedFields. Every 250th Deployment's pods listen on another port than
their Services want.

    python tests/bench/big_cluster.py KUBECONFIG        writes the kubeconfig, then serves until it is killed
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

APPS, REPLICAS, SERVICES, NODES, EVENTS = 1_500, 20, 5_000, 280, 20_000
NODE_PORTS = 2_000  # of the Services
PODS = APPS * REPLICAS
ENDPOINTS = SERVICES * REPLICAS
SLICE = 100  # endpoints in one EndpointSlice, kube-controller-manager's --max-endpoints-per-slice
PORT, OTHER_PORT = 8080, 5000
_CREATED = "2026-11-21T00:08:03Z"


def listens_on(app: int) -> int:
    """The port that the pods of a Deployment listen on; their Services want PORT."""
    return OTHER_PORT if app % 250 == 249 else PORT


def uid(kind: int, number: int) -> str:
    """An object's uid."""
    return f"{kind:08x}-0000-4000-8000-{number:012x}"


def pod_name(number: int) -> str:
    """The name of a pod: of its Deployment, its ReplicaSet, and five characters."""
    return f"app-{number // REPLICAS:04d}-5b667475f5-{number % REPLICAS:05d}"


def namespace(app: int) -> str:
    """The namespace of a Deployment, its pods and its Services."""
    return f"team-{app % 50:02d}"


def address(pod: int) -> str:
    """A pod's address."""
    return f"10.{64 + pod // 60_000}.{pod % 60_000 // 250}.{pod % 250 + 2}"


def node_address(node: int) -> str:
    """A Node's InternalIP."""
    return f"198.18.{node // 250}.{node % 250 + 2}"


def image(app: int) -> str:
    """What a Deployment's pods run."""
    return f"registry.example/team-{app % 50:02d}/app-{app:04d}:1.{app % 7}.3"


def digest(app: int) -> str:
    """The image's digest."""
    return f"registry.example/team-{app % 50:02d}/app-{app:04d}@sha256:{app:064x}"


def node_port(service: int) -> int:
    """The NodePort of one of the first NODE_PORTS Services."""
    return 30_000 + service


def pods_of(node: int) -> Iterator[int]:
    """The numbers of a Node's pods."""
    return iter(range(node, PODS, NODES))


def _meta(kind: int, number: int, name: str, space: str | None, **more: Any) -> dict[str, Any]:
    where = {"namespace": space} if space else {}
    version = {"uid": uid(kind, number), "resourceVersion": str(1_000_000 + number), "creationTimestamp": _CREATED}
    fields: dict[str, Any] = {f"f:field{part}": {"f:status": {".": {}, "f:type": {}}} for part in range(40)}
    managed = {
        "manager": "kubelet",
        "operation": "Update",
        "time": _CREATED,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return {"name": name, **where, **version, "managedFields": [managed], **more}


def _owner(kind: str, name: str, owner: str) -> list[dict[str, Any]]:
    return [{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": owner, "controller": True}]


def _template(app: int) -> dict[str, Any]:
    container = {
        "name": "app",
        "image": image(app),
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": f"SETTING_{part}", "value": f"value of setting {part}"} for part in range(30)],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10},
        "volumeMounts": [{"name": f"volume-{part}", "mountPath": f"/srv/{part}"} for part in range(5)],
    }
    volumes = [{"name": f"volume-{part}", "configMap": {"name": f"config-{part}"}} for part in range(5)]
    return {"metadata": {"labels": {"app": f"app-{app:04d}"}}, "spec": {"containers": [container], "volumes": volumes}}


def _pod(number: int) -> dict[str, Any]:
    app, node = number // REPLICAS, number % NODES
    owner = _owner("ReplicaSet", f"app-{app:04d}-5b667475f5", uid(4, app))
    labels = {"app": f"app-{app:04d}", "team": namespace(app), "pod-template-hash": "5b667475f5"}
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": _CREATED}
        for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    status = {
        "name": "app",
        "ready": True,
        "restartCount": 0,
        "image": image(app),
        "imageID": digest(app),
        "containerID": f"containerd://{number:064x}",
        "state": {"running": {"startedAt": _CREATED}},
    }
    return {
        "metadata": _meta(1, number, pod_name(number), namespace(app), labels=labels, ownerReferences=owner),
        "spec": {**_template(app)["spec"], "nodeName": f"node-{node:03d}"},
        "status": {
            "phase": "Running",
            "podIP": address(number),
            "podIPs": [{"ip": address(number)}],
            "conditions": conditions,
            "containerStatuses": [status],
        },
    }


def _service(number: int) -> dict[str, Any]:
    app = number % APPS
    outside = {"nodePort": node_port(number)} if number < NODE_PORTS else {}
    port = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": PORT, **outside}
    cluster_ip = f"10.96.{number // 250}.{number % 250 + 2}"
    return {
        "metadata": _meta(2, number, f"service-{number:04d}", namespace(app)),
        "spec": {
            "type": "NodePort" if outside else "ClusterIP",
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "ipFamilies": ["IPv4"],
            "selector": {"app": f"app-{app:04d}"},
            "ports": [port],
            **({"externalTrafficPolicy": "Cluster"} if outside else {}),
        },
        "status": {"loadBalancer": {}},
    }


def _slice(number: int) -> dict[str, Any]:
    app = number % APPS
    pods = range(app * REPLICAS, (app + 1) * REPLICAS)
    endpoints = [
        {
            "addresses": [address(pod)],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": f"node-{pod % NODES:03d}",
            "targetRef": {"kind": "Pod", "namespace": namespace(app), "name": pod_name(pod), "uid": uid(1, pod)},
        }
        for pod in pods
    ]
    labels = {"kubernetes.io/service-name": f"service-{number:04d}"}
    return {
        "metadata": _meta(3, number, f"service-{number:04d}-x7k2p", namespace(app), labels=labels),
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "http", "protocol": "TCP", "port": PORT}],
    }


def _node(number: int) -> dict[str, Any]:
    name = f"node-{number:03d}"
    addresses = [{"type": "InternalIP", "address": node_address(number)}, {"type": "Hostname", "address": name}]
    images = [{"names": [digest(app), image(app)], "sizeBytes": 1_998_156} for app in range(number, number + 50)]
    return {
        "metadata": _meta(5, number, name, None),
        "spec": {"podCIDRs": [f"10.64.{number % 250}.0/24"]},
        "status": {
            "addresses": addresses,
            "conditions": [{"type": "Ready", "status": "True"}],
            "images": images,
            "nodeInfo": {"kubeletVersion": "v1.36.0", "operatingSystem": "linux", "architecture": "amd64"},
        },
    }


def _deployment(app: int) -> dict[str, Any]:
    selector = {"matchLabels": {"app": f"app-{app:04d}"}}
    return {
        "metadata": _meta(6, app, f"app-{app:04d}", namespace(app)),
        "spec": {"replicas": REPLICAS, "selector": selector, "template": _template(app)},
    }


def _replica_set(number: int) -> dict[str, Any]:
    app, old = number % APPS, number >= APPS
    name = f"app-{app:04d}-{'66fd4bc9c8' if old else '5b667475f5'}"
    annotations = {"deployment.kubernetes.io/revision": "1" if old else "2"}
    owner = _owner("Deployment", f"app-{app:04d}", uid(6, app))
    return {
        "metadata": _meta(4, number, name, namespace(app), ownerReferences=owner, annotations=annotations),
        "spec": {"replicas": 0 if old else REPLICAS, "template": _template(app)},
    }


def _event(number: int) -> dict[str, Any]:
    pod = number % PODS
    about = {"kind": "Pod", "namespace": namespace(pod // REPLICAS), "name": pod_name(pod), "uid": uid(1, pod)}
    times = {"lastTimestamp": f"2026-11-21T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z"}
    message = f'Readiness probe failed: Get "http://{address(pod)}:8080/healthz": context deadline exceeded'
    return {
        "metadata": _meta(7, number, f"{pod_name(pod)}.{number:016x}", namespace(pod // REPLICAS)),
        "involvedObject": about,
        "type": "Warning",
        "reason": "Unhealthy",
        "message": message,
        "count": 3,
        **times,
    }


# path: (kind of list, how many, one of them)
LISTS: dict[str, tuple[str, int, Callable[[int], dict[str, Any]]]] = {
    "/api/v1/services": ("ServiceList", SERVICES, _service),
    "/apis/discovery.k8s.io/v1/endpointslices": ("EndpointSliceList", SERVICES, _slice),
    "/api/v1/nodes": ("NodeList", NODES, _node),
    "/api/v1/pods": ("PodList", PODS, _pod),
    "/apis/apps/v1/deployments": ("DeploymentList", APPS, _deployment),
    "/apis/apps/v1/replicasets": ("ReplicaSetList", 2 * APPS, _replica_set),
    "/api/v1/events": ("EventList", EVENTS, _event),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a list, page by page, or the version."""
        asked = urlsplit(self.path)
        if asked.path == "/version":
            self._send({"major": "1", "minor": "36"})
            return
        kind, total, make = LISTS[asked.path]
        query = dict(parse_qsl(asked.query))
        start, limit = int(query.get("continue", "0")), int(query["limit"])
        items = [make(number) for number in itertools.islice(range(start, total), limit)]
        more = {"continue": str(start + limit)} if start + limit < total else {}
        self._send({"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "1", **more}, "items": items})

    def _send(self, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (http.server's name)
        """Keep quiet."""


def main() -> None:
    """Serve until killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "big",
        "users": [{"name": "big", "user": {}}],
        "clusters": [{"name": "big", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
        "contexts": [{"name": "big", "context": {"cluster": "big", "user": "big"}}],
    }
    Path(sys.argv[1]).write_text(json.dumps(content), "utf-8")
    server.serve_forever()


if __name__ == "__main__":
    main()
