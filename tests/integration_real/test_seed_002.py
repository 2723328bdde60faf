# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed 002 with a real Docker Engine: from "2379 refused" to the one dead container, and its cure by playbooks/fix.yml.

The tests run in their order: first nothing is changed, then somebody interferes, then the fix is applied. Beside the node of the
seed there are nodes whose engine cannot be asked: each is known by its reason, within bounded time.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import Run, diagnose, failure, read, variable
from ansible_collections.kubenode.doctor.tests.support import docker_engine_node, seed_002_node
from ansible_collections.kubenode.doctor.tests.support.docker_engine_node import IMAGE, SOCKET, EngineNode, Pod
from ansible_collections.kubenode.doctor.tests.support.private_node import JOURNAL_WRITER, PrivateNode
from ansible_collections.kubenode.doctor.tests.support.seed_002_node import (
    APISERVER,
    DAYS,
    HOSTILE,
    LEFT,
    SHOP,
    WANTED,
    Scene,
)
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT, host_variables, python_for_nobody
from ansible_collections.kubenode.doctor.tests.support.waiving import waiver

COMMANDS = (*docker_engine_node.COMMANDS, JOURNAL_WRITER)
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, COMMANDS)) or python_for_nobody() is None,
    reason=f"an engine of one's own needs root, {', '.join(COMMANDS)} and a Python that nobody can run",
)

ROLE = "kubenode.doctor.containers"
FIX = ("-e", "fix=container-name-conflict")
CONFLICT, CLOCK = "container-name-conflict", "clock-set-back"
WAIVER = variable("waivers", [waiver(CONFLICT, "let it be", object=f"*{LEFT.name}*")])
NOT_CREATED, ETCD = "container-not-created", "apiserver-cannot-reach-etcd"
# The chain of the seed: each rule with the severity and the rule that caused it.
CHAIN = {
    CLOCK: ("warning", None),
    CONFLICT: ("critical", CLOCK),
    NOT_CREATED: ("warning", CONFLICT),
    ETCD: ("info", NOT_CREATED),
}
TEMPLATED = str(7777 * 7777)
BUDGET_SECONDS = 8
KEEP = "/var/lib/kubenode.doctor"
# host: what is said of its containers
SILENT = {
    "as-nobody": "permission denied: run it as root",
    "mute": "did not answer in full within",
    "babbling": "does not speak HTTP",
}


HOSTS = ("master", "bare", *SILENT)


class Nodes(NamedTuple):
    """The node of the seed, and an inventory of it and of nodes whose engine cannot be asked."""

    scene: Scene
    inventory: Path

    def fix(self, *words: str, inventory: Path | None = None) -> Run:
        wait = variable("containers_fix_wait_seconds", 1)
        return diagnose("-i", inventory or self.inventory, "-l", "master", *FIX, *wait, *words, name="fix")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("seed-002")
    others = [PrivateNode(name, folder) for name in ("bare", "mute", "babbling")]
    with EngineNode("master", folder) as node, contextlib.ExitStack() as stack:
        bare, mute, babbling = map(stack.enter_context, others)
        bare.add_journal([seed_002_node.started()])
        mute.start("dockerd", "--mute", SOCKET)
        babbling.start("dockerd", "--babble", SOCKET)
        interpreters = {each.name: each.interpreter for each in (bare, mute, babbling)}
        inventory = node.inventory({**interpreters, "as-nobody": node.interpreter_for_nobody()})
        yield Nodes(seed_002_node.build(node), inventory)


@pytest.fixture(scope="module")
def before(nodes: Nodes) -> dict[str, str]:
    """The state of each container before anybody looked."""
    return nodes.scene.node.containers()


@pytest.fixture(scope="module")
def diagnosed(nodes: Nodes, before: dict[str, str]) -> Run:
    assert {before[nodes.scene.dead], before[nodes.scene.living]} == {"exited", "running"}
    return diagnose("-i", nodes.inventory, *variable("collect_budget_seconds", BUDGET_SECONDS))


def finding(run: Run, rule: str) -> dict[str, Any]:
    (found,) = run.findings("master", rule)
    return found


def test_the_seed_is_told_as_one_chain(diagnosed: Run):
    assert {found["rule"] for found in diagnosed.findings("master")} == set(CHAIN)
    for rule, (severity, cause) in CHAIN.items():
        found = finding(diagnosed, rule)
        assert found["severity"] == severity
        assert found["caused_by"] == ([finding(diagnosed, cause)["fingerprint"]] if cause else [])
    assert diagnosed.recap("master")["failed"] == 1
    assert "[container-name-conflict]" in diagnosed.stdout.partition("fatal: [master]: FAILED!")[2]


