# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits for others in any network namespace: TCP sockets that listen, UDP sockets that are not connected.

sock_diag tells it inside the namespace, which takes the right to enter it; /proc/PID/net tells anybody, but v6only.
"""

from __future__ import annotations

import errno
import socket
from typing import Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink, procfs_net, sock_diag
from ansible_collections.kubenode.doctor.plugins.module_utils.net_namespaces import Namespace
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import NUMBERS, Entry

# Sockets that are bound and do not listen are left out: nobody is answered by them.
_STATES = {"tcp": "listen", "udp": "close"}
# Of a namespace that cannot be entered: the others will not be either. No right, no ctypes or room for a thread (0), no netlink.
_EVERYWHERE = frozenset({0, errno.EPERM, errno.EACCES, errno.EPROTONOSUPPORT})


class WaitingSockets:
    """Reads namespaces; ``without_v6only`` counts those that sock_diag did not tell, ``refusal`` says why not."""

    def __init__(self) -> None:
        self.without_v6only = 0
        self.refusal = ""
        self._may_enter = True

    def read(self, namespace: Namespace) -> list[Entry]:
        """Raises OSError when the namespace is gone or hidden, and ValueError for tables that are not understood."""
        entries = self._by_sock_diag(namespace) if self._may_enter else None
        if entries is not None:
            return entries
        entries = _by_procfs(namespace)
        self.without_v6only += 1
        return entries

    def _by_sock_diag(self, namespace: Namespace) -> Optional[list[Entry]]:
        """None where it does not answer."""
        try:
            link = namespace.connect(netlink.NETLINK_SOCK_DIAG)
        except netlink.NetlinkError as error:
            self._may_enter = error.errno not in _EVERYWHERE
            self._refused(error)
            return None
        try:
            with link:
                return _dump(link)
        except (OSError, netlink.NetlinkError) as error:
            self._may_enter = error.errno != errno.ENOENT  # no tcp_diag or udp_diag in this kernel
            self._refused(error)
            return None

    def _refused(self, error: Exception) -> None:
        self.refusal = self.refusal or str(error)


def _dump(link: socket.socket) -> list[Entry]:
    """Four dumps over one socket: to enter a namespace takes longer than each of them."""
    return [
        entry
        for protocol, state in _STATES.items()
        for entry in sock_diag.sockets(protocol, 1 << NUMBERS[state], connect=lambda _protocol: link.dup())
    ]


def _by_procfs(namespace: Namespace) -> list[Entry]:
    return [
        entry
        for protocol, state in _STATES.items()
        for entry in procfs_net.sockets(protocol, net=namespace.net)
        if entry.state == state
    ]
