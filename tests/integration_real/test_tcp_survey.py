# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/diagnose.yml on nodes with the states of seed 003, each made by real processes: it tells these, and nothing else.

Four Docker containers are the nodes: master-1 and master-2 are sick, quiet-1 is a master that works, and worker-1 is what masters
talk to. worker-2 has a Node and an address, and nobody is there.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real import tcp_scene
from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import Run, diagnose
from ansible_collections.kubenode.doctor.tests.support import docker_nodes
from ansible_collections.kubenode.doctor.tests.support.docker_nodes import DockerNode, DockerNodes
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, docker_nodes.COMMANDS)),
    reason=f"nodes in containers need root and {', '.join(docker_nodes.COMMANDS)}",
)

MASTERS = ("master-1", "master-2", "quiet-1")
NODES = (*MASTERS, "worker-1")
# Whose addresses in the nodes' network these are: worker-2's, which is down, and nobody's.
DOWN = "192.0.2.99"
GONE = [f"192.0.2.{number}" for number in range(101, 113)]
GONE_GOSSIP = 6
# All local ports of master-2, which uses them all to one port of worker-1.
FEW_PORTS = "40000 40099"
# Above close_wait_count each
LEAKS = {"kube-apiserver": 25, "calico-node": 26, "kube-proxy": 27}
CLOSE_WAIT_SECONDS = 10  # by default, from which a connection counts as held
KUBE_PROXY = "kube-proxy --listen 127.0.0.1:10249 --listen 0.0.0.0:10256 --answer /proxyMode={0}/proxyMode.txt --answer /configz={0}/configz.json"
SAMPLE_SECONDS = 2
LASTING = ("listen", "established", "syn_sent", "close_wait")  # what no timer of this scene ends
FORGOTTEN = "none of these connections are in FIN-WAIT in the own network there"
SOMAXCONN = "4096"  # what Go programs ask for
BIRDS_BACKLOG = "8"

OVERFLOW, LEAK, UNANSWERED = "accept-queue-overflow", "close-wait-leak", "syn-sent-unanswered"
TUPLE, PORTS = "ephemeral-destination-exhausted", "ephemeral-ports-exhausted"
# (host, rule, how its object begins): severity
FOUND = {
    ("master-1", OVERFLOW, "bird"): "critical",
    ("master-1", LEAK, "kube-apiserver to port 10250"): "warning",
    ("master-1", LEAK, "calico-node to port 10250"): "warning",
    ("master-1", LEAK, "kube-proxy"): "warning",
    ("master-1", UNANSWERED, "bird to port 179"): "warning",
    ("master-1", UNANSWERED, "protokube to port 3999"): "warning",
    ("master-2", UNANSWERED, "bird to port 179"): "warning",
    ("master-2", TUPLE, "connections to"): "critical",
    ("master-2", PORTS, "ephemeral ports"): "critical",
}


class Fleet(NamedTuple):
    """The nodes, and what a run needs to find them and their API server."""

    nodes: dict[str, DockerNode]
    inventory: Path
    kubeconfig: Path

    def diagnose(self, *words: str, api: bool = True) -> Run:
        given = ("-e", f"kubeconfig={self.kubeconfig}") if api else ()
        return diagnose("-i", self.inventory, "-e", f"collect_sample_seconds={SAMPLE_SECONDS}", *given, *words)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with DockerNodes() as docker, FakeApi() as api:
        for name in NODES:
            docker.node(name, {"net.ipv4.ip_local_port_range": FEW_PORTS} if name == "master-2" else {})
        build(docker.nodes)
        time.sleep(CLOSE_WAIT_SECONDS + 1)
        known = [node(name, found.address, ready="True") for name, found in docker.nodes.items()]
        api.replace("nodes", [*known, node("worker-2", DOWN, ready="Unknown")])
        api.replace("services", [])
        api.replace("endpointslices", [])
        kubeconfig = api.kubeconfig(tmp_path_factory.mktemp("tcp") / "kubeconfig")
        yield Fleet(docker.nodes, docker.inventory({"masters": MASTERS, "workers": ["worker-1"]}), kubeconfig)


