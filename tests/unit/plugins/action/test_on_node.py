# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugins of modules that need nothing of the controller: the module of their name is asked, within bounds, and what it says is safe to print."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.kubenode.doctor.plugins import action, modules
from ansible_collections.kubenode.doctor.plugins.action import tcp_states
from ansible_collections.kubenode.doctor.plugins.plugin_utils import answer_bounds, node_action

LOUD = "\x1b[2Jloud"
PLAIN = "\\x1b[2Jloud"
ANSWER = {"changed": False, "complete": True}


def plugins():
    names = [module.name for module in pkgutil.iter_modules(action.__path__)]
    found = [importlib.import_module(f"{action.__name__}.{name}").ActionModule for name in names]
    return [plugin for plugin in found if issubclass(plugin, node_action.OnNode)]


@pytest.fixture
def ask(monkeypatch):
    """``ask(answer, plugin)``: what the plugin makes of a node's answer, or of what is done in place of it."""
    # ActionBase.run wants a connection.
    monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {})
    asked = []

    def run(answer, plugin=tcp_states.ActionModule, options=None):
        one = plugin.__new__(plugin)
        one._task = SimpleNamespace(args={"sample_seconds": 0} if options is None else options)
        one._connection = SimpleNamespace(exec_command=None)
        one._execute_module = lambda **told: asked.append(told) or (answer() if callable(answer) else dict(answer))
        return one.run(None, {"inventory_hostname": "node-a"})

    run.asked = asked
    return run


@pytest.mark.parametrize("plugin", plugins())
def test_the_module_of_the_same_name_is_asked(ask, plugin):
    assert ask(ANSWER, plugin) == ANSWER
    assert ask.asked == [
        {
            "module_name": f"kubenode.doctor.{plugin.__module__.rpartition('.')[2]}",
            "module_args": {"sample_seconds": 0},
            "task_vars": {"inventory_hostname": "node-a"},
        }
    ]


def test_all_that_need_nothing_of_the_controller_are_such():
    names = {plugin.__module__.rpartition(".")[2] for plugin in plugins()}
    assert names >= {"docker_stale_names", "node_health", "tcp_states"}
    # Ansible itself would run a module that has no action plugin.
    assert {one.name for one in pkgutil.iter_modules(modules.__path__)} == {
        one.name for one in pkgutil.iter_modules(action.__path__)
    }


def test_what_a_node_would_have_printed_is_not(ask):
    loud = {"warnings": [LOUD], "deprecations": [{"msg": LOUD}], "exception": LOUD}
    assert ask({**ANSWER, **loud}) == ANSWER
    assert ask({**loud, "failed": True, "msg": LOUD}) == {"failed": True, "msg": PLAIN}


@pytest.mark.parametrize("answer", [{}, {"changed": True, "ok": True, "diff": [], "ansible_facts": {}}])
def test_an_answer_without_anything_that_the_module_gives_is_none(ask, answer):
    told = ask(answer)
    assert told == {
        "failed": True,
        "msg": "the node's answer is none that the module gives: something there has changed it",
    }


def test_a_diff_is_safe_to_print(ask):
    diff = [{"before": f"a\tb\n{LOUD}\n", "after_header": LOUD, "other": LOUD, "after": 5}, 5]
    assert ask({**ANSWER, "diff": diff}) == {**ANSWER, "diff": [{"before": f"a\tb\n{PLAIN}\n", "after_header": PLAIN}]}
    assert ask({**ANSWER, "diff": {"before": LOUD}}) == {**ANSWER, "diff": [{"before": PLAIN}]}
    assert ask({**ANSWER, "diff": 5}) == ANSWER


def test_a_node_does_not_say_what_becomes_of_its_answer(ask):
    heeded = {"skipped": True, "unreachable": True, "ansible_stats": 5}
    heeded |= {"results": [{"unreachable": True}], "failed_when_result": True, "rc": "x"}
    assert ask({**ANSWER, **heeded}) == ANSWER
    assert ask({**ANSWER, "changed": {"a": 1}}) == ANSWER
    assert ask({**ANSWER, "ansible_facts": []}) == ANSWER
    assert ask({**ANSWER, "ansible_facts": {"fix_masters": []}}) == {**ANSWER, "ansible_facts": {}}
    discovered = {"discovered_interpreter_python": "/usr/bin/python3"}
    assert ask({**ANSWER, "ansible_facts": {**discovered, "x": 1}}) == {**ANSWER, "ansible_facts": discovered}


def test_what_ansible_does_not_expect_of_an_answer_is_told(ask):
    def answer():
        raise RecursionError(LOUD)

    assert ask(answer) == {"failed": True, "msg": f"the node's answer could not be read: RecursionError: {PLAIN}"}


@pytest.mark.parametrize("kind", [AnsibleConnectionFailure, AnsibleError])
def test_what_ssh_says_is_safe(ask, kind):
    def answer():
        raise kind(LOUD)

    if kind is AnsibleError:
        assert ask(answer) == {"failed": True, "msg": PLAIN}
    else:
        with pytest.raises(kind, match=re.escape(PLAIN)):
            ask(answer)


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({}, 720),
        ({"budget_seconds": "20", "sample_seconds": 30.5}, 770),
        ({"budget_seconds": "x", "timeout": None}, 720),
    ],
)
def test_it_is_waited_for_as_long_as_its_options_say(ask, monkeypatch, options, seconds):
    waited = []
    bounded = answer_bounds.bounded
    monkeypatch.setattr(answer_bounds, "bounded", lambda *told: waited.append(told[1]) or bounded(*told))
    assert ask(ANSWER, options=options) == ANSWER
    assert waited == [seconds]


def test_a_node_that_hangs_when_a_task_is_tidied_up_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(node_action, "_TIDY_SECONDS", 1)
    monkeypatch.setattr(ActionBase, "cleanup", lambda *_arguments: time.sleep(60))
    one = tcp_states.ActionModule.__new__(tcp_states.ActionModule)
    one._connection = SimpleNamespace(exec_command=None)
    began = time.monotonic()
    one.cleanup()
    assert time.monotonic() - began < 60


def test_what_ansible_warns_of_an_odd_answer_is_safe(ask, monkeypatch):
    warned = []
    monkeypatch.setattr(Display, "warning", lambda _self, msg, *_rest, **_named: warned.append(msg))

    def answer():
        Display().warning(f"junk: {LOUD}")
        return ANSWER

    assert ask(answer) == ANSWER
    Display().warning(LOUD)  # not a node's word
    assert warned == [f"junk: {PLAIN}", LOUD]


def test_one_that_keeps_no_bounds_is_a_result_like_others(ask):
    """A task's failed_when holds for a result, and not with each ansible-core for what is raised."""

    def answer():
        raise answer_bounds.BoundsError("it sent more than 16 MiB")

    assert ask(answer) == {"failed": True, "msg": "the node's answer was not waited for: it sent more than 16 MiB"}
