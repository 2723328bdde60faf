# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node is judged by the API of a cluster that does not know it."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.plugin_utils import cluster_gaps, describe, encounters
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    Remedy,
    Rule,
    Unknown,
)


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    nodes, bystander = context.cluster["nodes"], encounters.bystander(node, context)
    if nodes is None:
        yield Unknown(f"the cluster's Nodes are not known ({cluster_gaps.gap(context.cluster, 'nodes')})")
    elif bystander:
        yield bystander
    elif context.node_object(node.host) is None:
        yield _fail(node, [entry["name"] for entry in nodes])


def _fail(node: NodeView, names: list[str]) -> Fail:
    return Fail(
        subject="Node object",
        title="this host runs Kubernetes programs, but the cluster that was asked has no Node for it",
        explanation=(
            "Either the kubeconfig belongs to another cluster, and what is said here about Services is not true for this host, or the node "
            "has not joined."
        ),
        evidence=(
            f"host name {node['host']['hostname']}, running {', '.join(node['host']['components'])}",
            f"the cluster's Nodes: {describe.listed(names) or 'none'}",
        ),
        remedies=(
            Remedy("check that kubeconfig and inventory belong together", ("kubectl get nodes -o wide",), "none"),
        ),
    )


RULE = Rule(
    id="host-not-in-cluster",
    group="ports",
    severity="warning",
    claim="the cluster that was asked has a Node for this host",
    why="a host judged by another cluster's Services is judged wrongly",
    sources=("the Node objects of the cluster",),
    judge=_judge,
    needs=("host",),
)
