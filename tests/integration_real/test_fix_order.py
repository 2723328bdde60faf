# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order a fix goes through a cluster, and what stops it: two hosts of the control plane and two others, which systemd runs, through ssh.

On each containerd (real) has drawn its port. One sequence of runs; the tests look at what each has left. The inventory has the workers first,
and within both kinds its order is not that of the alphabet.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import Run, diagnose, read
from ansible_collections.kubenode.doctor.tests.support import kube_objects, systemd_node
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT
from ansible_collections.kubenode.doctor.tests.support.systemd_node import SystemdNode, SystemdNodes

needs_nodes = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, systemd_node.COMMANDS)),
    reason=f"nodes that systemd runs need root and {', '.join(systemd_node.COMMANDS)}",
)

WORKERS, MASTERS = ("w2", "w1"), ("m2", "m1")
HOSTS = (*WORKERS, *MASTERS)  # as in the inventory
FIX = "pin-stream-port"
PINNED = 10010
CONFIG = "/etc/containerd/config.toml"
SECTION = '[plugins."io.containerd.grpc.v1.cri"]\n'
CONFIG_TEXT = f'version = 2\n{SECTION}  stream_server_address = "127.0.0.1"\n  stream_server_port = "0"\n'
# containerd and the diagnosis read past it; who edits the file has to understand every line.
ODD_LINE = "'''odd''' = {}\n"
ODD_TEXT = CONFIG_TEXT.replace(SECTION, ODD_LINE + SECTION)
API_SERVER = "kube-apiserver.service"
ILL = "/run/ill"
_PROGRAM = "/tests/support/fix_programs.py"
_API_UNIT = (
    f"[Service]\nExecStart=/usr/local/bin/kube-apiserver {_PROGRAM} api-server --service-node-port-range=30000-40000\n"
)
_JUNK = ("0", "-1", "junk", "101%")


class Story(NamedTuple):
    """The nodes, what was run, by name, and what all nodes were like after it."""

    nodes: dict[str, SystemdNode]
    inventory: Path
    runs: dict[str, Run]
    states: dict[str, dict[str, Any]]

    def step(self, name: str, playbook: str, *words: str | Path) -> Run:
        """Run a playbook."""
        self.runs[name] = diagnose("-i", self.inventory, *words, name=playbook)
        self.states[name] = self.state()
        return self.runs[name]

    def state(self) -> dict[str, Any]:
        """See fix_programs.state, by host."""
        return {
            host: json.loads(node.run("python3", _PROGRAM, "state").stdout) for host, node in sorted(self.nodes.items())
        }

    def bundles(self, name: str) -> list[Path]:
        """Those of a run."""
        return list((self.runs[name].folder / "audits").iterdir())

    def records(self, name: str) -> set[str]:
        """The hosts for which a run has left the record of a change."""
        return {read(file)["host"] for bundle in self.bundles(name) for file in bundle.glob("undo-*")}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    kubeconfig = tmp_path_factory.mktemp("api") / "kubeconfig"
    with SystemdNodes() as started, FakeApi() as api:
        nodes = {host: _node(started, host) for host in HOSTS}
        _fill(api, nodes)
        api.kubeconfig(kubeconfig)
        told = Story(nodes, _in_order(started.inventory({}), HOSTS), {}, {})
        told.states["before"] = told.state()
        first, other = MASTERS
        fix = ("-e", f"fix={FIX}")
        told.step("one alone", "fix", *fix, "-l", first)
        cluster = (*fix, "-e", f"kubeconfig={kubeconfig}")
        nodes[other].write(ILL, "")
        told.step("ill", "fix", *cluster)
        nodes[other].run("rm", ILL)
        nodes[other].run("systemctl", "stop", API_SERVER)
        told.states["stopped"] = told.state()
        told.step("gone", "fix", *cluster)
        nodes[other].run("systemctl", "start", API_SERVER)
        nodes[other].wait_for("ss", "-tnHl", "sport = :6443")
        nodes[WORKERS[0]].write(CONFIG, ODD_TEXT)
        told.states["odd"] = told.state()
        told.step("odd worker", "fix", *cluster)
        nodes[WORKERS[0]].write(CONFIG, CONFIG_TEXT)
        told.step("mended", "fix", *cluster, "-e", "max_unavailable=2")
        record = min(told.bundles("mended")) / f"undo-{FIX}-w1.json"
        told.step("undo elsewhere", "undo", "-e", f"record={record}", "-l", "w2")
        yield told


def _node(started: SystemdNodes, name: str) -> SystemdNode:
    node = started.node(name)
    node.write(CONFIG, CONFIG_TEXT)
    if name in MASTERS:
        # A program is told by its file's name as well.
        node.run("cp", "/usr/bin/python3", "/usr/local/bin/kube-apiserver")
        node.unit(API_SERVER, _API_UNIT)
        node.run("systemctl", "start", API_SERVER)
        node.wait_for("ss", "-tnHl", "sport = :6443")
    node.run("systemctl", "start", "containerd")
    node.wait_for("sh", "-c", "ss -tnHlp | grep containerd")
    # state() reads it, and not every kernel shows it to a network namespace.
    node.write("/run/nf_conntrack_max", "1000\n")
    node.run("mount", "--bind", "/run/nf_conntrack_max", "/proc/sys/net/netfilter/nf_conntrack_max")
    return node


