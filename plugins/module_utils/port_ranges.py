# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of port numbers as the kernel and Kubernetes write them, and how the kernel draws from them.

A set is ``Intervals``: inclusive (low, high) pairs, ascending, with a gap between neighbours, all within 1 to 65535.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Tuple

Interval = Tuple[int, int]
Intervals = Tuple[Interval, ...]

HIGHEST = 65535

_NUMBER = "([0-9]{1,9})"  # longer ones are no ports, and int() is slow or refuses


def parse_range(text: str) -> Interval:
    """One range as Kubernetes writes it: "30000-32767", "30000+2767" (the same) or "30000" (one port).

    Source: k8s.io/apimachinery pkg/util/net/port_range.go, PortRange.Set; what follows "+" is added to the first port.
    Raises ValueError naming the text.
    """
    found = re.fullmatch(rf"\s*{_NUMBER}(?:([-+]){_NUMBER})?\s*", text)
    if not found:
        raise ValueError(f"{_shown(text)} is no port range like 30000-32767")
    low, sign, second = int(found[1]), found[2], int(found[3] or 0)
    high = {None: low, "-": second, "+": low + second}[sign]
    return _checked(low, high, text)


@functools.lru_cache(maxsize=64)  # the nodes of a fleet have few settings between them
def parse_local_range(text: str) -> Interval:
    """net.ipv4.ip_local_port_range: "32768\\t60999\\n". Raises ValueError naming the text."""
    found = re.fullmatch(rf"\s*{_NUMBER}\s+{_NUMBER}\s*", text)
    if not found:
        raise ValueError(f"{_shown(text)} is not two port numbers, as in ip_local_port_range")
    return _checked(int(found[1]), int(found[2]), text)


@functools.lru_cache(maxsize=64)
def parse_reserved(text: str) -> Intervals:
    """net.ipv4.ip_local_reserved_ports: "8080,9148,30000-32767\\n", or nothing. Raises ValueError naming the text.

    Format: Documentation/networking/ip-sysctl.rst, "a comma separated list of ranges".
    """
    if not text.strip():
        return ()
    found = []
    for part in text.split(","):
        bounds = re.fullmatch(rf"\s*{_NUMBER}(?:-{_NUMBER})?\s*", part)
        if not bounds:
            raise ValueError(f"{_shown(part)} is neither a port nor a range, in {_shown(text)}")
        found.append(_checked(int(bounds[1]), int(bounds[2] or bounds[1]), part))
    return union(found)


def format_ports(intervals: Iterable[Interval]) -> str:
    """The way ip_local_reserved_ports is written: "8080,30000-32767"."""
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in intervals)


def of_numbers(ports: Iterable[int]) -> Intervals:
    """The set of single ports. Raises ValueError for a number that is no port."""
    return union(_checked(port, port, str(port)) for port in ports)


def numbers(ports: Iterable[int] | None, otherwise: str) -> Collection[int]:
    """The given ports, checked; where none were given (None), those of the range ``otherwise``. Raises ValueError."""
    if ports is None:
        low, high = parse_range(otherwise)
        return range(low, high + 1)
    return frozenset(_checked(port, port, str(port))[0] for port in ports)


def union(*sets: Iterable[Interval]) -> Intervals:
    """All ports of the sets, in whatever order and however overlapping their intervals come."""
    merged: list[Interval] = []
    for low, high in sorted(itertools.chain.from_iterable(sets)):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def intersect(one: Iterable[Interval], other: Iterable[Interval]) -> Intervals:
    """The ports that are in both."""
    return tuple(_common(union(one), union(other)))  # in order and apart, since both are


def subtract(one: Iterable[Interval], other: Iterable[Interval]) -> Intervals:
    """The ports of ``one`` that are not in ``other``."""
    return intersect(one, _complement(union(other)))


def contains(intervals: Iterable[Interval], port: int) -> bool:
    """Is the port one of them?"""
    return any(low <= port <= high for low, high in intervals)


def count(intervals: Iterable[Interval]) -> int:
    """How many ports there are."""
    return sum(high - low + 1 for low, high in intervals)


