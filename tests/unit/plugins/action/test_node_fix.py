# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_fix's action plugin: what the bundle holds of a fix by when, and what is said of undoing it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.kubenode.doctor.plugins.action import node_fix
from ansible_collections.kubenode.doctor.plugins.plugin_utils import answer_bounds, undo_record

DIGEST = "0123456789abcdef"
LOST = {"failed": True, "msg": "the connection was lost"}
CANNOT = "connections that were cut do not come back"
ACTED = {"state": "applied", "changed": True, "can_be_undone": True, "undo": ["rm it"]}
RESTARTED = {**ACTED, "can_be_undone": False, "undo": [CANNOT]}


class Action(node_fix.ActionModule):
    """The plugin with a node that gives ``answer``."""

    def __init__(self, folder, answer, **arguments):
        given = {"fix": "restart-leaker", "bundle": str(folder), "state": "applied", "digest": DIGEST}
        self._task = SimpleNamespace(args={**given, **arguments}, check_mode=False)
        self._answer = answer
        self._connection = SimpleNamespace(exec_command=None)
        self.bundle = folder
        self.before = None

    def validate_argument_spec(self, argument_spec):
        """As ansible does, with the defaults filled in."""
        given = {name: spec.get("default") for name, spec in argument_spec.items()}
        return None, {**given, **self._task.args}

    def _execute_module(self, module_name, module_args, task_vars):
        assert (module_name, "bundle" in module_args) == ("kubenode.doctor.node_fix", False)
        assert task_vars["inventory_hostname"] == "node-a"
        self.before = self.record()
        return dict(self._answer)

    def record(self):
        """What the bundle holds."""
        files = list(self.bundle.iterdir())
        return json.loads(files[0].read_text()) if files else None

    def ran(self):
        """The answer."""
        return self.run(task_vars={"inventory_hostname": "node-a"})


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """ActionBase.run does nothing that is of use here, and wants a connection."""
    monkeypatch.setattr(node_fix.NodeAction, "run", lambda *_arguments: {})


def test_the_way_back_is_there_before(tmp_path):
    action = Action(tmp_path, ACTED)
    answer = action.ran()
    assert (action.before["state"], action.record()["state"]) == ("planned", "applied")
    assert action.record().keys() == {"schema", "at", "state", "fix", "host", "change", "store"}
    assert action.record()["change"] == "restart-leaker-0123456789ab"
    assert answer["undo_command"] == f"ansible-playbook kubenode.doctor.undo -e record={answer['record']}"


@pytest.mark.parametrize("state", ["applied", "failed"])
def test_what_cannot_be_undone_offers_no_undo(tmp_path, state):
    action = Action(tmp_path, {**RESTARTED, "state": state})
    answer = action.ran()
    assert (answer["record"] is None, answer["undo_command"]) == (False, None)
    assert action.record()["state"] == state
    assert undo_record.why_not(action.record()) == f"restart-leaker on node-a cannot be undone: {CANNOT}"


@pytest.mark.parametrize("state", ["rolled-back", "stopped", "done"])
def test_where_all_is_as_before_nothing_is_left(tmp_path, state):
    action = Action(tmp_path, {**ACTED, "state": state})
    assert (action.ran()["undo_command"], action.record()) == (None, None)


def test_of_a_node_that_keeps_no_bounds_the_way_back_is_told(tmp_path, monkeypatch):
    def sleeps(*_arguments, **_more):
        raise answer_bounds.BoundsError("no answer within 3420 s")

    monkeypatch.setattr(Action, "_execute_module", sleeps)
    action = Action(tmp_path, ACTED)
    answer = action.ran()
    assert (answer["failed"], action.record()["state"]) == (True, "planned")
    assert answer["msg"] == "the node's answer was not waited for: no answer within 3420 s"
    assert answer["undo_command"] == f"ansible-playbook kubenode.doctor.undo -e record={answer['record']}"


def test_without_an_answer_the_record_stays(tmp_path):
    action = Action(tmp_path, LOST)
    assert action.ran()["msg"] == LOST["msg"]
    assert action.record()["state"] == "planned"


@pytest.mark.parametrize(
    ("state", "keys"), [("planned", {"record", "undo_command"}), ("recovered", set()), ("undone", set())]
)
def test_what_does_not_act_leaves_no_record(tmp_path, state, keys):
    action = Action(tmp_path, {"state": state}, state=state)
    assert action.ran().keys() - {"state"} == keys
    assert action.record() is None


@pytest.mark.parametrize("missing", ["bundle", "digest"])
def test_what_it_needs_to_act(tmp_path, missing):
    with pytest.raises(AnsibleActionFail, match=f"^{missing}: "):
        Action(tmp_path, ACTED, **{missing: None}).ran()
