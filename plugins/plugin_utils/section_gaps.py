# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a section of a snapshot there to be judged? What is absent, or of another form, must not look like a quiet node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What has to be a list in each section: anything else that is empty would look like a node on which nothing was found.
_LISTS = {
    "host": ("addresses", "components"),
    "listen_ports": ("listeners",),
    "listener_origin": ("listeners",),
    "nodeport_conflict": ("sockets",),
    "tcp_states": ("namespaces", "groups", "accept_queues", "stuck"),
    "containers": ("runtimes", "groups", "strangers"),
    "pod_listeners": ("pods",),
    "proxy_rules": ("programs", "node_ports"),
    "logs": ("found", "scanned"),
}
_NO_DATA = frozenset({"complete", "missing"})
_OR_NONE = frozenset({"addresses"})  # None where it could not be seen


def gap(sections: Mapping[str, Any], name: str) -> str:
    """Why the section of this name cannot be judged; empty when it can."""
    section = sections.get(name)
    if not isinstance(section, dict):
        return f"the section {name} was not collected"
    empty = section.keys() <= _NO_DATA
    gaps = section.get("missing", [] if empty else None)
    if not isinstance(gaps, list):
        return _misshapen(name, "'missing' is no list")
    if not all(map(_is_gap, gaps)):
        return _misshapen(name, "'missing' does not say what is missing, and why")
    if empty:
        return "; ".join(f"{entry['what']}: {entry['why']}" for entry in gaps) or f"the section {name} is empty"
    for key in _LISTS.get(name, ()):
        if not isinstance(section.get(key), list) and not (key in _OR_NONE and section.get(key) is None):
            return _misshapen(name, f"{key!r} is no list")
    return ""


def _misshapen(name: str, why: str) -> str:
    return f"the section {name} is not of the form that node_snapshot returns: {why}"


def _is_gap(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("what"), str) and isinstance(entry.get("why"), str)