def selection_skew(local_range: Interval, reserved: Iterable[Interval], worst: int = 3) -> list[dict[str, Any]]:
    """Which free ports the kernel draws too often because reserved ones lie in front of them.

    Returns ``[{selection, port, share, block}]``, the largest ``share`` (0 to 1, of that selection's draws) first, the
    ``worst`` ones of each ``selection``:

    * "listen": bind() to port 0 with SO_REUSEADDR, what Go's net.Listen(":0") does; draws from the range's lower half;
    * "bind": bind() to port 0 without it; draws from the whole range;
    * "connect": connect() of an unbound socket, the first to each of many destinations; later ones to the same
      destination go on from there, so the port gets its extra share once a lap.

    ``block`` is the reserved (low, high) that feeds the port; low > high when it wraps round the end of the range.

    Why: the kernel draws an offset of fixed parity at random, walks up in steps of two and takes the first port that
    is neither reserved nor taken, so a free port gets its own share and that of every reserved one before it.
    bind() and listen() take the parity opposite to the range's first port, connect() that port's own; the other
    parity comes when nothing is left. Source: Linux net/ipv4/inet_connection_sock.c, inet_csk_find_open_port (with
    attempt_half for SO_REUSEADDR), and net/ipv4/inet_hashtables.c, __inet_hash_connect. UDP walks in random steps
    (udp_lib_get_port) and does not skew; neither does TCP before Linux 4.2, which had no parities. Ports in use count
    as free here.
    """
    blocked = intersect([local_range], reserved)
    taken = {port for low, high in blocked for port in range(low, high + 1)}
    found = []
    for selection, walks in _walks(*local_range).items():
        walk = next((walk for walk in walks if not taken.issuperset(walk)), ())
        for share, port, first, last in heapq.nlargest(worst, _skewed(walk, taken)):
            block = _block(first, last, blocked)
            found.append({"selection": selection, "port": port, "share": share, "block": block})
    return sorted(found, key=lambda entry: -entry["share"])


def _walks(low: int, high: int) -> dict[str, list[range]]:
    """Per selection the rounds of ports it tries, one after the other; each round starts anywhere and wraps."""
    size = high - low + 1
    half = low + ((size >> 2) << 1)
    halves = [_parities(low, half - 1), _parities(half, high)] if size >= 4 else [_parities(low, high)]
    even, odd = _parities(low, high)
    return {
        "listen": [walk for first, second in halves for walk in (second, first)],
        "bind": [odd, even],
        "connect": [even, odd],
    }


def _parities(low: int, high: int) -> tuple[range, range]:
    """The ports at an even and at an odd distance from ``low``; of an odd number of ports the last is left out."""
    size = high - low + 1
    end = low + (size & ~1 if size > 1 else 1)
    return range(low, end, 2), range(low + 1, end, 2)


def _skewed(walk: Sequence[int], taken: Collection[int]) -> Iterator[tuple[float, int, int, int]]:
    """(share, port, first, last port skipped before it) for each free port that follows a taken one."""
    free = [index for index, port in enumerate(walk) if port not in taken]
    for before, here in zip([index - len(walk) for index in free[-1:]] + free, free):
        if here - before > 1:
            yield (here - before) / len(walk), walk[here], walk[before + 1], walk[here - 1]


def _block(first: int, last: int, blocked: Intervals) -> Interval:
    """The skipped ports widened to the reserved intervals they lie in."""
    start = next(low for low, high in blocked if low <= first <= high)
    end = next(high for low, high in blocked if low <= last <= high)
    return start, end


def _common(one: Intervals, other: Intervals) -> Iterator[Interval]:
    """Side by side: a list may hold every second port."""
    here = there = 0
    while here < len(one) and there < len(other):
        (a, b), (c, d) = one[here], other[there]
        if max(a, c) <= min(b, d):
            yield max(a, c), min(b, d)
        if b <= d:
            here += 1
        else:
            there += 1


def _complement(intervals: Intervals) -> Intervals:
    edges = [1, *(edge for low, high in intervals for edge in (low - 1, high + 1)), HIGHEST]
    return tuple((low, high) for low, high in zip(edges[::2], edges[1::2]) if low <= high)


def _checked(low: int, high: int, text: str) -> Interval:
    if not 1 <= low <= HIGHEST or not 1 <= high <= HIGHEST:
        raise ValueError(f"{_shown(text)}: a port lies between 1 and {HIGHEST}")
    if low > high:
        raise ValueError(f"{_shown(text)}: the range ends before it begins")
    return low, high


def _shown(text: str) -> str:
    """Text of unknown origin and length, fit for a message."""
    text = text.strip()
    return repr(text if len(text) <= 80 else text[:77] + "...")
