# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tcp_tally beside a plain count, one socket after the other, on what a kernel sent and on anything else that may arrive."""

from __future__ import annotations

import json
import socket
import struct
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink, sock_diag, tcp_tally
from ansible_collections.kubenode.doctor.plugins.module_utils.listener_index import WILDCARDS
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import STATES, Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_tally import NOBODY, Bunch, Tally
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_kernel import (
    BY_FAMILY,
    Kernel,
    Sock,
    datagrams,
    message,
    payload,
)

STUCK = json.loads((Path(__file__).parents[3] / "fixtures" / "sock_diag" / "stuck.json").read_text("ascii"))
CAPTURED = {name[4:]: [bytes.fromhex(text) for text in texts] for name, texts in STUCK["datagrams"].items()}
DONE = message(struct.pack("=i", 0), 3)
FAMILIES = ("ipv4", "ipv6")
NAMES = frozenset(STATES.values())
ALL = 0xFFFFFFFF
NUMBERS = {name: number for number, name in STATES.items()}


def listener(address, port):
    family = "ipv6" if ":" in address else "ipv4"
    return Entry("tcp", family, "listen", address, port, WILDCARDS[family], 0, 0, 128, 0, port)


def listeners(*ports):
    """Listeners on all addresses of both families, as two programs may have them."""
    return [listener(address, port) for port in ports for address in WILDCARDS.values()]


def tally_of(socks, *ports, drawn=None):
    made = Tally(listeners(*ports), drawn)
    tcp_tally.read(made, ALL & ~(1 << 13), Kernel(socks).connect)
    return made


def plain(address):
    return address[7:] if address.startswith("::ffff:") and "." in address else address


def counted(tally, holders=None):
    """All bunches of a tally, peers as text."""
    return {
        bunch: {tcp_tally.address(raw): count for raw, count in peers.items()}
        for bunch, peers in tally.bunches(NAMES, holders).items()
    }


class Plain:
    """The same count from entries, one after the other."""

    def __init__(self, entries, waiting, drawn=None):
        self.entries = [entry._replace(state={"bound": "close"}.get(entry.state, entry.state)) for entry in entries]
        self.waiting = waiting
        self.drawn = range(drawn[0], drawn[1] + 1) if drawn else range(65536)

    def came_in(self, entry):
        places = {(one.family, one.address, one.port) for one in self.waiting}
        if any((entry.family, at, entry.port) in places for at in (entry.address, WILDCARDS[entry.family])):
            return True
        return entry.port not in self.drawn and entry.peer_port in self.drawn

    def states(self):
        return Counter(entry.state for entry in self.entries)

    def inodes(self):
        return sorted(entry.inode for entry in self.entries)

    def bunches(self, holders=None):
        found = {}
        for entry in self.entries:
            incoming = self.came_in(entry)
            pid = 0 if holders is None else holders.get(entry.inode, 0) if entry.inode else NOBODY
            bunch = Bunch(entry.state, pid, incoming, entry.port if incoming else entry.peer_port)
            found.setdefault(bunch, Counter())[plain(entry.peer)] += 1
        return found

    def used(self):
        return len({entry.port for entry in [*self.entries, *self.waiting]})

    def destinations(self):
        found = {}
        for entry in self.entries:
            if not self.came_in(entry) and entry.port in self.drawn:
                ends = plain(entry.address), plain(entry.peer), entry.peer_port
                found.setdefault(ends, []).append(entry.inode)
        return {ends: sorted(inodes) for ends, inodes in found.items()}


def assert_equal(tally, expected, holders=None):
    states = expected.states()
    assert {name: count for name, count in tally.counts().items() if count} == dict(states)
    assert sorted(tally.inodes(NAMES)) == expected.inodes()
    assert counted(tally) == expected.bunches()
    assert counted(tally, holders or {}) == expected.bunches(holders or {})
    assert tally.used(0, 65535) == expected.used()
    told = tally.destinations(10_000)
    assert {ends: sorted(inodes) for *ends, inodes in told for ends in [tuple(ends)]} == expected.destinations()
    assert [len(inodes) for *_ends, inodes in told] == sorted((len(inodes) for *_ends, inodes in told), reverse=True)


