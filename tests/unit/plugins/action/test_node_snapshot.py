# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_snapshot's action plugin: what it hands to the node, what it stores of an answer, and of anything else that comes back."""

from __future__ import annotations

import json
import signal
import time
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.utils.display import Display

from ansible_collections.kubenode.doctor.plugins.action import node_snapshot
from ansible_collections.kubenode.doctor.plugins.module_utils import snapshot
from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle

DEFAULTS = {
    "sections": list(snapshot.SECTIONS),
    "ports": None,
    "port_range": "30000-32767",
    "budget_seconds": 20.0,
    "sample_seconds": 2.0,
    "netns": "host",
    "log_seconds": 86400,
}
ANSWER = {"schema": 1, "sections": {"host": {"complete": True, "missing": []}}, "complete": True, "missing": []}

GAP = {"what": "logs", "why": "no journal"}


class Action(node_snapshot.ActionModule):
    """The plugin with a node that gives ``answers``: a result, an exception, or what a function does."""

    def __init__(self, arguments, answers):
        self._task = SimpleNamespace(
            args=arguments,
            action="kubenode.doctor.node_snapshot",
            async_val=0,
            check_mode=False,
            diff=False,
            environment=None,
        )
        self._connection = SimpleNamespace(exec_command=None)
        self._answers = answers
        self.requests = []

    def validate_argument_spec(self, argument_spec):
        """As ansible does, with the defaults filled in."""
        given = {name: spec.get("default") for name, spec in argument_spec.items()}
        return None, {**given, **self._task.args}

    def _execute_module(self, module_name, module_args, task_vars):
        assert module_name == "kubenode.doctor.node_snapshot"
        assert task_vars["inventory_hostname"] == "node-a"
        self.requests.append(module_args)
        if isinstance(self._answers, Exception):
            raise self._answers
        return self._answers() if callable(self._answers) else self._answers


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """ActionBase.run does nothing that is of use here, and wants a connection."""
    monkeypatch.setattr(node_snapshot.NodeAction, "run", lambda *_arguments: {})


@pytest.fixture
def audit(tmp_path):
    """A bundle that was begun."""
    (tmp_path / "audit" / "nodes").mkdir(parents=True)
    return tmp_path / "audit"


def run(arguments, answers):
    action = Action(arguments, answers)
    return action.run(None, {"inventory_hostname": "node-a"}), action.requests


def test_without_a_bundle_the_answer_is_returned():
    answer = {"changed": False, "snapshot": ANSWER}
    assert run({}, answer) == (answer, [DEFAULTS])


@pytest.mark.parametrize("with_bundle", [True, False])
def test_what_ansible_warns_of_an_odd_answer_is_safe(audit, monkeypatch, with_bundle):
    warned = []
    monkeypatch.setattr(Display, "warning", lambda _self, msg, *_rest, **_named: warned.append(msg))

    def answer():
        Display().warning("Module invocation had junk after the JSON data: \x1b[2J")
        return {"changed": False, "snapshot": ANSWER}

    run({"bundle": str(audit)} if with_bundle else {}, answer)
    assert warned == ["Module invocation had junk after the JSON data: \\x1b[2J"]


def test_the_node_is_not_told_of_the_bundle(audit):
    _result, asked = run({"bundle": str(audit), "sample_seconds": 5.0, "ports": [36527]}, {"snapshot": ANSWER})
    assert asked == [{**DEFAULTS, "sample_seconds": 5.0, "ports": [36527]}]


def stored(audit):
    (file,) = (audit / "nodes").iterdir()
    return json.loads(file.read_text("utf-8"))


def test_an_answer_is_stored_and_only_a_summary_returned(audit):
    result, _asked = run(
        {"bundle": str(audit)}, {"changed": False, "snapshot": {**ANSWER, "complete": False, "missing": [GAP, "x"]}}
    )
    assert result == {
        "changed": False,
        "answered": True,
        "why": None,
        "file": str(next((audit / "nodes").iterdir())),
        "complete": False,
        "missing": [GAP],
    }
    assert stored(audit)["snapshot"]["sections"] == ANSWER["sections"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (AnsibleConnectionFailure("no route to host"), "no route to host"),
        (AnsibleError("the module is lost"), "the module is lost"),
        ({"failed": True, "msg": "budget"}, "budget"),
        ({}, "the node's answer held no snapshot"),
        ({"snapshot": None}, "the node's answer held no snapshot"),
        ({"snapshot": {"sections": []}}, "the node's answer held no snapshot"),
        (
            {"failed": True, "msg": "MODULE FAILURE", "module_stdout": "", "module_stderr": "warning\nKilled"},
            "MODULE FAILURE; the node's last words: warning\nKilled",
        ),
        ({"failed": True, "msg": "no JSON", "module_stdout": "Welcome!"}, "no JSON; the node printed: Welcome!"),
        ({"failed": True, "msg": "no JSON", "module_stdout": ""}, "no JSON; the node printed nothing"),
    ],
)
def test_silence_is_stored_too(audit, answer, why):
    result, _asked = run({"bundle": str(audit)}, answer)
    assert (result["answered"], result["why"], result["complete"]) == (False, why, False)
    assert result["missing"] == [{"what": "the node", "why": why}]
    assert not result.get("failed")
    assert stored(audit)["why"] == why


