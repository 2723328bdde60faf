# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugins of modules that need nothing of the controller: the module of their name is asked, within bounds, and what it says is safe to print."""

from __future__ import annotations

import importlib
import pkgutil
from types import SimpleNamespace

import pytest
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.kubenode.doctor.plugins import action
from ansible_collections.kubenode.doctor.plugins.action import tcp_states
from ansible_collections.kubenode.doctor.plugins.plugin_utils import answer_bounds, node_action

LOUD = "\x1b[2Jloud"
PLAIN = "\\x1b[2Jloud"
ANSWER = {"changed": False, "groups": []}


def plugins():
    names = [module.name for module in pkgutil.iter_modules(action.__path__)]
    modules = [importlib.import_module(f"{action.__name__}.{name}") for name in names]
    return [module.ActionModule for module in modules if issubclass(module.ActionModule, node_action.OnNode)]


@pytest.fixture
def ask(monkeypatch):
    """``ask(answer, plugin, async_val=0)``: what the plugin makes of a node's answer, or of what is done in place of it."""
    # ActionBase.run wants a connection.
    monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {})
    asked = []

    def run(answer, plugin=tcp_states.ActionModule, async_val=0):
        one = plugin.__new__(plugin)
        one._task = SimpleNamespace(args={"sample_seconds": 0}, async_val=async_val)
        one._connection = SimpleNamespace(exec_command=None)
        one._execute_module = lambda **told: asked.append(told) or (answer() if callable(answer) else dict(answer))
        return one.run(None, {"inventory_hostname": "node-a"})

    run.asked = asked
    return run


@pytest.mark.parametrize("plugin", plugins())
@pytest.mark.parametrize("async_val", [0, 60])
def test_the_module_of_the_same_name_is_asked(ask, plugin, async_val):
    assert ask(ANSWER, plugin, async_val) == ANSWER
    assert ask.asked == [
        {
            "module_name": f"kubenode.doctor.{plugin.__module__.rpartition('.')[2]}",
            "module_args": {"sample_seconds": 0},
            "task_vars": {"inventory_hostname": "node-a"},
            "wrap_async": async_val > 0,
        }
    ]


def test_all_that_need_nothing_of_the_controller_are_such():
    names = {plugin.__module__.rpartition(".")[2] for plugin in plugins()}
    assert names >= {"docker_stale_names", "node_health", "tcp_states"}


def test_what_a_node_would_have_printed_is_not(ask):
    loud = {"warnings": [LOUD], "deprecations": [{"msg": LOUD}], "exception": LOUD}
    assert ask({**ANSWER, **loud}) == ANSWER
    assert ask({**loud, "failed": True, "msg": LOUD}) == {"failed": True, "msg": PLAIN}


def test_a_node_does_not_say_what_becomes_of_its_answer(ask):
    heeded = {"skipped": True, "unreachable": True, "ansible_facts": {"fix_masters": [], "x": 1}}
    assert ask({**ANSWER, **heeded}) == ANSWER
    assert ask({**ANSWER, "ansible_facts": []}) == ANSWER
    discovered = {"discovered_interpreter_python": "/usr/bin/python3"}
    assert ask({**ANSWER, "ansible_facts": {**discovered, "x": 1}}) == {**ANSWER, "ansible_facts": discovered}


def test_what_ansible_does_not_expect_of_an_answer_is_told(ask):
    def answer():
        raise RecursionError(LOUD)

    assert ask(answer) == {"failed": True, "msg": f"the node's answer could not be read: RecursionError: {PLAIN}"}


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