def parsed(family, sent):
    """What sock_diag.parse makes of the heads of one family's datagrams; raises NetlinkError for what is none."""
    return [entry for entry in _parsed(sent) if entry.family == family]


def _parsed(sent):
    for datagram in sent:
        for kind, flags, body in netlink.messages(datagram):
            if kind == 3 and not flags & 0x10 and (len(body) < 4 or not -4096 < struct.unpack_from("=i", body)[0] < 0):
                return
            if kind != BY_FAMILY:
                raise netlink.NetlinkError("not an answer")
            yield sock_diag.parse(body[:72], "tcp")


def eaten(tally, family, sent):
    """Feed datagrams to a tally as a kernel would send them."""

    class Link:
        def __init__(self):
            self.left = list(sent)

        def __enter__(self):
            return self

        def __exit__(self, *_error):
            pass

        def settimeout(self, _seconds):
            pass

        def send(self, _request):
            pass

        def recvmsg_into(self, rooms):
            datagram = self.left.pop(0)
            rooms[0][: len(datagram)] = datagram
            return len(datagram), [], 0, (0, 0)

    netlink.feed(4, BY_FAMILY, b"", partial(tally.eat, family), lambda _protocol: Link())


@pytest.mark.parametrize("ports", [(), (36601,), (36601, 36602, 36603), (35011, 179)])
def test_what_a_kernel_sent(ports):
    tally, entries = Tally(listeners(*ports)), []
    for family, sent in CAPTURED.items():
        eaten(tally, family, sent)
        entries += parsed(family, sent)
    assert len(entries) == 33
    holders = {entry.inode: entry.inode % 3 + 1 for entry in entries if entry.inode}
    assert_equal(tally, Plain(entries, listeners(*ports)), holders)


def test_it_and_the_rows_of_proc_net_are_the_same_to_a_tally():
    waiting = [listener("127.0.0.1", 36601), listener("::", 36603)]
    by_datagram, by_entry = Tally(waiting, (35000, 35030)), Tally(waiting, (35000, 35030))
    entries = [entry for family, sent in CAPTURED.items() for entry in parsed(family, sent)]
    for family, sent in CAPTURED.items():
        eaten(by_datagram, family, sent)
    for entry in entries:
        by_entry.add(entry, NUMBERS[entry.state])
    assert_equal(by_entry, Plain(entries, waiting, (35000, 35030)))
    assert counted(by_entry) == counted(by_datagram)
    assert by_entry.used(30000, 40000) == by_datagram.used(30000, 40000)


def test_the_made_up_kernel_writes_what_a_real_one_does():
    """All other tests here, and those of tcp_reader and tcp_states, rest on it."""
    real = [body for datagram in CAPTURED["ipv4"] for kind, _flags, body in netlink.messages(datagram) if kind == 20]
    for body in real:
        entry = sock_diag.parse(body, "tcp")
        made = Sock(entry.state, entry.address, entry.port, entry.peer, entry.peer_port, entry.inode, entry.rqueue)
        made = made._replace(wqueue=entry.wqueue, cookie=struct.unpack("=Q", entry.cookie)[0])
        written = payload(made)
        # Beside what the socket says: timer and retransmissions at 2, the interface at 40, the time to the next one at 52.
        for start, end in ((0, 2), (4, 40), (44, 52), (56, 72)):
            assert written[start:end] == bytes(body[start:end])
        assert dict(netlink.attributes(memoryview(written)[72:])).keys() <= dict(netlink.attributes(body[72:])).keys()


