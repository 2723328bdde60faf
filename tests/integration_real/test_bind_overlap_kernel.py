# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bind_overlap against the running kernel: real sockets, each kind of holder on each address before each wanted one."""

from __future__ import annotations

import errno
import itertools
import socket
import struct

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.bind_overlap import (
    Address,
    Certainty,
    Holder,
    blocks_listen,
    overlaps,
)
from ansible_collections.kubenode.doctor.tests.integration_real.fresh_netns import (
    in_fresh_netns,
    ip,
    needs_root,
    sysctl_net,
)

pytestmark = needs_root

CONCRETE = [
    Address("ipv4", "127.0.0.1"),
    Address("ipv4", "127.0.0.2"),
    Address("ipv4", "10.77.0.1"),
    Address("ipv6", "::1"),
    Address("ipv6", "fd00:77::1"),
    Address("ipv6", "::ffff:10.77.0.1"),
    Address("ipv6", "::ffff:127.0.0.1"),
    Address("ipv6", "fe80::77%nd0"),
    Address("ipv6", "fe80::77%nd1"),
    Address("ipv6", "fe80::78%nd1"),
]
WILDCARDS = [
    Address("ipv4", "0.0.0.0"),
    Address("ipv6", "::", v6only=False),
    Address("ipv6", "::", v6only=True),
    Address("ipv6", "::ffff:0.0.0.0"),
]
ALL = WILDCARDS + CONCRETE

REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1", "::ffff:0.0.0.0": "::ffff:127.0.0.1"}

FAMILY = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h; connect() then draws the port, as it does for an unbound socket
PEER_PORT = 9  # of the far end, away from every port that is tried
FIRST_PORT = 20000


def sockaddr(place, port):
    text, _percent, interface = place.address.partition("%")
    if place.family == "ipv4":
        return (text, port)
    return (text, port, 0, socket.if_nametoindex(interface) if interface else 0)


def new_socket(place, kind, reuseaddr):
    sock = socket.socket(FAMILY[place.family], kind)
    sock.settimeout(5)
    if place.family == "ipv6":
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(place.v6only)))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuseaddr))
    return sock


def bound(place, port, kind, reuseaddr):
    sock = new_socket(place, kind, reuseaddr)
    sock.bind(sockaddr(place, port))
    return sock


def listening(place, port, reuseaddr):
    sock = bound(place, port, socket.SOCK_STREAM, reuseaddr)
    sock.listen(8)
    return sock


def state_of(sock):
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def reset(sock):
    """Close without leaving a TIME-WAIT."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Keep(list):
    """Sockets that must stay open while the kernel is asked, and are reset afterwards."""

    def reset(self):
        for sock in self:
            reset(sock)


# Each maker leaves one socket on `port` and returns (what a tool would see of its address, state, origin).


def make_listener(place, port, reuseaddr, keep):
    keep.append(listening(place, port, reuseaddr))
    return place, "listen", None


def make_bound(place, port, reuseaddr, keep):
    keep.append(bound(place, port, socket.SOCK_STREAM, reuseaddr))
    return place, "bound", None


def bind_nothing(_sock, _place, port):
    """connect() draws address and port, and there is one port to draw."""
    sysctl_net("ipv4.ip_local_port_range", f"{port} {port}")


def bind_address(sock, place, port):
    bind_nothing(sock, place, port)
    sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind(sockaddr(place, 0))


def bind_port(sock, place, port):
    sock.bind(sockaddr(place, port))


def seen_address(sock, place):
    """`place` with the socket's own v6only, which bind() to an IPv6 address turns on."""
    if place.family == "ipv4":
        return place
    return place._replace(v6only=bool(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)))


def connected(place, port, kind, reuseaddr, bind):
    """A socket connected from `place`:`port` to another port of the same address."""
    sock = new_socket(place, kind, reuseaddr)
    bind(sock, place, port)
    sock.connect(sockaddr(place, PEER_PORT))
    assert sock.getsockname()[:2] == sockaddr(place, port)[:2]
    return sock


def outgoing(bind, finish):
    def make(place, port, reuseaddr, keep):
        with listening(place, PEER_PORT, True) as server:
            near = connected(place, port, socket.SOCK_STREAM, reuseaddr, bind)
            far = server.accept()[0]
        seen = seen_address(near, place)
        return seen, finish(near, far, keep), "outgoing"

    return make


