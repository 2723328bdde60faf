# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets straight from the kernel: NETLINK_SOCK_DIAG, as ss uses it, with no privilege needed.

Layout from include/uapi/linux/inet_diag.h::

    inet_diag_req_v2  family u8 | protocol u8 | ext u8 | pad u8 | states u32 | sockid 48          (56 bytes)
    inet_diag_msg     family u8 | state u8 | timer u8 | retrans u8 | sockid 48 |
                      expires u32 @52 | rqueue u32 @56 | wqueue u32 @60 | uid u32 @64 | inode u32 @68   (72 bytes)
    sockid            sport be16 | dport be16 | src 16 | dst 16 | interface u32 | cookie 2 x u32
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Container, Iterator
from typing import Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink, socket_age
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import NUMBERS, STATES, Entry

ALL_STATES = 0xFFFFFFFF
BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_REQUEST = struct.Struct("=BBBBI")
_NO_COOKIE = b"\xff" * 8
_PORTS = struct.Struct("!HH")
_EXPIRES = struct.Struct("=I")  # milliseconds
_V6ONLY = struct.Struct("=B")
_CGROUP = struct.Struct("=Q")
_TAIL = struct.Struct("=IIII")  # rqueue, wqueue, uid, inode, from offset 56
_MESSAGE_BYTES = 72
_INFO = 2
_EXT_INFO = 1 << (_INFO - 1)
_SKV6ONLY = 11
_CGROUP_ID = 21  # u64, the inode of the cgroup v2 directory; Linux 5.7 and newer
FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
_FAMILY_NAMES = {int(number): name for name, number in FAMILIES.items()}
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
# Sockets that are bound and do not listen are dumped since 91051f003948 ("tcp: Dump bound-only sockets in inet_diag").
_BOUND_SINCE = (6, 8)
# They are asked for as state 13 and answered as 7. A closed socket without a port is in no table, so 7 means nothing else.
_TCP_CLOSE = 7


def request(family: str, protocol: str, states: int = ALL_STATES, tcp_info: bool = False) -> bytes:
    """Build the body of a dump request for one family ("ipv4", "ipv6") and protocol ("tcp", "udp").

    ``states`` is a bit mask of ``1 << kernel state number``; the kernel filters, so ask for no more than is needed.
    ``tcp_info`` asks for struct tcp_info with each socket, which is three times as much to read.
    """
    sockid = bytes(40) + _NO_COOKIE
    extensions = _EXT_INFO if tcp_info else 0
    return _REQUEST.pack(FAMILIES[family], _PROTOCOLS[protocol], extensions, 0, states) + sockid


def parse(payload: memoryview, protocol: str, ports: Optional[Container[int]] = None) -> Optional[Entry]:
    """Turn one inet_diag_msg into an Entry; None when its local port is not among ``ports``.

    Raises NetlinkError for bytes that cannot be such a message.
    """
    if len(payload) < _MESSAGE_BYTES:
        raise netlink.NetlinkError(
            f"malformed inet_diag message: {len(payload)} bytes, at least {_MESSAGE_BYTES} expected"
        )
    port, peer_port = _PORTS.unpack_from(payload, 4)
    if ports is not None and port not in ports:
        return None
    number, state = payload[0], payload[1]
    family = _FAMILY_NAMES.get(number)
    if family is None or state not in STATES:
        raise netlink.NetlinkError(f"malformed inet_diag message: family {number}, state {state}")
    if protocol == "tcp" and state == _TCP_CLOSE:
        state = NUMBERS["bound"]
    rqueue, wqueue, uid, inode = _TAIL.unpack_from(payload, 56)
    attributes = dict(netlink.attributes(payload[_MESSAGE_BYTES:]))
    v6only = _number(_V6ONLY, attributes.get(_SKV6ONLY))
    name = STATES[state]
    age_ms, retransmits = None, None
    if _INFO in attributes:
        age_ms, retransmits = socket_age.from_tcp_info(name, attributes[_INFO], _EXPIRES.unpack_from(payload, 52)[0])
    return Entry(
        protocol,
        family,
        name,
        _address(family, payload[8:24]),
        port,
        _address(family, payload[24:40]),
        peer_port,
        rqueue,
        wqueue,
        uid,
        inode,
        None if family == "ipv4" or v6only is None else bool(v6only),
        _number(_CGROUP, attributes.get(_CGROUP_ID)),
        cookie=bytes(payload[44:52]),
        age_ms=age_ms,
        retransmits=retransmits,
    )


def sockets(
    protocol: str,
    states: int = ALL_STATES,
    ports: Optional[Container[int]] = None,
    tcp_info: bool = False,
    connect: netlink.Connect = netlink.connect,
) -> Iterator[Entry]:
    """Yield a network namespace's sockets of one protocol, both families, in the given states.

    ``connect`` opens the netlink socket, whose namespace is the one that is looked at. Raises NetlinkError when sock_diag
    is not there (ENOENT without the kernel module) or the dump is refused.
    """
    for family in FAMILIES:
        yield from sockets_of(family, protocol, states, ports, tcp_info, connect)


def sockets_of(
    family: str,
    protocol: str,
    states: int = ALL_STATES,
    ports: Optional[Container[int]] = None,
    tcp_info: bool = False,
    connect: netlink.Connect = netlink.connect,
) -> Iterator[Entry]:
    """Yield the sockets of one family, "ipv4" or "ipv6"; see sockets."""
    body = request(family, protocol, states, tcp_info)
    for payload in netlink.dump(netlink.NETLINK_SOCK_DIAG, BY_FAMILY, body, connect):
        entry = parse(payload, protocol, ports)
        # A dump without matching sockets of an unloaded family may answer with the other one's.
        if entry is not None and entry.family == family:
            yield entry


def shows_bound_sockets(release: Optional[str] = None) -> bool:
    """Tell whether this kernel dumps TCP sockets that are bound but do not listen."""
    match = re.match(r"(\d+)\.(\d+)", os.uname().release if release is None else release)
    return match is not None and (int(match.group(1)), int(match.group(2))) >= _BOUND_SINCE


def _address(family: str, raw: memoryview) -> str:
    if family == "ipv4":
        return socket.inet_ntop(socket.AF_INET, raw[:4])
    return socket.inet_ntop(socket.AF_INET6, raw)


def _number(form: struct.Struct, value: Optional[memoryview]) -> Optional[int]:
    """The number in an attribute, None when the attribute is not there or too short."""
    if value is None or len(value) < form.size:
        return None
    return int(form.unpack_from(value)[0])