# Three clients of a listener on port 80 and calls to two peers; IPv4 in both of its spellings.
CAME_IN = [
    Sock("established", "10.0.0.1", 80, "10.0.0.7", 40001, inode=1),
    Sock("established", "::ffff:10.0.0.1", 80, "::ffff:10.0.0.7", 40002, inode=2),
    Sock("established", "fd00::1", 80, "fd00::7", 40003, inode=3),
    Sock("time_wait", "10.0.0.1", 80, "10.0.0.7", 40004),
]
WENT_OUT = [
    Sock("established", "10.0.0.1", 50001, "10.0.0.8", 443, inode=4),
    Sock("established", "::ffff:10.0.0.1", 50002, "::ffff:10.0.0.8", 443, inode=5),
    Sock("syn_sent", "10.0.0.1", 50003, "10.0.0.8", 443, inode=6),
    Sock("time_wait", "::ffff:10.0.0.1", 50004, "::ffff:10.0.0.8", 443),
    Sock("established", "10.0.0.2", 50001, "10.0.0.8", 443, inode=7),
    Sock("established", "fd00::1", 50005, "fd00::8", 443, inode=8),
]


def test_bunches_without_holders():
    assert counted(tally_of(CAME_IN + WENT_OUT, 80)) == {
        Bunch("established", 0, True, 80): {"10.0.0.7": 2, "fd00::7": 1},
        Bunch("time_wait", 0, True, 80): {"10.0.0.7": 1},
        Bunch("established", 0, False, 443): {"10.0.0.8": 3, "fd00::8": 1},
        Bunch("syn_sent", 0, False, 443): {"10.0.0.8": 1},
        Bunch("time_wait", 0, False, 443): {"10.0.0.8": 1},
    }


def test_bunches_by_process():
    holders = {1: 100, 2: 100, 3: 200, 4: 300, 5: 300, 6: 300, 8: 300}
    assert counted(tally_of(CAME_IN + WENT_OUT, 80), holders) == {
        Bunch("established", 100, True, 80): {"10.0.0.7": 2},
        Bunch("established", 200, True, 80): {"fd00::7": 1},
        Bunch("time_wait", NOBODY, True, 80): {"10.0.0.7": 1},
        Bunch("established", 300, False, 443): {"10.0.0.8": 2, "fd00::8": 1},
        Bunch("established", 0, False, 443): {"10.0.0.8": 1},
        Bunch("syn_sent", 300, False, 443): {"10.0.0.8": 1},
        Bunch("time_wait", NOBODY, False, 443): {"10.0.0.8": 1},
    }


def test_bunches_of_some_states():
    tally = tally_of(CAME_IN + WENT_OUT, 80)
    assert {bunch.state for bunch in tally.bunches({"time_wait", "closing"}, None)} == {"time_wait"}
    assert tally.bunches((), {}) == {}
    assert sorted(tally.inodes(["syn_sent", "time_wait"])) == [0, 0, 6]


def test_without_listeners_all_went_out():
    assert counted(tally_of(CAME_IN + WENT_OUT)).keys() == {
        Bunch(sock.state, 0, False, sock.peer_port) for sock in CAME_IN + WENT_OUT
    }


@pytest.mark.parametrize(
    ("place", "came_in"),
    [
        ("10.0.0.1", ["10.0.0.1"]),
        ("10.0.0.2", ["10.0.0.2"]),
        ("127.0.0.1", []),  # somebody else's
        ("0.0.0.0", ["10.0.0.1", "10.0.0.2"]),
        ("::ffff:10.0.0.1", ["::ffff:10.0.0.1"]),
        ("::", ["::ffff:10.0.0.1", "fd00::1"]),  # IPv4 too, if it takes it: then it is v4-mapped
        ("fd00::1", ["fd00::1"]),
        ("::1", []),
    ],
)
def test_what_came_in_came_to_an_address_that_is_listened_on(place, came_in):
    sources = ["10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1", "fd00::1"]
    socks = [Sock("established", source, 443, source, 1000 + number) for number, source in enumerate(sources)]
    expected = Plain([sock_diag.parse(memoryview(payload(sock)), "tcp") for sock in socks], [listener(place, 443)])
    assert [entry.address for entry in expected.entries if expected.came_in(entry)] == came_in
    tally = Tally([listener(place, 443)])
    tcp_tally.read(tally, ALL, Kernel(socks).connect)
    assert_equal(tally, expected)
    assert sum(sum(peers.values()) for bunch, peers in counted(tally).items() if bunch.incoming) == len(came_in)


