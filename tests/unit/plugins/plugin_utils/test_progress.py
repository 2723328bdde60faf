# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a task has come, in one line for a terminal and in few lines for a log."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils.progress import (
    DONE,
    FAILED,
    SILENT,
    UNREACHABLE,
    Progress,
    fitting,
    width,
)

FLEET = [f"h{number:02}" for number in range(1, 51)]


def progress(hosts=FLEET, at_once=50, name="Ask each node", started=None):
    task = Progress(name, hosts, at_once, 0)
    for host in hosts[: at_once if started is None else started]:
        task.start(host, 0)
    return task


def test_what_is_through_what_failed_and_who_is_slow():
    task = progress()
    for host in FLEET[5:]:
        task.end(host, DONE)
    for host, how in (("h01", FAILED), ("h02", UNREACHABLE), ("h03", SILENT)):
        task.end(host, how)
    assert task.line(200, 14.2) == (
        "Ask each node: 48 of 50 hosts, 1 failed, 1 unreachable, 1 without answer; slowest h04 14 s, h05 14 s"
    )


def test_the_slowest_are_those_that_began_first_and_of_many_three_are_named():
    task = Progress("Ask", FLEET, 5, 0)
    for second, host in enumerate(FLEET[:6]):
        task.start(host, second)
    task.end("h02", DONE)
    assert task.line(200, 9).endswith("1 of 50 hosts; slowest h01 9 s, h03 7 s, h04 6 s, 2 more")


def test_hosts_that_have_only_begun_are_not_called_slow():
    assert "slowest" not in progress().line(200, 1.5)


def test_minutes():
    assert "slowest h01 10 min" in progress().line(200, 659)


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (100, "Ask each node: 0 of 50 hosts; slowest h01 3 s, h02 3 s, h03 3 s, 47 more"),
        (60, "Ask each node: 0 of 50 hosts; slowest h01 3 s, 49 more"),
        (40, "Ask each node: 0 of 50 hosts"),
        (30, "Ask each …: 0 of 50 hosts"),
        (15, "0 of 50 hosts"),
        (5, "0 of…"),
    ],
)
def test_it_fits_the_terminal(columns, line):
    assert progress().line(columns, 3) == line


@pytest.mark.parametrize("columns", range(120))
def test_it_never_wraps(columns):
    task = progress([f"節点-{number}" for number in range(50)], name="全部に聞く")
    for host in ("節点-1", "節点-2"):
        task.end(host, UNREACHABLE)
    assert width(task.line(columns, 700)) <= columns


def test_names_do_not_move_the_cursor():
    task = progress(["a\x1b[2J", "b\u202e"], at_once=2, name="x\ny")
    line = task.line(200, 5)
    assert line == r"x\ny: 0 of 2 hosts; slowest a\x1b[2J 5 s, b\u202e 5 s"
    assert line in task.step(6).replace("after 6 s", "").replace("6 s", "5 s").replace("hosts ;", "hosts;")


def test_hosts_that_are_not_to_come_are_not_waited_for():
    """Of 50 hosts, 3 run what is included for them; when there is room for more and none has come, there are 3."""
    task = progress(started=3)
    assert "0 of 50" in task.line(200, 0.5)
    assert "0 of 3" in task.line(200, 2)
    assert "0 of 50" in progress(at_once=3).line(200, 2)


def test_one_host_alone_has_no_progress():
    task = progress(["localhost"])
    assert not task.several()
    assert task.step(1000) is None
    assert progress(["a", "b"]).several()


def steps(task, ends, until=200):
    """The lines of a log, by second; ``ends`` says which host is through when."""
    said = {}
    for second in range(until):
        for host in ends.get(second, ()):
            task.end(host, DONE)
        line = task.step(second)
        if line:
            said[second] = line
    return said


def test_a_short_task_leaves_no_line_in_a_log():
    task = progress()
    assert steps(task, {4: FLEET}) == {}
    assert task.end_step(4) is None


def test_a_log_has_a_line_when_a_task_lasts_then_at_each_quarter():
    task = progress()
    said = steps(task, {20: FLEET[:13], 30: FLEET[13:25], 31: FLEET[25:38], 40: FLEET[38:]})
    assert {second: line.partition(" after ")[0] for second, line in said.items()} == {
        5: "Ask each node: 0 of 50 hosts",
        20: "Ask each node: 13 of 50 hosts",
        30: "Ask each node: 25 of 50 hosts",
        35: "Ask each node: 38 of 50 hosts",
    }
    assert task.end_step(40) == "Ask each node: 50 of 50 hosts after 40 s"


def test_a_log_has_a_line_when_nothing_happens_for_long():
    said = steps(progress(["a", "b"], at_once=2), {}, until=70)
    assert said == {
        second: f"Ask each node: 0 of 2 hosts after {second} s; slowest a {second} s, b {second} s"
        for second in (5, 35, 65)
    }


@pytest.mark.parametrize(
    ("text", "columns", "cut"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("節点", 3, "節…"), ("ab", 0, "")]
)
def test_fitting(text, columns, cut):
    assert fitting(text, columns) == cut
