# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Netlink dumps with the standard library: ask, and walk the answer without trusting it.

Layout of every message (include/uapi/linux/netlink.h), host byte order::

    nlmsghdr  len u32 | type u16 | flags u16 | seq u32 | pid u32      (16 bytes, len counts the header)
    nlattr    len u16 | type u16 | payload                            (len counts the 4 header bytes; padded to 4)
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import Callable, Optional

NETLINK_ROUTE = 0
NETLINK_SOCK_DIAG = 4

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = 2
_DONE = 3
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH
_DUMP_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_MAX_ERRNO = 4095  # include/linux/err.h
_RECEIVE_BYTES = 1 << 18  # the kernel fills at most 32 KiB a datagram unless asked with more room
_TIMEOUT_SECONDS = 5.0
_ENTRIES_LIMIT = 2_000_000  # a bound, not an expectation: far above the sockets one node can hold


class NetlinkError(Exception):
    """The kernel refused or did not answer; ``errno`` is its error number, 0 when there is none."""

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.errno = number


def align(length: int) -> int:
    """Round up to the 4 bytes netlink pads to."""
    return (length + 3) & ~3


def messages(datagram: bytes) -> Iterator[tuple[int, int, memoryview]]:
    """Yield ``(type, flags, payload)`` for each message of one datagram.

    Raises NetlinkError for a header whose length cannot be true.
    """
    view = memoryview(datagram)
    offset = 0
    while len(view) - offset >= _HEADER.size:
        length, kind, flags, _seq, _pid = _HEADER.unpack_from(view, offset)
        if length < _HEADER.size or offset + length > len(view):
            raise NetlinkError(f"malformed netlink message: length {length} with {len(view) - offset} bytes left")
        yield kind, flags, view[offset + _HEADER.size : offset + length]
        offset += align(length)
    if offset < len(view):
        raise NetlinkError(f"malformed netlink message: {len(view) - offset} bytes left over")


def attributes(payload: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield ``(type, value)`` for each attribute; raises NetlinkError on a length that cannot be true."""
    offset = 0
    while len(payload) - offset >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(payload, offset)
        if length < _ATTRIBUTE.size or offset + length > len(payload):
            raise NetlinkError(f"malformed netlink attribute: length {length} with {len(payload) - offset} bytes left")
        yield kind & 0x3FFF, payload[offset + _ATTRIBUTE.size : offset + length]
        offset += align(length)


def connect(protocol: int) -> socket.socket:
    """Open a netlink socket. It belongs to the network namespace in which it was opened, whoever reads it later.

    Raises NetlinkError when the protocol is missing.
    """
    try:
        return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    except OSError as error:
        raise NetlinkError(f"no netlink socket of protocol {protocol}: {error.strerror}", error.errno or 0) from error


Connect = Callable[[int], socket.socket]


def dump(protocol: int, kind: int, body: bytes, connect_to: Connect = connect) -> Iterator[memoryview]:
    """Send one dump request and yield the payload of each answer, as the kernel sends them.

    Raises NetlinkError when the protocol is missing, the request is refused, or the dump was cut short.
    """
    entries = 0
    for datagram in _datagrams(protocol, kind, body, connect_to):
        for payload in _answers(datagram, kind):
            if payload is None:
                return
            entries += 1
            if entries > _ENTRIES_LIMIT:
                raise NetlinkError(f"netlink answer exceeds {_ENTRIES_LIMIT} entries")
            yield payload


def feed(protocol: int, kind: int, body: bytes, eat: Callable[[bytes], int], connect_to: Connect = connect) -> None:
    """Send one dump request and give each datagram to ``eat``, which returns how many of its bytes it has read.

    For dumps so large that a call for each message would be too slow: ``eat`` stops at what it does not expect, and all
    that it leaves must be what ends a dump. Raises NetlinkError as dump does.
    """
    for datagram in _datagrams(protocol, kind, body, connect_to):
        for payload in _answers(datagram[eat(datagram) :], kind):
            if payload is None:
                return
            raise NetlinkError(f"malformed netlink answer: {bytes(payload[:16])!r}")


def _answers(datagram: bytes, asked: int) -> Iterator[Optional[memoryview]]:
    """Yield the payload of each answer in one datagram, None for the end of the dump; raises NetlinkError for a refusal."""
    for kind, flags, payload in messages(datagram):
        # A dump that fails after it began (no tcp_diag: ENOENT) ends with DONE too, and its errno in the payload.
        if kind == _ERROR or (kind == _DONE and _error_number(payload)):
            raise _refusal(payload, asked)
        if flags & _DUMP_INTERRUPTED:
            raise NetlinkError("the table changed under the netlink dump", errno.EINTR)
        yield None if kind == _DONE else payload


def _datagrams(protocol: int, kind: int, body: bytes, connect_to: Connect) -> Iterator[bytes]:
    """Send a dump request and yield the datagrams of its answer for as long as they are asked for."""
    with connect_to(protocol) as link:
        link.settimeout(_TIMEOUT_SECONDS)
        try:
            link.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST_DUMP, 1, 0) + body)
        except OSError as error:
            raise NetlinkError(f"netlink request refused: {error.strerror}", error.errno or 0) from error
        room = bytearray(_RECEIVE_BYTES)  # once: a new one for each datagram costs more than reading it
        while True:
            try:
                length, _ancillary, flags, _address = link.recvmsg_into([room])
            except OSError as error:
                raise NetlinkError(f"netlink answer broke off: {error}", error.errno or errno.ETIMEDOUT) from error
            if not length or flags & socket.MSG_TRUNC:
                raise NetlinkError("netlink answer was truncated")
            yield bytes(memoryview(room)[:length])


def _error_number(payload: memoryview) -> int:
    """The errno at the start of an ERROR or DONE message, which carry it negated; 0 for none and for nonsense."""
    number = -struct.unpack_from("=i", payload)[0] if len(payload) >= 4 else 0
    return number if 0 < number <= _MAX_ERRNO else 0


def _refusal(payload: memoryview, asked: int) -> NetlinkError:
    number = _error_number(payload)
    reason = os.strerror(number) if number else "no reason given"
    return NetlinkError(f"the kernel refused netlink request {asked}: {reason}", number)
