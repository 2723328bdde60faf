# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a pod is not ready, by what the API tells of it: its containers, its node, its Events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe, events_seen
from ansible_collections.kubenode.doctor.plugins.plugin_utils.events_seen import Events

Object = dict[str, Any]

_ENDED = frozenset({"Succeeded", "Failed"})  # the endpoint controller leaves these pods out for good
_MESSAGE = 200  # characters of what a container's state says
_EVENTS = 2


def facts(pod: Object, events: Events, nodes: Mapping[str, Object]) -> list[str]:
    """Why a pod is no endpoint in use, in clauses, what explains most first; empty for a pod that is ready.

    ``nodes`` are the cluster's Nodes by name. Messages come from the API: untrusted, and at most some 300 characters each.
    """
    if has_ended(pod):
        return [f"it has ended (phase {pod['phase']})", *_containers(pod)]
    if pod["ready"] == "True" and not pod["deleting"]:
        return []
    found = [*_place(pod, nodes), *_containers(pod)]
    found += _gates(pod) if not found else []
    found = found or [f"its condition Ready is {pod['ready'] or 'not told'}{_reason(pod)}"]
    return found + events_seen.lines(events.of("Pod", pod["namespace"], pod["name"], _uid(pod)), _EVENTS)


def has_ended(pod: Object) -> bool:
    """Whether all containers of a pod ended and will not be started again."""
    return pod["phase"] in _ENDED


def _uid(pod: Object) -> str | None:
    """What kubelet's Events have as the pod's uid: for a static pod the hash of its file, which the API does not show."""
    return None if pod["mirror"] else pod["uid"]


def _place(pod: Object, nodes: Mapping[str, Object]) -> Iterator[str]:
    if pod["deleting"]:
        yield "it is being deleted"
    if pod["node"] is None:
        yield "no node was chosen for it"
    node = nodes.get(pod["node"] or "")
    if node is not None and node["ready"] in ("False", "Unknown"):
        told = "its kubelet no longer reports" if node["ready"] == "Unknown" else "its kubelet says so"
        yield f"its node {node['name']} is not Ready ({told})"


def _containers(pod: Object) -> Iterator[str]:
    for container in pod["containers"]:
        status = container["status"]
        kind = {"init": "init container", "sidecar": "sidecar"}.get(container["kind"], "container")
        if status is None:
            if pod["node"] is not None:
                yield f"{kind} {container['name']}: kubelet has not told anything of it"
        elif not status["ready"]:
            restarts = f", restarts {status['restarts']}" if status["restarts"] else ""
            yield f"{kind} {container['name']} {_state(container, status)}{restarts}"


def _state(container: Object, status: Object) -> str:
    if status["state"] == "running":
        return f"runs, {_probe(container)}"
    reason = f" ({status['reason']})" if status["reason"] else ""
    message = " ".join((status["message"] or "").split())[:_MESSAGE]
    told = f": {message}" if message else ""
    if status["state"] == "terminated":
        code = "" if status["exit_code"] is None else f" with exit code {status['exit_code']}"
        return f"ended{code}{reason}{told}"
    if status["state"] != "waiting":
        return "is in a state that was not told"
    last = "" if status["exit_code"] is None else f"; its last run ended with exit code {status['exit_code']}"
    return f"waits{reason}{told}{last}"


def _probe(container: Object) -> str:
    if container["kind"] == "init":
        return "and the pod's containers start when it has ended"
    probes = [kind for kind in ("startup", "readiness") if container[kind]]
    return f"but its {' or '.join(probes)} probe does not succeed" if probes else "but is not called ready"


def _gates(pod: Object) -> Iterator[str]:
    if pod["readiness_gates"]:
        gates = describe.listed(pod["readiness_gates"], 5)
        yield f"its containers are ready, but not all of its readiness gates are passed ({gates})"


def _reason(pod: Object) -> str:
    return f" ({pod['ready_reason']})" if pod["ready_reason"] else ""
