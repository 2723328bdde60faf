# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a pod is not ready: by its containers, its node, its readiness gates and its Events."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import events_seen, why_not_ready
from ansible_collections.kubenode.doctor.plugins.plugin_utils.events_seen import Events
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.service_scene import cluster, container, pod

CAPTURED = {entry["name"]: entry for entry in cluster()["pods"]}
NODES = {"node-a": {"name": "node-a", "ready": "True"}, "node-b": {"name": "node-b", "ready": "Unknown"}}


def events(*found):
    return Events({"events": list(found), "missing": []})


def event(reason="Unhealthy", message="Readiness probe failed: 503", **fields):
    about = {"kind": "Pod", "namespace": "shop", "name": "ui-1", "uid": pod("ui-1").uid}
    return {**about, "reason": reason, "message": message, "count": 1, "last": None, **fields}


def waiting(*containers, **api):
    return pod("ui-1", ready=False, containers=containers, api=api).trimmed()


def state(name="ui", kind="container", probes=(), **status):
    """A container that is not ready."""
    made = container(name, kind=kind, probes=probes)
    return {**made, "status": {**made["status"], "ready": False, **status}}


def facts(what, *found):
    return why_not_ready.facts(what, events(*found), NODES)


def test_the_captured_pods():
    crash, pull = (
        next(entry for name, entry in CAPTURED.items() if name.startswith(word)) for word in ("crash", "pull")
    )
    assert facts(crash) == ["container crash ended with exit code 1 (Error), restarts 3"]
    assert facts(pull)[0].startswith("container pull waits (ImagePullBackOff): Back-off pulling image")
    assert facts(CAPTURED["done"]) == [
        "it has ended (phase Succeeded)",
        "container d ended with exit code 0 (Completed)",
    ]
    assert facts(CAPTURED["hostnet"]) == []


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (waiting(state(probes=["readiness"])), "container ui runs, but its readiness probe does not succeed"),
        (
            waiting(state(probes=["startup", "readiness"])),
            "container ui runs, but its startup or readiness probe does not succeed",
        ),
        (waiting(state()), "container ui runs, but is not called ready"),
        (
            waiting(
                state(state="waiting", reason="CrashLoopBackOff", message="back-off 5m0s", exit_code=137, restarts=28)
            ),
            "container ui waits (CrashLoopBackOff): back-off 5m0s; its last run ended with exit code 137, restarts 28",
        ),
        (waiting(state(state=None)), "container ui is in a state that was not told"),
        (waiting(container("ui", status=None)), "container ui: kubelet has not told anything of it"),
        (
            waiting(
                state("db", "init", state="terminated", reason="Error", exit_code=2),
                state(state="waiting", reason="PodInitializing"),
            ),
            "init container db ended with exit code 2 (Error)",
        ),
        (
            waiting(state("db", "init"), state(state="waiting")),
            "init container db runs, and the pod's containers start when it has ended",
        ),
        (
            waiting(state("mesh", "sidecar", probes=["readiness"])),
            "sidecar mesh runs, but its readiness probe does not succeed",
        ),
        (
            waiting(container("ui"), readiness_gates=["example.com/lb"]),
            "its containers are ready, but not all of its readiness gates are passed (example.com/lb)",
        ),
        (waiting(container("ui")), "its condition Ready is False (ContainersNotReady)"),
        (waiting(container("ui"), ready=None, ready_reason=None), "its condition Ready is not told"),
        (waiting(container("ui"), node="node-b"), "its node node-b is not Ready (its kubelet no longer reports)"),
        (waiting(container("ui"), node="gone"), "its condition Ready is False (ContainersNotReady)"),
        (waiting(container("ui"), deleting=True), "it is being deleted"),
        (waiting(container("ui", status=None), node=None, phase="Pending"), "no node was chosen for it"),
    ],
)
def test_what_the_api_tells(what, told):
    assert facts(what)[0] == told


def test_a_ready_pod_that_is_deleted_is_no_endpoint():
    assert facts(pod("ui-1", api={"deleting": True}).trimmed()) == ["it is being deleted"]


def test_events_come_last_the_newest_first():
    found = facts(
        waiting(state(probes=["readiness"])),
        event(last=10.0),
        event("BackOff", "Back-off  restarting\nfailed container", count=7, last=20.0),
        event("FailedMount", "timed out", last=5.0),
    )
    assert found[1:] == [
        "event BackOff, 7 times, last at 1970-01-01T00:00:20Z: Back-off restarting failed container",
        "event Unhealthy, last at 1970-01-01T00:00:10Z: Readiness probe failed: 503",
    ]


def test_events_of_an_earlier_pod_of_this_name_are_not_its_own():
    assert len(facts(waiting(state()), event(uid="another"))) == 1
    mirror = waiting(state(), mirror=True)
    assert len(facts(mirror, event(uid="the hash of its file"))) == 2


def test_events_of_services_have_any_uid():
    """kube-proxy up to Kubernetes 1.36 writes namespace/name there."""
    found = events(event(kind="Service", name="ui", uid="shop/ui")).of("Service", "shop", "ui")
    assert events_seen.lines(found, 3) == ["event Unhealthy: Readiness probe failed: 503"]


@pytest.mark.parametrize(("reason", "message"), [(None, None), ("", ""), ("\x1b[2J", "x" * 5000)])
def test_events_of_any_form_make_one_line(reason, message):
    line = events_seen.words(event(reason, message))
    assert "None" not in line
    assert len(line) < 400


def test_nothing_is_changed():
    what = waiting(state(), readiness_gates=["a"])
    before = copy.deepcopy(what)
    facts(what, event())
    assert what == before
