# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""log_scope: the window, what was looked at, and what was not."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import log_scope
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import Scanned, Told, Wanted


@pytest.mark.parametrize(("now", "since", "begin"), [(1000.5, 100, 900.5), (1000.0, 5000, 0.0)])
def test_window(now, since, begin):
    assert Wanted(now, since, 1).begin == begin


def test_span():
    scanned = Scanned("pod", "pod logs")
    scanned.saw(None)
    assert (scanned.begin, scanned.end) == (None, None)
    for when in (20.0, None, 10.0, 15.0):
        scanned.saw(when)
    assert (scanned.begin, scanned.end) == (10.0, 20.0)


def test_gaps_are_told_once():
    told, other = Told(), Told()
    for one in (told, other):
        one.miss("journal", "corrupted")
    other.miss("journal", "more")
    other.scanned.append(Scanned("kernel", "kernel ring"))
    told.add(other)
    assert told.missing == [{"what": "journal", "why": "corrupted"}, {"what": "journal", "why": "more"}]
    assert [one.name for one in told.scanned] == ["kernel ring"]


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (1795000000.75, "2026-11-18 11:06:40 UTC"),
        (1e18, "second 1000000000000000000"),
    ],
)
def test_moment(when, words):
    assert log_scope.moment(when) == words