@pytest.mark.parametrize("places", [["0.0.0.0", "10.0.0.2"], ["10.0.0.2", "0.0.0.0"]])
def test_beside_a_listener_on_all_addresses_one_on_a_single_address_changes_nothing(places):
    socks = [Sock("established", source, 443, "10.0.0.7", 40000) for source in ("10.0.0.1", "10.0.0.2")]
    tally = Tally([listener(place, 443) for place in places])
    tcp_tally.read(tally, ALL, Kernel(socks).connect)
    assert counted(tally) == {Bunch("established", 0, True, 443): {"10.0.0.7": 2}}


@pytest.mark.parametrize(
    ("drawn", "counts"),
    [(None, [3]), ((1000, 1002), [3]), ((1001, 1001), [1]), ((1001, 60999), [2]), ((2000, 3000), [])],
)
def test_only_drawn_ports_are_used_up_by_a_destination(drawn, counts):
    socks = [Sock("established", "10.0.0.1", port, "10.0.0.8", 443, inode=port) for port in (1000, 1001, 1002)]
    tally = tally_of(socks, drawn=drawn)
    assert [len(inodes) for *_ends, inodes in tally.destinations(10)] == counts
    # They are counted as connections all the same.
    assert counted(tally) == {Bunch("established", 0, False, 443): {"10.0.0.8": 3}}
    assert tally.used(1000, 1002) == 3


def test_destinations_of_both_spellings_are_one():
    told = [(*ends, sorted(inodes)) for *ends, inodes in tally_of(CAME_IN + WENT_OUT, 80).destinations(10)]
    assert told == [
        ("10.0.0.1", "10.0.0.8", 443, [0, 4, 5, 6]),
        ("10.0.0.2", "10.0.0.8", 443, [7]),
        ("fd00::1", "fd00::8", 443, [8]),
    ]


def test_the_other_spelling_is_counted_even_where_it_leads_nowhere():
    # 10.0.0.8 leads in IPv4; its sockets of the other spelling are fewer than those of every other peer there.
    mapped = [
        Sock("established", "::ffff:10.0.0.1", 1000 + 10 * peer + number, f"::ffff:10.0.1.{peer}", 443, inode=9)
        for peer in range(20)
        for number in range(3)
    ]
    led = [Sock("established", "10.0.0.1", 50000 + number, "10.0.0.8", 443, inode=4) for number in range(9)]
    hidden = Sock("established", "::ffff:10.0.0.1", 60000, "::ffff:10.0.0.8", 443, inode=5)
    (leader,) = tally_of([*mapped, *led, hidden]).destinations(1)
    assert leader == ("10.0.0.1", "10.0.0.8", 443, [4] * 9 + [5])


def test_an_ipv6_address_that_looks_like_a_padded_ipv4_one_is_another():
    # 10.0.0.1 is sent as 0a000001 and twelve zero bytes, which are the address a00:1::.
    socks = [
        Sock("established", "10.0.0.1", 50001, "10.0.0.2", 443, inode=1),
        Sock("established", "a00:1::", 50002, "a00:2::", 443, inode=2),
    ]
    told = sorted(tuple(entry) for entry in tally_of(socks).destinations(10))
    assert told == [("10.0.0.1", "10.0.0.2", 443, [1]), ("a00:1::", "a00:2::", 443, [2])]
    assert counted(tally_of(socks)) == {Bunch("established", 0, False, 443): {"10.0.0.2": 1, "a00:2::": 1}}


