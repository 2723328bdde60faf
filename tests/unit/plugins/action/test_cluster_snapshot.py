# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster_snapshot's action plugin: who writes the bundle, and that paths mean what the operator meant."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.kubenode.doctor.plugins.action import cluster_snapshot
from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_api

CLUSTER = {"schema": 1, "complete": True, "missing": [], "services": [], "pods": [{"name": "a"}]}
READ = {"changed": False, "cluster": CLUSTER, "node_ports": [{"node_port": 30080}], "complete": True, "missing": []}


class Action(cluster_snapshot.ActionModule):
    """The plugin with a module that answers ``result``, on the controller or elsewhere."""

    def __init__(self, arguments, result, transport="local", become=None):
        self._task = SimpleNamespace(
            args=arguments,
            action="kubenode.doctor.cluster_snapshot",
            async_val=0,
            check_mode=False,
            diff=False,
            environment=None,
        )
        self._connection = SimpleNamespace(transport=transport, become=become)
        self._result = result
        self.asked = []

    def _execute_module(self, module_name, module_args, task_vars):
        assert module_name == "kubenode.doctor.cluster_snapshot"
        self.asked.append((module_args, task_vars))
        return self._result


@pytest.fixture(autouse=True)
def _quiet(monkeypatch, tmp_path):
    monkeypatch.setattr(cluster_snapshot.ActionBase, "run", lambda *_arguments, **_more: {})
    for name in ("KUBECONFIG", "HOST", "CONTEXT"):
        monkeypatch.delenv(f"K8S_AUTH_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_on_the_controller_the_module_writes_the_bundle(tmp_path):
    summary = {"changed": False, "file": "x", "ports": [], "complete": True, "missing": []}
    action = Action({"bundle": "audits/1", "kubeconfig": "kc"}, summary)
    assert action.run(task_vars={}) == summary
    assert action.asked == [({"bundle": str(tmp_path / "audits/1"), "kubeconfig": str(tmp_path / "kc")}, {})]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("transport", "become"), [("ssh", None), ("local", "sudo"), ("docker", "sudo")])
def test_elsewhere_and_for_somebody_else_the_plugin_writes_it(tmp_path, transport, become):
    action = Action({"bundle": str(tmp_path)}, READ, transport, become)
    path = tmp_path / "cluster.json"
    expected = {"changed": False, "file": str(path), "ports": [30080], "complete": True, "missing": []}
    assert action.run(task_vars={}) == expected
    assert action.asked == [({}, {})]
    assert json.loads(path.read_text()) == CLUSTER


def test_elsewhere_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(AnsibleActionFail) as error:
        Action({"bundle": str(tmp_path / "none")}, READ, "ssh").run(task_vars={})
    assert str(error.value) == f"{tmp_path}/none/cluster.json could not be written: No such file or directory"


@pytest.mark.parametrize("arguments", [{}, {"bundle": ""}, {"bundle": None}])
@pytest.mark.parametrize("result", [READ, {"failed": True, "msg": "no such context"}])
def test_without_a_bundle_the_result_is_the_modules(arguments, result):
    assert Action(arguments, result).run(task_vars={}) == result


@pytest.mark.parametrize("transport", ["local", "ssh"])
def test_a_failure_is_handed_on_and_nothing_is_written(tmp_path, transport):
    failure = {"failed": True, "msg": "no such context"}
    arguments = {"bundle": str(tmp_path), "kubeconfig": "kc"}
    assert Action(arguments, failure, transport).run(task_vars={}) == failure
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        ("a:/etc/b::~/c", "d", "{here}/a:/etc/b:/srv/somebody/c"),
        (None, "d", "{here}/d"),
        ({"users": []}, "d", {"users": []}),
    ],
)
def test_paths_of_kubeconfigs_are_the_operators(tmp_path, monkeypatch, given, environment, expected):
    monkeypatch.setenv("HOME", "/srv/somebody")
    monkeypatch.setenv("K8S_AUTH_KUBECONFIG", environment)
    action = Action({"kubeconfig": given} if given else {}, READ)
    action.run(task_vars={})
    wanted = expected.format(here=tmp_path) if isinstance(expected, str) else expected
    assert action.asked[0][0]["kubeconfig"] == wanted


def test_where_no_api_server_is_named_no_module_is_run(tmp_path):
    hosts = [{"name": "a", "addresses": [""]}]
    action = Action({"bundle": str(tmp_path), "hosts": hosts, "page_size": "500", "budget_seconds": 3600}, READ)
    why = {"what": "cluster API", "why": "no kubeconfig given: pass kubeconfig=…"}
    path = tmp_path / "cluster.json"
    expected = {"changed": False, "file": str(path), "ports": None, "complete": False, "missing": [why]}
    assert action.run(task_vars={}) == expected
    assert action.asked == []
    assert json.loads(path.read_text()) == {**cluster_api.unread(why["why"]), "server": None}


@pytest.mark.parametrize(
    "more",
    [{"timeout": 0}, {"timeout": 601}, {"timeout": "soon"}, {"timeout": []}, {"sections": []}, {"nonsense": 1}]
    + [{name: "x"} for name in ("kubeconfig", "context", "host")],
)
def test_what_may_be_wrong_is_left_to_the_module(tmp_path, more):
    failure = {"failed": True, "msg": "wrong"}
    action = Action({"bundle": str(tmp_path), **more}, failure)
    assert action.run(task_vars={}) == failure
    assert len(action.asked) == 1


@pytest.mark.parametrize("name", ["KUBECONFIG", "HOST", "CONTEXT"])
@pytest.mark.parametrize("of_task", [True, False])
def test_the_environment_may_name_one(tmp_path, monkeypatch, name, of_task):
    action = Action({"bundle": str(tmp_path)}, {"failed": True})
    if of_task:
        action._task.environment = [{f"K8S_AUTH_{name}": "x"}]
    else:
        monkeypatch.setenv(f"K8S_AUTH_{name}", "x")
    assert action.run(task_vars={}) == {"failed": True}