def node(name: str, address: str, ready: str) -> dict[str, Any]:
    """A Node object."""
    return {
        "metadata": {"name": name},
        "spec": {},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def build(nodes: dict[str, DockerNode]) -> None:
    """Start what runs on a healthy node, then let master-1 and master-2 fall sick."""
    worker = nodes["worker-1"]
    make(worker, "kubelet", "hang-up", "0.0.0.0:10250", "--backlog", SOMAXCONN)
    make(worker, "etcd", "serve", "0.0.0.0:2379", "--backlog", SOMAXCONN)
    for name in MASTERS:
        nodes[name].start("fake_program.py", *KUBE_PROXY.format("/tests/fixtures/kube_proxy").split())
        make(nodes[name], "kube-apiserver", "serve", "0.0.0.0:6443", "--backlog", SOMAXCONN)
        make(nodes[name], "bird", "deaf" if name == "master-1" else "serve", "0.0.0.0:179", "--backlog", BIRDS_BACKLOG)
    for name in NODES:
        make(nodes[name], "kubelet", "hold", f"{nodes['quiet-1'].address}:6443", "--count", "3")
    make(worker, "bird", "knock", f"{nodes['master-1'].address}:179")
    leak(nodes["master-1"], worker)
    dial(nodes["master-1"], nodes["master-2"])
    make(nodes["master-2"], "kube-apiserver", "exhaust", f"{worker.address}:2379")


def make(where: DockerNode, *words: str) -> None:
    where.start("tcp_states_maker.py", *words)


def leak(sick: DockerNode, worker: DockerNode) -> None:
    """CLOSE-WAIT of all three kinds: never read, read to the end and leaked, never accepted."""
    make(sick, "kube-apiserver", "hold", f"{worker.address}:10250", "--count", str(LEAKS["kube-apiserver"]))
    make(sick, "calico-node", "leak", f"{worker.address}:10250", "--count", str(LEAKS["calico-node"]))
    make(sick, "kube-proxy", "deaf", "0.0.0.0:32368", "--backlog", SOMAXCONN)
    make(worker, "client", "visit", f"{sick.address}:32368", "--count", str(LEAKS["kube-proxy"]))


def dial(first: DockerNode, second: DockerNode) -> None:
    """SYN-SENT to addresses that no node has, to a node that is down, and to two that run.

    What ``first`` sends to ``second`` is lost on the way; what ``second`` sends to ``first`` arrives, and is not accepted there.
    """
    first.lose(DOWN, second.address, *GONE)
    second.lose(DOWN, *GONE)
    for caller, other in ((first, second), (second, first)):
        make(caller, "bird", "dial", *(f"{address}:179" for address in (DOWN, other.address, *GONE)))
    make(first, "protokube", "dial", *(f"{address}:3999" for address in (DOWN, second.address, *GONE[:GONE_GOSSIP])))


@pytest.fixture(scope="module")
def masters(fleet: Fleet) -> Run:
    """As the issue shows it."""
    return fleet.diagnose("-l", "masters")


@pytest.fixture(scope="module")
def everybody(fleet: Fleet) -> Run:
    """With the other end of what the masters dial."""
    return fleet.diagnose()


@pytest.fixture(scope="module")
def without_api(fleet: Fleet) -> Run:
    """Nobody tells which addresses the cluster has."""
    return fleet.diagnose("-l", "masters", api=False)


def matching(run: Run, host: str, rule: str, begins: str) -> dict[str, Any]:
    """The one finding of FOUND's key."""
    (finding,) = [finding for finding in run.findings(host, rule) if finding["object"].startswith(begins)]
    return finding


def told(finding: dict[str, Any]) -> str:
    """All that the report says of a finding."""
    cures = [part for remedy in finding["remedies"] for part in (remedy["summary"], *remedy["commands"])]
    return "\n".join([finding["title"], finding["explanation"], *finding["evidence"], *cures])


@pytest.mark.parametrize("name", ["masters", "everybody", "without_api"])
def test_exactly_these(request: pytest.FixtureRequest, name: str):
    run = request.getfixturevalue(name)
    assert {key: matching(run, *key)["severity"] for key in FOUND} == FOUND
    assert len(run.findings()) == len(FOUND)
    assert run.status != 0
    assert [host for host in MASTERS if run.recap(host)["failed"]] == ["master-1", "master-2"]


@pytest.mark.parametrize("name", ["masters", "everybody"])
def test_a_node_without_these_states_is_silent_and_nothing_but_its_logs_stays_open(
    request: pytest.FixtureRequest, name: str
):
    """A container has no journal, and what the kernel logs is its machine's."""
    run = request.getfixturevalue(name)
    assert run.findings("quiet-1") == []
    unseen = {finding["explanation"].partition(":")[0] for finding in run.findings(status="unknown")}
    # The API server knows more Nodes than there are hosts here.
    assert unseen == {"journal", "kernel ring", "pod logs", "what pods of other nodes run is not known"}


@pytest.mark.parametrize("host", MASTERS)
def test_ss_on_the_node_sees_the_same(fleet: Fleet, masters: Run, host: str):
    section = masters.node(host)["snapshot"]["sections"]["tcp_states"]
    rows = [row for row in tcp_scene.ss(*fleet.nodes[host].command) if row["state"] in LASTING]
    groups = {key: peers for key, peers in tcp_scene.groups_of(section).items() if key[0] in LASTING}
    assert groups == tcp_scene.groups(rows)
    assert {state: section["states"][state] for state in LASTING} == {
        state: tcp_scene.states(rows)[state] for state in LASTING
    }


# What the report says of each finding; nodes' names stand for their addresses.
SAID = {
    ("master-1", OVERFLOW, "bird"): (
        "is full, and new connections are dropped",
        r"0\.0\.0\.0:179/tcp LISTEN, held by bird \(pid \d+\), accept queue 9 of 8",
        r"ListenOverflows of this network namespace: \d+ since it began, [1-9]\d* of them in the last [2-9] s",
        r"Its backlog is 8: net\.core\.somaxconn is 4096, so the program asked for less",
        "To raise somaxconn alone changes nothing: .* until it is restarted",
    ),
    ("master-1", LEAK, "kube-apiserver to port 10250"): (
        "25 connections .* in CLOSE-WAIT, the oldest [1-9][0-9] s old at least, 25 of them in both samples",
        "of these 25 whose end was never read, 0 read to the end and leaked, 0 never accepted",
        "has leaked these connections before: kubernetes issues 67913 and 67659",
    ),
    ("master-1", LEAK, "calico-node to port 10250"): (
        "of these 0 whose end was never read, 26 read to the end and leaked, 0 never accepted",
        "it forgot its descriptor",
    ),
    ("master-1", LEAK, "kube-proxy"): (
        "of these 0 whose end was never read, 0 read to the end and leaked, 27 never accepted",
        "the listener is at fault",
    ),
    ("master-1", UNANSWERED, "bird to port 179"): (
        "14 connections of bird .* the oldest [1-9][0-9]* s old at least, 14 of them in both samples",
        r"to addresses that no Node names: 12 connections, to 192\.0\.2\.101, ",
        r"to nodes: 2 connections, to .*192\.0\.2\.99 \(node worker-2 \(not Ready\)\)",
        "node master-2: bird listens there and its accept queue has room",
    ),
    ("master-2", UNANSWERED, "bird to port 179"): (
        r"node master-1: the accept queue of bird is full there \(9 connections, backlog 8\), so its kernel drops them",
    ),
    ("master-1", UNANSWERED, "protokube to port 3999"): (
        "from addresses that no Node names and nodes",
        "to addresses that no Node names: 6 connections",
        "node master-2: nobody listens on port 3999 there",
    ),
    ("master-2", TUPLE, "connections to"): (
        r"100 connections of kube-apiserver from master-2 to worker-1:2379: 100 % of 100 ports",
        r"\(node worker-1\)",
    ),
    ("master-2", PORTS, "ephemeral ports"): ("100 local TCP ports between 40000 and 40099 are in use",),
}


@pytest.mark.parametrize("key", FOUND, ids=" ".join)
def test_what_is_said_of_each(fleet: Fleet, masters: Run, key: tuple[str, str, str]):
    names = {node.address: name for name, node in fleet.nodes.items()}
    text = re.sub(
        r"192\.0\.2\.\d+", lambda found: names.get(found.group(), found.group()), told(matching(masters, *key))
    )
    for pattern in SAID[key]:
        assert re.search(pattern, text), f"{pattern}\nis not in\n{text}"


def test_no_free_port_is_told_as_what_the_exhausted_destination_leads_to(masters: Run):
    cause, effect = masters.findings("master-2", TUPLE), masters.findings("master-2", PORTS)
    assert effect[0]["caused_by"] == [cause[0]["fingerprint"]]


@pytest.mark.parametrize(
    ("begins", "who"),
    [("kube-apiserver", "kubelet listens there; "), ("calico-node", "kubelet listens there; "), ("kube-proxy", "")],
)
def test_the_other_end_is_told_by_its_own_snapshot(masters: Run, everybody: Run, begins: str, who: str):
    joined = told(matching(everybody, "master-1", LEAK, begins))
    # FIN-WAIT of what nobody holds any more ends after a minute (tcp_fin_timeout).
    assert re.search(
        f"the other end, node worker-1: {who}({FORGOTTEN}|[1-9][0-9]* connections with this node and port in FIN-WAIT there)",
        joined,
    ), joined
    alone = told(matching(masters, "master-1", LEAK, begins))
    assert "the other end, node worker-1: the connections there were not looked at" in alone


@pytest.mark.parametrize("key", [key for key in FOUND if key[1] == UNANSWERED], ids=" ".join)
def test_without_the_list_of_nodes_peers_are_unknown_and_never_dead(without_api: Run, key: tuple[str, str, str]):
    finding = matching(without_api, *key)
    assert "addresses of which it is not known whose they are" in finding["title"]
    text = told(finding)
    assert "Nodes and Services and EndpointSlices are not known (cluster API: no kubeconfig given" in text
    assert re.search("to addresses of which it is not known whose they are: (7|13) connections", text), text
    assert not re.search("no Node names|gone|dead|delete", text), text
