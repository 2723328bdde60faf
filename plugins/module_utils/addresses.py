# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of this node, by interface, from rtnetlink."""

from __future__ import annotations

import socket
import struct
from typing import Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink

_GETADDR = 22  # RTM_GETADDR
# ifaddrmsg: family u8 | prefixlen u8 | flags u8 | scope u8 | index u32 (include/uapi/linux/if_addr.h)
_MESSAGE = struct.Struct("=BBBBI")
_ADDRESS = 1  # IFA_ADDRESS: the peer's on a point-to-point link
_LOCAL = 2  # IFA_LOCAL: our own; for IPv6 only sent beside a peer's
_SIZES = {int(socket.AF_INET): 4, int(socket.AF_INET6): 16}


def local_addresses() -> list[dict[str, str]]:
    """Return ``[{interface, address}]`` for both families, sorted. Raises NetlinkError."""
    found = set()
    for payload in netlink.dump(netlink.NETLINK_ROUTE, _GETADDR, _MESSAGE.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
        entry = parse(payload)
        if entry is not None:
            found.add((_interface(entry[0]), entry[1]))
    return [{"interface": interface, "address": address} for interface, address in sorted(found)]


def parse(payload: memoryview) -> Optional[tuple[int, str]]:
    """Turn one ifaddrmsg into ``(interface index, address)``; None for another family's or an incomplete one."""
    if len(payload) < _MESSAGE.size:
        raise netlink.NetlinkError(f"malformed address message: {len(payload)} bytes")
    family, _length, _flags, _scope, index = _MESSAGE.unpack_from(payload)
    values = dict(netlink.attributes(payload[_MESSAGE.size :]))
    raw = values.get(_LOCAL, values.get(_ADDRESS))
    if family not in _SIZES or raw is None or len(raw) != _SIZES[family]:
        return None
    return index, socket.inet_ntop(family, raw)


def _interface(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:  # gone since the dump
        return f"if{index}"
