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


def test_a_file_that_is_all_new_is_not_compared_for_minutes():
    before, after = [str(number) for number in range(100000)], [str(-number) for number in range(100000)]
    assert len(changed_lines(before, after)[0]) == 99999
