# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a section of a snapshot there to be judged? What is absent, or of another form, must not look like a quiet node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LIST, _MAP, _NUMBER = (list,), (dict,), (int, float)
_OR_NONE = (type(None),)  # where the module says null for what was not seen, not asked for, or is not there
# What rules rest on in each section, and what it has to be: anything else that is empty would look like a node on which nothing was found.
_FORMS: dict[str, dict[str, tuple[type, ...]]] = {
    "host": {"addresses": _LIST + _OR_NONE, "components": _LIST},
    "port_settings": {"kernel": _MAP, "api_server": _MAP, "cri": _MAP},
    "listen_ports": {"listeners": _LIST},
    "listener_origin": {"listeners": _LIST},
    "nodeport_conflict": {"sockets": _LIST, "proxy": _MAP},
    "tcp_states": {
        "namespaces": _LIST,
        "groups": _LIST,
        "accept_queues": _LIST,
        "stuck": _LIST,
        "states": _MAP,
        "counters": _MAP,
        "growth": _MAP + _OR_NONE,
        "ephemeral": _MAP + _OR_NONE,
        "limits": _MAP,
        "truncated": _MAP,
    },
    "host_pressure": {
        "cpus": _MAP,
        "cpu": _MAP + _OR_NONE,
        "steal_since_boot": _NUMBER + _OR_NONE,
        "run_queue": _MAP,
        "load": _LIST + _OR_NONE,
        "psi": _MAP + _OR_NONE,
        "files": _MAP + _OR_NONE,
        "clock": _MAP + _OR_NONE,
    },
    "containers": {"runtimes": _LIST, "groups": _LIST, "strangers": _LIST, "truncated": _MAP},
    "pod_listeners": {"pods": _LIST},
    "proxy_rules": {"programs": _LIST, "node_ports": _LIST, "truncated": _NUMBER},
    "logs": {"found": _LIST, "scanned": _LIST},
}
_CALLED = {list: "list", dict: "mapping", int: "number"}
# What holds numbers alone: an empty text there would be no growth, and nothing left out.
_NUMBERS: dict[str, dict[str, tuple[type, ...]]] = {
    "tcp_states": {"counters": _NUMBER + _OR_NONE, "truncated": _NUMBER},
    "host_pressure": {"cpu": _NUMBER + _OR_NONE, "files": _NUMBER + _OR_NONE},
    "containers": {"truncated": _NUMBER},
}
_NO_DATA = frozenset({"complete", "missing"})


class Misshapen(str):
    """Why a section cannot be judged: it is of another form than node_snapshot returns, which no honest node's is."""


def gap(sections: Mapping[str, Any], name: str) -> str:
    """Why the section of this name cannot be judged, perhaps as Misshapen; empty when it can."""
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
    odd = _odd(section, name)
    return _misshapen(name, odd) if odd else ""


def _odd(section: Mapping[str, Any], name: str) -> str:
    """What of this section is of another form; empty when all is as it should be."""
    for key, form in _FORMS.get(name, {}).items():
        if not _is(section.get(key), form):
            return f"{key!r} is no {_CALLED[form[0]]}"
    for key, form in _NUMBERS.get(name, {}).items():
        if section.get(key) is not None and not _holds(section[key], form):
            return f"{key!r} holds what is no number"
    growth = section.get("growth") if name == "tcp_states" else None
    if growth is not None and not _holds(growth.get("counters"), _NUMBER + _OR_NONE):
        return "'growth' does not tell how much counters grew"
    return ""


def _is(value: Any, form: tuple[type, ...]) -> bool:
    return isinstance(value, form) and not isinstance(value, bool)  # which Python takes for a number


def _holds(values: Any, form: tuple[type, ...]) -> bool:
    """True for values by name that are all of these types."""
    return isinstance(values, dict) and all(_is(value, form) for value in values.values())


def _misshapen(name: str, why: str) -> Misshapen:
    return Misshapen(f"the section {name} is not of the form that node_snapshot returns: {why}")


def _is_gap(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("what"), str) and isinstance(entry.get("why"), str)
