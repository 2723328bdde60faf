# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed 004 as the collectors would have stored it: tests/fixtures/seed_004, whose README tells the origin and what is inferred.

API objects are made from what kubectl printed and are read by cluster_trim. ``Story`` tells it as it was, or as it would have gone with
another port or with a readiness probe.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_trim

Object = dict[str, Any]

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "seed_004"
NAMESPACE = "reddit-entry"
LISTENS_ON = 5000  # as the slides say of post
NODES = {"10.10.16": "node-16", "10.10.17": "node-17"}
_UUIDS = uuid.UUID("00000000-0000-4000-8000-000000000004")
_IMAGE_ID = f"sha256:{'4' * 64}"
_AGE_SECONDS = 46 * 60.0

#   ui        NodePort    10.10.255.169   <none>           9292:32530/TCP   15h
_SERVICE = re.compile(r"(\S+) +(\S+) +(\S+) +\S+ +(\d+):(\d+)/(\w+) +\S+")
#   ui-5875f9bb88-cjjf6  1/1    Running   0           46m
_POD = re.compile(r"(\S+?)-([0-9a-f]+)-(\w+) +(\d)/(\d) +(\w+) +(\d+) +(\d+)m")
#   1 root     0:01   python3 post_app.py
_PROCESS = re.compile(r"(\d+) \w+ +\d+:\d+ +(\S+) (.*)")


@dataclass(frozen=True)
class Story:
    """What the pods' program listens on, its name, and whether a readiness probe asks it."""

    port: int = LISTENS_ON
    program: str = ""
    probed: bool = False

    def cluster(self) -> Object:
        """What cluster_snapshot would have stored."""
        trims = {
            "services": (cluster_trim.service, [_service()]),
            "endpoint_slices": (cluster_trim.endpoint_slice, [_endpoint_slice()]),
            "nodes": (cluster_trim.node, [_node(prefix) for prefix in NODES]),
            "pods": (cluster_trim.pod, [self._pod(name, address) for name, address in addresses().items()]),
            "deployments": (cluster_trim.deployment, [self._deployment()]),
            "replica_sets": (cluster_trim.replica_set, [self._replica_set()]),
        }
        return {
            "schema": 1,
            "complete": False,
            "missing": [{"what": "Events", "why": "not captured"}],
            "server": None,
            "server_version": None,
            "pods_of": None,
            "events": None,
            **{kind: [trim(raw) for raw in objects] for kind, (trim, objects) in trims.items()},
        }

    def snapshots(self) -> dict[str, Object]:
        """By host, what node_snapshot would have stored of the pods."""
        return {node: self._snapshot(prefix, node) for prefix, node in NODES.items()}

    def _snapshot(self, prefix: str, node: str) -> Object:
        pods = [self._seen(name, address) for name, address in addresses().items() if address.startswith(f"{prefix}.")]
        host = {
            "hostname": node,
            "kernel": None,
            "python": None,
            "root": True,
            "host_pid_namespace": True,
            "addresses": [],
            "components": ["kubelet"],
            "complete": True,
            "missing": [],
        }
        section = {"pods": pods, "truncated": {"pods": 0, "listeners": 0}, "complete": True, "missing": []}
        return {
            "schema": 1,
            "sections": {"host": host, "pod_listeners": section},
            "seconds": None,
            "complete": False,
            "missing": [],
        }

    def _seen(self, name: str, address: str) -> Object:
        container = "c" + _uid(name).replace("-", "").ljust(63, "0")
        return {
            "uid": _uid(name),
            "namespace": NAMESPACE,
            "name": name,
            "named_by": "logs",
            "host_network": False,
            "netns": "4026532281",
            "pid": 2201,
            "addresses": [address],
            "redirects": False,
            "own_kernel": None,
            "containers": [{"id": container, "name": _container(), "image": None, "age_seconds": _AGE_SECONDS}],
            "listeners": [
                {
                    "protocol": "tcp",
                    "family": "ipv4",
                    "address": "0.0.0.0",
                    "port": self.port,
                    "v6only": None,
                    "process": self.program or program(),
                    "pid": 2201,
                    "container": _container(),
                    "container_id": container,
                }
            ],
            "unlisted": 0,
            "why": None,
        }

    def _pod(self, name: str, address: str) -> Object:
        owner = _replica_set_name()
        image = told("deployment.txt", "Image")
        return {
            "metadata": {
                "namespace": NAMESPACE,
                "name": name,
                "uid": _uid(name),
                "labels": {**_selector(), "pod-template-hash": owner.rpartition("-")[2]},
                "ownerReferences": [
                    {
                        "apiVersion": "apps/v1",
                        "kind": "ReplicaSet",
                        "name": owner,
                        "uid": _uid(owner),
                        "controller": True,
                    }
                ],
            },
            "spec": {**self._template()["spec"], "nodeName": NODES[address.rpartition(".")[0]]},
            "status": {
                "phase": "Running",
                "podIP": address,
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [
                    {
                        "name": _container(),
                        "image": image,
                        "imageID": f"docker-pullable://{image.rpartition(':')[0]}@{_IMAGE_ID}",
                        "ready": True,
                        "restartCount": 0,
                        "state": {"running": {}},
                    }
                ],
            },
        }

    def _template(self) -> Object:
        """Port: <none>, and nothing of probes; a tag that is not latest gets IfNotPresent."""
        container: Object = {
            "name": _container(),
            "image": told("deployment.txt", "Image"),
            "imagePullPolicy": "IfNotPresent",
        }
        probe = {"readinessProbe": {"tcpSocket": {"port": _port()}}} if self.probed else {}
        return {"metadata": {"labels": _selector()}, "spec": {"containers": [{**container, **probe}]}}

    def _deployment(self) -> Object:
        name = told("deployment.txt", "Name")
        return {
            "metadata": {
                "namespace": NAMESPACE,
                "name": name,
                "uid": _uid(f"deployment {name}"),
                "resourceVersion": "1",
            },
            "spec": {
                "replicas": len(pods()),
                "selector": {"matchLabels": _selector()},
                "template": self._template(),
                "strategy": {"type": told("deployment.txt", "StrategyType")},
            },
        }

    def _replica_set(self) -> Object:
        deployment, name = self._deployment()["metadata"], _replica_set_name()
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment["name"], "uid": deployment["uid"]}
        return {
            "metadata": {
                "namespace": NAMESPACE,
                "name": name,
                "uid": _uid(name),
                "annotations": {"deployment.kubernetes.io/revision": "1"},
                "ownerReferences": [{**owner, "controller": True}],
            },
            "spec": {"replicas": len(pods()), "template": self._template()},
        }