def accepted(finish):
    def make(place, port, reuseaddr, keep):
        server = listening(place, port, reuseaddr)
        target = {"0.0.0.0": "127.0.0.1", "::": "::1", "::ffff:0.0.0.0": "::ffff:127.0.0.1"}.get(
            place.address, place.address
        )
        target = Address(place.family, target)
        far = new_socket(target, socket.SOCK_STREAM, False)
        far.bind(sockaddr(target, PEER_PORT))
        far.connect(sockaddr(target, port))
        near = server.accept()[0]
        near.settimeout(5)
        server.close()
        seen = seen_address(near, target)
        return seen, finish(near, far, keep), "accepted"

    return make


def accepted_from_dual(place, port, reuseaddr, keep):
    """An IPv4 client of a "[::]" listener: an IPv6 socket with a mapped address."""
    server = listening(Address("ipv6", "::", v6only=False), port, reuseaddr)
    far = bound(place, PEER_PORT, socket.SOCK_STREAM, False)
    far.connect(sockaddr(place, port))
    near = server.accept()[0]
    server.close()
    keep.extend([near, far])
    return seen_address(near, Address("ipv6", near.getsockname()[0])), "established", "accepted"


def stay_established(near, far, keep):
    keep.extend([near, far])
    assert state_of(near) == 1
    return "established"


def to_time_wait(near, far, _keep):
    near.shutdown(socket.SHUT_WR)
    assert far.recv(1) == b""
    far.close()
    assert near.recv(1) == b""
    near.close()
    return "time_wait"


def to_fin_wait2(near, far, keep):
    near.shutdown(socket.SHUT_WR)
    assert far.recv(1) == b""
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # or the FIN is acknowledged 40 ms later
    assert state_of(near) == 5
    keep.extend([near, far])
    return "fin_wait2"


def to_orphaned_fin_wait2(near, far, keep):
    near.close()
    assert far.recv(1) == b""
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    keep.append(far)
    return "fin_wait2"


def to_close_wait(near, far, keep):
    far.shutdown(socket.SHUT_WR)
    assert near.recv(1) == b""
    assert state_of(near) == 8
    keep.extend([near, far])
    return "close_wait"


def make_syn_sent(place, port, reuseaddr, keep):
    """The far end's accept queue is full, so the SYN is dropped."""
    server = bound(place, PEER_PORT, socket.SOCK_STREAM, True)
    server.listen(0)
    filler = new_socket(place, socket.SOCK_STREAM, False)
    filler.connect(sockaddr(place, PEER_PORT))
    near = bound(place, port, socket.SOCK_STREAM, reuseaddr)
    near.setblocking(False)
    assert near.connect_ex(sockaddr(place, PEER_PORT)) == errno.EINPROGRESS
    assert state_of(near) == 2
    keep.extend([server, filler, near])
    return seen_address(near, place), "syn_sent", "outgoing"


TCP_HOLDERS = {
    "listener": (make_listener, ALL),
    "bound": (make_bound, ALL),
    "outgoing, nothing bound, established": (outgoing(bind_nothing, stay_established), CONCRETE),
    "outgoing, nothing bound, time_wait": (outgoing(bind_nothing, to_time_wait), CONCRETE),
    "outgoing, address bound, established": (outgoing(bind_address, stay_established), CONCRETE),
    "outgoing, address bound, time_wait": (outgoing(bind_address, to_time_wait), CONCRETE),
    "outgoing, address bound, fin_wait2": (outgoing(bind_address, to_fin_wait2), CONCRETE),
    "outgoing, address bound, orphan": (outgoing(bind_address, to_orphaned_fin_wait2), CONCRETE),
    "outgoing, address bound, close_wait": (outgoing(bind_address, to_close_wait), CONCRETE),
    "outgoing, port bound, established": (outgoing(bind_port, stay_established), CONCRETE),
    "outgoing, port bound, time_wait": (outgoing(bind_port, to_time_wait), CONCRETE),
    "outgoing, syn_sent": (make_syn_sent, CONCRETE),
    "accepted, established": (accepted(stay_established), ALL),
    "accepted, time_wait": (accepted(to_time_wait), ALL),
    "accepted, fin_wait2": (accepted(to_fin_wait2), ALL),
    "accepted, close_wait": (accepted(to_close_wait), ALL),
    "accepted by dual stack": (accepted_from_dual, CONCRETE[:3]),
}


def make_udp(place, port, reuseaddr, keep):
    keep.append(bound(place, port, socket.SOCK_DGRAM, reuseaddr))
    return place, "close", None


