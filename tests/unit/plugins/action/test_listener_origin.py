# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""listener_origin's action plugin: what it hands to the node, what it keeps for itself, and what it makes of the answer."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.kubenode.doctor.plugins.action import listener_origin
from ansible_collections.kubenode.doctor.plugins.module_utils import origin_request
from ansible_collections.kubenode.doctor.plugins.plugin_utils import answer_bounds

ANSWER = {"changed": True, "listeners": [], "ephemeral_range": None, "complete": True, "missing": [], "trace": None}
OF_THE_NODE = {
    name: spec["default"]
    for name, spec in origin_request.ARGUMENTS.items()
    if spec.get("default") is not None and name not in origin_request.OF_THE_CONTROLLER
}


class Action(listener_origin.ActionModule):
    """The plugin with a node that gives ``answer``; ``options`` are those that the node was given."""

    def __init__(self, arguments, answer=None):
        self._task = SimpleNamespace(args=arguments, action="kubenode.doctor.listener_origin", async_val=0)
        self._answer = answer or ANSWER
        self.options = []
        self._connection = SimpleNamespace(exec_command=None)

    def validate_argument_spec(self, argument_spec):
        """As ansible does, with the defaults filled in."""
        assert argument_spec == origin_request.ARGUMENTS
        given = {name: spec.get("default") for name, spec in argument_spec.items()}
        return None, {**given, **self._task.args}

    def _execute_module(self, module_name, module_args, task_vars):
        assert module_name == "kubenode.doctor.listener_origin"
        assert task_vars["inventory_hostname"] == "node-a"
        self.options.append(module_args)
        return dict(self._answer)


@pytest.fixture(autouse=True)
def completed(monkeypatch):
    """ActionBase.run wants a connection; what the controller adds is origin_here's work, and is kept here."""
    calls = []
    monkeypatch.setattr(listener_origin.NodeAction, "run", lambda *_arguments: {})

    def complete(result, request, names, audits, host):
        calls.append((request, list(names), audits, host))
        return {**result, "told": "anew"}

    monkeypatch.setattr(listener_origin.origin_here, "completed", complete)
    return calls


def run(arguments, answer=None, **variables):
    action = Action(arguments, answer)
    return action.run(None, {"inventory_hostname": "node-a", **variables}), action.options


def test_what_the_node_says_is_told_anew(completed):
    result, asked = run({"port": 37231})
    assert result == {**ANSWER, "told": "anew"}
    assert asked == [{**OF_THE_NODE, "port": 37231}]
    ((request, names, audits, host),) = completed
    assert (request.port, names, audits, host) == (37231, ["node-a"], None, "node-a")


def test_the_node_is_not_told_what_only_concerns_the_controller(completed, tmp_path):
    arguments = {"kubeconfig": "/root/admin.conf", "context": "prod", "audits": str(tmp_path)}
    _result, asked = run(arguments)
    assert asked == [OF_THE_NODE]
    ((request, _names, audits, _host),) = completed
    assert (request.kubeconfig, request.context, audits) == ("/root/admin.conf", "prod", tmp_path)


def test_a_folder_of_audits_is_relative_to_where_ansible_was_started(completed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run({"audits": "audits"})
    assert completed[0][2] == tmp_path / "audits"


def test_the_address_of_the_host_is_one_of_its_names(completed):
    run({}, ansible_host="192.0.2.7")
    assert completed[0][1] == ["node-a", "192.0.2.7"]


def test_all_options_of_the_node_reach_it():
    trace = {"command": ["/bin/agent"], "tool": "auto", "seconds": 3.0}
    arguments = {
        "pid": 7,
        "methods": ["owner", "trace"],
        "trace": trace,
        "expected": [{"process": "java"}],
        "kubelet_certificate": "/etc/x.crt",
        "budget_seconds": 3.0,
    }
    assert run(arguments)[1] == [{**OF_THE_NODE, **arguments}]


def test_a_failure_is_handed_on_as_it_is(completed):
    for failure in (
        {"failed": True, "msg": "No sockets could be read."},
        {"failed": True, "msg": "killed", "listeners": []},
    ):
        assert run({}, failure)[0] == failure
    assert completed == []


def test_of_a_failure_nothing_is_told_that_a_terminal_would_obey(completed):
    escapes = "\x1b[2J\x1b]0;gone\x07"
    failure = {"failed": True, "msg": f"{escapes}{'x' * 5000}", "module_stderr": f"{'y' * 5000}{escapes}"}
    printed = {
        "exception": escapes,
        "warnings": [escapes],
        "deprecations": [{"msg": escapes}],
        "module_stdout": escapes,
    }
    told, _options = run({}, {**failure, **printed})
    assert told.keys() == {"failed", "msg"}
    assert told["msg"].startswith(r"\x1b[2J\x1b]0;gone\x07xxx")
    assert told["msg"].endswith(r"yyy\x1b[2J\x1b]0;gone\x07")
    assert "\x1b" not in told["msg"]
    assert completed == []


@pytest.mark.usefixtures("completed")
def test_a_node_whose_python_is_too_old():
    said = "  File ...\nSyntaxError: future feature annotations is not defined"
    told, _options = run({}, {"failed": True, "msg": "MODULE FAILURE", "module_stderr": said, "module_stdout": ""})
    assert told["msg"].startswith("its Python is too old, 3.8 or newer is needed")


@pytest.mark.usefixtures("completed")
def test_a_node_that_takes_too_long(monkeypatch):
    def sleeps(*_arguments, **_more):
        raise answer_bounds.BoundsError("no answer within 170 s")

    monkeypatch.setattr(Action, "_execute_module", sleeps)
    with pytest.raises(AnsibleActionFail, match="the node's answer was not waited for: no answer within 170 s"):
        run({"budget_seconds": 50})


@pytest.mark.usefixtures("completed")
def test_it_is_waited_for_as_long_as_its_methods_may_take(monkeypatch):
    waited = []

    @contextlib.contextmanager
    def bounded(_connection, seconds):
        waited.append(seconds)
        yield

    monkeypatch.setattr(answer_bounds, "bounded", bounded)
    run({"budget_seconds": 50.0})
    run({"budget_seconds": 50.0, "trace": {"command": ["true"], "seconds": 30.0}})
    assert waited == [170, 200]


@pytest.mark.parametrize("error", [KeyError("processes"), TypeError("x"), IndexError("x"), AttributeError("x")])
def test_an_answer_that_is_none_of_the_modules_is_said_in_words(monkeypatch, error):
    def complete(*_arguments):
        raise error

    monkeypatch.setattr(listener_origin.origin_here, "completed", complete)
    with pytest.raises(AnsibleActionFail, match="the node's answer is none that the module gives"):
        run({})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"port": 70000}, "port: 70000 is no port: 1 to 65535 expected"),
        ({"methods": ["trace"]}, "methods: trace needs the option trace, which says what to run"),
        ({"expected": [{"host": "x"}]}, "expected[0]: it would cover everything"),
    ],
)
def test_an_operators_mistake_fails_before_the_node_is_asked(completed, arguments, told):
    action = Action(arguments)
    with pytest.raises(AnsibleActionFail) as caught:
        action.run(None, {"inventory_hostname": "node-a"})
    assert str(caught.value).startswith(told)
    assert action.options == completed == []
