# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run ended, hosts with the same end together."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils.endings import (
    FAILED,
    NOT_BEGUN,
    OK,
    SILENT,
    STOPPED,
    UNREACHABLE,
    Ending,
    exit_status,
    lines,
)


def told(endings, **options):
    return [line for _word, line in lines(endings, **options)]


def test_the_worst_first_and_equal_ones_together():
    endings = {
        "w1": Ending(OK),
        "w2": Ending(OK, changes=2),
        "m2": Ending(FAILED, 'Assert "it"'),
        "m1": Ending(FAILED, 'Assert "it"'),
        "m3": Ending(FAILED, "Ping", 1),
        "gone": Ending(UNREACHABLE, "Ping"),
        "w3": Ending(STOPPED, changes=1, ignored=2, rescued=1),
        "w4": Ending(NOT_BEGUN),
        "w5": Ending(SILENT),
        "w6": Ending(OK, changes=2),
    }
    assert told(endings) == [
        '     failed  2 hosts at "Assert "it"": m1, m2',
        '     failed  1 host, 1 change at "Ping": m3',
        'unreachable  1 host at "Ping": gone',
        "    stopped  1 host, 1 change, 2 ignored failures, 1 rescued failure: w3",
        "  not begun  1 host: w4",
        "  no answer  1 host: w5",
        "         ok  2 hosts, 2 changes each: w2, w6",
        "         ok  1 host: w1",
    ]


def test_of_many_hosts_some_are_named():
    (line,) = told({f"h{number:03}": Ending(OK) for number in range(500)})
    assert line == (
        "         ok  500 hosts: h000, h001, h002, h003, h004, h005, h006, h007, h008, h009 and 490 more (-v shows each)"
    )


def test_changes_of_a_dry_run_are_to_be_made():
    endings = {"a": Ending(OK, changes=1), "b": Ending(OK, changes=2)}
    assert told(endings, change=("change to make", "changes to make")) == [
        "         ok  1 host, 2 changes to make: b",
        "         ok  1 host, 1 change to make: a",
    ]


def test_names_and_tasks_do_not_move_the_cursor():
    assert told({"a\x1b[2J": Ending(FAILED, "x\u202ey")}) == [r'     failed  1 host at "x\u202ey": a\x1b[2J']


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        ((OK,), 0, "0: no host failed"),
        ((OK, SILENT), 0, "0: no host failed, but some did not answer"),
        ((), 0, "0: no host was asked for anything"),
        ((OK, FAILED, SILENT, STOPPED), 2, '2: hosts failed; what stands after "fatal:" or "failed:" says why'),
        ((OK, UNREACHABLE), 4, "4: hosts could not be reached"),
        ((FAILED, UNREACHABLE), 4, "4: hosts could not be reached, and others failed"),
    ],
)
def test_what_the_exit_status_is(words, status, why):
    numbers = itertools.count()
    endings = {f"h{next(numbers)}": Ending(word) for word in words}
    assert exit_status(endings, False) == (status, f"exit status  {why}")


def test_where_versions_differ_both_are_told():
    assert exit_status({"a": Ending(UNREACHABLE)}, True) == (4, "exit status  4 or 2: hosts could not be reached")
