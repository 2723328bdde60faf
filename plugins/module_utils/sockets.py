# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets by the best backend this node has: sock_diag, then /proc/net, then psutil."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink, procfs_net, sock_diag
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import NUMBERS, Entry

try:
    import psutil
except ImportError:
    psutil = None

BACKENDS = ("sock_diag", "procfs", "psutil")
# What one call keeps at most, so that no node can fill the controller: the rest is counted, not lost in silence.
LIMIT = 5000

_PSUTIL_STATES = {
    "ESTABLISHED": "established",
    "SYN_SENT": "syn_sent",
    "SYN_RECV": "syn_recv",
    "FIN_WAIT1": "fin_wait1",
    "FIN_WAIT2": "fin_wait2",
    "TIME_WAIT": "time_wait",
    "CLOSE": "close",
    "CLOSE_WAIT": "close_wait",
    "LAST_ACK": "last_ack",
    "LISTEN": "listen",
    "CLOSING": "closing",
    "NONE": "close",
}


class SocketsError(Exception):
    """No backend answered; the text says why for each."""


class Seen(NamedTuple):
    """Sockets, the backend that told them, and what that backend cannot show."""

    entries: list[Entry]
    backend: str
    missing: list[dict[str, str]]


def collect(
    protocols: Sequence[str],
    backend: str = "auto",
    waiting_only: bool = False,
    ports: Optional[Container[int]] = None,
) -> Seen:
    """Read this network namespace's sockets of ``protocols`` ("tcp", "udp").

    ``waiting_only`` keeps listeners in the wide sense, ``ports`` keeps sockets with such a local port. ``backend``
    "auto" takes the first that answers. Raises SocketsError.
    """
    refusals = []
    for name in BACKENDS if backend == "auto" else (backend,):
        try:
            entries = list(_read(name, protocols, waiting_only, ports))
        except (OSError, ValueError, netlink.NetlinkError, SocketsError) as error:
            refusals.append(f"{name}: {_reason(error)}")
            continue
        return Seen(entries, name, _blind_spots(name, protocols, refusals))
    raise SocketsError("; ".join(refusals))


def _read(name: str, protocols: Sequence[str], waiting_only: bool, ports: Optional[Container[int]]) -> Iterator[Entry]:
    reader = _READERS[name]
    for protocol in protocols:
        for entry in reader(protocol, waiting_only, ports):
            if not waiting_only or entry.waiting:
                yield entry


def _from_sock_diag(protocol: str, waiting_only: bool, ports: Optional[Container[int]]) -> Iterator[Entry]:
    if not waiting_only:
        return sock_diag.sockets(protocol, sock_diag.ALL_STATES, ports)
    names = ("close",) if protocol == "udp" else ("listen", "bound")
    return sock_diag.sockets(protocol, sum(1 << NUMBERS[name] for name in names), ports)


def _from_procfs(protocol: str, _waiting_only: bool, ports: Optional[Container[int]]) -> Iterator[Entry]:
    return procfs_net.sockets(protocol, ports)


def _from_psutil(protocol: str, _waiting_only: bool, ports: Optional[Container[int]]) -> Iterator[Entry]:
    if psutil is None:
        raise SocketsError("the Python library psutil is not installed for this node's interpreter")
    try:
        connections = psutil.net_connections(kind=protocol)
    except (psutil.Error, RuntimeError) as error:  # RuntimeError: a line of /proc/net that it does not understand
        raise SocketsError(str(error)) from error
    for connection in connections:
        if connection.laddr and (ports is None or connection.laddr.port in ports):
            yield _psutil_entry(protocol, connection)


def _psutil_entry(protocol: str, connection: Any) -> Entry:
    state = _PSUTIL_STATES.get(connection.status, "close")
    if protocol == "udp" and connection.raddr:
        state = "established"
    return Entry(
        protocol,
        "ipv6" if connection.family == socket.AF_INET6 else "ipv4",
        state,
        connection.laddr.ip,
        connection.laddr.port,
        connection.raddr.ip if connection.raddr else "",
        connection.raddr.port if connection.raddr else 0,
        None,
        None,
        None,
        None,
        pid=connection.pid,
    )


_READERS: dict[str, Callable[[str, bool, Optional[Container[int]]], Iterator[Entry]]] = {
    "sock_diag": _from_sock_diag,
    "procfs": _from_procfs,
    "psutil": _from_psutil,
}


def _reason(error: Exception) -> str:
    if isinstance(error, netlink.NetlinkError) and error.errno == errno.ENOENT:
        return "this kernel has no tcp_diag or udp_diag"
    return str(error)


def _blind_spots(name: str, protocols: Sequence[str], refusals: Sequence[str]) -> list[dict[str, str]]:
    spots = []
    if name != "sock_diag":
        why = f"the backend {name} does not show them; sock_diag would"
        if refusals:
            why += f", and did not answer ({'; '.join(refusals)})"
        spots.append({"what": "backlog, v6only", "why": why})
    if "tcp" in protocols and not (name == "sock_diag" and sock_diag.shows_bound_sockets()):
        spots.append(
            {
                "what": "bound sockets",
                "why": "only sock_diag of Linux 6.8 or newer shows TCP sockets that do not listen",
            }
        )
    return spots
