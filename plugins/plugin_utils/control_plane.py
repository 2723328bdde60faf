# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts carry the control plane, and which of its Nodes nobody looked at: fixes touch one of them at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import host_identity
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context

# kubeadm's labels, of today and up to 1.23; k3s and RKE2 set the first, and etcd's (kubernetes/enhancements KEP-2067).
_ETCD_ROLE = "etcd"
_ROLES = frozenset({"control-plane", "master", "controlplane", _ETCD_ROLE})
_ETCD = frozenset({"etcd"})
_STACKED = frozenset({"etcd", "kube-apiserver"})


def of(hosts: Mapping[str, Mapping[str, Any]], context: Context) -> dict[str, Any]:
    """``{hosts, expects, unseen, nodes_known}``: hosts on which its programs run or whose Node has its role, and what of it belongs on each.

    ``expects`` holds parts of node_health by host, whether or not they run now. ``unseen`` are the names of such Nodes of which no host answered; where
    the Nodes are not known, every host that did not answer may be one. ``hosts`` are those of findings.json.
    """
    parts = {
        host: (_components(state), _roles(context.node_object(host)))
        for host, state in hosts.items()
        if state["answered"]
    }
    seen = {(context.node_object(host) or {}).get("name") for host in parts}
    stacked = any(components >= _STACKED for components, _own in parts.values())
    found = {host: _expected(*part, stacked) for host, part in sorted(parts.items()) if any(part)}
    return {
        "hosts": list(found),
        "expects": found,
        "unseen": sorted(
            node["name"] for node in context.cluster["nodes"] or () if _roles(node) and node["name"] not in seen
        ),
        "nodes_known": context.cluster["nodes"] is not None,
    }


def _expected(components: frozenset[str], roles: frozenset[str], stacked: bool) -> list[str]:
    serves = bool(components - _ETCD or roles - {_ETCD_ROLE})
    keeps = bool(components & _ETCD) or _ETCD_ROLE in roles or (stacked and serves)
    return [*(["api-server"] if serves else []), *(["etcd"] if keeps else [])]


def _components(state: Mapping[str, Any]) -> frozenset[str]:
    return host_identity.CONTROL_PLANE.intersection((state["picture"] or {}).get("components") or ())


def _roles(node: Mapping[str, Any] | None) -> frozenset[str]:
    return _ROLES.intersection(node["labels_roles"]) if node else frozenset()
