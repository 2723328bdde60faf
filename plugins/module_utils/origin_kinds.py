# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers that a node's programs open, which several methods recognise: each has one name here, so that answers can be compared.

Sources: kubernetes pkg/kubelet/server/server.go and cmd/kubelet/app/server.go; containerd cmd/containerd/command/main.go and
pkg/cri/streaming (1.5 to 1.7), k8s.io/kubelet/pkg/cri/streaming (containerd 2); moby cmd/dockerd; cri-o pkg/config/config.go; google/gops agent/agent.go.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import known_ports


class Kind(NamedTuple):
    """``what`` it is called, and ``serves`` what for."""

    what: str
    serves: str


STREAMING = "cri-streaming"
KINDS = {
    STREAMING: Kind("CRI streaming server", "serves kubectl exec, attach and port-forward for kubelet"),
    "kubelet-api": Kind("API", "serves logs, exec, metrics and stats to the API server and to whoever is authorized"),
    "kubelet-readonly": Kind("read-only API", "serves pods, metrics and stats to anybody, without authentication"),
    "kubelet-healthz": Kind("healthz", "tells whether kubelet is well"),
    "containerd-metrics": Kind("metrics", "serves containerd's metrics to Prometheus"),
    "containerd-debug": Kind("debug server", "serves profiles of containerd"),
    "containerd-grpc": Kind("API over TCP", "serves containerd's whole API: whoever reaches it is root on this node"),
    "docker-api": Kind("Engine API", "serves Docker's whole API: whoever reaches it without TLS is root on this node"),
    "docker-metrics": Kind("metrics", "serves dockerd's metrics to Prometheus"),
    "crio-metrics": Kind("metrics", "serves CRI-O's metrics to Prometheus"),
    "gops": Kind("gops agent", "serves stacks and statistics of a Go program to the gops tool"),
}

# What known_ports calls them; whose CRI streaming server it is, does not matter.
_BY_ROLE = {
    ("kubelet", "API"): "kubelet-api",
    ("kubelet", "read-only API"): "kubelet-readonly",
    ("kubelet", "health"): "kubelet-healthz",
    ("containerd", "metrics"): "containerd-metrics",
    ("docker", "engine API"): "docker-api",
    ("docker", "engine API without TLS"): "docker-api",
}


def of_known(listener: dict[str, Any]) -> Optional[str]:
    """The kind of a listener that known_ports knows by its process and number; None for others."""
    known = listener["known_as"]
    if known is None:
        return None
    return STREAMING if known["role"] == known_ports.STREAMING else _BY_ROLE.get((known["component"], known["role"]))


# The kernel's names of the processes that known_ports' components have.
_COMM = {"cri-o": "crio", "docker": "dockerd", "dockershim": "kubelet"}


def holder(listener: dict[str, Any]) -> Optional[dict[str, Any]]:
    """The process that a listener is known by: of several that share it the one that known_ports means, else the first; None without any."""
    known = listener["known_as"]
    name = _COMM.get(known["component"], known["component"]) if known else None
    first = listener["processes"][0] if listener["processes"] else None
    return next((process for process in listener["processes"] if process["name"] == name), first)
