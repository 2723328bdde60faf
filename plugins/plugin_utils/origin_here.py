# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a listener's origin only the controller knows: kubelet's stacks, where the API server passes them on, and what earlier audits saw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    cluster_client,
    kubelet_proxy,
    origin_kinds,
    origin_match,
    origin_stacks,
    origin_words,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_api import ReadError
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.origin_request import GOROUTINES, Request
from ansible_collections.kubenode.doctor.plugins.module_utils.origin_words import Ground
from ansible_collections.kubenode.doctor.plugins.plugin_utils import earlier_audits

_REQUEST_SECONDS = 10.0  # of one request to the API server, as collect_api_timeout


def completed(
    result: dict[str, Any], request: Request, names: Sequence[str], audits: Path | None, host: str
) -> dict[str, Any]:
    """The module's ``result`` with all that is known here, told anew. ``names`` are names and addresses of the ``host``."""
    found = [dict(listener) for listener in result["listeners"]]
    if request.kubeconfig and GOROUTINES in request.methods:
        _add_stacks([listener for listener in found if _lacks_stacks(listener)], request, names)
    if audits is not None:
        past = earlier_audits.History(audits, host)
        for listener in found:
            listener["history"] = past.of(listener)
    ephemeral = result["ephemeral_range"]
    ground = Ground(request.node_ports, (ephemeral[0], ephemeral[1]) if ephemeral else None)
    return {**result, "listeners": [{**listener, **origin_words.tell(listener, ground)} for listener in found]}


def _lacks_stacks(listener: dict[str, Any]) -> bool:
    holder, stacks = origin_kinds.holder(listener), listener["goroutines"]
    return bool(holder and holder["name"] == origin_stacks.KUBELET and stacks and not stacks["accepting"])


def _add_stacks(lacking: Sequence[dict[str, Any]], request: Request, names: Sequence[str]) -> None:
    if not lacking:
        return
    deadline = Deadline(request.budget_seconds)
    seen = _through_api(request, names, deadline)
    for listener in lacking:
        before = listener["goroutines"]
        if not seen["accepting"]:
            listener["goroutines"] = {**before, "why": f"{before['why']}; {seen['why']}"}
            continue
        kind = origin_words.taken_for(listener)
        candidates = origin_match.candidates(kind, before["others"], seen["accepting"])
        listener["goroutines"] = {**before, **seen, "candidates": candidates}


def _through_api(request: Request, names: Sequence[str], deadline: Deadline) -> dict[str, Any]:
    lacking = cluster_client.KUBERNETES_ERROR or cluster_client.CORE_ERROR
    if lacking:
        return origin_stacks.nothing(
            "the API server is not asked: install kubernetes.core and the Python library kubernetes on the controller"
        )
    try:
        options = {"kubeconfig": request.kubeconfig, "context": request.context}
        client, _notes = cluster_client.connect(options, _REQUEST_SECONDS, deadline)
        return origin_stacks.parsed(kubelet_proxy.ask(client.fetch, names, deadline), deadline)
    except (ReadError, cluster_client.ConfigError) as error:
        return origin_stacks.nothing(str(error))