@pytest.mark.parametrize("most", [0, 1, 2])
def test_no_more_destinations_than_asked_for(most):
    assert len(tally_of(WENT_OUT).destinations(most)) == most


def test_used_ports_are_counted_once_and_listeners_too():
    tally = tally_of(CAME_IN + WENT_OUT, 80, 50001, 60999)
    tally.use(50001)
    tally.use(50006)  # one that is bound and nothing else
    assert tally.used(50006, 50006) == 1
    assert tally.counts()["bound"] == 0
    assert tally.used(50001, 50005) == 5
    assert tally.used(50002, 50004) == 3
    assert tally.used(32768, 60999) == 7
    assert tally.used(80, 80) == 1
    assert tally.used(81, 40000) == 0


def test_nothing():
    tally = tally_of([])
    assert (counted(tally), tally.destinations(10), tally.used(1, 65535), tally.counts()["established"]) == (
        {},
        [],
        0,
        0,
    )


def test_request_sockets_and_syn_recv_are_one_state():
    # The kernel's numbers 3 and 12 have one name; a kernel that answered with both must lose neither.
    body = bytearray(payload(CAME_IN[0]))
    sent = []
    for state in (3, 12):
        body[1] = state
        sent.append(message(bytes(body)))
    tally = Tally(listeners(80))
    eaten(tally, "ipv4", [b"".join(sent), DONE])
    assert tally.counts()["syn_recv"] == 2
    assert counted(tally) == {Bunch("syn_recv", 0, True, 80): {"10.0.0.7": 2}}


def test_the_other_familys_sockets_are_nobodys():
    # A dump of a family that is not loaded may answer with the other one's: see sock_diag.sockets.
    tally = Tally([])
    sent = list(datagrams(WENT_OUT[:1] * 3))
    eaten(tally, "ipv6", sent)
    assert counted(tally) == {}
    mixed = b"".join(message(payload(sock)) for sock in WENT_OUT)
    eaten(tally, "ipv6", [mixed, DONE])
    assert sum(tally.counts().values()) == 3
    eaten(tally, "ipv4", [mixed, DONE])
    assert sum(tally.counts().values()) == 6


EQUAL = b"".join(message(payload(sock)) for sock in (CAME_IN[0], WENT_OUT[0]))  # of one family and length
MIXED = EQUAL + message(payload(CAME_IN[3]))  # TIME-WAIT is shorter


@pytest.mark.parametrize("sockets", [EQUAL, MIXED], ids=["equal", "mixed"])
@pytest.mark.parametrize(
    "end", [message(b"", 3), DONE, DONE + b"whatever follows the end"], ids=["bare", "whole", "and more"]
)
def test_the_end_may_come_with_the_last_sockets(sockets, end):
    tally = Tally(listeners(80))
    eaten(tally, "ipv4", [sockets + end])
    assert tally.counts()["established"] >= 1


def changed(datagram, offset, form, value):
    made = bytearray(datagram)
    struct.pack_into(form, made, offset, value)
    return bytes(made)


SIZE = len(message(payload(CAME_IN[0])))


@pytest.mark.parametrize("at", [0, SIZE])  # in the first and in the second message
@pytest.mark.parametrize("sockets", [EQUAL, MIXED, EQUAL[: SIZE + 90]], ids=["equal", "mixed", "cut off"])
@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [
        (0, "=I", 0),
        (0, "=I", 15),
        (0, "=I", 16),
        (0, "=I", 87),  # no whole inet_diag_msg
        (0, "=I", SIZE - 4),
        (0, "=I", 3 * SIZE),
        (0, "=I", 0xFFFFFFFF),
        (4, "=H", 19),
        (4, "=H", 2),  # an error without its number
        (16, "=B", 0),
        (16, "=B", 3),
        (17, "=B", 0),
        (17, "=B", 14),
    ],
)
def test_malformed(sockets, at, offset, form, value):
    sent = changed(sockets, at + offset, form, value)
    with pytest.raises(netlink.NetlinkError):
        parsed("ipv4", [sent])
    with pytest.raises(netlink.NetlinkError):
        eaten(Tally([]), "ipv4", [sent, DONE])


