# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sockets a group has, in few bytes, so that a later look can tell how many of them are still the same ones.

Kept are the smallest hashes of what identifies each: all of them of up to 64 sockets, of more a sample that two looks draw alike (a
bottom-k sketch: E. Cohen and H. Kaplan, "Summarizing data using bottom-k sketches", PODC 2007).
"""

from __future__ import annotations

import hashlib
import heapq
import re
from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import tcp_reader
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry

MOST = 64
_BYTES = 6  # of a hash: of 70,000 sockets, no two are likely to be mixed up (n²/2 in 2⁴⁸ is 1 in 100,000)
_FORM = re.compile(f"(cookie|inode) ((?:[0-9a-f]{{{2 * _BYTES}}}){{1,{MOST}}})")


class Maker:
    """Takes the sockets of a group, one by one."""

    def __init__(self) -> None:
        self._by = ""
        self._kept: set[int] = set()
        self._largest: list[int] = []  # a heap of what is kept, negated

    def add(self, entry: Entry) -> None:
        """Take a socket, told by its cookie; by inode and ends where the backend shows none."""
        self._by = "cookie" if entry.cookie else "inode"
        ends = (entry.address, entry.port, entry.peer, entry.peer_port)
        mark = repr((tcp_reader.identity(entry), ends)).encode()
        number = int.from_bytes(hashlib.sha256(mark).digest()[:_BYTES], "big")
        if number in self._kept or (len(self._kept) >= MOST and number > -self._largest[0]):
            return
        self._kept.add(number)
        heapq.heappush(self._largest, -number)
        if len(self._kept) > MOST:
            self._kept.discard(-heapq.heappop(self._largest))

    def told(self) -> Optional[str]:
        """``cookie 1f0e9a2b3c4d…``: by what the sockets are known, and the hashes, smallest first; None without any socket."""
        hashes = "".join(f"{number:0{2 * _BYTES}x}" for number in sorted(self._kept))
        return f"{self._by} {hashes}" if hashes else None


class Sketch(NamedTuple):
    """What was told of a group of so many sockets."""

    by: str
    hashes: frozenset[int]
    sockets: int

    @property
    def is_whole(self) -> bool:
        """True when no socket was left out."""
        return self.sockets <= len(self.hashes)


def read(told: Any, sockets: int) -> Optional[Sketch]:
    """What ``Maker.told`` said of a group; None for what it did not say."""
    found = _FORM.fullmatch(told) if isinstance(told, str) else None
    if found is None:
        return None
    digits, size = found[2], 2 * _BYTES
    hashes = frozenset(int(digits[start : start + size], 16) for start in range(0, len(digits), size))
    return Sketch(found[1], hashes, sockets)


def shared(one: Sketch, other: Sketch) -> tuple[int, bool]:
    """How many sockets two groups have in common, and whether that is exact; of sketches that know sockets by the same."""
    cuts = [max(sketch.hashes) for sketch in (one, other) if not sketch.is_whole]
    both = one.hashes & other.hashes
    if not cuts:
        return len(both), True
    # Up to here both told all they have: what holds of this part holds of all, about.
    seen = [number for number in one.hashes | other.hashes if number <= min(cuts)]
    likeness = sum(number in both for number in seen) / len(seen)
    estimate = round(likeness * (one.sockets + other.sockets) / (1 + likeness))
    return max(min(estimate, one.sockets, other.sockets), len(both)), False
