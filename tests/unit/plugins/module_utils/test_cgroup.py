# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cgroup: the paths of the field, by runtime, driver and version."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubenode.doctor.plugins.module_utils import cgroup
from ansible_collections.kubenode.doctor.plugins.module_utils.cgroup import Member, Owner

FIXTURES = Path(__file__).parents[3] / "fixtures" / "procfs"
UID = "909a2aa1-bf6a-4a8c-a274-3180ea640fb1"
UID_ = UID.replace("-", "_")
STATIC = "1403dda53affdfee1130475a6d9609da"
ID = "6ca1eb5d5681b868dd81a586a5ef0070e7de4d8645a9f396553b94b0d28800c5"
OTHER = "0" * 63 + "1"
BURSTABLE = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + UID_ + ".slice"

NOBODY = Owner(None, None, None)
POD = Owner(None, ID, UID)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", NOBODY),
        ("/", NOBODY),
        ("/init.scope", NOBODY),
        ("/system.slice/kubelet.service", Owner("kubelet.service", None, None)),
        ("/system.slice/system-getty.slice/getty@tty1.service", Owner("getty@tty1.service", None, None)),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/gnome.service/x",
            Owner("gnome.service", None, None),
        ),
        # cgroupfs driver: containerd, a guaranteed pod, CRI-O, a static pod
        ("/kubepods/burstable/pod" + UID + "/" + ID, POD),
        ("/kubepods/pod" + UID + "/" + ID, POD),
        ("/kubepods/besteffort/pod" + UID + "/crio-" + ID, POD),
        ("/kubepods/besteffort/pod" + STATIC + "/" + ID, Owner(None, ID, STATIC)),
        # systemd driver: containerd, CRI-O, Docker, Podman, a guaranteed pod, a static pod
        (BURSTABLE + "/cri-containerd-" + ID + ".scope", POD),
        (BURSTABLE + "/crio-" + ID + ".scope", POD),
        (BURSTABLE + "/crio-" + ID + ".scope/container", POD),
        (BURSTABLE + "/docker-" + ID + ".scope", POD),
        (BURSTABLE + "/libpod-" + ID + ".scope", POD),
        ("/kubepods.slice/kubepods-pod" + UID_ + ".slice/cri-containerd-" + ID + ".scope", POD),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + STATIC + ".slice/crio-" + ID + ".scope",
            Owner(None, ID, STATIC),
        ),
        # The systemd driver's name used by a runtime with the cgroupfs driver
        (
            "/system.slice/containerd.service/kubepods-burstable-pod" + UID_ + ".slice:cri-containerd:" + ID,
            Owner("containerd.service", ID, UID),
        ),
        # A pod's sandbox without a container, and its slice alone
        ("/kubepods/burstable/pod" + UID, Owner(None, None, UID)),
        (BURSTABLE, Owner(None, None, UID)),
        # conmon stands beside the container in the pod's slice, and is not it
        (BURSTABLE + "/crio-conmon-" + ID + ".scope", Owner(None, None, UID)),
        ("/kubepods/burstable/pod" + UID + "/crio-conmon-" + ID, Owner(None, None, UID)),
        ("/machine.slice/libpod-conmon-" + ID + ".scope", NOBODY),
        # kind: the node is a container itself, and kubelet's --cgroup-root is /kubelet
        (
            "/docker/" + OTHER + "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
            "kubelet-kubepods-burstable-pod" + UID_ + ".slice/cri-containerd-" + ID + ".scope",
            POD,
        ),
        ("/docker/" + OTHER + "/kubelet/kubepods/burstable/pod" + UID + "/" + ID, POD),
        ("/docker/" + OTHER + "/" + ID, Owner(None, ID, None)),
        (
            "/system.slice/docker-" + OTHER + ".scope/kubelet.slice/kubelet.service",
            Owner("kubelet.service", OTHER, None),
        ),
        # A pod that runs Kubernetes
        ("/kubepods/pod" + STATIC + "/" + OTHER + "/kubepods/burstable/pod" + UID + "/" + ID, POD),
        # Docker without Kubernetes
        ("/docker/" + ID, Owner(None, ID, None)),
        ("/system.slice/docker-" + ID + ".scope", Owner(None, ID, None)),
        # seen from a private cgroup namespace
        ("/../../pod" + UID + "/" + ID, POD),
        # Neither pods nor containers
        ("/kubepods/burstable/pod" + UID[:-1], NOBODY),
        ("/kubepods/burstable/pod" + UID + "0", NOBODY),
        ("/kubepods/burstable/pod" + STATIC + "0", NOBODY),
        ("/x/" + ID[:-1], NOBODY),
        ("/x/" + ID + "0", NOBODY),
        ("/x/" + ID.upper(), NOBODY),
    ],
)
def test_owner(path, expected):
    assert cgroup.owner(path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", Member(None, None, 0)),
        ("/system.slice/kubelet.service", Member(None, None, 0)),
        ("/kubepods/burstable/pod" + UID + "/" + ID, Member(ID, UID, 1)),
        (BURSTABLE + "/cri-containerd-" + ID + ".scope", Member(ID, UID, 1)),
        ("/system.slice/containerd.service/kubepods-pod" + UID_ + ".slice:cri-containerd:" + ID, Member(ID, UID, 1)),
        ("/kubepods/besteffort/pod" + STATIC + "/" + ID, Member(ID, STATIC, 1)),
        ("/kubepods/burstable/pod" + UID, Member(None, UID, 1)),
        ("/kubepods/burstable/pod" + UID + "/crio-conmon-" + ID, Member(None, UID, 1)),
        ("/kubepods/burstable/pod" + UID + "/kata_" + ID, Member(None, UID, 1)),
        ("/kata_overhead/" + ID, Member(ID, None, 0)),
        # Docker in a pod, and in no pod
        ("/kubepods/burstable/pod" + UID + "/" + ID + "/docker/" + OTHER, Member(ID, UID, 1)),
        ("/docker/" + ID + "/docker/" + OTHER, Member(OTHER, None, 0)),
        # kind, and kind in a pod
        ("/docker/" + OTHER + "/kubelet/kubepods/burstable/pod" + UID + "/" + ID, Member(ID, UID, 1, OTHER)),
        ("/kubelet.slice/kubelet-kubepods.slice" + "/pod" + UID + "/" + ID, Member(ID, UID, 1)),
        # LXC, systemd-nspawn
        ("/lxc.payload.n1/kubepods/burstable/pod" + UID + "/" + ID, Member(ID, UID, 1, "lxc.payload.n1")),
        ("/machine.slice/x.scope/kubepods/pod" + UID + "/" + ID, Member(ID, UID, 1, "machine.slice")),
        ("/kubepods/pod" + STATIC + "/" + OTHER + "/kubepods/burstable/pod" + UID + "/" + ID, Member(ID, UID, 2)),
        ("/kubepods/pod" + STATIC + "/" + OTHER + "/kubepods/burstable/pod" + UID, Member(None, UID, 2)),
    ],
)
def test_member(path, expected):
    assert cgroup.member(path) == expected


