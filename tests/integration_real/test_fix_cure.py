# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role fix with made-up modules: what follows a change that failed, on its host and on the others of the batch, and one that was interrupted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kubenode.doctor.tests.contract.project import ROOT

# What a module answers is in a file of the folder that stands for the host, named after what it was asked.
MODULE = """#!/usr/bin/python
# WANT_JSON
import json, os, sys
arguments = json.load(open(sys.argv[1]))
name = os.path.basename(NAME)
answer = {"changed": False}
if name == "node_health":
    answer["checks"] = [{"what": "kubelet", "healthy": True, "why": ""}]
if name == "node_fix":
    file = os.path.join(arguments["store"], arguments["state"] if "state" in arguments else "planned")
    answer.update(json.load(open(file)))
    if os.path.exists(file + ".next"):
        os.rename(file + ".next", file)
print(json.dumps(answer))
"""
PLANNED: dict[str, Any] = {
    "state": "needed",
    "why": "",
    "plan": ["x is restarted"],
    "undo": ["it does not come back"],
    "restarts": False,
    "can_be_undone": False,
    "digest": "0",
    "recovered": [],
}
APPLIED = {**PLANNED, "state": "applied", "changed": True, "undo_command": None}
FAILED = {**APPLIED, "state": "failed", "failed": True, "msg": "Neither done nor taken back as a whole"}
NOTHING = {**PLANNED, "state": "done", "why": "nothing is left"}
RECOVERED = {"state": "recovered", "changed": True, "recovered": ["x is taken back"]}


class Nodes:
    """Hosts that answer what they are told to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        collection = folder / "ansible_collections" / "kubenode" / "doctor"
        shutil.copytree(ROOT / "roles" / "fix", collection / "roles" / "fix")
        modules = collection / "plugins" / "modules"
        modules.mkdir(parents=True)
        for name in ("node_fix", "node_health", "show", "undo_record"):
            (modules / f"{name}.py").write_text(MODULE.replace("NAME", repr(name)), encoding="utf-8")
        self._hosts: list[str] = []

    def answers(self, host: str, **answers: dict[str, Any]) -> None:
        """What a host answers, in each state that it may be asked for; ``planned_next`` is what it plans the second time."""
        self._hosts.append(host)
        (self._folder / host).mkdir()
        for state, answer in answers.items():
            (self._folder / host / state.replace("_", ".")).write_text(json.dumps(answer), encoding="utf-8")

    def cure(self, *words: str, **control_plane: Any) -> dict[str, dict[str, Any]]:
        """Run the role on all; the results by the tasks' names, then by host."""
        hosts = {
            host: {"ansible_connection": "local", "ansible_python_interpreter": sys.executable} for host in self._hosts
        }
        known = {"hosts": [], "expects": {}, "unseen": [], "nodes_known": True}
        judged = {
            "cures": {host: {"restart-leaker": ["x"]} for host in self._hosts},
            "control_plane": {**known, **control_plane},
            "answered": self._hosts,
        }
        variables = {
            "fix_name": "restart-leaker",
            "fix_judged": judged,
            "fix_bundle": str(self._folder),
            "fix_store": f"{self._folder}/{{{{ inventory_hostname }}}}",
        }
        play = {
            "hosts": "all",
            "gather_facts": False,
            "any_errors_fatal": True,
            "vars": variables,
            "roles": ["kubenode.doctor.fix"],
        }
        (self._folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
        (self._folder / "play.json").write_text(json.dumps([play]), encoding="utf-8")
        done = subprocess.run(
            [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "inventory.json", "play.json", *words],
            cwd=self._folder,
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(self._folder),
                "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        tasks = json.loads(done.stdout[done.stdout.index("{\n") :])["plays"][0]["tasks"]
        ran: dict[str, dict[str, Any]] = {}
        for task in tasks:  # some are there twice, once after an interruption
            found = {host: result for host, result in task["hosts"].items() if not result.get("skipped")}
            ran.setdefault(task["task"]["name"].partition(" : ")[2], {}).update(found)
        return ran


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return Nodes(tmp_path)


CHANGE = "Change the node; it is looked at once more just before, and taken back when it does not help"
LOOK = "Look who is well until all are that were before"


def test_who_was_changed_is_looked_after_whatever_becomes_of_the_others(nodes: Nodes):
    nodes.answers("a", planned=PLANNED, applied=FAILED)
    nodes.answers("b", planned=PLANNED, applied=APPLIED)
    nodes.answers("c", planned=NOTHING)
    ran = nodes.cure()
    assert {host: result.get("failed", False) for host, result in ran[CHANGE].items()} == {"a": True, "b": False}
    assert set(ran[LOOK]) == {"a", "b"}
    assert set(ran["Say what was done"]) == {"b"}


def test_what_was_interrupted_is_ended_before_it_is_planned(nodes: Nodes):
    left = {**PLANNED, "recovered": ["x is neither done nor taken back"]}
    nodes.answers("a", planned=left, planned_next=NOTHING, recovered=RECOVERED)
    ran = nodes.cure()
    tasks = list(ran)
    assert ran["Finish it, or take it back"]["a"]["changed"]
    assert tasks.index("Look who is well") < tasks.index("Finish it, or take it back") < tasks.index(LOOK)
    assert not ran[CHANGE]


def test_what_was_interrupted_restarts_nothing_that_cannot_be_spared(nodes: Nodes):
    left = {**NOTHING, "recovered": ["x is neither done nor taken back"]}
    nodes.answers("a", planned=left, recovered=RECOVERED)
    ran = nodes.cure(hosts=["a"], unseen=["m2"])
    assert "m2" in ran["Fail when not all of the control plane was asked"]["a"]["msg"]
    assert "Finish it, or take it back" not in ran


def test_a_plan_that_cannot_be_carried_out_is_refused_in_check_mode_too(nodes: Nodes):
    nodes.answers("a", planned={**PLANNED, "restarts": True})
    ran = nodes.cure("--check", hosts=["a"], unseen=["m2"])
    assert "m2" in ran["Fail when not all of the control plane was asked"]["a"]["msg"]
