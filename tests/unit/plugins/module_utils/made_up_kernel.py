# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets that nobody has, as sock_diag tells them: datagrams for the readers, and a kernel that answers dumps with them.

What it writes is compared with what a real kernel wrote in test_tcp_tally.py.
"""

from __future__ import annotations

import socket
import struct
import zlib
from typing import NamedTuple, Optional

FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
STATES = {
    "established": 1,
    "syn_sent": 2,
    "syn_recv": 3,
    "fin_wait2": 5,
    "time_wait": 6,
    "close_wait": 8,
    "listen": 10,
    "bound": 13,
}
CLOSE = 7  # what is asked for as bound is answered as this
DONE = 3
BY_FAMILY = 20
INFO_BYTES = 280  # of struct tcp_info on Linux 6.18
_HEADER = struct.Struct("=IHHII")
_DATAGRAM_BYTES = 1 << 15


class Sock(NamedTuple):
    """A socket; ``inode`` 0 is nobody's. ``info`` are fields of struct tcp_info by their offsets, a byte or a u32 each."""

    state: str
    address: str
    port: int
    peer: str = "0.0.0.0"
    peer_port: int = 0
    inode: int = 0
    rqueue: int = 0
    wqueue: int = 0
    expires: int = 0
    cookie: Optional[int] = None
    info: tuple[tuple[int, int], ...] = ()

    @property
    def family(self):
        return "ipv6" if ":" in self.address else "ipv4"


def syn_sent(retransmits, backoff, rto_ms, expires_ms):
    """The fields ``expires`` and ``info`` of a socket in SYN-SENT."""
    return {"expires": expires_ms, "info": ((2, retransmits), (4, backoff), (8, rto_ms * 1000))}


def close_wait(ms):
    """The field ``info`` of a socket in CLOSE-WAIT whose other end was last heard so long ago."""
    return {"info": ((56, ms),)}


def packed(address):
    raw = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return raw.ljust(16, b"\0")


def payload(sock, tcp_info=False, cgroup=True):
    """The inet_diag_msg of a socket with its attributes. What only waits for its end (TIME-WAIT, FIN-WAIT-2 of nobody) has none."""
    cookie = sock.cookie if sock.cookie is not None else zlib.crc32(repr(sock[:6]).encode())
    told = struct.pack("=BBBB", FAMILIES[sock.family], CLOSE if sock.state == "bound" else STATES[sock.state], 0, 0)
    told += struct.pack("!HH", sock.port, sock.peer_port) + packed(sock.address) + packed(sock.peer)
    told += struct.pack("=IQ", 0, cookie)
    told += struct.pack("=IIIII", sock.expires, sock.rqueue, sock.wqueue, 0, sock.inode)
    if not sock.inode and sock.state in ("time_wait", "fin_wait2"):
        return told
    told += struct.pack("=HHB3x", 5, 8, 0)  # SHUTDOWN, always sent
    if tcp_info:
        told += struct.pack("=HH", 4 + INFO_BYTES, 2) + _tcp_info(sock.info)
    if cgroup:
        told += struct.pack("=HHQ", 12, 21, 1)
    return told


def _tcp_info(fields):
    info = bytearray(INFO_BYTES)
    for offset, value in fields:
        struct.pack_into("=B" if offset < 8 else "=I", info, offset, value)
    return bytes(info)


def message(body, kind=BY_FAMILY, flags=2, length=None):
    """One netlink message; ``length`` is what its header says, the truth unless given."""
    header = _HEADER.pack(_HEADER.size + len(body) if length is None else length, kind, flags, 1, 0)
    return header + body + bytes(-len(body) % 4)


def datagrams(socks, tcp_info=False):
    """What a dump of these sockets looks like, its end too."""
    pieces, size = [], 0
    for sock in socks:
        piece = message(payload(sock, tcp_info))
        if size + len(piece) > _DATAGRAM_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
        pieces.append(piece)
        size += len(piece)
    if pieces:
        yield b"".join(pieces)
    yield message(struct.pack("=i", 0), DONE)


class Link:
    """A netlink socket that answers a dump request by the sockets in the states and of the family that it asks for."""

    def __init__(self, socks, heard):
        self._socks = socks
        self._heard = heard
        self._answers = iter(())

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def settimeout(self, seconds):
        assert seconds > 0

    def send(self, request):
        family, _protocol, extensions, _pad, states = struct.unpack_from("=BBBBI", request, 16)
        self._heard.append((extensions, states))
        wanted = [sock for sock in self._socks if FAMILIES[sock.family] == family and states >> STATES[sock.state] & 1]
        self._answers = datagrams(wanted, tcp_info=bool(extensions & 2))

    def recvmsg_into(self, rooms):
        answer = next(self._answers)
        rooms[0][: len(answer)] = answer
        return len(answer), [], 0, (0, 0)


class Kernel:
    """Hand ``connect`` out in place of netlink.connect; it raises ``refused``, if that is given, once it was called ``refuse_from`` times.

    ``heard`` are the requests, ``(extensions, states)`` of each.
    """

    def __init__(self, socks=(), refused=None, refuse_from=0):
        self.socks = list(socks)
        self.refused = refused
        self.refuse_from = refuse_from
        self.asked = 0
        self.heard = []

    def connect(self, _protocol):
        self.asked += 1
        if self.refused and self.asked > self.refuse_from:
            raise self.refused
        return Link(self.socks, self.heard)
