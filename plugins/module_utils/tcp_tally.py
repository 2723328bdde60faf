# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts the TCP sockets of a network namespace, a hundred thousand of them in less time than ``ss`` needs to print them.

Sockets that say the same are one pile, a list of their inodes: the same state and, for a connection that came in (something
listens on its local port), the same local port and peer; for one that goes out the same source, destination and port.

One answer of the kernel, as it is read here (nlmsghdr, then inet_diag_msg: see netlink and sock_diag)::

    length u32 | type u16 | flags u16 | 8 bytes | family u8 @16 | state u8 @17 | 2 bytes | sport be16 @20 | dport be16 @22 | src 16 @24 |
    dst 16 @40 | interface 4 | cookie 8 | expires 4 | rqueue 4 | wqueue 4 | uid 4 | inode u32 @84                         (88 bytes)
"""

from __future__ import annotations

import heapq
import socket
import struct
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink, sock_diag
from ansible_collections.kubenode.doctor.plugins.module_utils.in_parallel import in_parallel
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import STATES, Entry

_MESSAGE = struct.Struct("=IH10xBB2xH62xI")
_HEAD = struct.Struct("=IH")
_PORT = struct.Struct("=H")
_BIG_PORT = struct.Struct("!H")
_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:a.b.c.d, RFC 4291 2.5.5.2
_INCOMING_BYTES = 2 + 16  # local port, peer; what goes out has the peer's port, source and peer


class Bunch(NamedTuple):
    """What sockets have in common: their state, the process that holds them, whether they came in and then the local, else the peer's port."""

    state: str
    pid: int
    incoming: bool
    port: int