@pytest.mark.parametrize("spare", [1, 2, 3, 5])
def test_a_last_message_longer_than_its_datagram(spare):
    # Its padding may be missing, and nothing else.
    odd = message(payload(CAME_IN[0]) + bytes(1))
    whole = Tally([])
    eaten(whole, "ipv4", [odd[:-3], DONE])
    assert whole.counts()["established"] == 1
    with pytest.raises(netlink.NetlinkError, match="malformed"):
        eaten(Tally([]), "ipv4", [odd[: -3 - spare], DONE])


def any_socks():
    v4 = st.sampled_from(["10.0.0.1", "10.0.0.2", "127.0.0.1", "0.0.0.0"])
    v6 = st.sampled_from(["fd00::1", "::1", "::ffff:10.0.0.1", "::ffff:10.0.0.2", "a00:1::", "::", "::ffff:0.0.0.0"])
    ports = st.sampled_from([80, 443, 20480, 40000, 0, 65535])  # 20480 is 80 with its bytes turned round
    states = st.sampled_from(["established", "syn_sent", "syn_recv", "fin_wait2", "time_wait", "close_wait"])
    inodes = st.integers(0, 5)
    ends = st.tuples(states, v4, ports, v4, ports, inodes) | st.tuples(states, v6, ports, v6, ports, inodes)
    return st.lists(ends.map(lambda fields: Sock(*fields)), max_size=30)


some_ports = st.sets(st.sampled_from([80, 443, 20480, 40000]), max_size=3)
some_drawn = st.sampled_from([None, (40000, 65535), (0, 80), (20480, 20480)])


def some_listeners():
    places = st.sampled_from(["0.0.0.0", "::", "10.0.0.1", "127.0.0.1", "::1", "::ffff:10.0.0.1", "fd00::1"])
    return st.lists(st.builds(listener, places, st.sampled_from([80, 443, 20480, 40000])), max_size=4)


@given(any_socks(), some_listeners(), some_drawn, st.dictionaries(st.integers(1, 5), st.integers(1, 3)))
def test_any_sockets_are_counted_as_one_after_the_other(socks, waiting, drawn, holders):
    entries = [sock_diag.parse(memoryview(payload(sock)), "tcp") for sock in socks]
    by_datagram, by_entry = Tally(waiting, drawn), Tally(waiting, drawn)
    tcp_tally.read(by_datagram, ALL, Kernel(socks).connect)
    for entry in entries:
        by_entry.add(entry, NUMBERS[entry.state])
    expected = Plain(entries, waiting, drawn)
    assert [by_entry.came_in(entry) for entry in entries] == [expected.came_in(entry) for entry in entries]
    assert_equal(by_datagram, expected, holders)
    assert_equal(by_entry, expected, holders)


@given(any_socks(), some_listeners(), some_drawn)
def test_without_inodes_as_much_is_counted(socks, waiting, drawn):
    entries = [sock_diag.parse(memoryview(payload(sock)), "tcp") for sock in socks]
    by_datagram, by_entry, expected = (
        Tally(waiting, drawn, False),
        Tally(waiting, drawn, False),
        Plain(entries, waiting, drawn),
    )
    tcp_tally.read(by_datagram, ALL, Kernel(socks).connect)
    for entry in entries:
        by_entry.add(entry, NUMBERS[entry.state])
    for tally in (by_datagram, by_entry):
        assert {name: count for name, count in tally.counts().items() if count} == dict(expected.states())
        assert counted(tally) == expected.bunches()
        assert tally.used(0, 65535) == expected.used()
        assert list(tally.inodes(NAMES)) == []
        told = {tuple(ends): inodes for *ends, inodes in tally.destinations(10_000)}
        # Their number is told by as many zeros.
        assert told == {ends: [0] * len(inodes) for ends, inodes in expected.destinations().items()}


