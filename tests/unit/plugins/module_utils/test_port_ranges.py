# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""port_ranges: texts as the kernel prints them, interval arithmetic against plain sets, and the skew by hand."""

from __future__ import annotations

import random
import re

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import port_ranges
from ansible_collections.kubenode.doctor.plugins.module_utils.port_ranges import selection_skew


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30000-32767", (30000, 32767)),
        (" 30000-40000\n", (30000, 40000)),
        ("30000+2767", (30000, 32767)),
        ("30000", (30000, 30000)),
        ("1-65535", (1, 65535)),
    ],
)
def test_parse_range(text, expected):
    assert port_ranges.parse_range(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no port range like 30000-32767"),
        ("30000-", "'30000-' is no port range"),
        ("30000 - 32767", "'30000 - 32767' is no port range"),
        ("30000-32767-1", "'30000-32767-1' is no port range"),
        ("-1", "'-1' is no port range"),
        ("0-10", "'0-10': a port lies between 1 and 65535"),
        ("30000-65536", "'30000-65536': a port lies between 1 and 65535"),
        ("65000+1000", "'65000+1000': a port lies between 1 and 65535"),
        ("32767-30000", "'32767-30000': the range ends before it begins"),
        ("999999999", "'999999999': a port lies between 1 and 65535"),
        pytest.param("9" * 5000, "'" + "9" * 77 + "...' is no port range", id="a number without end"),
    ],
)
def test_parse_range_names_what_is_wrong(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        port_ranges.parse_range(text)


def test_parse_local_range():
    assert port_ranges.parse_local_range("32768\t60999\n") == (32768, 60999)
    assert port_ranges.parse_local_range("1024 65535") == (1024, 65535)


@pytest.mark.parametrize("text", ["", "32768", "32768-60999", "60999\t32768", "0\t60999", "a b", "1 2 3"])
def test_parse_local_range_names_what_is_wrong(text):
    with pytest.raises(ValueError, match="^" + re.escape(repr(text))):
        port_ranges.parse_local_range(text)


@pytest.mark.parametrize(
    ("text", "expected", "formatted"),
    [
        ("\n", (), ""),
        ("", (), ""),
        ("8080,9148,30000-32767\n", ((8080, 8080), (9148, 9148), (30000, 32767)), "8080,9148,30000-32767"),
        # as the kernel's documentation writes it: 1,2-4,10-10
        ("1,2-4,10-10", ((1, 4), (10, 10)), "1-4,10"),
        ("30000-32767, 8080", ((8080, 8080), (30000, 32767)), "8080,30000-32767"),
    ],
)
def test_parse_reserved_and_back(text, expected, formatted):
    assert port_ranges.parse_reserved(text) == expected
    assert port_ranges.format_ports(expected) == formatted
    assert port_ranges.parse_reserved(formatted) == expected


@pytest.mark.parametrize(
    ("text", "part"), [("8080,", "''"), ("8080;9148", "'8080;9148'"), ("1-2-3", "'1-2-3'"), ("80,x", "'x'")]
)
def test_parse_reserved_names_what_is_wrong(text, part):
    with pytest.raises(ValueError, match="^" + re.escape(part)):
        port_ranges.parse_reserved(text)


def test_parse_reserved_checks_the_numbers():
    with pytest.raises(ValueError, match="'70000': a port lies"):
        port_ranges.parse_reserved("80,70000")


def test_numbers():
    assert port_ranges.numbers([30080, 36527, 30080], "1-2") == {30080, 36527}
    assert list(port_ranges.numbers(None, "30000-30002")) == [30000, 30001, 30002]
    assert list(port_ranges.numbers([], "30000-30002")) == []


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_numbers_refuses_what_is_no_port(port):
    with pytest.raises(ValueError, match=f"'{port}': a port lies between 1 and 65535"):
        port_ranges.numbers([port], "1-2")


def as_set(intervals):
    return {port for low, high in intervals for port in range(low, high + 1)}


def test_arithmetic_agrees_with_sets():
    """Random sets near both ends and in the middle; the result is also in the one canonical form."""
    draw = random.Random(20261121)  # noqa: S311 # test data, the same every time
    spans = ([1, 40], [30000, 30060], [65500, 65535])
    for _round in range(300):
        one, other = ({draw.randint(*draw.choice(spans)) for _port in range(draw.randint(0, 40))} for _set in range(2))
        a, b = port_ranges.of_numbers(one), port_ranges.of_numbers(other)
        for result, expected in (
            (port_ranges.union(a, b), one | other),
            (port_ranges.intersect(a, b), one & other),
            (port_ranges.subtract(a, b), one - other),
        ):
            assert as_set(result) == expected
            assert result == port_ranges.of_numbers(expected)
            assert port_ranges.count(result) == len(expected)
        assert all(port_ranges.contains(a, port) == (port in one) for port in range(29995, 30065))


def test_a_list_may_hold_every_second_port():
    """As the kernel prints it, when somebody has reserved so: half a billion steps, were each compared with each."""
    odd, fourth = ([(port, port) for port in range(1, 65536, step)] for step in (2, 4))
    assert port_ranges.intersect(odd, fourth) == tuple(fourth)
    assert port_ranges.count(port_ranges.subtract(odd, fourth)) == 16384


def test_union_takes_any_order_and_overlap():
    assert port_ranges.union([(5, 9), (1, 3)], [(4, 4), (8, 20)]) == ((1, 20),)


def worst(skew, selection):
    return next((entry for entry in skew if entry["selection"] == selection), None)


def test_no_block_no_skew():
    assert selection_skew((32768, 60999), ()) == []
    assert selection_skew((32768, 60999), [(30000, 32767)]) == []


def test_half_of_the_range_reserved():
    """A5 measured 58 and 44 percent on one port; the walk says 50."""
    skew = selection_skew((32768, 60999), [(40000, 54115)])
    assert worst(skew, "bind") == {"selection": "bind", "port": 54117, "share": 7059 / 14116, "block": (40000, 54115)}
    assert worst(skew, "connect")["port"] == 54116
    assert worst(skew, "connect")["share"] == 7059 / 14116


def test_a_listener_of_go_draws_from_the_lower_half():
    """SO_REUSEADDR: 32768 to 46883, odd; a block that fills its upper part is passed on round to the beginning."""
    skew = selection_skew((32768, 60999), [(40000, 54115)])
    listen = worst(skew, "listen")
    assert listen["port"] == 32769
    assert listen["share"] == pytest.approx((46883 - 40001 + 2) / 2 / 7058 + 1 / 7058)
    assert listen["block"] == (40000, 54115)


def test_a_reserved_lower_half_sends_listeners_to_the_upper_one():
    skew = selection_skew((32768, 60999), [(32768, 46883)])
    assert worst(skew, "listen") is None
    assert worst(skew, "bind")["port"] == 46885


def test_each_block_feeds_its_own_port_and_the_worst_come_first():
    skew = selection_skew((40000, 40999), [(40100, 40119), (40300, 40499), (40600, 40609), (40700, 40700)], worst=2)
    bind = [entry for entry in skew if entry["selection"] == "bind"]
    assert [(entry["port"], entry["block"]) for entry in bind] == [(40501, (40300, 40499)), (40121, (40100, 40119))]
    assert [entry["share"] for entry in bind] == [101 / 500, 11 / 500]
    assert [entry["share"] for entry in skew] == sorted((entry["share"] for entry in skew), reverse=True)


def test_a_block_at_the_end_wraps_round():
    bind = worst(selection_skew((40000, 40999), [(40000, 40009), (40900, 40999)]), "bind")
    assert bind == {"selection": "bind", "port": 40011, "share": 56 / 500, "block": (40900, 40009)}


def test_reserved_odd_ports_do_not_touch_connect():
    skew = selection_skew((40000, 40999), port_ranges.of_numbers(range(40101, 40200, 2)))
    assert worst(skew, "connect") is None
    assert worst(skew, "bind")["port"] == 40201


def test_when_one_parity_is_used_up_the_other_is_taken():
    skew = selection_skew((40000, 40009), [*port_ranges.of_numbers(range(40001, 40010, 2)), (40004, 40004)])
    assert worst(skew, "bind") == {"selection": "bind", "port": 40006, "share": 2 / 5, "block": (40003, 40005)}


def test_nothing_left_to_draw():
    assert selection_skew((40000, 40009), [(39000, 41000)]) == []


@pytest.mark.parametrize("low", [40000, 40001])
@pytest.mark.parametrize("size", range(1, 12))
def test_shares_never_exceed_one_whatever_the_size(low, size):
    for reserved in ([], [(low, low)], [(low + 1, low + 2)]):
        for entry in selection_skew((low, low + size - 1), reserved):
            assert 0 < entry["share"] <= 1
            assert low <= entry["port"] < low + size
            assert not port_ranges.contains(reserved, entry["port"])
