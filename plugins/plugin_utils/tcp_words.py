# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the rules on TCP put ages, ports and numbers into words."""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet

from ansible_collections.kubenode.doctor.plugins.module_utils import known_ports

UNSEEN = "an unseen process"
# The variable of the playbooks and the role collect, which becomes the option sample_seconds of node_snapshot.
SECOND_SAMPLE = "set collect_sample_seconds above 0"

_ROLES = {(name, row.port): row for row in known_ports.CATALOGUE if row.protocol == "tcp" for name in row.names}
_NOISE = 1e-9
_NETWORKS = {
    "host": "in the hosts' own network (those of pods were not looked at)",
    "pods": "in the networks of pods (the hosts' own was not looked at)",
}
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def age(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h``, ``5 d``: rounded down, twice the next unit and more."""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def count(number: int, word: str) -> str:
    """``1 connection``, ``2 connections``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def port(process: str | None, number: int) -> str:
    """``port 179 (calico BGP)``: what a port is for when this process dials it or listens on it."""
    found = _ROLES.get((process or "", number))
    if found:
        return f"port {number} ({found.component} {found.role})"
    known = known_ports.known_as("tcp", "", number, (), False)
    return f"port {number} ({known['component']} {known['role']})" if known else f"port {number}"


def endpoint(address: str, number: int) -> str:
    """``10.0.0.5:443`` or ``[2001:db8::5]:443``."""
    return f"[{address}]:{number}" if ":" in address else f"{address}:{number}"


def share(value: float) -> str:
    """``62 %``, rounded down, so that nothing is 100 % which is not full."""
    return f"{math.floor(value * 100 + _NOISE)} %"  # 0.29 * 100 is 28.999999999999996


def networks(looked_at: AbstractSet[str]) -> str:
    """Which network namespaces were looked at, as the end of a sentence; empty where it was all of them, or none.

    ``looked_at`` are the values of tcp_states' ``netns`` over the hosts.
    """
    if not looked_at or looked_at == {"all"}:
        return ""
    return _NETWORKS.get(min(looked_at), "") if len(looked_at) == 1 else "in the network namespaces that were looked at"