# What datagrams are made of: sockets of both families and of every length, and what ends a dump. Drawn by number, to be shown briefly.
PIECES = [message(payload(sock)) for sock in (*CAME_IN, *WENT_OUT)] + [EQUAL, MIXED, DONE, message(b"", 3), EQUAL[:90]]
PIECES += [datagram for sent in CAPTURED.values() for datagram in sent]


def damaged(pieces, end, flips):
    """These PIECES in a row, without as many bytes at their end, and with these bits turned."""
    datagram = bytearray(b"".join(PIECES[number] for number in pieces))
    turned = datagram[: len(datagram) - end % (len(datagram) + 1)]
    for where, bit in flips if turned else ():
        turned[where % len(turned)] ^= 1 << bit
    return bytes(turned)


def any_datagrams():
    pieces = st.lists(st.integers(0, len(PIECES) - 1), max_size=6)
    flips = st.lists(st.tuples(st.integers(0, 1 << 10), st.integers(0, 7)), max_size=4)
    return st.builds(damaged, pieces, st.just(0) | st.integers(0, 400), flips) | st.binary(max_size=400)


@given(st.lists(any_datagrams().filter(len), max_size=3), st.sampled_from(FAMILIES), some_ports)
def test_any_bytes_are_counted_as_one_after_the_other_or_a_netlink_error(sent, family, ports):
    tally = Tally(listeners(*ports))
    try:
        expected = parsed(family, [*sent, DONE])
    except netlink.NetlinkError:
        with pytest.raises(netlink.NetlinkError):
            eaten(tally, family, [*sent, DONE])
        return
    eaten(tally, family, [*sent, DONE])
    assert_equal(tally, Plain(expected, listeners(*ports)))


@given(any_datagrams(), st.sampled_from(FAMILIES))
def test_no_more_is_eaten_than_there_is(datagram, family):
    tally = Tally([])
    count = tally.eat(family, datagram)
    assert 0 <= count <= len(datagram) + 3  # the padding of the last message
    assert count % 4 == 0
    assert sum(tally.counts().values()) <= len(datagram) // 88


@pytest.mark.parametrize(
    ("family", "raw", "told"),
    [
        ("ipv4", "10.0.0.1", "10.0.0.1"),
        ("ipv6", "::ffff:10.0.0.1", "10.0.0.1"),
        ("ipv6", "::ffff:0.0.0.0", "0.0.0.0"),
        ("ipv6", "fd00::1", "fd00::1"),
        ("ipv6", "::", "::"),
        ("ipv6", "::10.0.0.1", "::10.0.0.1"),  # compatible, not mapped: RFC 4291 2.5.5.1
        ("ipv6", "::fffe:a00:1", "::fffe:a00:1"),
    ],
)
def test_addresses(family, raw, told):
    sent = socket.inet_pton(socket.AF_INET6 if ":" in raw else socket.AF_INET, raw).ljust(16, b"\0")
    short = tcp_tally.plain(family, sent)
    assert tcp_tally.address(short) == told
    assert tcp_tally.packed(told) == short


def test_read_asks_each_family_for_the_states(monkeypatch):
    asked = []

    def feed(protocol, kind, body, _eat, connect):
        asked.append((protocol, kind, body, connect))

    monkeypatch.setattr(netlink, "feed", feed)
    connect = object()
    tcp_tally.read(Tally([]), 0x1FE, connect)
    assert sorted(asked, key=lambda call: call[2]) == [
        (netlink.NETLINK_SOCK_DIAG, 20, sock_diag.request(family, "tcp", 0x1FE), connect) for family in FAMILIES
    ]


def test_read_in_a_namespace_that_is_gone():
    with pytest.raises(netlink.NetlinkError, match="gone"):
        tcp_tally.read(Tally([]), ALL, Kernel(refused=netlink.NetlinkError("gone", 2)).connect)
