# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All sections of a node's snapshot in one go, within one budget; a section that fails never takes the others along."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    host_identity,
    listeners,
    nodeport_sockets,
    port_settings,
    sockets,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

SCHEMA = 1
SECTIONS = ("host", "port_settings", "listen_ports", "nodeport_conflict")
# Of the module node_snapshot and of its action plugin, which checks them once, before any node is asked.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "sections": {"type": "list", "elements": "str", "choices": list(SECTIONS), "default": list(SECTIONS)},
    "ports": {"type": "list", "elements": "int"},
    "port_range": {"type": "str", "default": "30000-32767"},
    "budget_seconds": {"type": "float", "default": 20},
    "bundle": {"type": "path"},
    "answer_seconds": {"type": "int", "default": 120},
}


def collect(sections: Sequence[str], ports: Collection[int], budget_seconds: float) -> dict[str, Any]:
    """Return ``{schema, sections: {name: section}, seconds, complete, missing}``.

    ``ports`` are the NodePort numbers of which every socket is wanted. A section that was not reached in time or that
    broke is ``{complete: false, missing: [{what, why}]}``.
    """
    started = time.monotonic()
    deadline = Deadline(budget_seconds)
    done: dict[str, dict[str, Any]] = {}
    for name in SECTIONS:
        if name in sections:
            done[name] = _section(name, deadline, ports)
    missing = [
        {"what": f"{name}: {gap['what']}", "why": gap["why"]} for name, part in done.items() for gap in part["missing"]
    ]
    return {
        "schema": SCHEMA,
        "sections": done,
        "seconds": round(time.monotonic() - started, 3),
        "complete": not missing,
        "missing": missing,
    }


def _section(name: str, deadline: Deadline, ports: Collection[int]) -> dict[str, Any]:
    if deadline.passed():
        return _gap(name, f"the budget of {deadline.seconds:g} s ended before it: raise budget_seconds")
    collectors: dict[str, Callable[[], dict[str, Any]]] = {
        "host": host_identity.collect,
        "port_settings": port_settings.collect,
        "listen_ports": lambda: listeners.collect(deadline),
        "nodeport_conflict": lambda: nodeport_sockets.collect(deadline, ports),
    }
    try:
        return collectors[name]()
    except sockets.SocketsError as error:
        return _gap("sockets", str(error))
    except Exception as error:  # one broken section must not cost the node its others
        return _gap(name, f"{type(error).__name__}: {error}")


def _gap(what: str, why: str) -> dict[str, Any]:
    return {"complete": False, "missing": [{"what": what, "why": why}]}
