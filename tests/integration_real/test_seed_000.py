# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed 000 retold: the report's story, the kernel's own answer to the same question, and the cures, each one tried."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import (
    Run,
    diagnose,
    needs_iptables,
    needs_ss,
    needs_stage,
)
from ansible_collections.kubenode.doctor.tests.support import seed_000
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi
from ansible_collections.kubenode.doctor.tests.support.seed_000 import PORT
from ansible_collections.kubenode.doctor.tests.support.stage import Node, Stage

pytestmark = [needs_stage, needs_iptables, needs_ss]

# What the author of seed 000 saw, letter by letter.
SEED_ERROR = (
    "error: unable to upgrade connection: error dialing backend: dial tcp 127.0.0.1:36527: connect: connection refused"
)
RULE = "nodeport-shadows-listener"
UNSERVED = "service-without-endpoints"
STALE = ("the Service has no endpoints: look whether it is stale", "kubectl", "gone for good")
# Each cure: how its summary begins, the program of its last command, and a part of its risk.
CURES = [
    ("move the Service from NodePort 36527 to ", "kubectl", "clients, firewalls and load balancers"),
    ("restart kubelet.service", "systemctl", "the new port is random again"),
    ("reserve the NodePorts", "sysctl", "sockets that have such a port keep it"),
]
# Prints what a client on the node gets: "ECONNREFUSED", or the HTTP status and the body.
CLIENT = """
import errno, http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
try:
    connection.request("GET", "/")
    response = connection.getresponse()
    print(response.status, response.read().decode().strip())
except OSError as error:
    print(errno.errorcode[error.errno])
"""
KUBELET_ANSWERS = "404 404: Page Not Found"
POD_ANSWERS = "200 iptables"  # what seed_000.add_pod lets the pod say
# Prints the ports that the kernel draws for two listeners held at once, or the error where it has no second one.
DRAW_TWO = """
import errno, socket
held, drawn = [], []
for _number in range(2):
    try:
        held.append(socket.create_server(("127.0.0.1", 0)))
        drawn.append(held[-1].getsockname()[1])
    except OSError as error:
        drawn.append(errno.errorcode[error.errno])
print(*sorted(map(str, drawn)))
"""


class Story(NamedTuple):
    """A staged seed 000 and its API server."""

    stage: Stage
    api: FakeApi
    kubeconfig: Path

    @property
    def sick(self) -> Node:
        return self.stage.nodes["sick"]

    def diagnose(self, *words: str) -> Run:
        return diagnose("-i", self.stage.inventory(), "-e", f"kubeconfig={self.kubeconfig}", *words)


@contextlib.contextmanager
def staged(folder: Path, endpoints: bool) -> Iterator[Story]:
    with Stage(folder) as stage, FakeApi() as api:
        seed_000.build(stage)
        seed_000.fill(api, endpoints)
        seed_000.add_rules(stage, api)
        if endpoints:
            seed_000.add_pod(stage.nodes["sick"])
        yield Story(stage, api, api.kubeconfig(folder / "kubeconfig"))


@pytest.fixture(scope="module", params=[False, True], ids=["no endpoints", "endpoints"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Story, Run, bool]]:
    with staged(tmp_path_factory.mktemp("seed"), request.param) as story:
        yield story, story.diagnose(), request.param


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Story]:
    """As in the seed, to be changed at will."""
    with staged(tmp_path, endpoints=False) as story:
        yield story


def ask(node: Node, port: int) -> str:
    """What a client on the node gets from 127.0.0.1."""
    return node.run(sys.executable, "-c", CLIENT, str(port)).stdout.strip()


def listening(node: Node, port: int) -> str:
    """What ss shows there."""
    return node.run("ss", "-Htlnp", f"sport = :{port}").stdout


def critical(run: Run) -> dict[str, Any]:
    (finding,) = [finding for finding in run.findings() if finding["severity"] == "critical"]
    return finding


def test_who_collides_and_who_loses(told):
    _story, run, _endpoints = told
    finding = critical(run)
    assert (finding["host"], finding["rule"]) == ("sick", RULE)
    for text in (
        "Service default/kube-processor-service, NodePort 36527/TCP",
        "127.0.0.1:36527/tcp of kubelet (dockershim CRI streaming server)",
        "kubectl exec, attach and port-forward fail on this node",
    ):
        assert text in finding["title"]
        assert text in run.said
    assert finding["explanation"].startswith("The listener loses, not the Service: connections to 127.0.0.1 ")


def test_why_it_loses_and_what_the_user_sees(told):
    _story, run, endpoints = told
    if endpoints:
        assert "reach the Service's pods, never this listener" in run.said
        assert SEED_ERROR not in run.said
    else:
        assert "are refused, although the listener is alive, because the Service has no endpoints" in run.said
        assert f'kubectl then prints "{SEED_ERROR}"' in run.said


def test_the_evidence_holds_for_the_running_process(told):
    story, run, _endpoints = told
    (kubelet,) = {line.split("pid=")[1].split(",")[0] for line in listening(story.sick, PORT).splitlines()}
    assert f"socket 127.0.0.1:36527/tcp LISTEN, held by kubelet (pid {kubelet})" in run.said


def test_cures_with_their_risks(told):
    _story, run, endpoints = told
    remedies = critical(run)["remedies"]
    expected = CURES if endpoints else [CURES[0], STALE, *CURES[1:]]
    assert len(remedies) == len(expected)
    for remedy, (summary, program, risk) in zip(remedies, expected, strict=True):
        assert remedy["summary"].startswith(summary)
        assert remedy["commands"][-1].split()[0] == program
        assert risk in remedy["risk"]
        assert f"{remedy['summary']} (risk: {remedy['risk']})" in run.said
        for command in remedy["commands"]:
            assert f"# {command}\n" in run.stdout  # whole, so that it can be copied


