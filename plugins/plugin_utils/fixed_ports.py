# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners whose clients look for them on one fixed port, which the kernel may give to somebody else while they are down."""

from __future__ import annotations

from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import known_ports, port_ranges
from ansible_collections.kubenode.doctor.plugins.module_utils.nodeport_verdict import is_streaming
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import local_range, reserved


def drawable(sections: dict[str, Any]) -> list[dict[str, Any]]:
    """One listener a port, by port, of known programs with fixed ports in the ephemeral range that are not reserved.

    Empty where the listeners or the range could not be seen.
    """
    local = local_range(sections)
    listeners = (sections.get("listen_ports") or {}).get("listeners", ())
    if local is None:
        return []
    kept = reserved(sections)
    found = {socket["port"]: socket for socket in listeners if is_fixed(sections, socket)}
    return [
        socket
        for port, socket in sorted(found.items())
        if local[0] <= port <= local[1] and not port_ranges.contains(kept, port)
    ]


def is_fixed(sections: dict[str, Any], socket: dict[str, Any]) -> bool:
    """True for a known program's listener that comes back on the same port."""
    known = socket["known_as"]
    if not known or known["component"] in known_ports.RANDOM_PROGRAMS:
        return False
    return not is_streaming(socket) or _is_pinned(sections, known["component"], socket["port"])


def stream_settings(sections: dict[str, Any], component: str) -> list[dict[str, Any]]:
    """What a CRI runtime's configurations say of its streaming port (cri_config.collect's entries); often one or none."""
    cri = (sections.get("port_settings") or {}).get("cri") or {}
    return [entry for entry in cri.get("runtimes", ()) if entry["runtime"] == component]


def _is_pinned(sections: dict[str, Any], component: str, port: int) -> bool:
    settings = stream_settings(sections, component)
    if not settings:  # not seen: where distributions pin it, it was hardly drawn
        return port in known_ports.STREAMING_PORTS
    return any(entry["fixed"] and (entry["value"] or "").strip() == str(port) for entry in settings)
