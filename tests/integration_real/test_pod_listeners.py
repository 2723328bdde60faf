# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module pod_listeners on nodes with a real containerd and a real Docker Engine: pods as kubelet makes them, and no API server.

Each pod has a network namespace of its own with real addresses, or its node's; what is told is compared with what was started.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import ad_hoc, ad_hoc_on_all
from ansible_collections.kubenode.doctor.tests.support import containerd_node, docker_engine_node, images, real_pods
from ansible_collections.kubenode.doctor.tests.support.containerd_node import ContainerdNode
from ansible_collections.kubenode.doctor.tests.support.docker_engine_node import EngineNode, Pod
from ansible_collections.kubenode.doctor.tests.support.real_pods import RealContainer, RealPod, Running, httpd, program
from ansible_collections.kubenode.doctor.tests.support.stage import python_for_nobody

COMMANDS = {*containerd_node.COMMANDS, *docker_engine_node.COMMANDS, "iptables"}
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, COMMANDS)) or python_for_nobody() is None,
    reason=f"runtimes of one's own need root, {', '.join(sorted(COMMANDS))} and a Python that nobody can run",
)

RUNTIMES = {"containerd": ContainerdNode, "docker": EngineNode}
FRONT = Pod("shop", "front-6559f5d576-ctfs7", "b24a851f-9d9c-47f3-ac43-f849e4572055", True, "burstable")
DNS = Pod("shop", "dns-0", "02a647ae-4783-48f4-bea0-f1ebf8674102", True, "guaranteed")
SIX = Pod("shop", "six", "3790e3de-32b5-4628-b659-aa476ccb7ab0", True, sysctls=(("net.ipv6.bindv6only", "1"),))
LESS = Pod("shop", "distroless", "3810d15f-0fd3-4dd2-a706-d10da670e7a6", True)
ODD = Pod("shop", "odd", "909a2aa1-bf6a-4a8c-a274-3180ea640fb1", True)
MESH = Pod("shop", "mesh", "38d2f2c1-dc61-4ac5-a861-9f501225f14d", True)
CRASH = Pod("shop", "crash-78bf7549d-nkthh", "9f7f63be-9880-4e4a-8f63-86d90684b60a", True)
# The folder of its logs has a name that no pod can have: its own comes from the runtime.
UNLOGGED = Pod("shop", "unlogged", "6d305966-bacc-4563-8196-57ebd6195c57", True)
HOSTNET = Pod("shop", "hostnet", "0910f365-967a-40c6-95f0-fa6bc368cd0d")
STATIC = Pod("kube-system", "etcd-node-a", "7f3c9a1d5b2e4f60889bd4a1c35e7e02", qos="burstable")
ODD_PROGRAM = RealContainer("odd", (f"/bin/{images.HOSTILE_PROGRAM}", "httpd", "-f", "-p", "8080"))

PODS = (
    RealPod(FRONT, (httpd("front", "5000", images.POST.names[1]), httpd("side", "127.0.0.1:9000"))),
    RealPod(
        DNS, (program("dns", "--datagrams", "0.0.0.0:5353", "--datagrams", "::1:9953", "--listen", "0.0.0.0:5353"),)
    ),
    RealPod(SIX, (program("six", "--listen", ":::8080"),)),
    RealPod(LESS, (RealContainer("less", images.DISTROLESS.command, images.DISTROLESS.names[0]),)),
    RealPod(ODD, (ODD_PROGRAM,)),
    RealPod(MESH, (httpd("app", "8080"),)),
    RealPod(CRASH, (RealContainer("crash", ("false",), ends=True),)),
    RealPod(UNLOGGED, (httpd("web", "8080"),)),
    RealPod(HOSTNET, (httpd("web", "31999"),)),
    RealPod(STATIC, (httpd("etcd", "127.0.0.1:2379"),)),
)
BY_POD = {wanted.pod: wanted for wanted in PODS}
# pod: what waits in it, as (protocol, address, port, IPv6 only, program, container)
Waiting = tuple[str, str, int, "bool | None", str, str]
WAITS: dict[Pod, set[Waiting]] = {
    FRONT: {("tcp", "::", 5000, False, "httpd", "front"), ("tcp", "127.0.0.1", 9000, None, "httpd", "side")},
    DNS: {
        ("udp", "0.0.0.0", 5353, None, "dns", "dns"),
        # The kernel makes all sockets at an address of IPv6 alone IPv6-only (net/ipv6/af_inet6.c __inet6_bind).
        ("udp", "::1", 9953, True, "dns", "dns"),
        ("tcp", "0.0.0.0", 5353, None, "dns", "dns"),
    },
    SIX: {("tcp", "::", 8080, True, "six", "six")},
    LESS: {("tcp", "::", 8080, False, "httpd", "less")},
    ODD: {
        ("tcp", "::", 8080, False, 'busybox"?[2J', "odd")
    },  # without the escape and the line feed of images.HOSTILE_PROGRAM
    MESH: {("tcp", "::", 8080, False, "httpd", "app")},
    CRASH: set(),
    UNLOGGED: {("tcp", "::", 8080, False, "httpd", "web")},
    HOSTNET: {("tcp", "::", 31999, False, "httpd", "web")},
    STATIC: {("tcp", "127.0.0.1", 2379, None, "httpd", "etcd")},
}


class Scene(NamedTuple):
    """A node, what was started on it, and what the module tells of it, as root and as a user without rights."""

    node: real_pods.Node
    running: dict[Pod, Running]
    told: dict[str, Any]
    told_to_nobody: dict[str, Any]

    def pod(self, pod: Pod) -> dict[str, Any]:
        return by_uid(self.told)[pod.uid]


