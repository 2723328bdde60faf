# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""netlink: walking datagrams that the kernel sent, and anything else that may arrive."""

from __future__ import annotations

import errno
import json
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink

CAPTURED = json.loads((Path(__file__).parents[3] / "fixtures" / "sock_diag" / "datagrams.json").read_text("ascii"))
DATAGRAMS = [bytes.fromhex(text) for name in sorted(CAPTURED) for text in CAPTURED[name]]
DONE, ERROR, INTERRUPTED = 3, 2, 0x10


def message(kind, payload=b"", flags=2, length=None):
    length = 16 + len(payload) if length is None else length
    return struct.pack("=IHHII", length, kind, flags, 1, 0) + payload + bytes(-len(payload) % 4)


def walked(datagram):
    return [(kind, flags, bytes(payload)) for kind, flags, payload in netlink.messages(datagram)]


@pytest.mark.parametrize(
    ("datagram", "expected"),
    [
        (b"", []),
        (message(20, b"abcd"), [(20, 2, b"abcd")]),
        # The length does not count the padding, the next message begins after it.
        (message(20, b"abcde") + message(DONE, bytes(4)), [(20, 2, b"abcde"), (DONE, 2, bytes(4))]),
        # The last message of a datagram may lack its padding.
        (message(20, b"abcde")[:-3], [(20, 2, b"abcde")]),
    ],
)
def test_messages(datagram, expected):
    assert walked(datagram) == expected


@pytest.mark.parametrize(
    ("datagram", "told"),
    [
        (message(20, length=0), "malformed netlink message: length 0 with 16 bytes left"),
        (message(20, length=15), "malformed netlink message: length 15 with 16 bytes left"),
        (message(20, length=17), "malformed netlink message: length 17 with 16 bytes left"),
        (message(20, length=0xFFFFFFFF), "malformed netlink message: length 4294967295 with 16 bytes left"),
        (message(20) + b"abc", "malformed netlink message: 3 bytes left over"),
        (bytes(15), "malformed netlink message: 15 bytes left over"),
    ],
)
def test_malformed_messages(datagram, told):
    with pytest.raises(netlink.NetlinkError) as caught:
        walked(datagram)
    assert str(caught.value) == told


def test_attributes():
    # len 5, type 8, 1 byte, 3 of padding; len 12, type 21 with the flag NLA_F_NESTED, 8 bytes
    payload = memoryview(struct.pack("=HHB3xHHQ", 5, 8, 3, 12, 21 | 0x8000, 4711))
    assert [(kind, bytes(value)) for kind, value in netlink.attributes(payload)] == [
        (8, b"\x03"),
        (21, struct.pack("=Q", 4711)),
    ]


@pytest.mark.parametrize("length", [0, 3, 9, 0xFFFF])
def test_malformed_attributes(length):
    with pytest.raises(netlink.NetlinkError, match=f"malformed netlink attribute: length {length} with 8 bytes left"):
        list(netlink.attributes(memoryview(struct.pack("=HHI", length, 1, 0))))


def damaged():
    """Captured datagrams, cut off anywhere and with any bits turned, and bytes that never were a datagram."""

    def damage(datagram, end, flips):
        turned = bytearray(datagram[: end % (len(datagram) + 1)])
        for where, bit in flips if turned else ():
            turned[where % len(turned)] ^= 1 << bit
        return bytes(turned)

    flips = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 7)), max_size=8)
    captured = st.builds(damage, st.sampled_from(DATAGRAMS), st.integers(0, 1 << 16), flips)
    return captured | st.binary(max_size=2048)


@given(damaged())
def test_any_bytes_are_messages_or_a_netlink_error(datagram):
    seen = 0
    try:
        for _kind, _flags, payload in netlink.messages(datagram):
            seen += 16 + len(payload)
    except netlink.NetlinkError:
        pass
    assert seen <= len(datagram)


@given(damaged())
def test_any_bytes_are_attributes_or_a_netlink_error(payload):
    seen = 0
    try:
        for kind, value in netlink.attributes(memoryview(payload)):
            assert 0 <= kind < 1 << 14
            seen += 4 + len(value)
    except netlink.NetlinkError:
        pass
    assert seen <= len(payload)


def test_a_huge_datagram_is_walked_once():
    count = 200_000
    assert sum(1 for _message in netlink.messages(message(20, b"abcd") * count)) == count


class Link:
    """A netlink socket that answers what it was made with; an exception among the answers is raised."""

    def __init__(self, *answers, flags=0):
        self.answers = list(answers)
        self.flags = flags
        self.closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.closed = True

    def settimeout(self, seconds):
        assert seconds > 0

    def send(self, request):
        assert struct.unpack_from("=IHH", request) == (len(request), 20, 0x301)

    def recvmsg_into(self, rooms):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        rooms[0][: len(answer)] = answer
        return len(answer), [], self.flags, (0, 0)


