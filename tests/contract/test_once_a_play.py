# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a diagnosis costs the controller for each host: one task, the call to the node. All others run once a play (docs/performance.md)."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader

from ansible_collections.kubenode.doctor.tests.contract.project import ROOT, load

PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
NODE_CALL = "kubenode.doctor.node_snapshot"
IMPORT_ROLE, IMPORT_TASKS = "ansible.builtin.import_role", "ansible.builtin.import_tasks"
BYPASSES = "ansible.builtin.add_host"  # BYPASS_HOST_LOOP: Ansible itself runs it once
# Where nobody answered all hosts fail, each with its own reason.
EACH_HOST_ON_ITS_OWN = {"Fail when nobody answered, since then nothing was looked at"}


def tasks_of(path: str) -> list[dict[str, Any]]:
    """The tasks of a playbook's first play, or of a file of tasks, with what they import; roles without Ansible's check on each host."""
    first = load(path)[0]
    assert not {"roles", "pre_tasks", "post_tasks"} & first.keys(), (
        "Ansible checks the arguments of a role there on each host"
    )
    found = []
    for task in first["tasks"] if "hosts" in first else load(path):
        if IMPORT_ROLE in task:
            assert task[IMPORT_ROLE]["rolespec_validate"] is False
            role, entry = task[IMPORT_ROLE]["name"].rpartition(".")[2], task[IMPORT_ROLE].get("tasks_from", "main")
            found += tasks_of(f"roles/{role}/tasks/{entry}.yml")
        elif IMPORT_TASKS in task:
            found += tasks_of(str(Path(path).parent / task[IMPORT_TASKS]))
        else:
            found.append(task)
    return found


def before_the_end(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are done before the play is over for all but hosts of odd names."""
    return list(itertools.takewhile(lambda task: task.get("ansible.builtin.meta") != "end_play", tasks))


@pytest.mark.parametrize("name", ["diagnose", "audit"])
def test_one_task_runs_on_each_host(name: str) -> None:
    tasks = tasks_of(f"playbooks/{name}.yml")
    often = [task for task in before_the_end(tasks) if task.get("run_once") is not True and BYPASSES not in task]
    assert [NODE_CALL in task for task in often if task["name"] not in EACH_HOST_ON_ITS_OWN] == [True]


@pytest.mark.parametrize("name", ["diagnose", "audit"])
def test_the_arguments_of_its_roles_are_checked_once(name: str) -> None:
    (first, *later) = [
        task
        for task in before_the_end(load(f"playbooks/{name}.yml")[0]["tasks"])
        if task.keys() & {IMPORT_ROLE, IMPORT_TASKS}
    ]
    checks = [task[IMPORT_ROLE] for task in load(f"playbooks/{first[IMPORT_TASKS]}") if IMPORT_ROLE in task]
    assert {check["tasks_from"] for check in checks} == {"arguments"}
    assert {check["name"] for check in checks} == {task[IMPORT_ROLE]["name"] for task in later}


@pytest.mark.parametrize("role", ["collect", "report"])
def test_the_arguments_that_are_checked_are_those_of_the_role(role: str) -> None:
    (check,) = load(f"roles/{role}/tasks/arguments.yml")
    assert check["run_once"] is True
    assert "role_path ~ '/meta/argument_specs.yml'" in check["ansible.builtin.validate_argument_spec"]["argument_spec"]


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_whatever_strategy_is_usual_somewhere_these_count_on_one(name: str) -> None:
    """Others know no run_once: each host would begin a bundle of its own."""
    plays = DataLoader().load_from_file(str(ROOT / "playbooks" / f"{name}.yml"))
    assert {play.get("strategy") for play in plays if "hosts" in play} == {"ansible.builtin.linear"}
