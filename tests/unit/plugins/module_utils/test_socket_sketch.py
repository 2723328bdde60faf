# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""socket_sketch: how many sockets two looks have in common, told exactly of few and nearly of many, in few bytes."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import socket_sketch
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry


def socket(number, cookie=True, inode=None):
    ends = ("10.0.0.1", 40000 + number % 20000, f"10.1.{number // 20000}.9", 10250)
    told = number.to_bytes(8, "little") if cookie else None
    return Entry("tcp", "ipv4", "close_wait", *ends, 1, 0, 0, number if inode is None else inode, cookie=told)


def told(sockets):
    maker = socket_sketch.Maker()
    for one in sockets:
        maker.add(one)
    return maker.told()


def sketch(numbers, **fields):
    sockets = [socket(number, **fields) for number in numbers]
    return socket_sketch.read(told(sockets), len(sockets))


@pytest.mark.parametrize(
    ("then", "now", "same"),
    [
        (range(46), range(46), 46),
        (range(46), range(46, 92), 0),
        (range(46), range(20, 60), 26),
        (range(64), range(63, 127), 1),
        (range(1), range(64), 1),
    ],
)
def test_up_to_64_sockets_it_is_exact(then, now, same):
    assert socket_sketch.shared(sketch(then), sketch(now)) == (same, True)
    assert socket_sketch.shared(sketch(now), sketch(then)) == (same, True)


@pytest.mark.parametrize(
    ("then", "now", "least", "most"),
    [
        (range(2000), range(2000), 2000, 2000),
        (range(2000), range(2000, 4000), 0, 0),
        (range(2000), range(1000, 3000), 560, 1440),
        (range(2000), range(40), 0, 40),
        (range(40), range(2000), 0, 40),
        (range(65), range(64), 60, 64),
        (range(120), range(60), 54, 60),
    ],
)
def test_of_more_it_is_an_estimate_that_cannot_be_impossible(then, now, least, most):
    same, exact = socket_sketch.shared(sketch(then), sketch(now))
    assert not exact
    assert least <= same <= most


def test_an_estimate_is_never_more_than_there_are():
    one = socket_sketch.Sketch("cookie", frozenset(range(64)), 65)
    assert socket_sketch.shared(one, one._replace(sockets=10_000)) == (65, False)


def test_it_is_small_and_does_not_depend_on_the_order():
    numbers = list(range(2000))
    text = told(map(socket, numbers))
    assert text == told(map(socket, reversed(numbers)))
    assert len(text) == len("cookie ") + 64 * 12
    assert told([]) is None


def test_a_socket_that_was_seen_twice_counts_once():
    assert told([socket(1), socket(1)]) == told([socket(1)])
    many = [socket(number) for number in range(200)]
    assert told(many + many) == told(many)


@pytest.mark.parametrize("cookie", [True, False])
def test_another_socket_of_the_same_ends_is_another_one(cookie):
    """A port that is dialled from again: by its cookie or its inode it is known."""
    first, again = socket(1, cookie, inode=7), socket(1, cookie, inode=8)._replace(cookie=b"other" if cookie else None)
    assert told([first]) != told([again])
    assert told([first]) == told([first._replace(rqueue=9)])


def test_what_accepts_a_connection_does_not_make_it_another_one():
    assert told([socket(1, inode=0)]) == told([socket(1, inode=7)])


def test_by_what_sockets_are_known_is_told():
    assert [sketch([1]).by, sketch([1], cookie=False).by] == ["cookie", "inode"]


@pytest.mark.parametrize(
    "junk",
    [
        None,
        7,
        "",
        "cookie",
        "cookie ",
        "cookie 0123",
        "cookie 01234567890g",
        "uid 0123456789ab",
        f"inode {'0' * 12 * 65}",
    ],
)
def test_junk_is_no_sketch(junk):
    assert socket_sketch.read(junk, 1) is None
