# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback over the events that Ansible sends, printed by the real default callback."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from ansible import context
from ansible.executor.stats import AggregateStats
from ansible.utils.context_objects import CLIArgs

from ansible_collections.kubenode.doctor.plugins.callback import fleet
from ansible_collections.kubenode.doctor.plugins.plugin_utils import progress_watch

OPTIONS = {
    "check_mode_markers": False,
    "display_failed_stderr": False,
    "display_included_hosts": True,
    "display_ok_hosts": False,
    "display_skipped_hosts": False,
    "pretty_results": None,
    "progress": "auto",
    "result_format": "yaml",
    "show_custom_stats": False,
    "show_per_host_start": False,
    "show_task_path_on_failure": False,
}


class Display:
    verbosity = 0

    def __init__(self):
        self._lock = threading.RLock()
        self.lines = []

    def display(self, msg, log_only=False, **_how):
        if not log_only:
            self.lines += msg.strip("\n").splitlines()

    def banner(self, msg):
        self.display(f"{msg} ***")


class Run:
    """A run whose events the test sends."""

    def __init__(self, callback, hosts):
        self.callback = callback
        self.hosts = hosts
        self.stats = AggregateStats()
        self.now = 0.0

    @property
    def lines(self):
        return self.callback._display.lines

    def play(self, *, batch=None, strategy="linear", uuid="play", limit=None, name="Play"):
        everything = {"ansible_play_batch": batch or self.hosts, "ansible_play_hosts_all": self.hosts}
        self.callback.v2_playbook_on_play_start(
            SimpleNamespace(
                _uuid=uuid,
                check_mode=False,
                get_name=lambda: name,
                get_variable_manager=lambda: SimpleNamespace(get_vars=lambda **_of: everything),
                max_fail_percentage=limit,
                strategy=strategy,
            )
        )

    def task(self, name, hosts=None, action="ansible.builtin.command", handler=False, **more):
        task = SimpleNamespace(
            **{
                "_uuid": name,
                "action": action,
                "any_errors_fatal": False,
                "args": {},
                "check_mode": False,
                "debugger": None,
                "delegate_to": None,
                "get_name": lambda: f"kubenode.doctor.role : {name}",
                "ignore_unreachable": False,
                "loop": None,
                "name": name,
                "no_log": False,
                "run_once": False,
                "throttle": 0,
                **more,
            }
        )
        if handler:
            self.callback.v2_playbook_on_handler_task_start(task)
        else:
            self.callback.v2_playbook_on_task_start(task, False)
        for host in hosts or self.hosts:
            self.callback.v2_runner_on_start(self.host(host), task)
        return task

    def host(self, name):
        return SimpleNamespace(name=name, get_name=lambda: name)

    def result(self, task, host, returned):
        known = {"host": self.host(host), "task": task, "result": {"changed": False, **returned}}
        # Before ansible-core 2.19 they were private.
        return SimpleNamespace(**known, **{f"_{name}": value for name, value in known.items()})

    def ok(self, task, host, **returned):
        self.stats.increment("ok", host)
        if returned.get("changed"):
            self.stats.increment("changed", host)
        self.callback.v2_runner_on_ok(self.result(task, host, returned))

    def fail(self, task, host, ignored=False, **returned):
        self.stats.increment("ignored" if ignored else "failures", host)
        self.callback.v2_runner_on_failed(self.result(task, host, returned), ignored)

    def fail_item(self, task, host, item, **returned):
        returned |= {"item": item, "ansible_loop_var": "item"}
        self.callback.v2_runner_item_on_failed(self.result(task, host, returned))

    def lose(self, task, host, **returned):
        self.stats.increment("dark", host)
        self.callback.v2_runner_on_unreachable(self.result(task, host, {**returned, "unreachable": True}))

    def tick(self, seconds):
        self.now += seconds
        self.callback._watch.tick(self.now)

    def end(self):
        self.callback.v2_playbook_on_stats(self.stats)
        return self.lines[self.lines.index("PLAY RECAP ***") + 1 :]


