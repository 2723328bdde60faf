# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""containerd_files: what real containerds left, compared with what they said of themselves, and what nobody should have left."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import containerd_files
from ansible_collections.kubenode.doctor.plugins.module_utils.container_groups import BUDGET
from ansible_collections.kubenode.doctor.plugins.module_utils.container_processes import ContainerProcesses
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_runtime import (
    CONTAINERDS,
    ID,
    ROOT,
    SOCKET,
    STATE,
    UID,
    captured,
    link,
    listen,
    place,
    process,
    told,
)

STATES = {"CONTAINER_CREATED": "created", "CONTAINER_RUNNING": "running", "CONTAINER_EXITED": "exited"}
SANDBOX = "f" * 64
ANNOTATIONS = {
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.container-name": "etcd",
    "io.kubernetes.cri.image-name": "registry.k8s.io/etcd:3.5",
    "io.kubernetes.cri.sandbox-id": SANDBOX,
    "io.kubernetes.cri.sandbox-name": "etcd-m",
    "io.kubernetes.cri.sandbox-namespace": "kube-system",
    "io.kubernetes.cri.sandbox-uid": UID,
}
TIMES = {"CreatedAt": 1, "StartedAt": 2, "FinishedAt": 3, "ExitCode": 137}


def read(node, deadline=None):
    (node.root / "var/lib/containerd").mkdir(parents=True, exist_ok=True)
    (found,) = containerd_files.here(str(node.root))
    return found.read(ContainerProcesses(str(node.root / "proc")), deadline or Deadline(60))


def bundle(node, id_=ID, pid="42", **changes):
    annotations = {key: text for key, text in {**ANNOTATIONS, **changes}.items() if text is not None}
    node.file(f"{STATE}/{id_}/config.json", json.dumps({"ociVersion": "1.0.2", "annotations": annotations}))
    node.file(f"{STATE}/{id_}/init.pid", pid)


def status(node, id_=ID, **values):
    node.file(f"{ROOT}/containers/{id_}/status", json.dumps({"Version": "v1", "Pid": 42, **values}))


def log(node, id_=ID, attempt=4):
    target = f"/var/log/pods/kube-system_etcd-m_{UID}/etcd/{attempt}.log"
    link(node, f"/var/log/containers/etcd-m_kube-system_etcd-{id_}.log", target)


def lives(node, pid=42, id_=ID):
    process(node, pid, f"0::/kubepods/pod{UID}/{id_}\n")


def only(node):
    """The one container that is told, as ``(identity, instance)``."""
    ((identity, one),) = read(node).found
    return identity, one


def whats(found):
    return [gap["what"] for gap in found.missing]


@pytest.mark.parametrize("version", CONTAINERDS)
def test_a_real_containerd(node, version):
    """All that its CRI plugin tells of containers that ever ran, and of sandboxes that run, is what the files tell."""
    capture = captured(f"containerd-{version}.json")
    place(node, capture)
    found = read(node)
    pods = {pod["id"]: pod for pod in capture["pods"]["items"]}
    expected = {
        one["id"]: (
            one["metadata"]["name"],
            pods[one["podSandboxId"]]["metadata"]["name"],
            # Of one that never ran there is no log.
            one["metadata"]["attempt"],
            STATES[one["state"]],
        )
        for one in capture["ps"]["containers"]
        if one["state"] != "CONTAINER_CREATED"
    }
    for id_, pod in pods.items():
        if pod["state"] == "SANDBOX_READY":
            expected[id_] = ("POD", pod["metadata"]["name"], None, "running")
    assert told(found.found) == expected
    created = {one["id"]: int(one["createdAt"]) for one in capture["ps"]["containers"]}
    for identity, one in found.found:
        assert identity.pod_uid in (pod["metadata"]["uid"] for pod in pods.values())
        assert one["created_ns"] == created.get(one["id"])
        assert one["name"] is None
    nameless = {one["id"]: one["state"] for one in found.strangers}
    assert nameless == {
        **{one["id"]: "created" for one in capture["ps"]["containers"] if one["state"] == "CONTAINER_CREATED"},
        **{id_: "exited" for id_, pod in pods.items() if pod["state"] == "SANDBOX_NOTREADY"},
    }
    assert found.others == 1  # what ctr has made
    assert whats(found) == ["names", "attempts"]


@pytest.mark.parametrize("version", CONTAINERDS)
def test_times_of_a_real_containerd(node, version):
    place(node, captured(f"containerd-{version}.json"))
    ended, running = (
        next(one for _identity, one in read(node).found if one["attempt"] == attempt) for attempt in (23, 24)
    )
    assert (
        ended["created_ns"]
        < ended["started_ns"]
        <= ended["finished_ns"]
        < running["created_ns"]
        < running["started_ns"]
    )
    assert (ended["exit_code"], running["finished_ns"], running["exit_code"]) == (0, None, None)
    assert running["sandbox_id"] in {one["id"] for identity, one in read(node).found if identity.container == "POD"}
    assert running["image"] == "registry.example/busybox:1"


