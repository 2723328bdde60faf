# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a pod answer where a Service sends its packets? Pure: a pod's waiting sockets, and one protocol, address and port.

What a wildcard accepts is the kernel's own matrix, as bind_overlap has it: 0.0.0.0 any IPv4 address, [::] any IPv6 address, and any
IPv4 address too unless it is IPv6-only.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

LISTENS = "listens"
WRONG_ADDRESS = "wrong address"  # only on loopback, or on another address of the same family
WRONG_FAMILY = "wrong family"
WRONG_PROTOCOL = "wrong protocol"
NOBODY = "nobody"
UNSEEN = "unseen"  # whether somebody listens is not known
DEAF = (WRONG_ADDRESS, WRONG_FAMILY, WRONG_PROTOCOL, NOBODY)  # that nobody answers is sure

V6ONLY_UNKNOWN = "whether a listener on [::] takes IPv4 too was not seen (only sock_diag inside the pod's network tells): run with become (-b)"

_IP = ipaddress.IPv4Address | ipaddress.IPv6Address


class Listening(NamedTuple):
    """A waiting socket: ``protocol`` tcp or udp, ``family`` ipv4 or ipv6, ``v6only`` None where it was not seen or is IPv4.

    ``process`` is the kernel's name of its program, ``container`` the name of its container; None where not seen.
    """

    protocol: str
    family: str
    address: str
    port: int
    v6only: bool | None = None
    process: str | None = None
    container: str | None = None


class Verdict(NamedTuple):
    """``kind`` is one of the words above. ``instead`` are the sockets that explain it: the ones on the port, else what the pod listens on.

    For UNSEEN, ``why`` is a reason that many pods may share, and ``place`` where it holds (a node, a pod), if anywhere in particular.
    """

    kind: str
    instead: tuple[Listening, ...] = ()
    why: str = ""
    place: str = ""


def judge(listeners: Iterable[Listening], protocol: str, address: str, port: int) -> Verdict:
    """Judge a pod's sockets against one endpoint: ``protocol`` tcp or udp, the endpoint's address and port number."""
    listeners = tuple(listeners)
    there = tuple(entry for entry in listeners if (entry.protocol, entry.port) == (protocol, port))
    target = ipaddress.ip_address(address)
    accepting = [_accepts(entry, target) for entry in there]
    if True in accepting:
        return Verdict(LISTENS, tuple(entry for entry, accepts in zip(there, accepting, strict=True) if accepts))
    if None in accepting:
        return Verdict(UNSEEN, there, V6ONLY_UNKNOWN)
    if there:
        return Verdict(_why_not(there, target), there)
    others = tuple(entry for entry in listeners if entry.port == port)
    if others:
        return Verdict(WRONG_PROTOCOL, others)
    return Verdict(NOBODY, tuple(entry for entry in listeners if entry.protocol == protocol))


def _accepts(entry: Listening, target: _IP) -> bool | None:
    """Whether a socket gets packets for this address; None when that hangs on what was not seen."""
    own = address_of(entry)
    if not own.is_unspecified:
        return own == target
    if own.version == target.version:
        return True
    if own.version == 4 or entry.family == "ipv4":
        return False
    return None if entry.v6only is None else not entry.v6only


def _why_not(there: tuple[Listening, ...], target: _IP) -> str:
    own = [address_of(entry) for entry in there]
    if all(address.is_loopback for address in own):
        return WRONG_ADDRESS
    same = any(address.version == target.version and not address.is_loopback for address in own)
    return WRONG_ADDRESS if same else WRONG_FAMILY


def address_of(entry: Listening) -> _IP:
    """The address of a socket, without a zone, IPv4 also where it is written as ::ffff:a.b.c.d. Raises ValueError."""
    return _parsed(entry.address)


@functools.lru_cache(maxsize=10_000)  # most sockets of a fleet wait on the same few
def _parsed(text: str) -> _IP:
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