@pytest.fixture
def start(monkeypatch):
    """Begin a run of these hosts. Time passes when the test says so, and nothing is registered for the end of this process."""

    def begin(*hosts, options=None, arguments=None):
        monkeypatch.setattr(
            context, "CLIARGS", CLIArgs({"args": ("one.yml",), "check": False, "forks": 50, **(arguments or {})})
        )
        monkeypatch.setattr(fleet.atexit, "register", lambda _function: None)
        callback = fleet.CallbackModule()
        callback._display = Display()
        callback._plugin_options = {**OPTIONS, **(options or {})}
        run = Run(callback, hosts)
        clock = SimpleNamespace(monotonic=lambda: run.now)
        monkeypatch.setattr(fleet, "time", clock)
        monkeypatch.setattr(progress_watch, "time", clock)
        # The thread that ticks; here the test does.
        monkeypatch.setattr(progress_watch.ProgressWatch, "_run", lambda _watch: None)
        callback.v2_playbook_on_start(None)
        return run

    return begin


def test_one_failure_is_told_as_ever(start):
    run = start("a", "b")
    run.play()
    task = run.task("Try")
    run.fail(task, "a", msg="broken")
    assert run.lines == [
        "PLAY [Play] ***",
        "TASK [kubenode.doctor.role : Try] ***",
        "fatal: [a]: FAILED! => ",
        "    changed: false",
        "    msg: broken",
    ]


def test_equal_failures_are_told_once_with_all_hosts(start):
    run = start("a", "b", "c", "d")
    run.play()
    task = run.task("Try")
    for host, why in (("a", "broken"), ("b", "broken"), ("c", "other"), ("d", "broken")):
        run.fail(task, host, msg=why)
    assert [line for line in run.lines if "fatal" in line] == ["fatal: [a]: FAILED! => ", "fatal: [c]: FAILED! => "]
    run.task("Next")
    assert run.lines[-1] == "fatal: [b], [d]: FAILED! => the same as [a]"
    assert run.lines.count("    msg: broken") == 1


def test_failures_of_two_tasks_are_not_mixed(start):
    run = start("a", "b")
    run.play()
    run.fail(run.task("One"), "a", msg="broken")
    run.fail(run.task("Two"), "b", msg="broken")
    run.end()
    assert run.lines.count("    msg: broken") == 2


def test_an_ignored_failure_is_not_the_same_as_one_that_counts(start):
    run = start("a", "b", "c")
    run.play()
    task = run.task("Try")
    run.fail(task, "a", msg="broken")
    run.fail(task, "b", ignored=True, msg="broken")
    run.fail(task, "c", ignored=True, msg="broken")
    run.task("Next")
    assert run.lines[-3:] == ["    msg: broken", "...ignoring", "fatal: [c]: FAILED! => the same as [b]"]


def test_when_a_command_ran_makes_no_difference_but_what_it_printed_does(start):
    run = start("a", "b", "c")
    run.play()
    task = run.task("Try")
    when = {"start": "2026-11-22 03:54:23.{}", "end": "2026-11-22 03:54:24.{}", "delta": "0:00:01.{}"}
    for number, (host, printed) in enumerate({"a": "x", "b": "x", "c": "y"}.items()):
        run.fail(task, host, stdout=printed, **{key: text.format(number) for key, text in when.items()})
    run.task("Next")
    assert run.lines[-1] == "fatal: [b]: FAILED! => the same as [a]"
    assert "    stdout: y" in run.lines


def test_failures_of_equal_items_too(start):
    run = start("a", "b", "c")
    run.play()
    task = run.task("Try", loop=["x => y", "z"])
    for host in "abc":
        run.fail_item(task, host, "x => y", msg="broken")
        run.fail_item(task, host, "z", msg="broken" if host == "a" else "other")
        run.fail(task, host, results=[])
    run.task("Next")
    assert [line for line in run.lines if "[" in line and "TASK" not in line][1:] == [
        "failed: [a] (item=x => y) => ",
        "failed: [a] (item=z) => ",
        "failed: [b] (item=z) => ",
        "failed: [b], [c] (item=x => y) => the same as [a]",
        "failed: [c] (item=z) => the same as [b]",
    ]
    assert run.lines.count("    msg: broken") == 2