def test_a_node_of_kubernetes_1_36(node):
    """What kubelet told of its running containers is what the bundles and the links to logs tell."""
    capture = captured("kubernetes-1.36.json")
    place(node, capture)
    for path, pid in capture["files"].items():
        if path.endswith("/init.pid"):
            lives(node, pid, path.split("/")[-2])
    found = {
        one["id"]: (identity.namespace, identity.pod, identity.pod_uid, identity.container, identity.attempt)
        for identity, one in read(node).found
        if identity.container != "POD" and one["state"] == "running"
    }
    assert len(found) == 9
    assert found == {
        one["id"]: tuple(one[key] for key in ("namespace", "pod", "pod_uid", "container", "attempt"))
        for one in capture["kubelet"]
        if one["state"] == "running"
    }


@pytest.mark.parametrize(
    ("has_bundle", "pid", "times", "state"),
    [
        (True, "lives", ("CreatedAt", "StartedAt"), "running"),
        (True, "lives", (), "created"),  # being started
        (True, "lives", ("CreatedAt", "StartedAt", "FinishedAt"), "running"),
        (True, "gone", ("CreatedAt", "StartedAt"), "exited"),  # which containerd has not noticed
        (True, "another's", ("CreatedAt", "StartedAt"), "unknown"),
        (True, "lives", None, "running"),
        (True, "gone", None, "exited"),
        (False, "gone", ("CreatedAt", "StartedAt", "FinishedAt"), "exited"),
        (False, "lives", ("CreatedAt", "StartedAt", "FinishedAt"), "exited"),
        (False, "gone", ("CreatedAt",), "created"),
        (False, "gone", ("CreatedAt", "StartedAt"), "exited"),  # the machine was started anew, containerd was not yet
        (False, "lives", ("CreatedAt", "StartedAt"), "running"),
        (False, "another's", ("CreatedAt", "StartedAt"), "unknown"),
        (False, "gone", None, "unknown"),
    ],
)
def test_states(node, has_bundle, pid, times, state):
    log(node)
    node.file(f"{ROOT}/containers/{ID}/io/x", "")
    if has_bundle:
        bundle(node)
    if times is not None:
        status(node, **{key: TIMES[key] for key in times})
    if pid != "gone":
        lives(node, 42, ID if pid == "lives" else SANDBOX)
    assert only(node)[1]["state"] == state


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps({"Version": "v1", **TIMES}), (1, 2, 3, 137)),
        (json.dumps({"Version": "v1", **TIMES, "FinishedAt": 0, "ExitCode": 0}), (1, 2, None, None)),
        (json.dumps({"Version": "v1", "CreatedAt": -1, "StartedAt": 1 << 63, "FinishedAt": True}), (None,) * 4),
        (json.dumps({"Version": "v1", "CreatedAt": "1", "FinishedAt": 3, "ExitCode": "0"}), (None, None, 3, None)),
        (json.dumps({"Version": "v2", **TIMES}), None),
        ("[]", None),
        ('"v1"', None),
        ("{", None),
        ("", None),
    ],
)
def test_status(node, text, expected):
    log(node)
    node.file(f"{ROOT}/containers/{ID}/status", text)
    one = only(node)[1]
    assert tuple(one[key] for key in ("created_ns", "started_ns", "finished_ns", "exit_code")) == (
        expected or (None,) * 4
    )
    assert ("files of containerd" in whats(read(node))) is (expected is None)
    (found,) = containerd_files.here(str(node.root))
    assert found.times(ID) == (expected[1:] if expected else None)


@pytest.mark.parametrize(
    ("changes", "attempt", "identity"),
    [
        ({}, 4, ("etcd", "etcd-m", 4)),
        ({}, None, ("etcd", "etcd-m", None)),
        # Two witnesses that disagree: the bundle is the runtime's own, and so nothing is known of the attempt.
        ({"io.kubernetes.cri.container-name": "other"}, 4, ("other", "etcd-m", None)),
        ({"io.kubernetes.cri.sandbox-uid": "u-2"}, 4, ("etcd", "etcd-m", None)),
        # A bundle that does not tell: the log does.
        ({"io.kubernetes.cri.sandbox-name": None}, 4, ("etcd", "etcd-m", 4)),
        ({"io.kubernetes.cri.sandbox-name": "etcd\nm"}, 4, ("etcd", "etcd-m", 4)),
        ({"io.kubernetes.cri.sandbox-name": "etcd_m"}, 4, ("etcd", "etcd-m", 4)),
        ({"io.kubernetes.cri.sandbox-name": 7}, 4, ("etcd", "etcd-m", 4)),
        ({"io.kubernetes.cri.container-name": "x" * 300}, None, None),
        ({"io.kubernetes.cri.container-type": "sandbox"}, 4, ("POD", "etcd-m", None)),
    ],
)
def test_whose_it_is(node, changes, attempt, identity):
    bundle(node, **changes)
    lives(node)
    if attempt is not None:
        log(node, attempt=attempt)
    found = read(node)
    assert [entry[:3] for entry in told(found.found).values()] == ([identity] if identity else [])
    assert [one["why"] for one in found.strangers] == (
        [] if identity else ["no bundle and no link to a log says whose container it is"]
    )


