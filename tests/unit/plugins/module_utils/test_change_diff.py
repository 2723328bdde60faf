# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""change_diff: the lines that change, and no others."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.change_diff import changed_lines


@pytest.mark.parametrize(
    ("before", "after", "taken", "given"),
    [
        ("abc", "abc", "", ""),
        ("abc", "axc", "b", "x"),
        ("abc", "abxc", "", "x"),
        ("abc", "ac", "b", ""),
        ("", "ab", "", "ab"),
        ("ab", "", "ab", ""),
        ("aaaa", "aaa", "a", ""),  # the same lines at both ends
        ("aaa", "aaaa", "", "a"),
        ("aSbSc", "xSbSy", "ac", "xy"),  # S is not told, though changes stand on both sides of it
    ],
)
def test_changed_lines(before, after, taken, given):
    assert changed_lines(list(before), list(after)) == (list(taken), list(given))


def test_texts_that_take_the_square_of_their_lines_are_not_compared():
    before, after = ["x", "y"] * 20000, ["y", "z"] * 20000
    assert len(changed_lines(before, after)[0]) == 40000


def test_one_line_of_many_equal_ones():
    before, after = (["x"] * 40000 + [line] + ["x"] * 40000 for line in "ab")
    assert changed_lines(before, after) == (["a"], ["b"])