def test_who_ignored_failures_of_items_is_told_once(start):
    run = start("a", "b", "c", "d")
    run.play()
    task = run.task("Try", loop=["x"])
    for host in "abcd":
        run.fail_item(task, host, "x", msg="broken")
        run.fail(task, host, ignored=host != "b", results=[])
    run.task("Next")
    assert run.lines[-3:] == [
        "...ignoring",
        "failed: [b], [c], [d] (item=x) => the same as [a]",
        "...ignoring: [c], [d]",
    ]
    assert run.lines.count("...ignoring") == 1


def test_unreachable_hosts_too(start):
    run = start("a", "b")
    run.play()
    task = run.task("Try")
    run.lose(task, "a", msg="refused")
    run.lose(task, "b", msg="refused")
    run.callback.v2_playbook_on_no_hosts_remaining()
    assert run.lines[-2:] == ["fatal: [b]: UNREACHABLE! => the same as [a]", "NO MORE HOSTS LEFT ***"]


def test_what_was_held_back_is_told_when_the_run_is_interrupted(start):
    run = start("a", "b")
    run.play()
    task = run.task("Try")
    run.fail(task, "a", msg="broken")
    run.fail(task, "b", msg="broken")
    run.callback._leave()
    assert run.lines[-1] == "fatal: [b]: FAILED! => the same as [a]"


def test_hosts_that_are_not_in_step_are_told_one_by_one(start):
    run = start("a", "b")
    run.play(strategy="ansible.builtin.free")
    task = run.task("Try")
    run.fail(task, "a", msg="broken")
    run.fail(task, "b", msg="broken")
    assert run.lines.count("    msg: broken") == 2


@pytest.mark.parametrize(("verbosity", "told"), [(0, 0), (1, 1)])
def test_what_an_assertion_says_is_not_said_twice(start, monkeypatch, verbosity, told):
    run = start("a")
    run.callback._display.verbosity = verbosity
    monkeypatch.setattr(
        run.callback, "_handle_exception", lambda *_, **__: run.callback._display.display("[ERROR]: Task failed: no")
    )
    run.play()
    run.fail(run.task("Assert", action="ansible.builtin.assert"), "a", msg="no")
    assert run.lines.count("[ERROR]: Task failed: no") == told
    run.fail(run.task("Command"), "a", msg="no")
    assert run.lines.count("[ERROR]: Task failed: no") == told + 1


def included(run, *hosts):
    return SimpleNamespace(_filename="tasks.yml", _hosts=[run.host(host) for host in hosts], _vars={})


def test_an_include_for_many_hosts_names_some(start):
    run = start()
    run.play()
    run.callback.v2_playbook_on_include(included(run, *(f"h{number}" for number in range(12))))
    run.callback.v2_playbook_on_include(included(run, "a", "b"))
    assert run.lines[-2:] == [
        "included: tasks.yml for h0, h1, h2, h3, h4, h5, h6, h7, h8, h9 and 2 more",
        "included: tasks.yml for a, b",
    ]


def test_a_log_has_steps_of_a_task_that_lasts(start):
    run = start(*"abcd")
    run.play()
    task = run.task("Ask", action="kubenode.doctor.node_snapshot")
    run.tick(4)
    run.ok(task, "a", answered=True)
    run.ok(task, "b", answered=False)
    run.tick(2)
    run.ok(task, "c", answered=True)
    run.ok(task, "d", answered=True)
    run.now = 9.0
    run.task("Next")
    assert run.lines[1:] == [
        "Ask: 2 of 4 hosts, 1 without answer after 6 s; slowest c 6 s, d 6 s",
        "Ask: 4 of 4 hosts, 1 without answer after 9 s",
    ]


