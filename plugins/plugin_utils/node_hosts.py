# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts of a bundle are the cluster's Nodes, and which of its Nodes are no host of the bundle."""

from __future__ import annotations

from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import Bundle, BundleError
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.misshapen import MISSHAPEN


def of(bundle: Bundle) -> tuple[list[str], list[str], list[int]]:
    """The hosts on which a NodePort is one, the names of the Nodes that were not asked, and the pods' hostPorts. Raises BundleError.

    A host that did not answer counts, since it may be a Node, and so does every host where the Nodes are not known.
    """
    try:
        context = Context(settings.read({}), bundle.cluster())
        seen = [(document["host"], document["answered"], _node(context, document)) for document in bundle.nodes()]
        host_ports = sorted(context.host_ports)
        names = {node["name"] for node in context.cluster["nodes"] or ()}
    except MISSHAPEN as error:
        raise BundleError(f"{bundle.folder} is not of the form that this collection writes: collect again") from error
    known = context.cluster["nodes"] is not None
    hosts = [host for host, answered, node in seen if node is not None or not answered or not known]
    return hosts, sorted(names - {node["name"] for _host, _answered, node in seen if node is not None}), host_ports


def _node(context: Context, document: dict[str, Any]) -> dict[str, Any] | None:
    """A host's Node, by what it told of itself; of one that did not answer there is only its name in the inventory."""
    sections = document["snapshot"]["sections"] if document["answered"] else {}
    return context.find_node(document["host"], sections.get("host") or {})
