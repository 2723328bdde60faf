# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed 001 retold: what took a rebuilt kubelet and a debugger is one line of the report, and one question to the node."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import Run, diagnose, read
from ansible_collections.kubenode.doctor.tests.support import own_namespaces
from ansible_collections.kubenode.doctor.tests.support.seed_001 import HOST, Seed001

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, own_namespaces.COMMANDS)),
    reason=f"a node of one's own needs root and {', '.join(own_namespaces.COMMANDS)}",
)

# What the seed's author found with a debug build under Delve, in his own stack.
OPENER = "k8s.io/kubernetes/pkg/kubelet/server/streaming.(*server).Start"
OPENED_FOR = "k8s.io/kubernetes/pkg/kubelet/dockershim.(*dockerService).Start"
NAME = "kubelet's CRI streaming server (dockershim)"
LIKELY = ", as far as its owner and configuration tell"  # which is all that a diagnosis looks at
SERVES = "serves kubectl exec, attach and port-forward for kubelet"
# Whatever was drawn from the kernel's default range lies in it.
WIDE_RANGE = "30000-61000"


class Story(NamedTuple):
    """What was told of the seed's node."""

    port: int
    pid: int
    diagnosed: Run  # told nothing but the host
    findings: dict[str, Any]  # findings.json of that
    judged: Run  # the same audit, with a NodePort range in which the port lies
    findings_then: dict[str, Any]
    answered: Run  # the answer for the port
    alive: bool  # kubelet, after all that


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with Seed001(tmp_path_factory.mktemp("seed-001")) as node:
        inventory = node.inventory()
        diagnosed = diagnose("-i", inventory)
        documents = [read(diagnosed.bundle / "findings.json")]
        judged = diagnose("-e", f"bundle={diagnosed.bundle}", "-e", f"nodeport_range={WIDE_RANGE}", name="judge")
        documents.append(read(diagnosed.bundle / "findings.json"))
        answered = diagnose("-i", inventory, "-e", f"listener_port={node.random_port}", name="whose_port")
        alive = node.run("kill", "-0", str(node.pid), check=False).returncode == 0
        yield Story(node.random_port, node.pid, diagnosed, documents[0], judged, documents[1], answered, alive)


def of_kubelet(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        finding
        for finding in document["findings"]
        if finding["status"] == "fail" and ("kubelet" in finding["title"] or "listener" in finding["rule"])
    ]


def test_a_diagnosis_tells_it_by_itself_in_one_line(story: Story) -> None:
    (origin,) = story.findings["origins"]["lines"]
    assert origin["hosts"] == [HOST]
    assert origin["line"].startswith(f"a random TCP port on 127.0.0.1: {NAME}{LIKELY}; {SERVES}; kubelet's dockershim ")
    assert "listens on localhost:0" in origin["line"]
    assert "LISTENERS THAT NOBODY DECLARED, without risk:" in story.diagnosed.said
    assert f"{NAME}{LIKELY}; {SERVES}" in story.diagnosed.said


def test_without_risk_it_is_no_finding(story: Story) -> None:
    assert of_kubelet(story.findings) == []
    assert story.diagnosed.status == 0


def test_where_its_port_may_be_a_nodeport_it_is_a_finding_and_told_once(story: Story) -> None:
    (finding,) = of_kubelet(story.findings_then)
    assert (finding["rule"], finding["host"], finding["severity"]) == ("cri-stream-port-random", HOST, "warning")
    assert f"socket 127.0.0.1:{story.port}/tcp LISTEN, held by kubelet (pid {story.pid})" in story.judged.said
    assert story.findings_then["origins"]["lines"] == []


def test_the_owner_and_what_it_is_for(story: Story) -> None:
    assert f"{HOST}, 127.0.0.1:{story.port}/tcp: {NAME}; {SERVES}; " in story.answered.said
    assert f"127.0.0.1:{story.port}/tcp is held by kubelet (pid {story.pid})" in story.answered.said
    assert "on loopback: only programs of this machine reach it" in story.answered.said


def test_why_the_port_is_another_one_at_each_start(story: Story) -> None:
    assert "dockershim (Kubernetes 1.11 to 1.23) listens on localhost:0" in story.answered.said
    assert "no setting gives it a port" in story.answered.said


def test_the_code_that_opened_it(story: Story) -> None:
    assert f"; opened by {OPENER} - " in story.answered.said
    assert f"this listener's is {OPENER} (/root/go/src/k8s.io/kubernetes/pkg/kubelet/server/streaming/server.go:" in (
        story.answered.said
    )
    assert f"made by {OPENED_FOR})" in story.answered.said


def test_what_curl_showed(story: Story) -> None:
    assert f'GET http://127.0.0.1:{story.port}/ is answered with HTTP 404 and "404: Page Not Found"' in (
        story.answered.said
    )


def test_nothing_was_restarted_or_changed(story: Story) -> None:
    assert story.alive
    assert story.answered.recap(HOST)["changed"] == 0
    assert story.answered.status == 0
