# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For which findings a fix restarts a program or switches one on, on what it is to act, and why it is not offered elsewhere."""

from __future__ import annotations

import json

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import judge, settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rules import (
    clock_unsynchronized,
    close_wait_leak,
    nodeport_shadows_listener,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.cases.clock_unsynchronized import (
    hidden,
    kept,
    off,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.cases.close_wait_leak import stuck
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import seed
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.tcp_scene import (
    alone,
    both_ends,
    held,
    queue,
    quiet,
)

STATIC = "1403dda53affdfee1130475a6d9609da"  # of seed 002's API server
OTHER = "0a1b2c3d-0000-4000-8000-000000000001"
CONTAINER = "c" * 64


def remedies(scene, rule, host):
    document = judge.judge(scene, settings.read(scene.options), [rule.RULE])
    (finding,) = [one for one in document["findings"] if (one["host"], one["status"]) == (host, "fail")]
    return finding["remedies"]


def offered(scene, rule, host="node-a"):
    """The fixes of a finding, with their targets."""
    return {
        remedy["fix"]: [json.loads(target) for target in remedy["targets"]]
        for remedy in remedies(scene, rule, host)
        if remedy["fix"]
    }


def reasons(scene, rule, host="node-a"):
    return " | ".join(remedy["by_hand"] for remedy in remedies(scene, rule, host))


# restart-leaker


def process(name="java", pid=77, unit=None, container_id=None, pod_uid=None):
    return {"pid": pid, "name": name, "unit": unit, "container_id": container_id, "pod_uid": pod_uid}


def leaking(*owners, name="java", port=5432, **fields):
    """20 closed connections of a program, whose processes are known by their listeners."""
    samples = [stuck(name, port, pid=owner["pid"]) for owner in owners]
    queues = [queue(8080 + number, processes=[owner]) for number, owner in enumerate(owners)]
    ports = fields if "local_port" in fields else {**fields, "peer_port": port}
    return alone(quiet(held(name, 20, **ports), queues=queues, changes=("tcp_states.stuck", samples)))


def test_a_unit_that_leaks():
    scene = leaking(process(unit="java.service"))
    wanted = {"program": "java", "unit": "java.service", "pod_uid": None, "port": 5432, "came_in": False, "count": 20}
    assert offered(scene, close_wait_leak) == {"restart-leaker": [wanted]}


def test_connections_that_came_in():
    samples = [{**stuck("java", 50000), "port": 8080}]
    scene = alone(
        quiet(
            held("java", 20, local_port=8080),
            queues=[queue(8080, processes=[process(unit="java.service")])],
            changes=("tcp_states.stuck", samples),
        )
    )
    (target,) = offered(scene, close_wait_leak)["restart-leaker"]
    assert (target["port"], target["came_in"]) == (8080, True)


def test_a_static_pods_api_server():
    owner = process("kube-apiserver", container_id=CONTAINER, pod_uid=STATIC)
    scene = leaking(owner, name="kube-apiserver", port=10250)
    wanted = {
        "program": "kube-apiserver",
        "unit": None,
        "pod_uid": STATIC,
        "port": 10250,
        "came_in": False,
        "count": 20,
    }
    assert offered(scene, close_wait_leak) == {"restart-leaker": [wanted]}
    (restart,) = [remedy for remedy in remedies(scene, close_wait_leak, "node-a") if remedy["fix"]]
    assert restart["summary"].startswith("restart the API servers one after the other")


def test_one_program_of_several_processes():
    workers = [process(pid=pid, unit="java.service") for pid in (77, 78)]
    assert len(offered(leaking(*workers), close_wait_leak)["restart-leaker"]) == 1


@pytest.mark.parametrize(
    ("scene", "why"),
    [
        (leaking(process(container_id=CONTAINER, pod_uid=OTHER)), "in a pod that the API server knows"),
        (
            leaking(process(unit="docker.service", container_id=CONTAINER)),
            "neither in a unit of this machine's systemd nor",
        ),
        (leaking(process()), "neither in a unit of this machine's systemd nor"),
        (leaking(process(unit="a b.service")), "neither in a unit of this machine's systemd nor"),
        (leaking(process(unit="java.service"), process(pid=78, unit="other.service")), "of several programs or units"),
        (
            leaking(process("dockerd", unit="docker.service"), name="dockerd"),
            "every container of the machine stops with dockerd",
        ),
        (leaking(process("etcd", container_id=CONTAINER, pod_uid=STATIC), name="etcd"), "a member of etcd"),
        (leaking(process(unit="k3s.service")), "all of Kubernetes on this node"),
        (leaking(process(unit="java.service"), netns="4026532281"), "of a pod with a network of its own"),
        (both_ends(), "none of its listeners were"),
        (alone(quiet(held("java", 20, peer_port=5432))), "none of its listeners were"),
    ],
)
def test_who_leaks_and_is_left_to_a_person(scene, why):
    assert offered(scene, close_wait_leak) == {}
    assert why in reasons(scene, close_wait_leak)


# redraw-random-port


def test_the_kubelet_of_seed_000():
    socket = [entry["port"] for entry in seed().snapshots["sick"]["sections"]["nodeport_conflict"]["sockets"]].index(
        36527
    )
    unit = f"nodeport_conflict.sockets.{socket}.processes.0.unit"
    wanted = {
        "program": "kubelet",
        "unit": "kubelet.service",
        "address": "127.0.0.1",
        "port": 36527,
        "node_ports": "36527",
    }
    fixes = offered(seed(unit, "kubelet.service"), nodeport_shadows_listener, "sick")
    assert fixes["redraw-random-port"] == [wanted]
    scene = seed(unit, None)
    assert "redraw-random-port" not in offered(scene, nodeport_shadows_listener, "sick")
    assert "in which unit the program runs was not seen" in reasons(scene, nodeport_shadows_listener, "sick")


# sync-clock


def test_a_time_service_that_is_off():
    scene = off("ntpsec.service", "systemd-timesyncd.service")
    assert offered(scene, clock_unsynchronized) == {"sync-clock": [{"unit": "ntpsec.service"}]}


@pytest.mark.parametrize(
    ("scene", "why"),
    [
        (off(), "a fix installs no programs"),
        (off("chrony.service", snapshot=hidden()), "not all programs of the machine could be seen"),
        (off("chrony.service", keepers=["vmtoolsd"]), "may well be kept by the hypervisor"),
        (kept(False, 16.0, []), "which time services are installed was not seen"),
        (off("chrony.service", keepers=["ntpd"]), ""),
    ],
)
def test_a_clock_that_is_left_to_a_person(scene, why):
    assert offered(scene, clock_unsynchronized) == {}
    assert why in reasons(scene, clock_unsynchronized)
