# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Nodes a play is about, so that a play that is limited to a few hosts reads the pods of these alone."""

from __future__ import annotations

import ipaddress
from typing import Any, Dict, List, Optional, Sequence, Set

from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_shape import Object


def limited_to(nodes: Optional[List[Object]], hosts: Sequence[Dict[str, Any]]) -> Optional[List[str]]:
    """Return the names of the Nodes that the hosts are; None where that is no limit.

    ``nodes`` are trimmed Nodes, None when they could not be read. ``hosts`` are ``{name, addresses}`` as the inventory has
    them. A host is a Node by the Node's name, its host name, an InternalIP or an ExternalIP. No limit: all Nodes, or a host
    that is none of them, because it may be one that the inventory calls by a name of its own.
    """
    if not nodes or not hosts:
        return None
    names = [(node["name"], _names(node)) for node in nodes]
    found: Set[str] = set()
    for host in hosts:
        known = {_same(name) for name in (host["name"], *(host.get("addresses") or ()))}
        its = {name for name, own in names if own & known}
        if not its:
            return None
        found |= its
    return sorted(found) if len(found) < len(nodes) else None


def called(nodes: List[Object], names: Sequence[str]) -> List[str]:
    """Return the names of those Nodes that one of ``names`` means, each the name or an address of one host."""
    known = {_same(name) for name in names}
    return [node["name"] for node in nodes if _names(node) & known]


def _names(node: Object) -> Set[str]:
    names = (node["name"], node["hostname"], *node["internal_ips"], *node["external_ips"])
    return {_same(name) for name in names if name}


def _same(name: Any) -> str:
    """Return one spelling of a name, or of an address: IPv6 has many."""
    text = str(name).strip().lower()
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        return text.rstrip(".")
