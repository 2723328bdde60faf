# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts the TCP sockets of a network namespace, a hundred thousand of them in less time than ``ss`` needs to print them.

Sockets that say the same are one pile: the same state and, for a connection that came in, the same local port and peer; for one that
goes out the same source, destination and port. It came in where something listens on its local address and port or, since a listener
may be gone, where the kernel drew the peer's port and not the local one.

One answer of the kernel, as it is read here (nlmsghdr, then inet_diag_msg: see netlink and sock_diag)::

    length u32 | type u16 | flags u16 | 8 bytes | family u8 @16 | state u8 @17 | 2 bytes | sport be16 @20 | dport be16 @22 | src 16 @24 |
    dst 16 @40 | interface 4 | cookie 8 | expires 4 | rqueue 4 | wqueue 4 | uid 4 | inode u32 @84                         (88 bytes)
"""

from __future__ import annotations

import functools
import heapq
import socket
import struct
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, compress
from typing import Any, NamedTuple, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink, sock_diag
from ansible_collections.kubenode.doctor.plugins.module_utils.in_parallel import in_parallel
from ansible_collections.kubenode.doctor.plugins.module_utils.listener_index import WILDCARDS
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import STATES, Entry

_MESSAGE_BYTES = 88
_MESSAGE = struct.Struct("=IH10xBB2xH62xI")
_PORT = struct.Struct("=H")
_BIG_PORT = struct.Struct("!H")
_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:a.b.c.d, RFC 4291 2.5.5.2

# What a local port says about its socket: it came in; it went out, from a port that the kernel drew; or the other three numbers decide
# whether it came in, or went out from a drawn port or from a chosen one.
_CAME_IN, _DRAWN, _CHOSEN, _DEPENDS = range(4)
# The bytes that are 1 where a column of these is the one asked for.
_MASKS = [bytes(value == kind for value in range(256)) for kind in (_CAME_IN, _DRAWN, _CHOSEN)]
NOBODY = -1  # the pid of sockets that no process holds, such as a connection that was not accepted yet
# (state, local port, peer) of what came in, (state, port + source + peer) of what went out; as the kernel's bytes
Key = Tuple[Any, ...]


class Bunch(NamedTuple):
    """What sockets have in common: their state, the process that holds them, whether they came in and then the local, else the peer's port."""

    state: str
    pid: int
    incoming: bool
    port: int


class _Piles:
    """The piles of one family and kind: the size of each or, where inodes are kept, the inodes in it."""

    def __init__(self, family: str, incoming: bool) -> None:
        self.family = family
        self.incoming = incoming
        self.sizes: Counter[Key] = Counter()
        self.inodes: defaultdict[Key, list[int]] = defaultdict(list)

    def totals(self) -> Iterator[tuple[Key, int]]:
        """The size of each pile."""
        yield from self.sizes.items()
        yield from ((key, len(inodes)) for key, inodes in self.inodes.items())

    def port_and_peer(self, key: Key) -> tuple[bytes, bytes]:
        """The port that names a pile, and its peer's 4 or 16 bytes."""
        if self.incoming:
            return key[1], plain(self.family, key[2])
        return key[1][:2], plain(self.family, key[1][18:])