def by_uid(section: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {told["uid"]: told for told in section["pods"]}


@pytest.fixture(scope="module", params=RUNTIMES)
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with RUNTIMES[request.param](request.param, tmp_path_factory.mktemp(request.param)) as node:
        node.load(images.POST, images.DISTROLESS)
        running = {wanted.pod: real_pods.start(node, wanted) for wanted in PODS}
        for wanted in PODS:
            if wanted.pod.own_network:
                real_pods.wait(node, wanted, running[wanted.pod])
        real_pods.inside(
            node,
            running[MESH],
            *["iptables", "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "15001"],
        )
        node.run("mv", UNLOGGED.logs, f"/var/log/pods/shop_x{{{{7777*7777}}}}\x1b[2J\n_{UNLOGGED.uid}")
        inventory = node.inventory({"nobody": node.interpreter_for_nobody()})
        answers = ad_hoc_on_all(inventory, "pod_listeners", budget_seconds=30)
        assert all(good for good, _answer in answers.values()), answers
        yield Scene(node, running, answers[node.name][1], answers["nobody"][1])


def waits(told: dict[str, Any]) -> set[Waiting]:
    return {
        (one["protocol"], one["address"], one["port"], one["v6only"], one["process"], one["container"])
        for one in told["listeners"]
    }


def test_all_pods_that_have_processes_are_told(scene: Scene):
    assert set(by_uid(scene.told)) == {pod.uid for pod in BY_POD}
    assert (scene.told["complete"], scene.told["missing"]) == (True, [])


@pytest.mark.parametrize("pod", BY_POD, ids=lambda pod: pod.name)
def test_what_waits_in_a_pod(scene: Scene, pod: Pod):
    assert waits(scene.pod(pod)) == WAITS[pod]


@pytest.mark.parametrize("pod", BY_POD, ids=lambda pod: pod.name)
def test_whose_pod_it_is(scene: Scene, pod: Pod):
    told, running = scene.pod(pod), scene.running[pod]
    assert (told["namespace"], told["name"], told["host_network"]) == (pod.namespace, pod.name, not pod.own_network)
    assert set(told["addresses"] or ()) == set(running.addresses)
    alive = {running.sandbox: "POD"} | {
        running.containers[one.name]: one.name for one in BY_POD[pod].containers if not one.ends
    }
    assert {one["id"]: one["name"] for one in told["containers"]} == alive
    for one in told["listeners"]:
        assert one["container_id"] == running.containers[one["container"]]


def test_who_told_the_names(scene: Scene):
    assert scene.pod(UNLOGGED)["named_by"] == scene.node.name
    assert {scene.pod(pod)["named_by"] for pod in BY_POD if pod != UNLOGGED} == {"logs"}


def test_the_images_are_those_of_the_runtime(scene: Scene):
    for pod, running in scene.running.items():
        told = {one["id"]: one["image"] for one in scene.pod(pod)["containers"]}
        for one in BY_POD[pod].containers:
            if not one.ends:
                assert told[running.containers[one.name]] in (one.image, *images.POST.names)


@pytest.mark.parametrize("pod", BY_POD, ids=lambda pod: pod.name)
def test_in_which_network_it_is(scene: Scene, pod: Pod):
    link = scene.node.run("readlink", f"/proc/{scene.node.pid(scene.running[pod].sandbox)}/ns/net").stdout.strip()
    own = link.removeprefix("net:[").removesuffix("]")
    assert scene.pod(pod)["netns"] == (own if pod.own_network else "host")


def test_only_one_pod_redirects_packets(scene: Scene):
    redirects = {pod: scene.pod(pod)["redirects"] for pod in BY_POD}
    assert redirects == {pod: pod == MESH if pod.own_network else None for pod in BY_POD}


def test_how_old_containers_are(scene: Scene):
    """Their sandbox is the oldest, and none is older than this test."""
    for told in scene.told["pods"]:
        ages = {one["name"]: one["age_seconds"] for one in told["containers"]}
        assert all(0 <= age <= ages["POD"] < 600 for age in ages.values())


def test_without_rights_the_ports_are_told_and_the_processes_are_not(scene: Scene):
    told = by_uid(scene.told_to_nobody)
    assert set(told) == {pod.uid for pod in BY_POD}
    for pod in BY_POD:
        assert (told[pod.uid]["namespace"], told[pod.uid]["name"]) == (pod.namespace, pod.name)
        if pod.own_network:
            known = {(protocol, address, port, None, None, None) for protocol, address, port, *_rest in WAITS[pod]}
            assert waits(told[pod.uid]) == known
            assert told[pod.uid]["redirects"] is None


def test_without_rights_the_sockets_of_host_network_pods_are_not_known(scene: Scene):
    for pod in (HOSTNET, STATIC):
        told = by_uid(scene.told_to_nobody)[pod.uid]
        assert (told["host_network"], told["listeners"]) == (True, None)
        assert "could not be read: run with become" in told["why"]


def test_without_rights_it_is_said_what_is_missing(scene: Scene):
    assert scene.told_to_nobody["complete"] is False
    whys = {gap["what"]: gap["why"] for gap in scene.told_to_nobody["missing"]}
    assert whys.keys() == {"names", "v6only", "redirects", "processes"}
    for why in whys.values():
        assert "become" in why


def test_only_the_pods_that_were_asked_for(scene: Scene):
    good, answer = ad_hoc(scene.node.inventory(), scene.node.name, "pod_listeners", pods=["six"], namespaces=["shop"])
    assert good, answer
    (told,) = answer["pods"]
    assert {**told, "containers": []} == {**scene.pod(SIX), "containers": []}  # which have grown older
