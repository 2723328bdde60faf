# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a connection to an address of this machine end at a socket of this machine?

Who connects to 127.0.0.1:37231 may talk to a pod: where a Service has that number as its NodePort, kube-proxy's rules or Cilium's programs
hand the connection on, and from this end it looks the same. Only when nobody did, the other end is a socket of the same network namespace. The
kernel finds one socket by its addresses and ports at once (inet_diag_find_one_icsk, net/ipv4/inet_diag.c), however many there are.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink, sock_diag
from ansible_collections.kubenode.doctor.plugins.module_utils.netlink import NetlinkError

_HEADER = struct.Struct("=IHHII")  # nlmsghdr, see netlink
_REQUEST = 1  # NLM_F_REQUEST: one object, no dump
_ERROR = 2  # NLMSG_ERROR
_PORTS = struct.Struct("!HH")
_ADDRESS_BYTES = 16
_AFTER_SOCKID = 12  # of a request: interface u32 and cookie 2 x u32
_ROOM = 8192
_SECONDS = 1.0  # the kernel answers while it is asked
# The other end may still have to hear that the connection is made.
_TRIES = 5
_BETWEEN_TRIES = 0.01
_NAMES = {int(number): name for name, number in sock_diag.FAMILIES.items()}


def is_here(connection: socket.socket, connect: netlink.Connect = netlink.connect) -> Optional[bool]:
    """Tell whether the other end of a TCP connection is in this network namespace; None where the kernel does not tell."""
    try:
        family = _NAMES[connection.family]
        mine, other = connection.getsockname(), connection.getpeername()
        for _try in range(_TRIES):
            if _is_there(family, other, mine, connect):
                return True
            time.sleep(_BETWEEN_TRIES)
        # A kernel without tcp_diag finds nothing at all.
        return False if _is_there(family, mine, other, connect) else None
    except (KeyError, OSError, NetlinkError):
        return None


def _is_there(family: str, local: Any, peer: Any, connect: netlink.Connect) -> bool:
    """Is there a socket with these two ends? Raises NetlinkError."""
    body = sock_diag.request(family, "tcp")
    addresses = [
        socket.inet_pton(sock_diag.FAMILIES[family], end[0]).ljust(_ADDRESS_BYTES, b"\0") for end in (local, peer)
    ]
    wanted = _PORTS.pack(local[1], peer[1]) + b"".join(addresses)
    body = body[: -len(wanted) - _AFTER_SOCKID] + wanted + body[-_AFTER_SOCKID:]
    with connect(netlink.NETLINK_SOCK_DIAG) as link:
        link.settimeout(_SECONDS)
        link.send(_HEADER.pack(_HEADER.size + len(body), sock_diag.BY_FAMILY, _REQUEST, 1, 0) + body)
        datagram = link.recv(_ROOM)
    for kind, _flags, payload in netlink.messages(datagram):
        if kind == _ERROR:
            return _none(payload)
        entry = sock_diag.parse(payload, "tcp")
        # Without such a connection, the kernel answers with the socket that listens at its local end.
        return entry is not None and entry.peer_port == peer[1]
    return False


def _none(payload: memoryview) -> bool:
    """False when the kernel says that there is no such socket; raises NetlinkError for any other refusal."""
    number = -struct.unpack_from("=i", payload)[0] if len(payload) >= 4 else 0
    if number != errno.ENOENT:
        raise NetlinkError("the kernel does not tell of one socket", number)
    return False
