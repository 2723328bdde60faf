# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarting a program as a cure: by its unit where it has one of its own, and with a word on those whose restart costs more.

Sources: docs.docker.com "Live restore" (without it, containers stop with the daemon); etcd.io/docs "Runtime reconfiguration" and FAQ
(a majority of members must live); systemd.unit(5) and systemctl(1): only services restart, scopes and init do not.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import restart_limits, unit_state
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy

_INIT = "systemd"  # holds the sockets of socket units
_QUORUM = restart_limits.ETCD | {restart_limits.API_SERVER}
_QUORUM_RISK = (
    "one control-plane node after the other, each only while the API servers and etcd's members on all others are healthy: without a "
    "majority of etcd's members the API is away"
)
_DOCKER_RISK = (
    "without live-restore every container of the machine stops with dockerd: look first (docker info, Live Restore Enabled), and drain the "
    "node where it is off"
)
_BY_HAND = "when the program may be away, and whether its restart helps for long, is for those to say who run it"


def own_unit(processes: Iterable[dict[str, Any]]) -> str | None:
    """The unit of the host's systemd that restarts one of these processes; None for a container's, a pod's and a session's."""
    for process in processes:
        unit = process["unit"]
        if unit and unit_state.is_service(unit) and not (process["pod_uid"] or process["container_id"]):
            return str(unit)
    return None


def remedy(name: str, processes: Iterable[dict[str, Any]], why: str, risk: str, in_pod: bool = False) -> Remedy:
    """Restart the program ``name``, which these processes run; ``why`` ends the sentence "restart it, ...".

    ``in_pod``: in a pod's network namespace, also where no process of it is known.
    """
    processes = list(processes)
    names = {name, *(process["name"] for process in processes)}
    if _INIT in names:
        return Remedy(
            f"restart the socket unit that systemd keeps this socket for (systemctl list-sockets shows which), {why}",
            (),
            risk,
        )
    unit = None if in_pod else own_unit(processes)
    if "dockerd" in names:
        return Remedy(f"restart {unit or 'dockerd'}, {why}", (), _DOCKER_RISK)
    if not _QUORUM.isdisjoint(names):
        risk = f"{risk}; {_QUORUM_RISK}"
    if unit is None:
        return Remedy(f"restart {_what(name, processes, in_pod)}, {why}", (), risk)
    by_hand = restart_limits.why_not(names, unit) or _BY_HAND
    return Remedy(f"restart {unit}, {why}", (command(unit),), risk, by_hand=by_hand)


def command(unit: str) -> str:
    """Restart a unit (``own_unit``)."""
    return shlex.join(("systemctl", "restart", unit))


def _what(name: str, processes: Iterable[dict[str, Any]], in_pod: bool) -> str:
    if in_pod or any(process["pod_uid"] for process in processes):
        return "its container (a static pod's by moving its manifest away and back)"
    if any(process["container_id"] for process in processes):
        return f"{name} in its container, or the container"
    return name