@pytest.mark.parametrize("how", ["debugger", "throttle", "handler", "none"])
def test_who_has_steps(start, how):
    run = start(*"abcd", options={"progress": "none"} if how == "none" else {})
    run.play()
    more = {"debugger": {"debugger": "on_failed"}, "throttle": {"throttle": 2}, "handler": {"handler": True}}
    run.task("Ask", hosts="ab", **more.get(how, {}))
    run.tick(6)
    told = {
        "throttle": ["Ask: 0 of 4 hosts after 6 s; slowest a 6 s, b 6 s"],
        "handler": ["Ask: 0 of 2 hosts after 6 s; slowest a 6 s, b 6 s"],
    }
    assert run.lines[1:] == told.get(how, [])


def test_hosts_that_are_out_are_not_waited_for(start):
    run = start(*"abcd", arguments={"forks": 2})
    run.play()
    task = run.task("One")
    run.fail(task, "a", msg="x")
    run.lose(task, "b")
    run.task("Two", hosts="c")
    run.callback.v2_runner_on_start(run.host("d"), None)
    run.tick(6)
    assert run.lines[-1] == "Two: 0 of 2 hosts after 6 s; slowest c 6 s, d 6 s"


@pytest.mark.parametrize("how", ["ignored", "lost and ignored", "rescued"])
def test_hosts_that_go_on_are_waited_for(start, how):
    run = start(*"abcd", arguments={"forks": 1})
    run.play()
    task = run.task("One", hosts="a", ignore_unreachable=how == "lost and ignored")
    if how == "lost and ignored":
        run.lose(task, "a")
    else:
        run.fail(task, "a", ignored=how == "ignored", msg="x")
    if how == "rescued":
        run.task("Rescue", hosts="a")
    run.task("Two", hosts="a")
    run.callback.v2_runner_on_start(run.host("b"), None)
    run.tick(6)
    assert run.lines[-1] == "Two: 0 of 4 hosts after 6 s; slowest a 6 s, b 6 s"


def test_the_end_is_told_by_groups(start):
    run = start(*"abcd")
    run.play()
    task = run.task("Ask", action="kubenode.doctor.node_snapshot")
    for host in "abcd":
        run.ok(task, host, answered=host != "d")
    task = run.task("Assert", action="ansible.builtin.assert")
    run.fail(task, "b", msg="wrong")
    for host in "acd":
        run.ok(task, host)
    assert run.end() == [
        '     failed  1 host at "Assert": b',
        "  no answer  1 host: d",
        "         ok  2 hosts: a, c",
        'exit status  2: hosts failed; what stands after "fatal:" or "failed:" says why',
    ]


def test_verbose_runs_have_ansibles_counts_too(start):
    run = start("a", "b")
    run.callback._display.verbosity = 1
    run.play()
    task = run.task("Try")
    run.ok(task, "a", changed=True)
    run.ok(task, "b")
    told = run.end()
    assert told[:3] == ["         ok  1 host, 1 change: a", "         ok  1 host: b", "exit status  0: no host failed"]
    assert "changed=1" in told[3]
    assert told[4].startswith("b ")


@pytest.mark.parametrize("how", [{"any_errors_fatal": True}, {"run_once": True}])
def test_hosts_for_which_another_ended_the_play_did_not_end_well(start, how):
    run = start(*"abc")
    run.play()
    task = run.task("One")
    run.ok(task, "b")
    run.fail(run.task("Two", hosts="a", **how), "a", msg="x")
    assert run.end()[:2] == ['     failed  1 host at "Two": a', "    stopped  2 hosts: b, c"]


def test_a_host_failed_where_it_did_and_not_where_it_cleaned_up(start):
    run = start(*"ab")
    run.play()
    run.callback.v2_runner_on_failed(run.result(run.task("Try"), "a", {"msg": "x"}))
    run.stats.increment("rescued", "a")
    run.fail(run.task("Rescue", hosts="a"), "a", msg="x")
    task = run.task("Always")
    run.ok(task, "a")
    run.ok(task, "b")
    assert run.end()[0] == '     failed  1 host, 1 rescued failure at "Rescue": a'


