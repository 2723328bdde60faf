# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cures for listeners that nobody declared: look at them, declare them, or keep others away from them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import expected_listeners, reach
from ansible_collections.kubenode.doctor.plugins.plugin_utils import whose_port
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy

_COMMANDS = 3
_ENTRIES = 10
# In a pattern of fnmatch, and what begins an expression of Ansible's: a process may call itself so.
_SPECIAL = re.compile(r"([*?[{])")

Socket = dict[str, Any]


def look(host: str, sockets: Iterable[Socket]) -> Remedy:
    """Have the whole ladder of methods explain them."""
    ports = sorted({socket["port"] for socket in sockets})
    return Remedy(
        "see all that can be found out about it, and who opened it",
        tuple(whose_port.command(host, port) for port in ports[:_COMMANDS]),
        "it sends one GET / to a TCP listener that can be reached on loopback",
    )


def declare(sockets: Sequence[Socket], in_pod: bool) -> Remedy:
    """Say that they belong there, with the exact text of the setting."""
    where = "declare its ports in the pod (hostNetwork: containerPort), or add" if in_pod else "add"
    found = entries(sockets)
    more = f" and {len(found) - _ENTRIES} more of this form, for the other ports" if len(found) > _ENTRIES else ""
    return Remedy(
        f"if it belongs there, {where} to the variable expected_listeners: {json.dumps(found[:_ENTRIES])}{more}",
        (),
        "entries without host hold on all hosts; those of a random port cover whatever else the program opens on such an address",
    )


def entries(sockets: Sequence[Socket]) -> list[dict[str, Any]]:
    """What expected_listeners needs to cover these listeners, and as little besides as can be told."""
    found = []
    for socket in sockets:
        entry = _entry(socket)
        if entry not in found:
            found.append(entry)
    return found


def _entry(socket: Socket) -> dict[str, Any]:
    name = next((process["name"] for process in socket["processes"] if process["name"]), None)
    unit = next((process["unit"] for process in socket["processes"] if process["unit"]), None)
    program = name or unit
    entry: dict[str, Any] = {"process": _SPECIAL.sub(r"[\1]", program)} if program else {}
    if expected_listeners.is_nobodys(socket):
        entry = {"process": expected_listeners.NOBODY}
    if entry and socket["ephemeral"]:
        address = "loopback" if reach.of(socket["address"]) == reach.LOOPBACK else socket["address"]
        entry["address"] = address
    else:
        entry["port"] = socket["port"]
    return {**entry, "protocol": socket["protocol"]}