def answers(*datagrams, flags=0):
    link = Link(*datagrams, flags=flags)
    try:
        return [bytes(payload) for payload in netlink.dump(4, 20, b"body", lambda _protocol: link)]
    finally:
        assert link.closed


def fed(eat, *datagrams):
    link = Link(*datagrams)
    try:
        netlink.feed(4, 20, b"body", eat, lambda _protocol: link)
    finally:
        assert link.closed


def error(number):
    return struct.pack("=i", number)


def test_answers_come_in_several_datagrams_and_end_with_done():
    first, second = message(20, b"one1") + message(20, b"two2"), message(20, b"3333") + message(DONE, error(0))
    assert answers(first, second) == [b"one1", b"two2", b"3333"]


def test_done_may_come_without_a_payload():
    assert answers(message(DONE)) == []


def test_feed_ends_at_what_the_eater_leaves():
    eaten = []

    def eat(datagram):
        eaten.append(datagram[:20])
        return 20

    fed(eat, message(20, b"one1"), message(20, b"two2") + message(DONE, error(0)))
    assert eaten == [message(20, b"one1"), message(20, b"two2")]


@pytest.mark.parametrize(
    ("datagram", "told"),
    [
        (message(ERROR, error(-errno.EPERM)), "refused netlink request 20: Operation not permitted"),
        (message(DONE, error(-errno.ENOENT)), "refused netlink request 20: No such file or directory"),
        (message(20, b"abcd"), "malformed netlink answer: b'abcd'"),
        (message(20, b"abcd", flags=2 | INTERRUPTED), "changed under the netlink dump"),
        (message(20, length=17), "malformed netlink message: length 17"),
    ],
)
def test_feed_refuses_what_no_eater_reads_and_does_not_end_a_dump(datagram, told):
    with pytest.raises(netlink.NetlinkError, match=told):
        fed(lambda _datagram: 0, datagram)


@pytest.mark.parametrize(
    ("datagram", "number", "told"),
    [
        (message(ERROR, error(-errno.EPERM)), errno.EPERM, "Operation not permitted"),
        (message(ERROR, b""), 0, "no reason given"),
        (message(ERROR, error(5)), 0, "no reason given"),
        (message(ERROR, error(-(1 << 31))), 0, "no reason given"),
        # The kernel begins a dump before it finds that tcp_diag is not there, and says so at its end.
        (message(DONE, error(-errno.ENOENT)), errno.ENOENT, "No such file or directory"),
        (bytes.fromhex(CAPTURED["no_such_diag_module"][0]), errno.ENOENT, "No such file or directory"),
        (bytes.fromhex(CAPTURED["refused"][0]), errno.EINVAL, "Invalid argument"),
    ],
)
def test_refused(datagram, number, told):
    with pytest.raises(netlink.NetlinkError) as caught:
        answers(datagram)
    assert caught.value.errno == number
    assert str(caught.value) == f"the kernel refused netlink request 20: {told}"


@pytest.mark.parametrize(
    "datagram", [message(20, b"abcd", flags=2 | INTERRUPTED), message(DONE, error(0), flags=2 | INTERRUPTED)]
)
def test_interrupted(datagram):
    with pytest.raises(netlink.NetlinkError, match="changed under the netlink dump") as caught:
        answers(datagram)
    assert caught.value.errno == errno.EINTR


@pytest.mark.parametrize(
    ("datagrams", "flags", "told"),
    [
        ([b""], 0, "truncated"),
        ([message(20)], socket.MSG_TRUNC, "truncated"),
        ([message(20), socket.timeout("timed out")], 0, "broke off: timed out"),
    ],
)
def test_cut_short(datagrams, flags, told):
    with pytest.raises(netlink.NetlinkError, match=told):
        answers(*datagrams, flags=flags)


def test_an_answer_without_end_is_bounded(monkeypatch):
    monkeypatch.setattr(netlink, "_ENTRIES_LIMIT", 10)
    with pytest.raises(netlink.NetlinkError, match="exceeds 10 entries"):
        answers(*[message(20, b"abcd")] * 20)


@pytest.mark.parametrize("number", [errno.EPROTONOSUPPORT, errno.EPERM, errno.EAFNOSUPPORT])
def test_no_netlink_socket(monkeypatch, number):
    def refuse(*_arguments):
        raise OSError(number, "no")

    monkeypatch.setattr(netlink.socket, "socket", refuse)
    with pytest.raises(netlink.NetlinkError, match="no netlink socket of protocol 4: no") as caught:
        list(netlink.dump(netlink.NETLINK_SOCK_DIAG, 20, b""))
    assert caught.value.errno == number
