# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How rules put sockets, Services and port lists into words, the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import nodeport_verdict
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_words import endpoint

_STATE_WORDS = {"listen": "LISTEN", "bound": "bound, not listening", "unconnected": "UDP, not connected"}


def owner(socket: dict[str, Any]) -> str:
    """Who holds a socket, with pid and unit or pod: evidence, not identity."""
    if not socket["processes"]:
        if socket["cgroup"]:
            return f"a process in {socket['cgroup']}"
        return "a process that could not be seen" if socket["hidden"] else "no process (the kernel's own, or closed)"
    shown = [_process(process) for process in socket["processes"][:3]]
    more = len(socket["processes"]) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def owner_name(socket: dict[str, Any]) -> str:
    """Who holds a socket, by a name that stays the same from run to run."""
    known = socket["known_as"]
    names = sorted({process["name"] or "?" for process in socket["processes"]})
    if known:
        role = f"{known['component']} {known['role']}"
        return f"{names[0]} ({role})" if names and names[0] != known["component"] else role
    if names:
        return names[0]
    return socket["cgroup"] or ("an unseen process" if socket["hidden"] else "no process")


def line(socket: dict[str, Any]) -> str:
    """One line of evidence for a socket."""
    state = _STATE_WORDS.get(socket["state"], socket["state"].replace("_", "-").upper())
    peer = f" to {socket['peer']} port {socket['peer_port']}" if socket.get("peer") else ""
    queue = ""
    if socket.get("backlog") is not None:
        queue = f", accept queue {socket['accept_queue']} of {socket['backlog']}"
    return f"socket {endpoint(socket)} {state}{peer}, held by {owner(socket)}{queue}"


def service(port: dict[str, Any]) -> str:
    """``Service default/web, NodePort 30080/TCP (port http)``."""
    kind = "healthCheckNodePort" if port.get("health_check_node_port") else "NodePort"
    name = f" (port {port['port_name']})" if port.get("port_name") else ""
    return f"Service {port['namespace']}/{port['service']}, {kind} {nodeport_verdict.number(port)}/{port['protocol']}{name}"


def endpoints(port: dict[str, Any]) -> str:
    """Whether a Service port has endpoints, in words."""
    if port["has_endpoints"] is None:
        return "whether it has endpoints is not known"
    return "it has endpoints" if port["has_endpoints"] else "it has no endpoints"


def listed(values: Sequence[Any], most: int = 10) -> str:
    """``1, 2, 3 and 7 more``."""
    shown = ", ".join(str(value) for value in values[:most])
    return shown if len(values) <= most else f"{shown} and {len(values) - most} more"


def _process(process: dict[str, Any]) -> str:
    whose = process["unit"] or (f"pod {process['pod_uid']}" if process["pod_uid"] else None)
    if whose is None and process["container_id"]:
        whose = f"container {process['container_id'][:12]}"
    return f"{process['name'] or '?'} (pid {process['pid']}{', ' + whose if whose else ''})"
