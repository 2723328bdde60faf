# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One socket as every backend tells it, and the names of its states."""

from __future__ import annotations

from typing import NamedTuple, Optional

# Kernel numbers (include/net/tcp_states.h) to our names. 12 is a request socket, which ss also calls SYN-RECV;
# 13 is bound without listening, which sock_diag shows since Linux 6.8. UDP uses 1 (connected) and 7.
STATES = {
    1: "established",
    2: "syn_sent",
    3: "syn_recv",
    4: "fin_wait1",
    5: "fin_wait2",
    6: "time_wait",
    7: "close",
    8: "close_wait",
    9: "last_ack",
    10: "listen",
    11: "closing",
    12: "syn_recv",
    13: "bound",
}
NUMBERS = {"close": 7, "listen": 10, "bound": 13}
# States in which a socket waits for others to come to it, by protocol.
WAITING = {"tcp": frozenset({"listen", "bound"}), "udp": frozenset({"close"})}


class Entry(NamedTuple):
    """A socket of this node.

    ``rqueue`` and ``wqueue`` are, for a TCP listener, the accept queue's length and its limit (None where the backend
    does not show them), otherwise unread and unsent bytes. ``inode`` 0 means that no process holds the socket,
    None that the backend does not show it. ``v6only`` and ``cgroup_id`` are None where they do not apply or could not be seen. ``pid`` is set by the one
    backend (psutil) that tells owners itself. ``cookie`` is sock_diag's identity of a socket, ``age_ms`` and ``retransmits`` are
    told of SYN-SENT and CLOSE-WAIT by the backends that can (see socket_age).
    """

    protocol: str
    family: str
    state: str
    address: str
    port: int
    peer: str
    peer_port: int
    rqueue: Optional[int]
    wqueue: Optional[int]
    uid: Optional[int]
    inode: Optional[int]
    v6only: Optional[bool] = None
    cgroup_id: Optional[int] = None
    pid: Optional[int] = None
    cookie: Optional[bytes] = None
    age_ms: Optional[int] = None
    retransmits: Optional[int] = None

    @property
    def waiting(self) -> bool:
        """True for a listener in the wide sense: TCP listening or bound, UDP not connected."""
        return self.state in WAITING[self.protocol]