def test_the_dead_one_is_named_and_never_the_living(diagnosed: Run, nodes: Nodes):
    found = finding(diagnosed, CONFLICT)
    assert [remedy["targets"] for remedy in found["remedies"] if remedy["fix"]] == [[nodes.scene.dead]]
    commands = [command for remedy in found["remedies"] for command in remedy["commands"]]
    removing = [command for command in commands if " rm " in command]
    assert removing
    assert all(command.split()[-1] == nodes.scene.dead for command in removing), removing
    assert f"DO NOT remove attempt 24, {nodes.scene.living[:12]}" in found["explanation"]
    assert WANTED in " ".join(found["evidence"])


def test_the_refusals_of_2379_are_an_echo(diagnosed: Run):
    found = finding(diagnosed, ETCD)
    assert "127.0.0.1:2379" in found["title"] + " ".join(found["evidence"])
    assert diagnosed.findings("master", "etcd-not-running") == []


def test_a_diagnosis_changes_nothing(diagnosed: Run, nodes: Nodes, before: dict[str, str]):
    assert {diagnosed.recap(host)["changed"] for host in HOSTS} == {0}
    assert nodes.scene.node.containers() == before


@pytest.mark.parametrize("host", SILENT)
def test_an_engine_that_cannot_be_asked_is_unknown_with_its_reason(diagnosed: Run, host: str):
    (gap, *_more) = diagnosed.node(host)["snapshot"]["sections"]["containers"]["missing"]
    assert SILENT[host] in gap["why"]
    assert diagnosed.findings(host, CONFLICT) == []
    assert SILENT[host] in json.dumps(diagnosed.findings(host, CONFLICT, status="unknown"))
    assert diagnosed.node(host)["snapshot"]["seconds"] < 3 * BUDGET_SECONDS  # the engine hangs for ever


def test_a_node_without_a_runtime_has_no_containers_and_no_gaps(diagnosed: Run):
    section = diagnosed.node("bare")["snapshot"]["sections"]["containers"]
    assert (section["runtimes"], section["groups"], section["missing"]) == ([], [], [])
    assert diagnosed.findings("bare", CONFLICT) == diagnosed.findings("bare", CONFLICT, status="unknown") == []


@pytest.fixture(scope="module")
def checked(nodes: Nodes) -> Run:
    return nodes.fix("--check", "--diff")


def test_check_mode_shows_the_plan_and_changes_nothing(checked: Run, nodes: Nodes, before: dict[str, str]):
    assert checked.status == 0, checked.printed
    assert nodes.scene.node.containers() == before
    assert f"the plan is to remove container {nodes.scene.dead}" in checked.said
    assert f"the plan is to leave alone container {nodes.scene.living}" in checked.said
    assert checked.said.count("the plan is to remove") == 1
    assert "set the clock right first" in checked.said
    removed = [line for line in checked.stdout.splitlines() if line.startswith("-") and not line.startswith("---")]
    assert removed == [f"-{APISERVER.container_name('kube-apiserver', 23)} {nodes.scene.dead[:12]}"]
    assert len(list((checked.folder / "audits").iterdir())) == 1  # nothing changed, so nothing is diagnosed again
    assert "what docker inspect shows of it, and the end of its log, are kept on the node before" in checked.said
    assert not list((checked.folder / "audits").glob("*/undo-*"))
    assert not nodes.scene.node.path(KEEP).exists()


def test_a_wait_that_is_none_is_refused_before_anything_is_removed(nodes: Nodes, before: dict[str, str]):
    run = nodes.fix(*variable("containers_fix_wait_seconds", -5))
    assert run.status != 0
    assert "containers_fix_wait_seconds: -5: 0 or more expected" in run.said
    assert nodes.scene.node.containers() == before


