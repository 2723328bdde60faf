# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the way from Services to sockets was looked at: what nobody looked into must not look like what answers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import service_path, target_verdict
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.misshapen import MISSHAPEN
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Unknown
from ansible_collections.kubenode.doctor.plugins.plugin_utils.service_path import Target

_ENDPOINTS = ("listening", "deaf", "unseen", "no_pod")


def document(context: Context) -> dict[str, Any]:
    """Return what Survey.document has as ``paths``. All hosts have to be learned."""
    told = {**nothing(), "hosts": context.pods.hosts, "pods": context.pods.pods}
    try:
        paths = context.paths
        counted = Counter(_state(target) for port in paths.ports for target in port.targets)
    except MISSHAPEN:
        return told  # the rules tell why
    return {
        **told,
        "known": not isinstance(paths.refusal, Unknown),
        "services": len({port.subject for port in paths.ports}),
        "ports": len(paths.ports),
        "bare": sum(not port.targets for port in paths.ports),
        "endpoints": {state: counted[state] for state in _ENDPOINTS},
    }


def nothing() -> dict[str, Any]:
    """The document where nothing could be looked at."""
    counts = dict.fromkeys(("services", "ports", "bare"), 0)
    return {"known": False, **counts, "endpoints": dict.fromkeys(_ENDPOINTS, 0), "hosts": 0, "pods": 0}


def _state(target: Target) -> str:
    if not service_path.is_pod(target.endpoint["target"]):
        return "no_pod"
    if target.verdict.kind in target_verdict.DEAF:
        return "deaf"
    return "listening" if target.verdict.kind == target_verdict.LISTENS else "unseen"