def _fill(api: FakeApi, nodes: dict[str, SystemdNode]) -> None:
    objects = [kube_objects.node(name, node.address) for name, node in nodes.items()]
    for item in objects:
        labels = item["metadata"]["labels"]
        for label in [label for label in labels if label.startswith("node-role.kubernetes.io/")]:
            del labels[label]
        if item["metadata"]["name"] in MASTERS:
            labels["node-role.kubernetes.io/control-plane"] = ""
    for resource in api.resources:
        api.replace(resource.plural, objects if resource.plural == "nodes" else [])


def _in_order(inventory: Path, hosts: Iterable[str]) -> Path:
    """The inventory with its hosts in this order."""
    document = yaml.safe_load(inventory.read_text("utf-8"))
    document["all"]["hosts"] = {host: document["all"]["hosts"][host] for host in hosts}
    inventory.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return inventory


def _events(run: Run) -> list[tuple[str, str]]:
    """What was planned and done, and where, in the order in which it was said."""
    return re.findall(rf"^(\w+): (?:the )?(plan of|{FIX} is done)", run.stdout, re.MULTILINE)


def _planned_and_done(hosts: Iterable[str]) -> list[tuple[str, str]]:
    return [(host, what) for host in hosts for what in ("plan of", f"{FIX} is done")]


def _ports(state: dict[str, Any]) -> set[int]:
    """Where containerd listens."""
    return {port for _address, port, _backlog, name, _pid in state["listeners"] if name == "containerd"}


@needs_nodes
def test_the_nodes_are_at_fault(story: Story):
    for host, state in story.states["before"].items():
        assert len(_ports(state)) == 1, host
        assert PINNED not in _ports(state), host
    # The same words that stop the fix must not keep it from being offered.
    for name, hosts in {"one alone": {"m2"}, "ill": {*HOSTS}, "gone": {*HOSTS}, "odd worker": {*HOSTS}}.items():
        findings = read(min(story.bundles(name)) / "findings.json")["findings"]
        failed = {
            finding["host"]
            for finding in findings
            if finding["rule"] == "cri-stream-port-random" and finding["status"] == "fail"
        }
        assert failed == hosts, name


NOT_ASKED = (
    "The cluster's Nodes could not be read (give kubeconfig=FILE, or diagnose all hosts), so these, which were not asked or did not answer, "
    "may be of it: w2, w1, m1"
)
NOT_READY = "which cannot be spared: m1: it answers 500: [-]etcd failed: reason withheld"
NOT_THERE = "which cannot be spared: m1: it does not run here"


@needs_nodes
@pytest.mark.parametrize(
    ("name", "before", "words"),
    [("one alone", "before", NOT_ASKED), ("ill", "before", NOT_READY), ("gone", "stopped", NOT_THERE)],
    ids=("one alone", "ill", "gone"),
)
def test_a_control_plane_that_cannot_spare_a_host_is_left_alone(story: Story, name: str, before: str, words: str):
    run = story.runs[name]
    assert run.status != 0
    assert f"Nothing was changed: {FIX} restarts something on this host of the control plane" in run.said
    assert words in run.said.replace("''", "'")  # in YAML a quoted text's own quotes are doubled
    # Neither is anything begun on the hosts that would follow.
    assert _events(run) == [("m2", "plan of")]
    assert story.records(name) == set()
    assert story.states[name] == story.states[before]


@needs_nodes
def test_the_control_plane_comes_first_host_by_host_as_in_the_inventory(story: Story):
    run, state = story.runs["odd worker"], story.states["odd worker"]
    assert _events(run) == _planned_and_done(MASTERS)
    assert [_ports(state[host]) for host in MASTERS] == [{PINNED}] * len(MASTERS)
    assert story.records("odd worker") == set(MASTERS)


@needs_nodes
def test_a_worker_on_which_it_fails_stops_the_rest(story: Story):
    run = story.runs["odd worker"]
    assert run.status != 0
    assert f"Left alone: {FIX}: containerd: {CONFIG} is not edited by a program" in run.said
    assert (run.recap("w2")["failed"], run.recap("w1")["failed"]) == (1, 0)
    for host in WORKERS:
        assert story.states["odd worker"][host] == story.states["odd"][host]


@needs_nodes
def test_as_many_workers_at_a_time_as_are_allowed(story: Story):
    run, state = story.runs["mended"], story.states["mended"]
    assert run.status == 0, run.printed
    events = _events(run)
    assert {what for _host, what in events[:2]} == {"plan of"}
    assert sorted(events) == sorted(_planned_and_done(WORKERS))
    assert [_ports(state[host]) for host in WORKERS] == [{PINNED}] * len(WORKERS)
    for host in MASTERS:
        assert state[host] == story.states["odd worker"][host]


@needs_nodes
def test_a_record_of_another_host_is_refused(story: Story):
    run = story.runs["undo elsewhere"]
    assert run.status != 0
    assert "is of host w1, which is not among the hosts of this run" in run.said
    assert story.states["undo elsewhere"] == story.states["mended"]


@pytest.mark.parametrize("number", _JUNK)
def test_a_number_of_hosts_that_is_none_is_refused(number: str):
    """Before anybody is asked. Of 0 hosts at a time Ansible would make all of them."""
    localhost = ("-i", PROJECT / "inventory" / "localhost.yml")
    run = diagnose(*localhost, "-e", f"fix={FIX}", "-e", f"max_unavailable={number}", name="fix")
    assert run.status != 0
    assert f"max_unavailable={number}: a whole number from 1 on, or 1% to 100%" in run.said
    assert not (run.folder / "audits").exists()
