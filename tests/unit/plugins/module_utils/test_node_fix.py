# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_fix: what was planned is carried out, and nothing else; with a planner of one file."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    change_store,
    change_worker,
    fix_plan,
    node_fix,
    node_fixes,
    procfs,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import FileText, Terminate
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places, Plan

FIX = "reserve-nodeports"
TARGET = '{"x": 1}'


class Node:
    """A folder in place of a node, whose file ``etc/ports`` the planner wants to hold what it is told."""

    def __init__(self, root, monkeypatch):
        self.root = root
        self.wish = "new\n"
        self.amiss = ""
        self.asked = []
        (root / "etc").mkdir()
        (root / "var/lib").mkdir(parents=True)
        self.file = root / "etc/ports"
        self.file.write_text("old\n")
        monkeypatch.setattr(node_fixes, "FIXES", {FIX: self.plan})

    def plan(self, targets, choices, _places, _deadline):
        self.asked.append((list(targets), dict(choices)))
        if self.file.read_text() == self.wish:
            return fix_plan.done("it is so already")
        told = (f"etc/ports becomes {self.wish}",)
        return Plan("needed", "", told, ("rm it",), (FileText("/etc/ports", self.wish),), lambda _left: self.amiss)

    def run(self, state="planned", check=False, **more):
        arguments = {
            "fix": FIX,
            "targets": [TARGET],
            "choices": {},
            "state": state,
            "digest": None,
            "change": None,
            "controller_time": 1.5,
            "seconds": 60,
            "store": "/var/lib/kubenode.doctor",
        }
        return node_fix.run({**arguments, **more}, check, Places("/proc", str(self.root)))


@pytest.fixture
def node(tmp_path, monkeypatch):
    return Node(tmp_path, monkeypatch)


def test_a_plan_changes_nothing(node):
    planned = node.run()
    assert (planned["state"], planned["changed"], planned["restarts"]) == ("needed", False, False)
    assert planned["plan"] == ["etc/ports becomes new\n"]
    assert node.asked == [([TARGET], {"controller_time": 1.5})]
    assert node.file.read_text() == "old\n"
    assert os.listdir(str(node.root / "var/lib")) == []


def test_in_check_mode_it_says_that_it_would_change_something(node):
    assert node.run(check=True)["changed"]
    assert node.run("applied", check=True, digest="0" * 64)["state"] == "needed"
    assert node.file.read_text() == "old\n"


def test_what_was_planned_is_done_once_and_undone(node):
    applied = node.run("applied", digest=node.run()["digest"])
    assert (applied["state"], applied["changed"]) == ("applied", True)
    assert applied["change"] == node_fix.change_id(FIX, applied["digest"])
    assert node.file.read_text() == "new\n"
    assert node.run()["state"] == "done"
    undone = node.run("undone", change=applied["change"])
    assert (undone["state"], undone["changed"]) == ("undone", True)
    assert node.file.read_text() == "old\n"


def test_the_clock_is_no_part_of_a_plan(node):
    assert node.run(controller_time=2.0)["digest"] == node.run(controller_time=9.0)["digest"]


@pytest.mark.parametrize("what", ["file", "wish", "choice"])
def test_what_has_changed_since_it_was_planned_is_left_alone(node, what):
    digest, more = node.run()["digest"], {}
    if what == "file":
        node.file.write_text("other\n")
    elif what == "wish":
        node.wish = "newer\n"
    else:
        more = {"choices": {"reserve": "overlap"}}
    before = node.file.read_text()
    applied = node.run("applied", digest=digest, **more)
    assert (applied["state"], applied["changed"]) == ("stopped", False)
    assert "changed since it was planned" in applied["why"]
    assert node.file.read_text() == before


def test_what_does_not_help_is_taken_back(node):
    digest = node.run()["digest"]
    node.amiss = "it does not listen"
    applied = node.run("applied", digest=digest)
    assert applied["state"] == "rolled-back"
    assert "it does not listen" in applied["why"]
    assert node.file.read_text() == "old\n"


def test_what_cannot_be_changed_is_said_in_the_plan(node, monkeypatch):
    (node.root / "etc/link").symlink_to("ports")
    plan = Plan("needed", steps=(FileText("/etc/link", "x"),))
    monkeypatch.setattr(node_fixes, "FIXES", {FIX: lambda *_all: plan})
    planned = node.run()
    assert planned["state"] == "stopped"
    assert "/etc/link" in planned["why"]


def test_what_was_interrupted_is_ended_when_asked_and_not_by_a_plan(node, monkeypatch):
    digest = node.run()["digest"]
    monkeypatch.setattr(change_worker, "run", lambda act, _seconds: act())
    monkeypatch.setattr(change_store.Store, "finish", _killed)
    with pytest.raises(KeyboardInterrupt):
        node.run("applied", digest=digest)
    monkeypatch.undo()
    for check in (False, True):
        planned = node.run(targets=[], check=check)
        assert (planned["state"], planned["changed"]) == ("done", check)
        assert "is neither done nor taken back" in planned["recovered"][0]
    node.file.write_text("old\n")
    assert node.run("recovered", check=True)["changed"]
    assert node.run(targets=[])["recovered"]
    recovered = node.run("recovered")
    assert (recovered["state"], recovered["changed"], len(recovered["recovered"])) == ("recovered", True, 1)
    assert "is taken back" in recovered["recovered"][0]
    again = node.run("recovered")
    assert (again["changed"], again["recovered"]) == (False, [])


def test_what_is_only_restarted_cannot_be_undone(node, monkeypatch):
    assert node.run()["can_be_undone"]
    victim = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        started = int(procfs.stat_fields(f"/proc/{victim.pid}/stat")[19])
        plan = Plan("needed", undo=("it is ended",), steps=(Terminate(victim.pid, started, "x"),))
        monkeypatch.setattr(node_fixes, "FIXES", {FIX: lambda *_all: plan})
        planned = node.run()
        assert (planned["can_be_undone"], planned["restarts"]) == (False, True)
        applied = node.run("applied", digest=planned["digest"])
        assert (applied["state"], applied["change"], applied["can_be_undone"]) == ("applied", None, False)
    finally:
        victim.kill()
        victim.communicate()


def _killed(*_words):
    raise KeyboardInterrupt


def test_without_a_target_nothing_but_what_was_interrupted_is_ended(node):
    planned = node.run(targets=[])
    assert (planned["state"], planned["why"], planned["recovered"]) == ("done", "nothing else is to be done", [])
    assert node.asked == []


def test_the_fixes_that_there_are():
    for name, planner in node_fixes.FIXES.items():
        assert callable(planner), name
