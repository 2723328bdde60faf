# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed 004 judged from its own text: a NodePort that refuses, one finding with its evidence, and how it does not happen again."""

from __future__ import annotations

import functools

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import report_text
from ansible_collections.kubenode.doctor.tests.support import seed_004
from ansible_collections.kubenode.doctor.tests.support.seed_004 import Story
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.checks import (
    check_command,
    check_report,
    commands,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Scene

IMAGE = "gcr.io/cd-k8s-236617/user-10-ui:f5393576"
PODS = ["ui-5875f9bb88-cjjf6", "ui-5875f9bb88-sq6w1"]


@functools.cache
def judged(story):
    return Scene(story.snapshots(), story.cluster()).judged()


def faults(story):
    """What was found about Services."""
    document = judged(story)
    return [
        finding
        for finding in document["findings"]
        if finding["status"] == "fail" and document["rules"][finding["rule"]]["group"] == "services"
    ]


@functools.cache
def fault():
    (found,) = faults(Story())
    return found


def test_what_was_quoted_is_read_whole():
    assert seed_004.pods() == PODS
    assert list(seed_004.addresses().values()) == ["10.10.16.3", "10.10.17.5"]
    assert seed_004.program() == "python3"
    cluster = Story().cluster()
    (service,) = cluster["services"]
    assert (service["name"], service["type"], service["selector"]) == ("ui", "NodePort", {"app": "ui"})
    assert service["ports"] == [
        {"name": None, "protocol": "TCP", "port": 9292, "target_port": 9292, "node_port": 32530}
    ]
    (deployment,) = cluster["deployments"]
    assert deployment["images"] == {"ui": IMAGE}
    assert deployment["replicas"] == 2
    refused = (seed_004.FOLDER / "curl.txt").read_text("utf-8")
    assert refused.endswith(f"port {service['ports'][0]['node_port']}: Connection refused\n")


def test_it_is_one_finding_not_six():
    found = fault()
    assert (found["rule"], found["object"], found["severity"]) == (
        "service-target-not-listening",
        "reddit-entry/ui",
        "critical",
    )
    assert found["title"] == (
        "Service reddit-entry/ui, NodePort 32530/TCP refuses connections: its 2 pods listen on 5000, and nobody on 9292, which the Service wants"
    )


def test_its_evidence_is_what_the_author_found_step_by_step():
    assert fault()["evidence"] == [
        "port 9292/TCP, NodePort 32530 leads to 9292 in the pods: 2 endpoints in use, none of them answers",
        "pod reddit-entry/ui-5875f9bb88-cjjf6 on node-16, 10.10.16.3:9292: it listens on 0.0.0.0:5000/tcp (process python3, container ui)",
        "pod reddit-entry/ui-5875f9bb88-sq6w1 on node-17, 10.10.17.5:9292: it listens on 0.0.0.0:5000/tcp (process python3, container ui)",
        "endpoints are complete: the API calls all these pods ready",
        "no container of these pods has a readiness probe: kubelet calls them ready as soon as they run, so endpoints prove nothing",
        f"container ui of 2 pods: {IMAGE} is named by a tag, and imagePullPolicy is IfNotPresent: a node keeps what it got under that name first",
    ]


@pytest.mark.parametrize(
    "advice",
    [
        "a glance at the log of one pod",
        "which pipeline pushed this tag",
        "give container ui a readinessProbe on port 9292",
        "a livenessProbe restarts",
        "stop the rollout while the old version still runs",
        "even another program on the same port",  # ui and comment
        "one parametrised pipeline (APP_NAME)",
        "have the registry refuse to move tags",
        "imagePullPolicy Always",
        "the right to push to its own repositories only",
    ],
)
def test_the_whole_list_of_what_keeps_it_from_happening_again(advice):
    assert advice in "\n".join(remedy["summary"] for remedy in fault()["remedies"])


def test_its_commands():
    told = commands(fault())
    for command in told:
        check_command(command)
    assert told[0] == "kubectl -n reddit-entry logs ui-5875f9bb88-cjjf6 -c ui --tail=20"
    assert any(command.startswith("kubectl -n reddit-entry patch deployment ui -p ") for command in told)


def test_the_report_shows_it():
    report = report_text.render(judged(Story()), "audits/20261121T080000Z")
    check_report(report)
    assert "Service reddit-entry/ui, NodePort 32530/TCP refuses connections" in report


def test_the_healthy_twin():
    """The right image, asked by a probe; without the probe only that is told."""
    right = Story(port=9292, program="puma")
    assert [finding["rule"] for finding in faults(right)] == ["service-readiness-unproven"]
    assert not faults(Story(port=9292, program="puma", probed=True))
