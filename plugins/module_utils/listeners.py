# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``listen_ports``: everything that waits for others on this node, and whose it is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    cgroup,
    cri_config,
    kernel_settings,
    known_ports,
    sockets,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.attribution import Owners
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders

_STATES = {"listen": "listen", "bound": "bound", "close": "unconnected"}


def collect(
    holders: Optional[SocketHolders], protocols: Sequence[str] = ("tcp", "udp"), backend: str = "auto"
) -> dict[str, Any]:
    """Return ``{listeners, backend, truncated, complete, missing}``; the listener's shape is listen_ports' RETURN.

    Without ``holders`` no processes are looked for. Raises sockets.SocketsError when no backend answers.
    """
    seen = sockets.collect(protocols, backend, waiting_only=True)
    entries = sorted(seen.entries, key=_order)
    kept = entries[: sockets.LIMIT]
    missing = list(seen.missing)
    if len(entries) > len(kept):
        missing.append({"what": "listeners", "why": f"{len(entries)} found, the first {len(kept)} kept"})
    owners = Owners(kept, holders) if holders else None
    if owners:
        missing += owners.missing
    ephemeral = kernel_settings.ephemeral_range()
    pinned, gaps = cri_config.pinned() if holders else (frozenset(), [])
    missing += gaps
    return {
        "listeners": [listener(entry, owners, ephemeral, pinned) for entry in kept],
        "backend": seen.backend,
        "truncated": len(entries) - len(kept),
        "complete": not missing,
        "missing": missing,
    }


def listener(
    entry: Entry,
    owners: Optional[Owners],
    ephemeral: Optional[tuple[int, int]],
    pinned: Collection[tuple[str, int]] = (),
) -> dict[str, Any]:
    """Describe one waiting socket."""
    tcp_listen = entry.state == "listen"
    return {
        "protocol": entry.protocol,
        "family": entry.family,
        "state": _STATES[entry.state],
        "address": entry.address,
        "port": entry.port,
        "v6only": entry.v6only,
        "accept_queue": entry.rqueue if tcp_listen else None,
        "backlog": entry.wqueue if tcp_listen else None,
        "uid": entry.uid,
        "inode": entry.inode or None,
        **describe_owner(entry, owners, ephemeral, pinned),
    }


def describe_owner(
    entry: Entry,
    owners: Optional[Owners],
    ephemeral: Optional[tuple[int, int]],
    pinned: Collection[tuple[str, int]] = (),
) -> dict[str, Any]:
    """Return ``{ephemeral, processes, hidden, cgroup, known_as}`` of a socket; ``pinned`` are cri_config.pinned's pairs."""
    processes = owners.processes(entry) if owners else []
    path = owners.cgroup(entry) if owners else None
    in_range = None if ephemeral is None else ephemeral[0] <= entry.port <= ephemeral[1]
    names = [process["name"] for process in processes if process["name"]] or list(filter(None, [cgroup.program(path)]))
    return {
        "ephemeral": in_range,
        "processes": processes,
        "hidden": owners.hidden(entry) if owners else None,
        "cgroup": path,
        "known_as": known_ports.known_as(entry.protocol, entry.address, entry.port, names, in_range, pinned),
    }


def _order(entry: Entry) -> tuple[str, int, str, str]:
    return entry.protocol, entry.port, entry.family, entry.address