def test_no_more_of_a_specification_is_kept(node):
    bundle(
        node, **{"io.kubernetes.cri.image-name": "i\n\x1b[2J" + "x" * 1000, "io.kubernetes.cri.sandbox-id": "../etc"}
    )
    lives(node)
    one = only(node)[1]
    assert one["sandbox_id"] is None
    assert len(one["image"]) == 300
    assert one["image"].isprintable()


@pytest.mark.parametrize("text", ["[]", "{}", '{"annotations": []}', '{"annotations": null}', "{", "[" * 100_000])
def test_a_bundle_that_is_none(node, text):
    node.file(f"{STATE}/{ID}/config.json", text)
    status(node, CreatedAt=1, StartedAt=2)
    lives(node)
    found = read(node)
    assert (found.found, found.others) == ([], 0)
    assert [one["state"] for one in found.strangers] == ["running"]


@pytest.mark.parametrize("pid", ["", "x", "-1", "9" * 50, "42\x00", " 42 "])
def test_a_pid_that_is_none(node, pid):
    bundle(node, pid=pid)
    lives(node)
    assert only(node)[1]["state"] == ("running" if pid == " 42 " else "unknown")


def test_containers_of_no_kubernetes(node):
    bundle(node, **{"io.kubernetes.cri.container-type": None})  # nerdctl
    bundle(node, id_="web", **{"io.kubernetes.cri.container-type": None})  # ctr
    found = read(node)
    assert (found.others, found.found, found.strangers, found.missing) == (2, [], [], [])


def test_no_time_left(node):
    place(node, captured("containerd-1.6.json"))
    found = read(node, Deadline(0))
    assert found.found == []
    assert found.missing[0] == {"what": "containers", "why": BUDGET}


def test_odd_entries(node):
    """Files where folders should be, folders where files should be, and pipes."""
    bundle(node)
    os.remove(str(node.root / STATE[1:] / ID / "init.pid"))
    os.mkfifo(str(node.root / STATE[1:] / ID / "init.pid"))
    node.file(f"{STATE}/{'1' * 64}", "a file")
    (node.root / ROOT[1:] / "containers" / ID / "status").mkdir(parents=True)
    (node.root / ROOT[1:] / "containers" / "not-an-id").mkdir()
    node.file(f"{ROOT}/sandboxes", "a file")
    node.file("/var/log/containers", "a file")
    found = read(node)
    assert [one["state"] for _identity, one in found.found] == ["unknown"]
    assert "not a regular file" in found.missing[0]["why"] or "directory" in found.missing[0]["why"]


CONFIG = 'version = 2\nroot = "/data/containerd"\nstate = "/data/run"\n[grpc]\n  address = "/data/c.sock"\n'


@pytest.mark.parametrize(
    ("paths", "config", "sockets"),
    [
        ((), None, []),
        (("/var/lib/containerd/x",), None, [SOCKET]),
        ((SOCKET,), None, [SOCKET]),
        (
            ("/var/lib/rancher/k3s/agent/containerd/x", "/run/k3s/containerd/containerd.sock"),
            None,
            ["/run/k3s/containerd/containerd.sock"],
        ),
        (
            ("/var/lib/rancher/rke2/agent/containerd/x", "/run/k3s/containerd/containerd.sock"),
            None,
            ["/run/k3s/containerd/containerd.sock"],
        ),
        (("/var/lib/k0s/containerd/x", SOCKET), None, ["/run/k0s/containerd.sock", SOCKET]),
        (("/var/snap/microk8s/common/run/containerd.sock",), None, ["/var/snap/microk8s/common/run/containerd.sock"]),
        (("/data/containerd/x",), CONFIG, ["/data/c.sock"]),
        (("/data/c.sock", "/var/lib/containerd/x"), CONFIG, ["/data/c.sock"]),
        ((), CONFIG, []),
        (("/var/lib/containerd/x",), 'root = "relative"\n[grpc]\naddress = ["a"]\n', [SOCKET]),
        (("/var/lib/containerd/x",), "\x00[[[", [SOCKET]),
    ],
)
def test_which_are_here(node, paths, config, sockets):
    for path in paths:
        listen(node, path) if path.endswith(".sock") else node.file(path, "")
    if config is not None:
        node.file("/etc/containerd/config.toml", config)
    assert [found.socket for found in containerd_files.here(str(node.root))] == sockets


def test_configured_folders_are_read(node):
    node.file("/etc/containerd/config.toml", CONFIG)
    node.file(
        f"/data/containerd/io.containerd.grpc.v1.cri/containers/{ID}/status", json.dumps({"Version": "v1", **TIMES})
    )
    node.file(f"/data/run/io.containerd.runtime.v2.task/k8s.io/{SANDBOX}/config.json", "{}")
    log(node)
    found = read(node)
    assert told(found.found) == {ID: ("etcd", "etcd-m", 4, "exited")}
    assert found.others == 1