# The first call of Python on the node collects, the second one plans, the third one removes.
@pytest.mark.parametrize("call", [2, 3], ids=["before the plan", "after the plan"])
def test_one_that_was_started_since_the_diagnosis_is_left_alone(nodes: Nodes, tmp_path: Path, call: int):
    scene = nodes.scene
    start = (*scene.node.docker_command, "start", scene.dead)
    hosts = {
        "master": host_variables(interrupted(tmp_path, scene.node, call, start)),
        "next": host_variables(scene.node.interpreter),
    }
    with contextlib.ExitStack() as stack:
        stack.callback(scene.node.age, DAYS * 86400)
        stack.callback(scene.node.docker, "kill", scene.dead)
        run = nodes.fix("-l", "all", inventory=inventory(tmp_path, hosts))
        states = scene.node.containers()
    assert (states[scene.dead], states[scene.living]) == ("running", "running")
    assert states.keys() == {scene.dead, scene.living} | scene.bystanders
    assert run.recap("master") | {"failed": 1, "changed": 0} == run.recap("master")
    assert f"names: {scene.dead} must stay: it is running" in run.said
    assert not list((run.folder / "audits").glob("*/undo-*"))  # there is nothing that could not be undone
    assert run.recap("next")["failed"] == 0  # it had the same to cure, and its turn did not come
    assert "next: " not in run.said.partition("PLAY [Cure]")[2].partition("PLAY RECAP")[0]


def interrupted(folder: Path, node: EngineNode, call: int, command: Sequence[str]) -> Path:
    """The node's interpreter, before whose so-and-so-manieth call somebody runs a command."""
    path, calls = folder / "interpreter", folder / "calls"
    path.write_text(
        f"#!/bin/sh\necho >>{calls}\n"
        f'[ "$(wc -l <{calls})" != {call} ] || {shlex.join(command)} >/dev/null || exit\n'
        f'exec {node.interpreter} "$@"\n'
    )
    path.chmod(0o755)
    return path


def inventory(folder: Path, hosts: Mapping[str, Mapping[str, Any]]) -> Path:
    path = folder / "inventory.yml"
    path.write_text(json.dumps({"all": {"hosts": hosts}}))
    return path


OTHER = Pod("kube-system", "other", "0d8e6c1a-1f0b-4b2c-9e57-6a0b3d1f2c45")
LATER_SECONDS = 3600
# What verifying the fix would look for, and what it says of a node that is not cured.
NOT_CURED = {
    "conflict": ({"wanted": [WANTED], "living": []}, f"The conflict is not over: {WANTED}"),
    "stopped": ({"wanted": [], "living": ["0" * 64]}, f"Not alive any more: {'0' * 64}"),
    "logged": ({"wanted": [OTHER.container_name("web", 1)], "living": []}, "kubelet still cannot have the name: "),
}
# The same of nodes on which nothing contradicts.
CURED = {
    "kin": ({"wanted": [OTHER._replace(name="o.her").container_name("web", 1)]}, "the name conflict is over"),
    "blind": (
        {"wanted": [OTHER.container_name("web", 1)]},
        "what held the name is gone; whether kubelet gets on is not known",
    ),
}


@pytest.fixture(scope="module")
def verified(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the fix's own verification prints of the node, which is not cured, as several hosts."""
    folder, node = tmp_path_factory.mktemp("verified"), nodes.scene.node
    said = seed_002_node.refusal(node).replace(WANTED, OTHER.container_name("web", 2)) + HOSTILE
    journal = node.add_journal([seed_002_node.complaint(said, time.time() + LATER_SECONDS)], "later.journal")
    found = {"living": [], "removal": {"removed": []}, "wait_seconds": 1}
    hosts = {
        name: {
            **host_variables(node.interpreter),
            **{f"containers_fix_{key}": value for key, value in {**found, **looked_for}.items()},
        }
        for name, (looked_for, _said) in {**NOT_CURED, **CURED}.items()
    }
    hosts["blind"] |= host_variables(seed_002_node.without_journal(node))
    task = {"ansible.builtin.include_role": {"name": ROLE, "tasks_from": "name_conflict_verify"}}
    (folder / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "play.yml", "-i", inventory(folder, hosts)]
    settings = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)
    journal.unlink()
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("host", NOT_CURED)
def test_a_cure_that_does_not_hold_is_a_failure(verified: str, host: str):
    printed = " ".join(failure(verified, host).split())
    assert printed.removeprefix("changed: false msg: ").lstrip("'\"").startswith(NOT_CURED[host][1]), verified


@pytest.mark.parametrize("host", CURED)
def test_a_cure_is_said_to_hold_as_far_as_that_is_known(verified: str, host: str):
    assert f"{host}: {CURED[host][1]}" in " ".join(verified.split())


def test_without_a_journal_it_is_said_how_to_watch(verified: str):
    _heading, _blind, told = verified.partition("blind: ")
    told, _recap, _rest = " ".join(told.split()).partition("PLAY RECAP")
    unknown = "not known: there is none in /var/log/journal and /run/log/journal"
    assert f"before: refusals in the log of the last ten minutes: {unknown}" in told, told
    assert f"after: {unknown}" in told
    assert f"- kubectl --namespace {OTHER.namespace} get pod --watch {OTHER.name}" in told


