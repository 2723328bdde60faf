# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes other inputs of real ones: bytes are flipped, cut, doubled and crossed; of JSON also values are replaced and keys lost.

Everything comes from the generator of random numbers that is handed in, so that a seed gives the same inputs again.
"""

from __future__ import annotations

import json
import random
from typing import Any, List, Sequence

# What parsers trip over: ends of integers, lengths that cannot be true, escapes, templates, and what is nearly UTF-8 or nearly JSON.
BYTES = (
    b"",
    b"\0",
    b"\n",
    b"\r\n",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b"\xff\xff\xff\x7f",
    b"\xed\xa0\x80",
    b"\xc3",
    b"-1",
    b"99999999999999999999",
    b"1e999",
    b"nan",
    b"0x",
    b'"',
    b"\\",
    b"{{ 7*7 }}",
    b"{" * 60,
    b"[" * 3000,
    b"\x1b[2J",
    b"a" * 300,
    b" ",
    b":",
    b",",
    b"=",
    b"\t",
)
VALUES: Sequence[Any] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    65535,
    65536,
    2**31,
    2**63,
    -(2**63),
    10**30,
    10**400,  # no float
    0.5,
    -1.5,
    1e308,
    "",
    "0",
    "x",
    "\0",
    "a\nb\tc",
    "\x1b[2J\x1b]0;x\x07",
    "{{ lookup('pipe', 'touch /tmp/x') }}",
    "'; touch x; '$(touch x)`touch x`",
    "<script>alert(1)</script>",
    "\ud800",
    "\u202e",
    "0.0.0.0",
    "::",
    "2026-11-22T08:00:00Z",
    "x" * 5000,
    [],
    {},
    [None],
    [[]],
    {"": ""},
    [{"what": 1}],
    {"complete": False, "missing": [{"what": 1}]},
    [{}],
)
_MOST_BYTES = 1 << 16  # of an input: a datagram, a block of a log


def of_bytes(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One more input of that kind."""
    data = bytearray(chance.choice(seeds))
    for _step in range(chance.choice((0, 1, 1, 2, 3, 5, 9))):
        _change(chance, data, seeds)
    return bytes(data[:_MOST_BYTES])


def _change(chance: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    at = chance.randint(0, len(data))
    until = min(len(data), at + chance.choice((0, 1, 1, 2, 4, 8, 40, 400)))
    kind = chance.randrange(7)
    if kind == 0:
        del data[at:until]
    elif kind == 1:
        data[at:until] = chance.choice(BYTES)
    elif kind == 2 and data:
        data[at % len(data)] ^= 1 << chance.randrange(8)
    elif kind == 3:
        data[at:until] = bytes(chance.randrange(256) for _byte in range(until - at))
    elif kind == 4:
        other = chance.choice(seeds)
        begin = chance.randint(0, len(other))
        data[at:until] = other[begin : begin + chance.choice((1, 4, 16, 400))]
    elif kind == 5:
        data[at:at] = data[at:until] * chance.choice((1, 2, 20))
    else:
        del data[at:]


def of_json(chance: random.Random, document: Any, most: int = 4) -> Any:
    """A copy with other values, fewer keys, or entries that are there twice."""
    made = json.loads(json.dumps(document))
    for _step in range(chance.randint(0, most)):
        made = _other(chance, made)
    return made


def _other(chance: random.Random, document: Any) -> Any:
    """Change one place, each of those on the way with the same chance as each below it."""
    place, key = {"": document}, ""  # type: Any, Any
    whole = place
    while True:
        value = place[key]
        inside: List[Any] = (
            list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
        )
        if not inside or chance.random() < 0.15:
            break
        place, key = value, chance.choice(inside)
    kind = chance.randrange(6)
    if kind == 0 and place is not whole:
        del place[key]
    elif kind == 1 and isinstance(place, list):
        place.append(json.loads(json.dumps(place[key])))
    elif kind == 2 and isinstance(place[key], str):
        data = of_bytes(chance, [place[key].encode("utf-8", "surrogatepass")])
        place[key] = data.decode("utf-8", "surrogateescape")
    elif kind == 3 and isinstance(place, dict) and place is not whole:
        place[chance.choice(("", "x", "name", "missing", "{{ x }}", "a\nb"))] = place[key]
    else:
        place[key] = json.loads(json.dumps(chance.choice(VALUES)))
    return whole[""]