@given(st.text(max_size=200))
def test_any_path_has_an_owner_or_none(path):
    found = (*cgroup.owner(path), *cgroup.member(path)[:2])
    assert all(part is None or part.replace("-", "_") in path.replace("-", "_") for part in found)


def test_a_pod_on_cgroup_v1():
    text = (FIXTURES / "pod-proc-cgroup.txt").read_text("ascii")
    assert cgroup.owner(cgroup.path_of(text)) == POD


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("0::/system.slice/kubelet.service\n", "/system.slice/kubelet.service"),
        # v1: one hierarchy knows the unit, the others nothing
        (
            "11:pids:/system.slice\n2:cpu:/\n1:name=systemd:/system.slice/kubelet.service\n0::/\n",
            "/system.slice/kubelet.service",
        ),
        # hybrid: the container is known to the controllers, not to systemd
        ("2:cpu:/docker/" + ID + "\n1:name=systemd:/\n", "/docker/" + ID),
        ("0::/a:b:c\n", "/a:b:c"),
        ("", ""),
        ("no cgroup at all\n0:\n", ""),
    ],
)
def test_path_of(lines, expected):
    assert cgroup.path_of(lines) == expected


@pytest.fixture
def hierarchy(tmp_path):
    """A hierarchy, and a mount table that names it."""
    root = tmp_path / "cgroup"
    (root / "system.slice" / "kubelet.service").mkdir(parents=True)
    (root / "kubepods" / ("pod" + UID)).mkdir(parents=True)
    mounts = tmp_path / "mounts"
    mounts.write_text(f"proc /proc proc rw 0 0\nbroken\ncgroup2 {root} cgroup2 rw,nosuid 0 0\n")
    return root, str(mounts)


def test_paths_by_id(hierarchy):
    root, mounts = hierarchy
    unit, pod = root / "system.slice" / "kubelet.service", root / "kubepods" / ("pod" + UID)
    wanted = [unit.stat().st_ino, pod.stat().st_ino, root.stat().st_ino, 0]
    assert cgroup.paths_by_id(wanted, mounts) == {
        unit.stat().st_ino: "/system.slice/kubelet.service",
        pod.stat().st_ino: "/kubepods/pod" + UID,
        root.stat().st_ino: "/",
    }


@pytest.mark.parametrize("mounts", ["nowhere", "empty"])
def test_without_cgroup2_no_path_is_known(tmp_path, mounts):
    (tmp_path / "empty").touch()
    assert cgroup.paths_by_id([1], str(tmp_path / mounts)) == {}


def test_nothing_wanted_walks_nothing(hierarchy, monkeypatch):
    monkeypatch.setattr(cgroup.os, "walk", lambda *_arguments: pytest.fail("the hierarchy was walked"))
    assert cgroup.paths_by_id([], hierarchy[1]) == {}
