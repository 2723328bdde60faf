# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The TCP sockets of one network namespace: listeners and stuck ones each by itself, all others counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink, procfs_net, sock_diag, tcp_tally
from ansible_collections.kubenode.doctor.plugins.module_utils.in_parallel import in_parallel
from ansible_collections.kubenode.doctor.plugins.module_utils.listener_index import ListenerIndex
from ansible_collections.kubenode.doctor.plugins.module_utils.net_namespaces import Namespace
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import STATES, Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_tally import Tally

BACKENDS = ("sock_diag", "procfs")
STUCK = ("syn_sent", "close_wait")
# Those that a tally alone tells: listeners and stuck sockets are told one by one.
COUNTED = frozenset(STATES.values()) - {"listen", "close", "bound", *STUCK}
_NUMBERS = {name: number for number, name in STATES.items()}


def _mask(states: Iterable[str]) -> int:
    return sum(1 << number for number, name in STATES.items() if name in states)


_LISTEN_MASK = _mask(["listen"])
_STUCK_MASK = _mask(STUCK)
# Sockets that are bound and nothing else are left out: for them the kernel walks all that have a port, as many again.
_BOUND_MASK = _mask(["bound"])
_CONNECTED_MASK = _mask(STATES.values()) & ~_LISTEN_MASK & ~_mask(["bound"])


class Reading(NamedTuple):
    """What one namespace showed. ``tally`` counted all sockets but listeners, those that are ``stuck`` too; ``states`` are all by state."""

    namespace: Namespace
    listeners: list[Entry]
    doors: ListenerIndex
    stuck: list[Entry]
    tally: Tally
    states: dict[str, int]
    backend: str
    missing: list[dict[str, str]]


class ReaderError(Exception):
    """No backend answered; the text says why for each."""


def read(
    namespace: Namespace, backend: str = "auto", drawn: Optional[Sequence[int]] = None, inodes: bool = True
) -> Reading:
    """Read a namespace by ``backend``, "auto" by the first that answers. Raises ReaderError.

    ``drawn`` is the range from which its ports are drawn, None where nobody wants to know who uses it up. Without ``inodes`` nobody
    can be asked who holds the sockets that were counted. Those that are bound and nothing else are looked at where both are
    given: that takes as long as counting the others.
    """
    refusals: list[str] = []
    for name in BACKENDS if backend == "auto" else (backend,):
        try:
            return _READERS[name](namespace, drawn, inodes, _blind_spots(name, refusals))
        except (OSError, ValueError, netlink.NetlinkError) as error:
            refusals.append(f"{name}: {error}")
    raise ReaderError("; ".join(refusals))


def first_look(namespace: Namespace, backend: str) -> tuple[list[Entry], list[Entry]]:
    """The listeners and the stuck sockets alone. Raises OSError, ValueError or netlink.NetlinkError."""
    if backend == "sock_diag":
        return _dump(namespace, _LISTEN_MASK), _dump(namespace, _STUCK_MASK)
    entries = _in_states(procfs_net.sockets("tcp", net=namespace.net), ("listen", *STUCK))
    return _in_states(entries, ("listen",)), _in_states(entries, STUCK)


def identity(entry: Entry) -> Hashable:
    """What tells a socket from all others, in both samples."""
    return entry.cookie or (entry.inode, entry.address, entry.port, entry.peer, entry.peer_port)


def _by_sock_diag(
    namespace: Namespace, drawn: Optional[Sequence[int]], inodes: bool, missing: list[dict[str, str]]
) -> Reading:
    listeners = _dump(namespace, _LISTEN_MASK)
    tally = Tally(listeners, drawn, inodes)
    tcp_tally.read(tally, _CONNECTED_MASK, namespace.connect)
    for entry in _dump(namespace, _BOUND_MASK) if inodes and drawn else ():
        tally.use(entry.port)
    # Another walk over all sockets, with all that the kernel knows of a few: not where there are none.
    counts = tally.counts()
    stuck = _dump(namespace, _STUCK_MASK, tcp_info=True) if any(map(counts.get, STUCK)) else []
    states = _states(listeners, stuck, counts)
    return Reading(namespace, listeners, ListenerIndex(listeners), stuck, tally, states, "sock_diag", missing)


def _by_procfs(
    namespace: Namespace, drawn: Optional[Sequence[int]], inodes: bool, missing: list[dict[str, str]]
) -> Reading:
    # Read once: what changes its state between two readings would be counted twice, or not at all.
    entries = list(procfs_net.sockets("tcp", net=namespace.net))
    listeners = _in_states(entries, ("listen",))
    tally = Tally(listeners, drawn, inodes)
    for entry in entries:
        if entry.state != "listen":
            tally.add(entry, _NUMBERS[entry.state])
    stuck = _in_states(entries, STUCK)
    states = _states(listeners, stuck, tally.counts())
    return Reading(namespace, listeners, ListenerIndex(listeners), stuck, tally, states, "procfs", missing)


_READERS = {"sock_diag": _by_sock_diag, "procfs": _by_procfs}


def _states(listeners: list[Entry], stuck: list[Entry], counts: Mapping[str, int]) -> dict[str, int]:
    """Those that are told one by one are counted so, the others by the tally."""
    told = Counter(entry.state for entry in (*listeners, *stuck))
    return {**told, **{state: counts[state] for state in COUNTED}}


def _dump(namespace: Namespace, mask: int, tcp_info: bool = False) -> list[Entry]:
    def dump_family(family: str) -> list[Entry]:
        return list(sock_diag.sockets_of(family, "tcp", mask, tcp_info=tcp_info, connect=namespace.connect))

    return [entry for entries in in_parallel(dump_family, sock_diag.FAMILIES) for entry in entries]


def _in_states(entries: Iterable[Entry], states: Collection[str]) -> list[Entry]:
    return [entry for entry in entries if entry.state in states]


def _blind_spots(backend: str, refusals: list[str]) -> list[dict[str, str]]:
    if backend == "sock_diag":
        return []
    why = f"the backend {backend} does not show them; sock_diag would"
    if refusals:
        why += f", and did not answer ({'; '.join(refusals)})"
    return [{"what": "backlog", "why": why}, {"what": "age of close_wait", "why": why}]
