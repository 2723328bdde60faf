# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``nodeport_conflict``: every socket of this node that touches a NodePort, in whatever state.

A scan of listeners is not enough: an outgoing connection, TIME-WAIT included, or a bound socket takes a port too.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import cri_config, kernel_settings, service_proxy, sockets
from ansible_collections.kubenode.doctor.plugins.module_utils.attribution import Owners
from ansible_collections.kubenode.doctor.plugins.module_utils.listeners import describe_owner
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders

_WAITING_STATES = {"listen": "listen", "bound": "bound", "close": "unconnected"}
# More than this many connections on NodePorts tell nothing new; listeners and bound sockets are kept first.
_LIMIT = 1000
_SCTP_TABLE = "/proc/net/sctp/eps"  # exists only while the sctp module is loaded


def collect(holders: SocketHolders, ports: Collection[int], backend: str = "auto") -> dict[str, Any]:
    """Return ``{sockets, proxy, backend, truncated, complete, missing}``.

    ``ports`` are the numbers to look for, in every protocol; ``proxy`` is service_proxy's answer. Raises
    sockets.SocketsError when no backend answers.
    """
    wanted = frozenset(ports)
    seen = sockets.collect(("tcp", "udp"), backend, ports=wanted | {service_proxy.METRICS_PORT})
    entries = sorted(seen.entries, key=_order)
    touching = [entry for entry in entries if entry.port in wanted]
    kept = touching[:_LIMIT]
    metrics = [entry for entry in entries if entry.port == service_proxy.METRICS_PORT and entry.waiting]
    owners = Owners(kept + metrics, holders)
    ephemeral = kernel_settings.ephemeral_range()
    pinned, gaps = cri_config.pinned()
    missing = seen.missing + owners.missing + gaps
    if len(touching) > len(kept):
        missing.append({"what": "sockets", "why": f"{len(touching)} touch these ports, the first {len(kept)} kept"})
    if _sctp_in_use():
        missing.append({"what": "sctp sockets", "why": "SCTP is in use on this node and its sockets are not looked at"})
    proxy = service_proxy.collect([_describe(entry, owners, ephemeral, pinned) for entry in metrics])
    return {
        "sockets": [_describe(entry, owners, ephemeral, pinned) for entry in kept],
        "proxy": proxy,
        "backend": seen.backend,
        "truncated": len(touching) - len(kept),
        "complete": not missing and proxy["complete"],
        "missing": missing + proxy["missing"],
    }


def opens_node_ports(found: Sequence[dict[str, Any]], numbers: Container[int], program: Optional[str] = None) -> bool:
    """True where the service proxy, ``program``, itself holds one of these NodePorts, as kube-proxy up to 1.23 does."""
    return service_proxy.opens_node_ports(program) and any(
        socket["port"] in numbers
        and socket["state"] in ("listen", "bound", "unconnected")
        and service_proxy.is_kube_proxy(socket, program)
        for socket in found
    )


def _describe(
    entry: Entry, owners: Owners, ephemeral: Optional[tuple[int, int]], pinned: Collection[tuple[str, int]]
) -> dict[str, Any]:
    waiting = entry.waiting
    return {
        "protocol": entry.protocol,
        "family": entry.family,
        "state": _WAITING_STATES[entry.state] if waiting else entry.state,
        "address": entry.address,
        "port": entry.port,
        "v6only": entry.v6only,
        "peer": None if waiting else entry.peer,
        "peer_port": None if waiting else entry.peer_port,
        "uid": entry.uid,
        "inode": entry.inode or None,
        **describe_owner(entry, owners, ephemeral, pinned),
    }


def _order(entry: Entry) -> tuple[bool, str, int, str, str, str, int]:
    return not entry.waiting, entry.protocol, entry.port, entry.family, entry.address, entry.peer, entry.peer_port


def _sctp_in_use() -> bool:
    try:
        with open(_SCTP_TABLE, encoding="ascii", errors="replace") as lines:
            return sum(1 for _line in lines) > 1
    except OSError:
        return False
