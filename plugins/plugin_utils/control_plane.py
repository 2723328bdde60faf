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
_ROLES = frozenset({"control-plane", "master", "controlplane", "etcd"})


def of(hosts: Mapping[str, Mapping[str, Any]], context: Context) -> dict[str, list[str]]:
    """``{hosts, unseen}``: hosts on which its programs run or whose Node has its role, and names of such Nodes of which no host answered.

    ``hosts`` are those of findings.json.
    """
    answered = [host for host, state in hosts.items() if state["answered"]]
    seen = {(context.node_object(host) or {}).get("name") for host in answered}
    return {
        "hosts": sorted(
            host for host in answered if _runs_it(hosts[host]["picture"]) or _has_role(context.node_object(host))
        ),
        "unseen": sorted(
            node["name"] for node in context.cluster["nodes"] or () if _has_role(node) and node["name"] not in seen
        ),
    }


def _runs_it(picture: Mapping[str, Any] | None) -> bool:
    return not host_identity.CONTROL_PLANE.isdisjoint((picture or {}).get("components") or ())


def _has_role(node: Mapping[str, Any] | None) -> bool:
    return node is not None and not _ROLES.isdisjoint(node["labels_roles"])
