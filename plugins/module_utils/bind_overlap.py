# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sockets stop another socket from opening the same port: the kernel's rule, as two pure functions.

Both compare sockets of one network namespace, one protocol and one port number; the caller sees to that.
Rule and names: Linux net/ipv4/inet_connection_sock.c, ipv6_rcv_saddr_equal (addresses) and inet_bind_conflict
(SO_REUSEADDR, states); UDP: net/ipv4/udp.c, udp_lib_lport_inuse. SO_REUSEPORT is left out because it needs the
consent of both sockets and Go's net package, with which every Kubernetes component listens, never sets it.
tests/integration_real/test_bind_overlap_kernel.py asks the running kernel about every pair.
"""

from __future__ import annotations

import enum
import ipaddress
from typing import Callable, NamedTuple, Union


class Certainty(enum.IntEnum):
    """An answer that may rest on something nobody saw. NO is false; POSSIBLE and YES are true."""

    NO = 0
    POSSIBLE = 1
    YES = 2


class Address(NamedTuple):
    """Where a socket is bound.

    ``family`` is the socket's own, "ipv4" or "ipv6"; ``address`` its text, where an IPv6 socket may hold a mapped
    IPv4 address ("::ffff:10.0.0.1") and "%eth0" or "%2" names the interface it is limited to. ``v6only`` matters for
    "::" and for IPv6 connections; None means that it was not seen (the kernel shows it for "::" listeners only).
    """

    family: str
    address: str
    v6only: bool | None = None


class Holder(NamedTuple):
    """A socket that is there already.

    ``state`` is a name of socket_entry.STATES. ``origin`` says how a TCP socket that does not listen came to its
    port: "outgoing" (connect() drew the port), "accepted", or None when that is not known. ``reuseaddr`` is its
    SO_REUSEADDR, which the kernel shows to nobody but the owner: None unless the caller opened the socket itself.
    """

    protocol: str
    address: Address
    state: str
    origin: str | None = None
    reuseaddr: bool | None = None


_IP = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
_FAMILIES: dict[str, Callable[[str], _IP]] = {"ipv4": ipaddress.IPv4Address, "ipv6": ipaddress.IPv6Address}
_ORIGINS = (None, "outgoing", "accepted")

# Go, src/net/sock_posix.go: listenStream calls setDefaultListenerSockopts, which sets SO_REUSEADDR (sockopt_linux.go);
# listenDatagram sets it for multicast addresses only.
_GO_SETS_REUSEADDR = {"tcp": True, "udp": False}


def overlaps(one: Address, other: Address) -> Certainty:
    """Would the kernel count the two addresses as the same place? Symmetric.

    POSSIBLE: "::" against an IPv4 address while v6only was not seen; two equal link-local addresses, or two interface
    limits of which one is a name and one a number, while the interface is not known.
    Raises ValueError, naming the text, for an address that is none or is not of its family.
    """
    first, first_interface = _parse(one)
    second, second_interface = _parse(other)
    answer = min(
        _addresses_meet(first, one.v6only, second, other.v6only),
        _interfaces_meet(first_interface, second_interface),
    )
    if first.is_link_local and first == second and not (first_interface and second_interface):
        return min(answer, Certainty.POSSIBLE)
    return answer


def blocks_listen(holder: Holder, wanted: Address, reuseaddr: bool | None = None) -> Certainty:
    """Does ``holder`` stop a new socket from listening (UDP: being bound) at ``wanted``?

    ``reuseaddr`` is the new socket's SO_REUSEADDR; None means what Go's net.Listen and net.ListenUDP do: set for TCP,
    not set for UDP. Answers, when the addresses overlap:

    * a TCP listener blocks, whatever the options;
    * any other socket, TIME-WAIT included, blocks unless both have SO_REUSEADDR. An accepted socket has its
      listener's setting, so POSSIBLE where that is not known. A socket that connect() bound counts as not having
      it: Go, Java, libcurl and OpenSSH leave it off when they dial;
    * a half-open connection (syn_recv) never: it has no port of its own, its listener answers for it;
    * an IPv6 connection whose v6only is off also blocks 0.0.0.0, although their addresses have nothing in common.

    Raises ValueError for an address as overlaps() does, and for a protocol or an origin it does not know.
    """
    if holder.protocol not in _GO_SETS_REUSEADDR:
        raise ValueError(f"no bind rule for protocol {holder.protocol!r}: tcp and udp are known")
    if holder.origin not in _ORIGINS:
        raise ValueError(f"origin {holder.origin!r} is neither outgoing, accepted nor None")
    overlap = max(overlaps(holder.address, wanted), _connection_meets_any_ipv4(holder, wanted))
    if holder.state == "syn_recv":
        return Certainty.NO
    if reuseaddr is None:
        reuseaddr = _GO_SETS_REUSEADDR[holder.protocol]
    if holder.state == "listen" or not reuseaddr:
        return overlap
    return min(overlap, _lacks_reuseaddr(holder))


def _parse(place: Address) -> tuple[_IP, str]:
    """The address as the kernel compares it (a mapped one is IPv4), and its interface or ""."""
    text, _percent, interface = place.address.partition("%")
    parse = _FAMILIES.get(place.family)
    if parse is None:
        raise ValueError(f"address family {place.family!r} is neither ipv4 nor ipv6")
    try:
        address = parse(text)
    except ValueError:
        raise ValueError(f"{place.address!r} is not an {place.family} address") from None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address, interface


def _addresses_meet(one: _IP, one_v6only: bool | None, other: _IP, other_v6only: bool | None) -> Certainty:
    if one.version == other.version:
        return Certainty.YES if one == other or one.is_unspecified or other.is_unspecified else Certainty.NO
    six, v6only = (one, one_v6only) if one.version == 6 else (other, other_v6only)
    if not six.is_unspecified or v6only:
        return Certainty.NO
    return Certainty.POSSIBLE if v6only is None else Certainty.YES


def _interfaces_meet(one: str, other: str) -> Certainty:
    """Sockets limited to different interfaces never meet (sk_bound_dev_if); an unlimited one meets all."""
    if not one or not other or one == other:
        return Certainty.YES
    return Certainty.POSSIBLE if one.isdigit() != other.isdigit() else Certainty.NO


def _connection_meets_any_ipv4(holder: Holder, wanted: Address) -> Certainty:
    """An IPv6 connection is in the way of an IPv4 socket on 0.0.0.0 unless it is v6only.

    For an AF_INET newcomer inet_rcv_saddr_equal() compares IPv4 addresses, of which 0.0.0.0 equals any, and looks at
    nothing but ipv6_only_sock() of the other. bind() to an IPv6 address turns that flag on (__inet6_bind); an
    outgoing connection that was not bound and a connection accepted by a "[::]" listener for both families lack it.
    """
    if wanted.family != "ipv4" or holder.address.family != "ipv6" or holder.state in ("listen", "bound", "close"):
        return Certainty.NO
    if not _parse(wanted)[0].is_unspecified or holder.address.v6only:
        return Certainty.NO
    return Certainty.POSSIBLE if holder.address.v6only is None else Certainty.YES


def _lacks_reuseaddr(holder: Holder) -> Certainty:
    if holder.reuseaddr is None:
        return Certainty.YES if holder.origin == "outgoing" else Certainty.POSSIBLE
    return Certainty.NO if holder.reuseaddr else Certainty.YES