def test_a_node_that_takes_too_long(audit):
    result, _asked = run({"bundle": str(audit), "answer_seconds": 1, "sample_seconds": 0.0}, lambda: time.sleep(30))
    assert (result["answered"], result["why"]) == (False, "no answer within 1 s")
    assert signal.alarm(0) == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"sample_seconds": -1.0}, "sample_seconds: -1: 0 to 100 expected"),
        ({"sample_seconds": 601.0}, "sample_seconds: 601: 0 to 100 expected"),
        ({"sample_seconds": float("nan")}, "sample_seconds: nan: 0 to 100 expected"),
        ({"ports": [70000]}, "ports, port_range: '70000': a port lies between 1 and 65535"),
        ({"port_range": "2-1"}, "ports, port_range: '2-1': the range ends before it begins"),
        ({"answer_seconds": 0}, "answer_seconds: 0 is less than 1"),
    ],
)
@pytest.mark.parametrize("with_bundle", [True, False])
def test_an_operators_mistake_fails_before_any_node_is_asked(audit, with_bundle, arguments, told):
    action = Action({**arguments, **({"bundle": str(audit)} if with_bundle else {})}, {"snapshot": ANSWER})
    with pytest.raises(AnsibleActionFail) as caught:
        action.run(None, {"inventory_hostname": "node-a"})
    assert str(caught.value) == told
    assert action.requests == []
    assert list((audit / "nodes").iterdir()) == []


def test_a_bundle_that_is_none(tmp_path):
    with pytest.raises(AnsibleActionFail):
        run({"bundle": str(tmp_path / "nowhere")}, {"snapshot": ANSWER})


@pytest.mark.parametrize("seconds", [40.0, 100.0])
def test_sampling_that_outlasts_the_patience_for_an_answer_is_refused(audit, seconds):
    # Else each node would be recorded as silent, whatever it has to say.
    told = f"sample_seconds: {seconds:g} is not less than answer_seconds, 40: no node could answer in time"
    with pytest.raises(AnsibleActionFail, match=told):
        run({"bundle": str(audit), "sample_seconds": seconds, "answer_seconds": 40}, {"snapshot": ANSWER})
    # Without a bundle nobody waits for answer_seconds.
    assert run({"sample_seconds": seconds, "answer_seconds": 40}, {"snapshot": ANSWER})[0] == {"snapshot": ANSWER}


def nested(depth):
    inside = []
    for _level in range(depth):
        inside = [inside]
    return inside


@pytest.mark.parametrize(
    ("snapshot_of_node", "why"),
    [
        (
            {**ANSWER, "schema": 99},
            "its snapshot has schema 99, this collection reads 1: another version of node_snapshot ran there, or none",
        ),
        (
            {**ANSWER, "schema": True},
            "its snapshot has schema True, this collection reads 1: another version of node_snapshot ran there, or none",
        ),
        (
            {"sections": {}},
            "its snapshot has no schema, this collection reads 1: another version of node_snapshot ran there, or none",
        ),
        ({**ANSWER, "sections": {"host": {"kernel": float("nan")}}}, "is not to be written as JSON"),
        ({**ANSWER, "sections": {"host": {"kernel": float("inf")}}}, "is not to be written as JSON"),
        ({**ANSWER, "sections": {"host": nested(100_000)}}, "is not to be written as JSON"),
    ],
)
def test_a_snapshot_that_is_none_of_ours_is_an_answer_that_is_of_no_use(audit, snapshot_of_node, why):
    result, _asked = run({"bundle": str(audit)}, {"changed": False, "snapshot": snapshot_of_node})
    assert result["answered"] is False
    assert why in result["why"]
    (file,) = (audit / "nodes").iterdir()
    assert json.loads(file.read_text())["why"] == result["why"]


def test_an_answer_for_which_the_disk_is_too_full_is_a_silence_with_its_reason(audit, monkeypatch):
    def full(_path, _host, _answer):
        raise bundle.BundleError("x.json could not be written: No space left on device")

    monkeypatch.setattr(bundle, "write_answer", full)
    result, _asked = run({"bundle": str(audit)}, {"changed": False, "snapshot": ANSWER})
    assert (result["answered"], result["why"]) == (False, "x.json could not be written: No space left on device")
    assert stored(audit)["why"] == result["why"]


@pytest.mark.parametrize(
    "error", [RecursionError("too deep"), TypeError("no such tag"), UnicodeError("bad"), KeyError("x")]
)
def test_what_ansible_does_not_expect_of_an_answer_is_stored(audit, error):
    result, _asked = run({"bundle": str(audit)}, error)
    assert result["answered"] is False
    assert result["why"].startswith(f"its answer could not be read: {type(error).__name__}: ")


def test_what_a_play_is_told_of_gaps_is_bounded(audit):
    gaps = [{"what": "x" * 5000, "why": ["no text"], "more": "x"}] * 5000
    result, _asked = run({"bundle": str(audit)}, {"snapshot": {**ANSWER, "missing": gaps, "complete": "yes"}})
    assert (len(result["missing"]), result["complete"]) == (200, False)
    assert result["missing"][0] == {"what": "x" * 2000, "why": "['no text']"}


def test_a_reason_without_end_is_cut(audit):
    result, _asked = run({"bundle": str(audit)}, {"failed": True, "msg": "x" * 10_000_000})
    assert len(result["why"]) == 2001
