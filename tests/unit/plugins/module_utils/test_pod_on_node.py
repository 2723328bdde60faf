# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pod_on_node: which processes are a pod's, and in whose network it is."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.containers import Seen
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_names import PodNames
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_network import Networks
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_on_node import gather
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_processes import PodProcesses
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_pods import (
    ID,
    INNER_ID,
    NO_RUNTIME,
    OTHER_UID,
    SANDBOX_ID,
    SIDE_ID,
    STATIC_UID,
    UID,
    MadeUpPods,
    path,
    runtime,
    ui,
)

SANDBOX = Seen(None, [runtime("containerd", ui(SANDBOX_ID, "POD"), ui())])
UNDERSCORED = UID.replace("-", "_")
SLICE = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UNDERSCORED}.slice"


@pytest.fixture
def pods(node, monkeypatch):
    return MadeUpPods(node, monkeypatch)


def look(pods, seen=NO_RUNTIME):
    found = PodProcesses(Deadline(60), pods.proc).found
    return gather(found, PodNames(seen, pods.root), Networks(pods.proc), pods.proc)


@pytest.mark.parametrize(
    ("cgroup", "uid", "id_"),
    [
        (path(), UID, ID),
        (f"/kubepods/pod{UID}/{ID}", UID, ID),
        (f"/kubepods/besteffort/pod{UID}/crio-{ID}", UID, ID),
        (f"/kubepods/besteffort/pod{STATIC_UID}/{ID}", STATIC_UID, ID),
        (f"{SLICE}/cri-containerd-{ID}.scope", UID, ID),
        (f"{SLICE}/crio-{ID}.scope/container", UID, ID),
        (f"{SLICE}/docker-{ID}.scope", UID, ID),
        (f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/cri-containerd-{ID}.scope", UID, ID),
        (f"/system.slice/containerd.service/kubepods-burstable-pod{UNDERSCORED}.slice:cri-containerd:{ID}", UID, ID),
        (f"/../../pod{UID}/{ID}", UID, ID),
        (f"/docker/{INNER_ID}/kubelet/kubepods/burstable/pod{UID}/{ID}", UID, ID),
        (
            f"/docker/{INNER_ID}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UNDERSCORED}.slice/cri-containerd-{ID}.scope",
            UID,
            ID,
        ),
        # cgroup v1, where only some hierarchies tell
        (f"11:pids:/\n2:cpu:{path()}\n1:name=systemd:/system.slice/containerd.service\n0::/\n", UID, ID),
        # Docker in the pod: Kubernetes knows the outer container
        (f"{path()}/docker/{INNER_ID}", UID, ID),
        (f"{SLICE}/cri-containerd-{ID}.scope/init.scope", UID, ID),
    ],
)
def test_cgroups_of_the_field(pods, cgroup, uid, id_):
    pods.process(30, cgroup)
    (pod,) = look(pods)
    assert (pod.uid, list(pod.processes), pod.processes[30].member.container_id) == (uid, [30], id_)
    assert (pod.readers, pod.elsewhere, pod.lent, pod.own_kernel) == ([30], 0, False, None)


@pytest.mark.parametrize(
    "cgroup",
    [
        "/",
        "/system.slice/kubelet.service",
        f"/system.slice/docker-{ID}.scope",  # Docker without Kubernetes
        f"/kubepods/burstable/pod{UID}/crio-conmon-{ID}",
        f"{SLICE}/crio-conmon-{ID}.scope",
        f"/kubepods/burstable/pod{UID}",
    ],
)
def test_what_is_no_pod(pods, cgroup):
    pods.process(30, cgroup, netns="host", name="conmon")
    assert look(pods) == []


def test_conmon_beside_a_container_does_not_tell_the_network(pods):
    pods.process(29, f"/kubepods/burstable/pod{UID}/crio-conmon-{ID}", netns="host", name="conmon")
    pods.process(30, f"/kubepods/burstable/pod{UID}/crio-{ID}")
    (pod,) = look(pods)
    assert (list(pod.processes), pod.readers, pod.elsewhere, pod.lent) == ([30], [30], 0, False)


def test_kubelet_without_cgroups_of_pods(pods):
    """--cgroups-per-qos=false: the runtime knows whose a container is."""
    pods.process(30, f"/docker/{ID}")
    pods.process(31, f"/docker/{INNER_ID}")
    (pod,) = look(pods, SANDBOX)
    assert (pod.uid, pod.name.name, list(pod.processes)) == (UID, "ui-1", [30])


def test_pods_in_order(pods):
    for number, (uid, folder) in enumerate(
        [(UID, "shop_b"), (OTHER_UID, "shop_a"), (STATIC_UID, "kube-system_etcd"), ("f" * 32, None), ("e" * 32, None)]
    ):
        pods.process(30 + number, path(uid), netns=f"n{number}")
        if folder:
            pods.folder(f"{folder}_{uid}")
    assert [pod.name.name if pod.name else pod.uid[0] for pod in look(pods)] == ["e", "f", "etcd", "a", "b"]


def test_host_network(pods):
    pods.process(30, path(), netns="host")
    (pod,) = look(pods)
    assert pod.lent is True


def test_where_the_first_thread_has_ended_another_one_shows_the_network(pods):
    pods.process(30, path(), state="Z", threads=2)
    (pods.node.proc / "30" / "ns" / "net").unlink()
    pods.process(31, "/", netns="other")  # /proc/31, which shows the thread and is not listed
    (pod,) = look(pods)
    assert (list(pod.processes), pod.readers, pod.elsewhere, pod.lent) == ([30], [31], 0, False)


def test_the_sandbox_decides_where_a_pod_is(pods):
    """A privileged container that went into the host's network has more processes than the sandbox."""
    pods.process(30, path(), netns="host")
    pods.process(31, path(id_=SIDE_ID), netns="host")
    pods.process(40, path(id_=SANDBOX_ID), name="pause")
    (pod,) = look(pods, SANDBOX)
    assert (pod.readers, pod.elsewhere, pod.lent) == ([40], 2, False)


def test_without_a_known_sandbox_the_first_processes_decide(pods):
    pods.process(30, path(), started=10)
    pods.process(31, path(), netns="host", started=11)
    pods.process(32, path(), netns="host", started=12)
    (pod,) = look(pods)
    assert (pod.readers, pod.elsewhere, pod.lent) == ([30], 2, False)


def test_pods_that_share_a_network_are_in_that_of_a_node_inside_this_one(pods):
    """kind, seen from its host: kube-proxy and etcd are in the network of the node's container, the third pod is not."""
    for pid, uid, netns in ((30, UID, "kind"), (31, OTHER_UID, "kind"), (32, STATIC_UID, "other")):
        pods.process(pid, f"/docker/{INNER_ID}/kubelet{path(uid)}", netns=netns)
    assert {pod.uid: pod.lent for pod in look(pods)} == {UID: True, OTHER_UID: True, STATIC_UID: False}


def test_the_only_hostnetwork_pod_of_a_node_inside_this_one(pods):
    """k3d, seen from its host: the node's own processes are in the network of the pod."""
    node = f"/docker/{INNER_ID}"
    pods.process(20, f"{node}/init", netns="k3d", name="k3s")
    pods.process(30, f"{node}{path(UID)}", netns="k3d")
    pods.process(31, f"{node}{path(OTHER_UID)}", netns="other")
    pods.process(
        32, f"/docker/{SANDBOX_ID}", netns="other", name="somebody"
    )  # a container that joined a pod is no node
    assert {pod.uid: pod.lent for pod in look(pods)} == {UID: True, OTHER_UID: False}


@pytest.mark.parametrize(
    ("machine", "expected"), [("", {UID: False, OTHER_UID: True}), ("/lxc.payload.n1", {UID: True, OTHER_UID: True})]
)
def test_a_pod_whose_processes_have_gone_into_the_network_of_another(pods, machine, expected):
    """nsenter as the first process, and no sandbox is known: the network is the older pod's. In LXC both have their node's."""
    pods.process(40, machine + path(UID), started=10)
    pods.process(30, machine + path(OTHER_UID), started=20)
    assert {pod.uid: pod.lent for pod in look(pods)} == expected


def test_a_pod_that_is_a_node(pods):
    """kind in a pod: the outer pod owns the network that pods inside it have as their host's."""
    outer = f"/kubepods/pod{STATIC_UID}/{SIDE_ID}"
    pods.process(30, outer, name="systemd")
    pods.process(31, outer + path(UID), name="kube-proxy")
    pods.process(32, outer + path(OTHER_UID), netns="third")
    assert {pod.uid: (list(pod.processes), pod.lent) for pod in look(pods)} == {
        STATIC_UID: ([30], False),
        UID: ([31], True),
        OTHER_UID: ([32], False),
    }


@pytest.mark.parametrize(
    ("cgroup", "name", "argv", "expected"),
    [
        (path(), "exe", ["runsc-sandbox", "boot"], "runsc"),
        (f"/kubepods/besteffort/pod{UID}/kata_{SANDBOX_ID}", "qemu-system-x86", ["qemu"], "qemu"),
        (f"/kata_overhead/{SANDBOX_ID}", "cloud-hyperviso", [], "cloud-hypervisor"),
        (f"/kata_overhead/kubepods/besteffort/pod{UID}/{SANDBOX_ID}", "firecracker", [], "firecracker"),
    ],
)
def test_kernels_of_their_own(pods, cgroup, name, argv, expected):
    pods.process(30, cgroup, name=name, argv=argv)
    (pod,) = look(pods, SANDBOX)
    assert (pod.uid, pod.own_kernel, pod.readers) == (UID, expected, [30])


def test_a_hypervisor_beside_containers(pods):
    pods.process(30, path())
    pods.process(31, f"/kubepods/besteffort/pod{UID}/kata_{SANDBOX_ID}", name="qemu-kvm")
    (pod,) = look(pods)
    assert (list(pod.processes), pod.own_kernel) == ([30], "qemu")