class Tally:
    """The sockets of one namespace besides its ``listeners``, given by ``add`` or, in bulk, by ``eat``.

    ``drawn`` is the inclusive range from which the kernel draws ports, None where that is not known: then any may be drawn.
    Without ``inodes`` sockets are counted and nobody can be asked who holds them.
    """

    def __init__(self, listeners: Iterable[Entry], drawn: Optional[Sequence[int]] = None, inodes: bool = True) -> None:
        self._inodes = inodes
        self._used: set[int] = set()
        self._kinds = {family: _kinds(drawn) for family in sock_diag.FAMILIES}
        self._unheard = _kinds(drawn)  # what a port says where nothing listens
        self._listens: dict[str, set[tuple[int, bytes]]] = {family: set() for family in sock_diag.FAMILIES}
        self._piles = {
            family: {kind: _Piles(family, kind == _CAME_IN) for kind in (_CAME_IN, _DRAWN, _CHOSEN)}
            for family in sock_diag.FAMILIES
        }
        for entry in listeners:
            self._listen(entry)

    def eat(self, family: str, datagram: bytes) -> int:
        """Count the answers in a datagram; return how many of its bytes they have. See netlink.feed."""
        return self._eat_equal(family, datagram) or self._eat_each(family, datagram)

    def add(self, entry: Entry, number: int) -> None:
        """Count one socket of kernel state ``number``."""
        ports = _BIG_PORT.pack(entry.port) + _BIG_PORT.pack(entry.peer_port)
        ends = ports + _long(entry.address) + _long(entry.peer)
        self._add(entry.family, number, _as_read(entry.port), ends, entry.inode or 0)

    def came_in(self, entry: Entry) -> bool:
        """Whether a connection came in, by the same signs as those that are counted."""
        ports = _as_read(entry.port), _as_read(entry.peer_port)
        return self._kind(entry.family, *ports, _long(entry.address)) == _CAME_IN

    def use(self, port: int) -> None:
        """Count a local port as used by a socket that is not to be counted itself."""
        self._used.add(_as_read(port))

    def _listen(self, entry: Entry) -> None:
        self.use(entry.port)
        port, kinds = _as_read(entry.port), self._kinds[entry.family]
        if entry.address == WILDCARDS[entry.family]:
            kinds[port] = _CAME_IN
        else:
            self._listens[entry.family].add((port, _long(entry.address)))
            if kinds[port] != _CAME_IN:
                kinds[port] = _DEPENDS

    def _kind(self, family: str, port: int, peer_port: int, source: bytes) -> int:
        kind = self._kinds[family][port]
        if kind != _DEPENDS:
            return kind
        if (port, source) in self._listens[family]:
            return _CAME_IN
        if self._unheard[port] == _DRAWN:
            return _DRAWN
        return _CAME_IN if self._unheard[peer_port] == _DRAWN else _CHOSEN

    def _eat_equal(self, family: str, datagram: bytes) -> int:
        """Count a datagram in which all answers have one length, as they have in nearly all, by columns; 0 for any other."""
        length = int.from_bytes(datagram[:4], sys.byteorder)
        if length < _MESSAGE_BYTES or length % 4 or len(datagram) % length:
            return 0
        count = len(datagram) // length
        words, halves = memoryview(datagram).cast("I"), memoryview(datagram).cast("H")
        equal = (
            words[0 :: length // 4].tolist().count(length) == count
            and halves[2 :: length // 2].tolist().count(sock_diag.BY_FAMILY) == count
            and datagram[16::length].count(sock_diag.FAMILIES[family]) == count
        )
        if not equal or not STATES.keys() >= set(datagram[17::length]):
            return 0
        ports = halves[10 :: length // 2].tolist()
        self._used.update(ports)
        kinds = bytearray(map(self._kinds[family].__getitem__, ports))
        at = kinds.find(_DEPENDS)
        while at >= 0:
            start = at * length
            peer_port = halves[(start + 22) // 2]
            kinds[at] = self._kind(family, ports[at], peer_port, datagram[start + 24 : start + 40])
            at = kinds.find(_DEPENDS, at)
        inodes = words[21 :: length // 4].tolist() if self._inodes else []
        for kind, piles in self._piles[family].items():
            if kind in kinds:
                self._count(piles, _form(kind, length).iter_unpack(datagram), kinds.translate(_MASKS[kind]), inodes)
        return len(datagram)

    def _count(self, piles: _Piles, rows: Iterable[Key], mask: bytearray, inodes: Iterable[int]) -> None:
        keys = compress(rows, mask)
        if not self._inodes:
            piles.sizes.update(keys)
            return
        for key, inode in zip(keys, compress(inodes, mask)):
            piles.inodes[key].append(inode)

    def _eat_each(self, family: str, datagram: bytes) -> int:
        at = 0
        while at <= len(datagram) - _MESSAGE_BYTES:
            length, kind, answered, state, port, inode = _MESSAGE.unpack_from(datagram, at)
            if kind != sock_diag.BY_FAMILY or state not in STATES or answered not in sock_diag.FAMILIES.values():
                break
            if not _MESSAGE_BYTES <= length <= len(datagram) - at:
                break
            if answered == sock_diag.FAMILIES[family]:  # see sock_diag.sockets
                self._add(family, state, port, datagram[at + 20 : at + 56], inode)
            at += netlink.align(length)
        return at

    def _add(self, family: str, state: int, port: int, ends: bytes, inode: int) -> None:
        """Count a socket, given its ports and addresses as the kernel tells them; ``port`` as it is read."""
        self._used.add(port)
        kind = self._kind(family, port, _PORT.unpack_from(ends, 2)[0], ends[4:20])
        key: Key = (state, ends[:2], ends[20:]) if kind == _CAME_IN else (state, ends[2:])
        piles = self._piles[family][kind]
        if self._inodes:
            piles.inodes[key].append(inode)
        else:
            piles.sizes[key] += 1

    def counts(self) -> dict[str, int]:
        """How many sockets are in each state."""
        found = [0] * (max(STATES) + 1)
        for piles in self._all():
            for key, size in piles.totals():
                found[key[0]] += size
        told = dict.fromkeys(STATES.values(), 0)
        for number, name in STATES.items():
            told[name] += found[number]
        return told

    def inodes(self, states: Collection[str]) -> Iterator[int]:
        """The inodes of all sockets in these states, 0 for those that nobody holds."""
        for piles in self._all():
            yield from chain.from_iterable(inodes for key, inodes in piles.inodes.items() if STATES[key[0]] in states)

    def bunches(self, states: Collection[str], holders: Optional[Mapping[int, int]]) -> dict[Bunch, dict[bytes, int]]:
        """The sockets in these states, counted by peer (its 4 or 16 bytes). ``holders`` has a pid by inode; 0 is for the
        others, and NOBODY for those without an inode."""
        found: dict[tuple[int, int, bool, bytes], dict[bytes, int]] = {}
        wanted = {number for number, name in STATES.items() if name in states}
        for piles in self._all():
            for key, pid, size in _by_holder(piles, holders):
                if key[0] in wanted:
                    port, peer = piles.port_and_peer(key)
                    peers = found.setdefault((key[0], pid, piles.incoming, port), {})
                    peers[peer] = peers.get(peer, 0) + size
        # Two numbers may have one name, so their bunches are one.
        bunches: dict[Bunch, dict[bytes, int]] = {}
        for (state, pid, incoming, port), peers in found.items():
            bunch = bunches.setdefault(Bunch(STATES[state], pid, incoming, _BIG_PORT.unpack(port)[0]), {})
            for peer, size in peers.items():
                bunch[peer] = bunch.get(peer, 0) + size
        return bunches

    def destinations(self, most: int) -> list[tuple[str, str, int, list[int]]]:
        """``(source, destination, port, inodes)`` of those that most sockets go out to, in whatever state, from ports that were drawn."""
        totals: dict[tuple[str, bytes], int] = {}
        for family in sock_diag.FAMILIES:
            for (_state, told), size in self._piles[family][_DRAWN].totals():
                totals[family, told] = totals.get((family, told), 0) + size
        # IPv4 has two spellings, one in each family; what leads in neither is not looked for.
        spellings: dict[tuple[bytes, bytes, bytes], set[tuple[str, bytes]]] = {}
        for family, told in heapq.nlargest(2 * most, totals, key=totals.__getitem__):
            ends = plain(family, told[2:18]), plain(family, told[18:]), told[:2]
            spellings.setdefault(ends, _spellings(*ends)).add((family, told))
        counts = {ends: sum(totals.get(key, 0) for key in keys) for ends, keys in spellings.items()}
        ranked = sorted(spellings, key=lambda ends: (-counts[ends], ends))[:most]
        inodes = self._inodes_of({key: ends for ends in ranked for key in spellings[ends]})
        return [
            (address(source), address(destination), _BIG_PORT.unpack(port)[0], inodes[source, destination, port])
            for source, destination, port in ranked
        ]

    def used(self, low: int, high: int) -> int:
        """How many local ports from ``low`` to ``high`` some socket has."""
        used = array("H", self._used)
        if sys.byteorder == "little":
            used.byteswap()
        return sum(low <= port <= high for port in used)

    def _all(self) -> Iterator[_Piles]:
        for kinds in self._piles.values():
            yield from kinds.values()

    def _inodes_of(self, wanted: Mapping[tuple[str, bytes], Any]) -> dict[Any, list[int]]:
        """The inodes of outgoing piles by what ``wanted`` calls them; 0 for each where none were kept."""
        found: dict[Any, list[int]] = {name: [] for name in wanted.values()}
        for family in sock_diag.FAMILIES:
            piles = self._piles[family][_DRAWN]
            for key, size in piles.totals():
                name = wanted.get((family, key[1]))
                if name is not None:
                    found[name] += piles.inodes.get(key) or [0] * size
        return found


def read(tally: Tally, states: int, connect: netlink.Connect = netlink.connect) -> None:
    """Count the sockets in ``states`` (a mask) of the namespace that ``connect`` opens. Raises netlink.NetlinkError."""

    def read_family(family: str) -> None:
        body = sock_diag.request(family, "tcp", states)
        eat = functools.partial(tally.eat, family)
        netlink.feed(netlink.NETLINK_SOCK_DIAG, sock_diag.BY_FAMILY, body, eat, connect)

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


@functools.lru_cache(maxsize=64)
def _form(kind: int, length: int) -> struct.Struct:
    """How the key of a pile stands in an answer of this length."""
    rest = length - 56
    return struct.Struct(f"=17xB2x2s18x16s{rest}x" if kind == _CAME_IN else f"=17xB4x34s{rest}x")


def _kinds(drawn: Optional[Sequence[int]]) -> bytearray:
    """What each port, as it is read, says of a socket where nothing listens."""
    low, high = (drawn[0], drawn[1]) if drawn else (0, 65535)
    plain_order = bytearray([_DEPENDS]) * 65536
    plain_order[low : high + 1] = bytes([_DRAWN]) * (high + 1 - low)
    if sys.byteorder == "big":
        return plain_order
    turned = bytearray(65536)
    for first in range(256):  # the ports with this first byte are read with it as their last
        turned[first::256] = plain_order[first * 256 : first * 256 + 256]
    return turned


def _by_holder(piles: _Piles, holders: Optional[Mapping[int, int]]) -> Iterator[tuple[Key, int, int]]:
    """Yield ``(key, pid, size)`` for each pile and each process that holds some of it."""
    if holders is None:
        yield from ((key, 0, size) for key, size in piles.totals())
        return
    for key, inodes in piles.inodes.items():
        if len(inodes) == 1:  # as most are
            yield key, _holder(holders, inodes[0]), 1
        else:
            pids = Counter(_holder(holders, inode) for inode in inodes)
            yield from ((key, pid, size) for pid, size in pids.items())


def _holder(holders: Mapping[int, int], inode: int) -> int:
    return holders.get(inode, 0) if inode else NOBODY


def _spellings(source: bytes, destination: bytes, port: bytes) -> set[tuple[str, bytes]]:
    """The ends, by family, of what goes out from ``source`` to ``destination``, addresses as ``plain`` gives them."""
    ends = source, destination
    found = {("ipv6", port + b"".join(_MAPPED + end if len(end) == 4 else end for end in ends))}
    if all(len(end) == 4 for end in ends):
        found.add(("ipv4", port + b"".join(end.ljust(16, b"\0") for end in ends)))
    return found


def _long(text: str) -> bytes:
    """An address in the 16 bytes that the kernel gives it in its own family."""
    return packed(text).ljust(16, b"\0")


def _as_read(port: int) -> int:
    """A port as it is read, network byte order taken for the machine's, and back: turning each round would cost too much."""
    return int(_PORT.unpack(_BIG_PORT.pack(port))[0])
