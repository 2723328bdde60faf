# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Nodes of the big cluster answer: a quiet node's sections, the listeners of its pods, and kube-proxy's NodePorts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle
from ansible_collections.kubenode.doctor.tests.bench import big_cluster

_FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "bundle"
_QUIET = ("tcp-quiet", "host-pressure-quiet", "containers-quiet", "logs-quiet")
_SECTIONS = ("tcp_states", "host_pressure", "containers", "logs")


def write(folder: Path) -> None:
    """Write the answers of all Nodes into a bundle that was begun for ``hosts()``."""
    base: dict[str, Any] = _read("healthy")
    for name, section in zip(_QUIET, _SECTIONS, strict=True):
        base["sections"][section] = _read(name)
    base["sections"]["host_pressure"]["clock"].update(synchronized=True, max_error_seconds=0.021, keepers=["chronyd"])
    base["sections"]["proxy_rules"] = _proxy_rules()
    for node, host in enumerate(hosts()):
        base["sections"]["host"].update(
            hostname=host,
            addresses=[{"interface": "eth0", "address": big_cluster.node_address(node), "family": "ipv4"}],
        )
        base["sections"]["pod_listeners"] = {
            "truncated": {"pods": 0, "listeners": 0},
            "complete": True,
            "missing": [],
            "pods": [_pod(number) for number in big_cluster.pods_of(node)],
        }
        bundle.write_answer(folder, host, base)


def hosts() -> list[str]:
    """The names of the Nodes."""
    return [f"node-{node:03d}" for node in range(big_cluster.NODES)]


def faulty_services() -> int:
    """How many Services want a port on which their pods do not listen."""
    apps = (number % big_cluster.APPS for number in range(big_cluster.SERVICES))
    return sum(big_cluster.listens_on(app) != big_cluster.PORT for app in apps)


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_FIXTURES / f"{name}.json").read_text("utf-8"))
    return found


def _pod(number: int) -> dict[str, Any]:
    app = number // big_cluster.REPLICAS
    sandbox, container = f"{2 * number:064x}", f"{2 * number + 1:064x}"
    listener = {
        "protocol": "tcp",
        "family": "ipv6",
        "address": "::",
        "port": big_cluster.listens_on(app),
        "v6only": False,
        "process": "app",
        "pid": 100 + number,
        "container": "app",
        "container_id": container,
    }
    return {
        "uid": big_cluster.uid(1, number),
        "namespace": big_cluster.namespace(app),
        "name": big_cluster.pod_name(number),
        "named_by": "logs",
        "host_network": False,
        "netns": str(4026540000 + number),
        "pid": 100 + number,
        "addresses": [big_cluster.address(number)],
        "redirects": False,
        "own_kernel": None,
        "why": None,
        "unlisted": 0,
        "containers": [
            {"id": sandbox, "name": "POD", "image": None, "age_seconds": 28317.0},
            {"id": container, "name": "app", "image": big_cluster.image(app), "age_seconds": 28246.0},
        ],
        "listeners": [listener],
    }


def _proxy_rules() -> dict[str, Any]:
    """One entry for each NodePort; every node has the same."""
    entries = [_node_port(number) for number in range(big_cluster.SERVICES) if number < big_cluster.NODE_PORTS]
    return {
        "programs": ["iptables-nft-save"],
        "mode": "iptables",
        "node_ports": entries,
        "truncated": 0,
        "complete": True,
        "missing": [],
    }


def _node_port(number: int) -> dict[str, Any]:
    app = number % big_cluster.APPS
    pods = range(app * big_cluster.REPLICAS, (app + 1) * big_cluster.REPLICAS)
    return {
        "protocol": "tcp",
        "port": big_cluster.node_port(number),
        "family": "ipv4",
        "addresses": None,
        "action": "endpoints",
        "service": f"{big_cluster.namespace(app)}/service-{number:04d}:http",
        "local": None,
        "endpoints": sorted(f"{big_cluster.address(pod)}:{big_cluster.PORT}" for pod in pods),
        "endpoint_count": len(pods),
    }