def test_nothing_of_a_node_is_a_template_or_moves_the_cursor(verified: str, diagnosed: Run, checked: Run):
    assert HOSTILE.partition("\x1b")[0] in verified
    for printed in (verified, diagnosed.printed, checked.printed):
        assert TEMPLATED not in printed
        assert "\x1b" not in printed


BEGUN = "2026-11-21T18:00:00+00:00"


class Fixed(NamedTuple):
    """The run of the fix on two names of the same node, with two more pods in trouble: one that no log tells of, one that is waived."""

    run: Run
    before: dict[str, str]
    shop: str  # what is to be removed of the first
    left: str  # what would be of the second


@pytest.fixture(scope="module")
def fixed_all(nodes: Nodes, before: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Fixed:
    node = nodes.scene.node
    assert node.containers() == before
    shop, left = seed_002_node.inverted(node, SHOP), seed_002_node.never_started(node, LEFT)
    node.age(DAYS * 86400)
    there = node.containers()
    # As a run leaves it that was killed before its first removal.
    node.run("mkdir", "--mode=700", KEEP)
    node.write(f"{KEEP}/removal.json", json.dumps({"schema": 1, "at": BEGUN, "ids": [nodes.scene.dead]}))
    hosts = {name: host_variables(node.interpreter) for name in ("master", "next")}
    run = nodes.fix("-l", "all", *WAIVER, inventory=inventory(tmp_path_factory.mktemp("fixed"), hosts))
    return Fixed(run, there, shop, left)


@pytest.fixture(scope="module")
def fixed(fixed_all: Fixed) -> Run:
    return fixed_all.run


def test_the_fix_removes_exactly_the_dead_ones(fixed_all: Fixed, nodes: Nodes):
    run, before, shop, _left = fixed_all
    assert run.status == 0, run.printed
    assert (run.recap("master")["changed"], run.recap("next")["changed"]) == (1, 0)
    after = {id_: state for id_, state in before.items() if id_ not in (nodes.scene.dead, shop)}
    assert nodes.scene.node.containers() == after


def test_the_fix_shows_what_it_plans_what_it_did_and_what_is_left(fixed: Run, nodes: Nodes):
    said = fixed.said
    steps = [
        f"master: a removal that began at {BEGUN} was interrupted - container {nodes.scene.dead} is as it was",
        "master: set the clock right first",
        f"master: the plan is to remove container {nodes.scene.dead}",
        f"removed: container {nodes.scene.dead}",
        f"what it was is kept on the node: {KEEP}/removed-{nodes.scene.dead[:12]}.inspect.json",
        f"after: still alive is container {nodes.scene.living}",
        "after: kubelet has not logged the conflict again within 1 s",
        "master, before and after container-name-conflict",
    ]
    assert [said.find(step) for step in steps] == sorted(said.find(step) for step in steps)
    assert min(said.find(step) for step in steps) > 0


def test_what_is_removed_stays_on_the_node(fixed_all: Fixed, nodes: Nodes):
    """Its environment and its log may hold secrets, so they are nowhere else."""
    folder = nodes.scene.node.path(KEEP)
    removed = (nodes.scene.dead, fixed_all.shop)
    assert {path.name for path in folder.iterdir()} == {
        f"removed-{id_[:12]}.{kind}" for id_ in removed for kind in ("inspect.json", "log")
    }
    assert {oct(path.stat().st_mode & 0o777) for path in (folder, *folder.iterdir())} == {"0o700", "0o600"}
    kept = read(folder / f"removed-{nodes.scene.dead[:12]}.inspect.json")
    assert kept["Config"]["Env"]
    assert (folder / f"removed-{nodes.scene.dead[:12]}.log").read_text("utf-8").count("127.0.0.1:2379") == 4
    (bundle, _second) = sorted((fixed_all.run.folder / "audits").iterdir())
    texts = [path.read_text("utf-8") for path in bundle.rglob("*.json")] + [fixed_all.run.printed]
    assert not [text for text in texts if kept["Config"]["Env"][0] in text]


def test_what_was_removed_is_written_into_the_bundle_and_cannot_be_undone(fixed_all: Fixed, nodes: Nodes):
    first, _second = sorted((fixed_all.run.folder / "audits").iterdir())
    (file,) = first.glob("undo-*")
    assert file.name == "undo-container-name-conflict-master.json"
    record = read(file)
    assert (record["host"], record["state"]) == ("master", "applied")
    removed = [nodes.scene.dead, fixed_all.shop]
    assert (
        sorted(one["id"] for one in record["removed"])
        == sorted(one["id"] for one in record["planned"])
        == sorted(removed)
    )
    run = diagnose("-i", nodes.inventory, *variable("record", str(file)), name="undo")
    assert run.status != 0
    assert (
        "container-name-conflict on master cannot be undone: no removed container comes back; what it was is kept on the node, in "
        f"{KEEP}" in run.said
    )


@pytest.mark.parametrize("host", ["master", "next"])
def test_all_that_the_fix_is_for_is_told_before_and_after(fixed: Run, host: str):
    told = fixed.said.partition(f"{host}, before and after container-name-conflict")[2]
    told = re.split(r"\w+, before and after |TASK \[", told)[0]  # hosts are told in the order in which they end
    severities = re.findall(r"(?:before|after): [A-Z]+(?: \(waived\))?", told)
    assert severities == ["before: CRITICAL", "before: WARNING", "after: WARNING (waived)"], told
    assert told.count(LEFT.name) == 1
    assert f"{host}: waived, and therefore left as it is - WARNING (waived)" in fixed.said


def test_where_somebody_else_was_faster_nothing_is_claimed(fixed: Run):
    assert fixed.said.count("next: there is no such conflict any more. Nothing was removed.") == 1
    assert "next: the name conflict is over" not in fixed.said
    assert "master: there is no such conflict" not in fixed.said


def test_the_fix_leaves_two_bundles_and_the_second_one_is_cured(fixed: Run):
    first, second = sorted((fixed.folder / "audits").iterdir())
    rules = [
        {
            found["rule"]
            for found in read(bundle / "findings.json")["findings"]
            if found["status"] == "fail" and not found["waived"]
        }
        for bundle in (first, second)
    ]
    assert rules[0] == set(CHAIN)
    assert not rules[1] & {CONFLICT, NOT_CREATED}


def test_where_the_engine_could_not_be_asked_it_is_not_known_what_to_cure(nodes: Nodes):
    run = nodes.fix("-l", "as-nobody")
    assert run.status == 0, run.printed
    assert "as-nobody: whether there is something to cure is not known - " in run.said
    assert SILENT["as-nobody"] in run.said


@pytest.mark.usefixtures("fixed")
def test_a_second_run_changes_nothing(nodes: Nodes):
    before = nodes.scene.node.containers()
    again = nodes.fix(*WAIVER)
    assert again.status == 0, again.printed
    assert again.recap("master")["changed"] == 0
    assert "master: waived, and therefore left as it is - WARNING (waived): " in again.said
    assert (
        "container-name-conflict: no host was seen to have an unwaived finding that this cures. Nothing was changed."
        in again.said
    )
    assert nodes.scene.node.containers() == before


@pytest.mark.usefixtures("fixed")
def test_after_the_fix_kubelet_finds_the_living_one_and_the_next_name_is_free(nodes: Nodes):
    node = nodes.scene.node
    instances = {
        node.inspect(id_)["Created"]: id_
        for id_ in node.containers()
        if node.inspect(id_)["Config"]["Labels"].items() >= APISERVER.labels("kube-apiserver").items()
    }
    assert instances[max(instances)] == nodes.scene.living  # what kubelet takes for the latest
    name = APISERVER.container_name("kube-apiserver", 25)
    status, _answer = node.engine("POST", f"/containers/create?name={name}", {"Image": IMAGE, "Cmd": ["true"]})
    assert status == 201


def test_what_is_left_without_an_offered_fix_is_a_failure(nodes: Nodes, fixed_all: Fixed):
    node, name = nodes.scene.node, LEFT.container_name("web", 1)
    refused = seed_002_node.complaint(seed_002_node.refusal(node, name), time.time() - 20, LEFT, "web")
    node.add_journal([refused], "left.journal")
    run = nodes.fix()
    assert fixed_all.left not in node.containers()
    (left,) = second(run)
    assert [remedy for remedy in left["remedies"] if remedy["fix"]] == []
    assert run.recap("master")["failed"] == 1
    assert f"Not cured: CRITICAL: {left['title']}" in run.said


def second(run: Run) -> list[dict[str, Any]]:
    """What the diagnosis after the cure has found."""
    _first, bundle = sorted((run.folder / "audits").iterdir())
    found = read(bundle / "findings.json")["findings"]
    return [one for one in found if one["status"] == "fail" and one["rule"] == CONFLICT]
