# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bundle's cluster does not hold, and why: kinds that could not be read, pods of nodes that were not asked for."""

from __future__ import annotations

from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import missing

# The kinds of cluster.json as its ``missing`` names them (module_utils/cluster_api.py, KINDS).
NAMES = {
    "services": "Services",
    "endpoint_slices": "EndpointSlices",
    "nodes": "Nodes",
    "pods": "Pods",
    "deployments": "Deployments",
    "replica_sets": "ReplicaSets",
    "events": "Events",
}


def gap(cluster: dict[str, Any], *kinds: str) -> str:
    """Why one of these kinds could not be read; empty when all were."""
    unread = [NAMES[kind] for kind in kinds if cluster[kind] is None]
    if not unread:
        return ""
    return missing(cluster, *unread) or missing(cluster, "cluster API") or "cluster.json does not say why"


def pods_gap(cluster: dict[str, Any]) -> str:
    """Why not all pods of the cluster are known, as a clause; empty when they are."""
    why = gap(cluster, "pods")
    if why:
        return f"the pods are not known ({why})"
    asked = cluster["pods_of"]
    nodes = cluster["nodes"]
    if asked is None or (nodes is not None and {node["name"] for node in nodes} <= set(asked)):
        return ""
    return f"only the pods of {describe.listed(sorted(asked), 5) or 'no node'} were asked for"