class Tally:
    """The sockets of one namespace besides its ``listeners``, given by ``add`` or, in bulk, by ``eat``."""

    def __init__(self, listeners: Iterable[Entry]) -> None:
        # Ports are kept as they are read, network byte order taken for the machine's: turning each round costs too much.
        self._listening = {_as_read(entry.port) for entry in listeners}
        self._used = set(self._listening)
        self._tables: dict[str, list[defaultdict[bytes, list[int]]]] = {
            family: [defaultdict(list) for _state in range(max(STATES) + 1)] for family in sock_diag.FAMILIES
        }

    def eat(self, family: str, datagram: bytes) -> int:
        """Count the answers in a datagram; return how many of its bytes they have. See netlink.feed."""
        return self._eat_equal(family, datagram) or self._eat_each(family, datagram)

    def _eat_equal(self, family: str, datagram: bytes) -> int:
        """Count a datagram in which all answers have one length, as they have in nearly all, by columns; 0 for any other."""
        length, _kind = _HEAD.unpack_from(datagram) if len(datagram) >= _HEAD.size else (0, 0)
        if length < _MESSAGE.size or length % 4 or len(datagram) % length:
            return 0
        count, states = len(datagram) // length, datagram[17::length]
        words, halves = memoryview(datagram).cast("I"), memoryview(datagram).cast("H")
        equal = (
            words[0 :: length // 4].tolist().count(length) == count
            and halves[2 :: length // 2].tolist().count(sock_diag.BY_FAMILY) == count
            and datagram[16::length].count(sock_diag.FAMILIES[family]) == count
        )
        if not equal or not STATES.keys() >= set(states):
            return 0
        ports = halves[10 :: length // 2].tolist()
        self._used.update(ports)
        tables, listening = self._tables[family], self._listening
        keys = [
            datagram[at - 2 : at] + datagram[at + 18 : at + 34] if port in listening else datagram[at : at + 34]
            for at, port in zip(range(22, len(datagram), length), ports)
        ]
        for state, key, inode in zip(states, keys, words[21 :: length // 4].tolist()):
            tables[state][key].append(inode)
        return len(datagram)

    def _eat_each(self, family: str, datagram: bytes) -> int:
        tables, number = self._tables[family], sock_diag.FAMILIES[family]
        at, last = 0, len(datagram) - _MESSAGE.size
        while at <= last:
            length, kind, answered, state, port, inode = _MESSAGE.unpack_from(datagram, at)
            if kind != sock_diag.BY_FAMILY or state not in STATES or answered not in sock_diag.FAMILIES.values():
                break
            if not _MESSAGE.size <= length <= len(datagram) - at:
                break
            start, at = at, at + netlink.align(length)
            if answered == number:  # see sock_diag.sockets
                self._used.add(port)
                key = datagram[start + 22 : start + 56]
                if port in self._listening:
                    key = datagram[start + 20 : start + 22] + key[18:]
                tables[state][key].append(inode)
        return at

    def add(self, entry: Entry, number: int) -> None:
        """Count one socket of kernel state ``number``."""
        port = _as_read(entry.port)
        self._used.add(port)
        if port in self._listening:
            key = _BIG_PORT.pack(entry.port) + packed(entry.peer).ljust(16, b"\0")
        else:
            key = (
                _BIG_PORT.pack(entry.peer_port)
                + packed(entry.address).ljust(16, b"\0")
                + packed(entry.peer).ljust(16, b"\0")
            )
        self._tables[entry.family][number][key].append(entry.inode or 0)

    def count(self, state: str) -> int:
        """How many sockets are in a state."""
        return sum(len(inodes) for table in self._tables_of(state) for inodes in table.values())

    def inodes(self, states: Iterable[str]) -> Iterator[int]:
        """The inodes of all sockets in these states, 0 for those that nobody holds."""
        for state in states:
            for table in self._tables_of(state):
                yield from chain.from_iterable(table.values())

    def bunches(self, states: Collection[str], holders: Optional[Mapping[int, int]]) -> dict[Bunch, dict[bytes, int]]:
        """The sockets in these states, counted by peer (its 4 or 16 bytes). ``holders`` has a pid by inode; pid 0 is for all others."""
        found: dict[tuple[str, bytes, int, int], dict[bytes, int]] = {}
        for family, tables in self._tables.items():
            for number, table in enumerate(tables):
                state = STATES.get(number, "")
                if state not in states:
                    continue
                for key, inodes in table.items():
                    peer = plain(family, key[-16:])
                    if holders is None:
                        peers = found.setdefault((state, key[:2], len(key), 0), {})
                        peers[peer] = peers.get(peer, 0) + len(inodes)
                        continue
                    for inode in inodes:
                        peers = found.setdefault((state, key[:2], len(key), holders.get(inode, 0)), {})
                        peers[peer] = peers.get(peer, 0) + 1
        return {
            Bunch(state, pid, length == _INCOMING_BYTES, _BIG_PORT.unpack(port)[0]): peers
            for (state, port, length, pid), peers in found.items()
        }

    def destinations(self, most: int) -> list[tuple[str, str, int, list[int]]]:
        """``(source, destination, port, inodes)`` of those that most outgoing sockets have, in whatever state."""
        found: dict[tuple[bytes, bytes, bytes], set[tuple[str, bytes]]] = {}
        for family, tables in self._tables.items():
            totals: dict[bytes, int] = {}
            for table in tables:
                for key, inodes in table.items():
                    if len(key) != _INCOMING_BYTES:
                        totals[key] = totals.get(key, 0) + len(inodes)
            # IPv4 has two spellings, one in each family; what leads in neither is not looked for.
            for key in heapq.nlargest(2 * most, totals, key=totals.__getitem__):
                ends = plain(family, key[2:18]), plain(family, key[18:]), key[:2]
                found.setdefault(ends, _spellings(*ends)).add((family, key))
        counted = {ends: list(self._inodes(spellings)) for ends, spellings in found.items()}
        ranked = sorted(counted.items(), key=lambda item: (-len(item[1]), item[0]))[:most]
        return [
            (address(source), address(destination), _BIG_PORT.unpack(port)[0], inodes)
            for (source, destination, port), inodes in ranked
        ]

    def _inodes(self, keys: Iterable[tuple[str, bytes]]) -> Iterator[int]:
        for family, key in sorted(keys):
            yield from chain.from_iterable(table.get(key, ()) for table in self._tables[family])

    def _tables_of(self, state: str) -> Iterator[dict[bytes, list[int]]]:
        for tables in self._tables.values():
            yield from (table for number, table in enumerate(tables) if STATES.get(number) == state)

    def used(self, low: int, high: int) -> int:
        """How many local ports from ``low`` to ``high`` some socket has."""
        return sum(low <= _as_read(port) <= high for port in self._used)


def read(tally: Tally, states: int, connect: netlink.Connect = netlink.connect) -> None:
    """Count the sockets in ``states`` (a mask) of the namespace that ``connect`` opens. Raises netlink.NetlinkError."""

    def read_family(family: str) -> None:
        body = sock_diag.request(family, "tcp", states)
        netlink.feed(netlink.NETLINK_SOCK_DIAG, sock_diag.BY_FAMILY, body, partial(tally.eat, family), connect)

    in_parallel(read_family, sock_diag.FAMILIES)


def plain(family: str, raw: bytes) -> bytes:
    """The 16 bytes of an address as 4 where it is IPv4, v4-mapped IPv6 too."""
    if family == "ipv4":
        return raw[:4]
    return raw[12:] if raw.startswith(_MAPPED) else raw


def address(raw: bytes) -> str:
    """An address of 4 or 16 bytes as text."""
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def packed(text: str) -> bytes:
    """The 4 or 16 bytes of an address."""
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def _spellings(source: bytes, destination: bytes, port: bytes) -> set[tuple[str, bytes]]:
    """The keys, by family, of what goes out from ``source`` to ``destination``, addresses as ``plain`` gives them."""
    ends = source, destination
    found = {("ipv6", port + b"".join(_MAPPED + end if len(end) == 4 else end for end in ends))}
    if all(len(end) == 4 for end in ends):
        found.add(("ipv4", port + b"".join(end.ljust(16, b"\0") for end in ends)))
    return found


def _as_read(port: int) -> int:
    """A port as ``_MESSAGE`` reads it, and back."""
    return int(_PORT.unpack(_BIG_PORT.pack(port))[0])