def test_hosts_for_which_too_many_others_failed_did_not_end_well(start):
    run = start(*"abcdefg")
    run.play(batch=["a", "b"], limit=30)
    task = run.task("One", hosts="ab")
    run.ok(task, "a")
    run.ok(task, "b")
    run.play(batch=["c", "d", "e", "f"], limit=30)
    run.ok(run.task("One", hosts="c"), "c")
    task = run.task("Two", hosts="de")
    run.fail(task, "d", msg="x")
    run.callback.v2_runner_on_failed(run.result(task, "e", {"msg": "x"}))
    run.stats.increment("rescued", "e")
    run.callback.v2_playbook_on_no_hosts_remaining()
    assert run.end()[:5] == [
        '     failed  1 host at "Two": d',
        "    stopped  2 hosts: c, f",
        "  not begun  1 host: g",
        "         ok  2 hosts: a, b",
        "         ok  1 host, 1 rescued failure: e",
    ]


def test_hosts_go_on_when_that_failure_was_rescued(start):
    run = start(*"ab")
    run.play()
    task = run.task("Two", any_errors_fatal=True)
    run.ok(task, "b")
    run.callback.v2_runner_on_failed(run.result(task, "a", {"msg": "x"}))
    run.stats.increment("rescued", "a")
    assert run.end()[:2] == ["         ok  1 host, 1 rescued failure: a", "         ok  1 host: b"]


def test_hosts_whose_batch_was_never_begun_are_named(start):
    run = start(*"abcd")
    run.play(batch=["a"])
    run.ok(run.task("One", hosts="a"), "a")
    run.play(batch=["b"])
    run.fail(run.task("One", hosts="b"), "b", msg="x")
    assert run.end()[:3] == ['     failed  1 host at "One": b', "  not begun  2 hosts: c, d", "         ok  1 host: a"]


def test_hosts_that_had_nothing_to_do_are_not_named(start):
    run = start(*"ab")
    run.play()
    run.ok(run.task("Once", hosts="a", run_once=True), "a")
    assert run.end()[:2] == ["         ok  1 host: a", "exit status  0: no host failed"]


@pytest.mark.parametrize(("limit", "more"), [(30, {}), (None, {"any_errors_fatal": True}), (None, {})])
def test_where_an_unreachable_host_ends_the_play_the_status_is_one_of_two(start, limit, more):
    run = start(*"ab")
    run.play(limit=limit)
    run.lose(run.task("Try", hosts="a", **more), "a")
    if limit:
        run.callback.v2_playbook_on_no_hosts_remaining()
    known = limit is None and not more
    assert f"exit status  {'4' if known else '4 or 2'}: hosts could not be reached" in run.end()


def test_where_nobody_can_be_reached_the_status_is_known(start):
    run = start(*"ab")
    run.play(strategy="free")
    task = run.task("Try")
    run.lose(task, "a")
    run.lose(task, "b")
    run.callback.v2_playbook_on_no_hosts_remaining()
    assert run.end() == ['unreachable  2 hosts at "Try": a, b', "exit status  4: hosts could not be reached"]


def test_an_unreachable_host_within_the_limit_ends_the_play_for_nobody(start):
    run = start(*"ab")
    run.play(limit=60)
    task = run.task("Try")
    run.lose(task, "a")
    run.ok(task, "b")
    assert run.end()[-2:] == ["         ok  1 host: b", "exit status  4: hosts could not be reached"]


def test_a_dry_run_counts_what_there_is_to_change(start):
    run = start("a", arguments={"check": True})
    run.play()
    run.ok(run.task("Try"), "a", changed=True)
    run.ok(run.task("Try on"), "a", changed=True)
    assert "         ok  1 host, 2 changes to make: a" in run.end()


def test_the_status_is_not_told_while_another_playbook_is_to_come(start):
    run = start("a", arguments={"args": ("one.yml", "two.yml")})
    run.play()
    run.ok(run.task("Try"), "a")
    assert not [line for line in run.end() if "exit status" in line]
    run.callback.v2_playbook_on_start(None)
    run.end()
    assert "exit status  0: no host failed" in run.lines
