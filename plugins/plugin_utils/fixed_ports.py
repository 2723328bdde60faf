# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners whose clients look for them on one fixed port, which the kernel may give to somebody else while they are down."""

from __future__ import annotations

from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import port_ranges
from ansible_collections.kubenode.doctor.plugins.module_utils.nodeport_verdict import is_streaming
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import local_range, reserved

_RANDOM_PROGRAMS = frozenset({"rpc.statd"})  # ask for a random port, so nobody is lost when it changes


def drawable(sections: dict[str, Any]) -> list[dict[str, Any]]:
    """One listener a port, by port, of known programs with fixed ports in the ephemeral range that are not reserved.

    Empty where the listeners or the range could not be seen.
    """
    local = local_range(sections)
    listeners = (sections.get("listen_ports") or {}).get("listeners", ())
    if local is None:
        return []
    kept = reserved(sections)
    found = {socket["port"]: socket for socket in listeners if _is_fixed(socket)}
    return [
        socket
        for port, socket in sorted(found.items())
        if local[0] <= port <= local[1] and not port_ranges.contains(kept, port)
    ]


def _is_fixed(socket: dict[str, Any]) -> bool:
    known = socket["known_as"]
    return bool(known) and not is_streaming(socket) and known["component"] not in _RANDOM_PROGRAMS