def told(file: str, key: str) -> str:
    """What kubectl describe told: ``told("service.txt", "IP")``."""
    return _first(rf"^{re.escape(key)}: +(.*)$", file)


def _first(pattern: str, file: str) -> str:
    found: list[str] = re.findall(pattern, (FOLDER / file).read_text("utf-8"), re.MULTILINE)
    return found[0]


def pods() -> list[str]:
    """The names of the pods, all of them ready and Running."""
    return ["-".join(match[:3]) for match in _POD.findall((FOLDER / "pods.txt").read_text("utf-8"))]


def addresses() -> dict[str, str]:
    """The pods' addresses: of the endpoints that are told, the first of each network."""
    first: dict[str, str] = {}
    for address in re.findall(r"([\d.]+):\d+", told("service.txt", "Endpoints")):
        first.setdefault(address.rpartition(".")[0], address)
    return dict(zip(pods(), first.values(), strict=True))


def program() -> str:
    """The first process of the container, by the kernel's name for it."""
    processes: list[tuple[str, str, str]] = _PROCESS.findall((FOLDER / "ps.txt").read_text("utf-8"))
    return next(name for pid, name, _arguments in processes if pid == "1")


def _container() -> str:
    """The line below "Containers:", with its colon."""
    return _first(r"^Containers:\n(\S+):$", "deployment.txt")


def _port() -> int:
    return int(told("service.txt", "TargetPort").partition("/")[0])


def _selector() -> Mapping[str, str]:
    key, _equals, value = told("service.txt", "Selector").partition("=")
    return {key: value}


def _replica_set_name() -> str:
    return pods()[0].rpartition("-")[0]


def _uid(name: str) -> str:
    return str(uuid.uuid5(_UUIDS, name))


def _service() -> Object:
    name, kind, address, port, node_port, protocol = _SERVICE.findall((FOLDER / "services.txt").read_text("utf-8"))[0]
    numbers = {"protocol": protocol, "port": int(port), "targetPort": _port(), "nodePort": int(node_port)}
    return {
        "metadata": {"namespace": NAMESPACE, "name": name, "uid": _uid(f"service {name}")},
        "spec": {
            "type": kind,
            "clusterIP": address,
            "selector": _selector(),
            "externalTrafficPolicy": told("service.txt", "External Traffic Policy"),
            "ports": [numbers],
        },
    }


def _endpoint_slice() -> Object:
    name = told("service.txt", "Name")
    return {
        "metadata": {"namespace": NAMESPACE, "name": f"{name}-1", "labels": {cluster_trim.SERVICE_NAME_LABEL: name}},
        "addressType": "IPv4",
        "ports": [{"name": "", "protocol": "TCP", "port": _port()}],
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": NODES[address.rpartition(".")[0]],
                "targetRef": {"kind": "Pod", "namespace": NAMESPACE, "name": pod, "uid": _uid(pod)},
            }
            for pod, address in addresses().items()
        ],
    }


def _node(prefix: str) -> Object:
    name = NODES[prefix]
    return {
        "metadata": {"name": name, "uid": _uid(name)},
        "spec": {"podCIDR": f"{prefix}.0/24"},
        "status": {"addresses": [{"type": "Hostname", "address": name}], "nodeInfo": {}},
    }
