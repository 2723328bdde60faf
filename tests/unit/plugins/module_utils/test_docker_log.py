# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docker_log: the end of a log is the same however its bytes arrive, and bounded whatever arrives."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import docker_log
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_log import Log, LogFormError
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_engine import frame

# As Docker 20.10 sent it for "echo a; echo b >&2; echo last", timestamps=1.
ENTRIES = (
    b"2026-11-22T00:22:33.304443440Z a\n",
    b"2026-11-22T00:22:33.304974136Z b\n",
    b"2026-11-22T00:22:33.356774669Z last\n",
)
FRAMES = frame(ENTRIES[0]) + frame(ENTRIES[1], stream=2) + frame(ENTRIES[2])


@pytest.mark.parametrize("size", [1, 3, 7, 8, 9, 41, 1000])
@pytest.mark.parametrize("framed", [True, False])
def test_pieces_of_any_size(size, framed):
    said = FRAMES if framed else b"".join(ENTRIES)
    pieces = [said[at : at + size] for at in range(0, len(said), size)]
    assert docker_log.end(pieces, framed, 3, 1000) == Log(b"".join(ENTRIES), False)
    assert docker_log.end(pieces, framed, 2, 1000) == Log(b"".join(ENTRIES[1:]), True)


@pytest.mark.parametrize(
    ("most", "expected"), [(102, ENTRIES), (101, ENTRIES[1:]), (36, ENTRIES[2:]), (35, ()), (0, ())]
)
def test_bytes_are_bounded_by_whole_entries(most, expected):
    assert docker_log.end([FRAMES], True, 3, most) == Log(b"".join(expected), len(expected) < 3)


def test_no_log():
    assert docker_log.end([], True, 3, 100) == docker_log.end([b""], False, 3, 100) == Log(b"", False)


def test_empty_entries():
    assert docker_log.end([frame(b""), frame(b"a")], True, 3, 100) == Log(b"a", False)


def test_a_last_line_without_an_end():
    assert docker_log.end([b"a\nb"], False, 1, 100) == Log(b"b", True)


@pytest.mark.parametrize(
    "said",
    [
        b"2026-11-22T00:22:33Z a\n",  # of a terminal
        FRAMES[:-1],
        FRAMES[:5],
        FRAMES + b"\x01",
        b"\x04" + FRAMES[1:],
        b"\x01\x00\x01" + FRAMES[3:],
        b"\x01\x00\x00\x00\xff\xff\xff\xff",
    ],
)
def test_what_is_not_made_of_frames(said):
    with pytest.raises(LogFormError):
        docker_log.end([said], True, 3, 1000)


def test_a_line_without_an_end_takes_no_memory():
    pieces = itertools.chain(itertools.repeat(b"x" * (64 << 10), 200), [b"\nlast\n"])
    content, cut = docker_log.end(pieces, False, 5, 3 << 20)
    assert cut
    assert content.endswith(b"x\nlast\n")
    assert len(content) <= 3 << 20