def udp_connected(bind):
    def make(place, port, reuseaddr, keep):
        sock = connected(place, port, socket.SOCK_DGRAM, reuseaddr, bind)
        keep.append(sock)
        return seen_address(sock, place), "established", "outgoing"

    return make


UDP_HOLDERS = {
    "udp": (make_udp, ALL),
    "udp, nothing bound, connected": (udp_connected(bind_nothing), CONCRETE),
    "udp, port bound, connected": (udp_connected(bind_port), CONCRETE),
}


def kernel_refuses(protocol, wanted, port, reuseaddr):
    try:
        if protocol == "tcp":
            listening(wanted, port, reuseaddr).close()
        else:
            bound(wanted, port, socket.SOCK_DGRAM, reuseaddr).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return True
    return False


def set_up_addresses():
    ip("addr", "add", "127.0.0.2/32", "dev", "lo")
    ip("addr", "add", "10.77.0.1/32", "dev", "lo")
    ip("addr", "add", "fd00:77::1/128", "dev", "lo", "nodad")
    ip("link", "add", "nd0", "type", "veth", "peer", "name", "nd1")
    ip("addr", "add", "fe80::77/64", "dev", "nd0", "nodad")
    ip("addr", "add", "fe80::77/64", "dev", "nd1", "nodad")
    ip("addr", "add", "fe80::78/64", "dev", "nd1", "nodad")
    ip("link", "set", "nd0", "up")
    ip("link", "set", "nd1", "up")
    sysctl_net("ipv4.ip_unprivileged_port_start", "0")


def ask_kernel(protocol, make, places):
    """[holder, wanted, wanted's reuseaddr, refused] for every pair, each on a port nobody used before."""
    set_up_addresses()
    rows = []
    ports = itertools.count(FIRST_PORT)
    for place, wanted, holder_reuse, wanted_reuse in itertools.product(places, ALL, (False, True), (False, True)):
        port = next(ports)
        keep = Keep()
        seen, state, origin = make(place, port, holder_reuse, keep)
        refused = kernel_refuses(protocol, wanted, port, wanted_reuse)
        keep.reset()
        rows.append([[protocol, seen, state, origin, holder_reuse], wanted, wanted_reuse, refused])
    return rows


def holder_of(row):
    protocol, place, state, origin, reuseaddr = row
    return Holder(protocol, Address(*place), state, origin, reuseaddr)


HOLDERS = [("tcp", name) for name in TCP_HOLDERS] + [("udp", name) for name in UDP_HOLDERS]


@pytest.fixture(scope="module", params=HOLDERS, ids=["{}-{}".format(*pair) for pair in HOLDERS])
def answers(request):
    protocol, name = request.param
    make, places = (TCP_HOLDERS if protocol == "tcp" else UDP_HOLDERS)[name]
    rows = in_fresh_netns(ask_kernel, protocol, make, places)
    assert len(rows) == len(places) * len(ALL) * 4
    assert {row[-1] for row in rows} == {True, False}, "the kernel gave one answer to everything: the test is blind"
    return [(holder_of(holder), Address(*wanted), reuse, refused) for holder, wanted, reuse, refused in rows]


def test_with_everything_known_the_answer_is_the_kernels(answers):
    wrong = [
        (holder, wanted, reuse, "kernel refuses" if refused else "kernel allows")
        for holder, wanted, reuse, refused in answers
        if blocks_listen(holder, wanted, reuse) != (Certainty.YES if refused else Certainty.NO)
    ]
    assert wrong == []


def test_with_things_unseen_the_answer_never_denies_what_the_kernel_does(answers):
    """v6only and the holder's SO_REUSEADDR hidden, as without sock_diag: less certain, never the opposite."""
    wrong = []
    for holder, wanted, reuse, refused in answers:
        blind = holder._replace(reuseaddr=None, origin=None, address=holder.address._replace(v6only=None))
        answer = blocks_listen(blind, wanted, reuse)
        if answer == (Certainty.NO if refused else Certainty.YES):
            wrong.append((blind, wanted, reuse, refused, answer))
    assert wrong == []


def test_unset_option_means_what_go_sets(answers):
    for holder, wanted, reuse, _refused in answers:
        if reuse == (holder.protocol == "tcp"):
            assert blocks_listen(holder, wanted) == blocks_listen(holder, wanted, reuse)


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations_with_replacement(ALL, 2)))
def test_overlap_is_symmetric(one, other):
    both_ways = [overlaps(*pair) for pair in ((one, other), (other, one))]
    assert both_ways[0] == both_ways[1]