def test_nobody_named_the_port(told):
    story, run, _endpoints = told
    assert str(PORT) not in story.stage.inventory().read_text()
    assert run.document["nodeport_range"]["range"] == "30000-40000"
    assert "running kube-apiserver" in run.document["nodeport_range"]["source"]


def test_the_healthy_twin_is_silent_and_only_the_sick_node_fails(told):
    _story, run, endpoints = told
    # That nobody is behind the Service concerns no single host.
    beside = [finding for finding in run.document["findings"] if finding["host"] != "sick"]
    assert [(finding["rule"], finding["host"]) for finding in beside] == ([] if endpoints else [(UNSERVED, None)])
    assert run.document["hosts"]["healthy"]["answered"]
    assert run.status != 0
    assert (run.recap("healthy")["failed"], run.recap("sick")["failed"]) == (0, 1)
    assert "fatal: [sick]: FAILED!" in run.stdout
    assert f"[{RULE}]" in run.stdout.partition("fatal: [sick]")[2]


def test_the_kernel_agrees(told):
    story, _run, endpoints = told
    assert '"kubelet"' in listening(story.sick, PORT)
    assert ask(story.sick, PORT) == (POD_ANSWERS if endpoints else "ECONNREFUSED")
    assert ask(story.stage.nodes["healthy"], 47231) == KUBELET_ANSWERS


def printed_commands(run: Run, rule: str, summary: str) -> list[str]:
    (finding,) = run.findings("sick", rule)
    (remedy,) = [remedy for remedy in finding["remedies"] if remedy["summary"].startswith(summary)]
    return remedy["commands"]


def run_as_root_of(node: Node, commands: list[str]) -> None:
    """Run commands on the node as they were printed, with /etc/sysctl.d its own."""
    script = "\n".join(["set -e", "mount -t tmpfs tmpfs /etc/sysctl.d", *commands])
    node.run("unshare", "--mount", "sh", "-c", script)


def patched(service: dict[str, Any], patch: list[dict[str, Any]]) -> dict[str, Any]:
    """Do what the API server does with a JSON patch of "test" and "replace" (RFC 6902)."""
    for step in patch:
        *path, last = [int(word) if word.isdigit() else word for word in step["path"].split("/")[1:]]
        place = service
        for word in path:
            place = place[word]
        if step["op"] == "test":
            assert place[last] == step["value"]
        else:
            assert step["op"] == "replace"
            assert last in place
            place[last] = step["value"]
    return service


def stop_kubelet(node: Node) -> None:
    kubelet = node._programs[0]
    assert Path(f"/proc/{kubelet.pid}/comm").read_text() == "kubelet\n"
    kubelet.kill()
    kubelet.wait()


def start_kubelet(node: Node) -> int:
    """Start a kubelet that lets the kernel draw its streaming port; return that."""
    started = node.start(
        "kubelet", "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:10248", "--listen", "0.0.0.0:10250"
    )
    lines = node.run("ss", "-Htlnp").stdout.splitlines()
    ports = {int(line.split()[3].rpartition(":")[2]) for line in lines if f"pid={started.pid}," in line}
    (drawn,) = ports - {10248, 10250}
    return drawn


def drawable(node: Node) -> list[str]:
    """What the kernel draws for two listeners from a range of the NodePort and its neighbour."""
    before = node.run("sysctl", "-n", "net.ipv4.ip_local_port_range").stdout.strip()
    node.sysctl("net.ipv4.ip_local_port_range", f"{PORT} {PORT + 1}")
    drawn = node.run(sys.executable, "-c", DRAW_TWO).stdout.split()
    node.sysctl("net.ipv4.ip_local_port_range", before)
    return drawn


def test_moving_the_service_cures_it(fresh):
    (command,) = printed_commands(fresh.diagnose(), RULE, "move the Service")
    words = shlex.split(command)
    assert words[:-1] == ["kubectl", "-n", "default", "patch", "service", "kube-processor-service", "--type=json", "-p"]
    service = patched(fresh.api.objects("services")[0], json.loads(words[-1]))
    target = service["spec"]["ports"][0]["nodePort"]
    assert 30000 <= target <= 30085
    fresh.api.replace("services", [service])
    seed_000.add_rules(fresh.stage, fresh.api)  # kube-proxy follows the Service

    assert ask(fresh.sick, PORT) == KUBELET_ANSWERS
    assert ask(fresh.sick, target) == "ECONNREFUSED"
    after = fresh.diagnose()
    assert after.status == 0
    assert after.findings(rule=RULE) == []


def test_reserving_and_restarting_cure_it_and_prevent_the_next_one(fresh):
    before = fresh.diagnose()
    run_as_root_of(fresh.sick, printed_commands(before, RULE, "reserve the NodePorts"))
    reserved_only = fresh.diagnose()
    assert reserved_only.status != 0, "the risk says so: a socket that has the port keeps it"
    assert critical(reserved_only)["fingerprint"] == critical(before)["fingerprint"]

    stop_kubelet(fresh.sick)
    assert drawable(fresh.stage.nodes["healthy"]) == ["36527", "36528"]
    assert drawable(fresh.sick) == ["36528", "EADDRINUSE"]

    run_as_root_of(
        fresh.sick, printed_commands(before, "nodeport-range-overlaps-ephemeral", "let the ephemeral range be ")
    )
    drawn = start_kubelet(fresh.sick)
    assert drawn > 40000
    assert ask(fresh.sick, drawn) == KUBELET_ANSWERS
    after = fresh.diagnose()
    assert after.status == 0
    (left,) = after.document["findings"]
    assert (left["rule"], left["severity"]) == (UNSERVED, "warning")
    assert "RESULT: 0 critical, 1 warning" in after.said
