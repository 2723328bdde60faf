# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cri_containers: which runtimes are there, how each is asked, and what is read when asking fails."""

from __future__ import annotations

import json

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import cri_containers
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_runtime import (
    CONTAINERDS,
    SOCKET,
    Crictl,
    answers,
    captured,
    listen,
    place,
    told,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.test_crio_files import (
    ENDED,
    ID,
    SANDBOX,
    entry,
    state,
    store,
    write,
)

CAPTURE = captured("containerd-1.6.json")
EMPTY = {"ps -a -o json": '{"containers": []}', "pods -o json": '{"items": []}'}
UNIMPLEMENTED = {
    "status": 1,
    "errors": 'level=fatal msg="CRI v1 runtime API is not implemented for endpoint \\"unix:///run/containerd/containerd.sock\\""',
}
FAILED = {"status": 1, "errors": 'level=fatal msg="connect: connection refused"'}
HOW = ("containerd", f"unix://{SOCKET}")


def collect(node, beside_docker=False, seconds=60):
    return cri_containers.collect(Deadline(seconds), str(node.root), beside_docker)


def how(runtimes):
    return [(one.name, one.endpoint, one.method) for one in runtimes]


def test_no_runtime(node):
    Crictl(node, {})
    assert collect(node) == []


def test_a_socket_that_nobody_listens_at(node):
    Crictl(node, {"version": FAILED})
    listen(node, SOCKET)
    (one,) = collect(node)
    assert how([one]) == [(*HOW, "files")]
    why = f"unix://{SOCKET}: crictl version failed with status 1: connect: connection refused"
    assert one.told.missing == [{"what": "crictl", "why": why}]


def test_what_runtimes_leave_behind_is_no_runtime(node):
    """Folders of one that was removed, and a file in place of a socket."""
    node.file("/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db", "")
    node.file("/run/crio/crio.sock", "")
    assert collect(node) == []
    Crictl(node, {"version": FAILED})
    assert collect(node) == []


@pytest.mark.parametrize("version", CONTAINERDS)
def test_both_ways_agree(node, version):
    """crictl tells all, the files what they can: nothing that they tell is other than what crictl tells."""
    capture = captured(f"containerd-{version}.json")
    place(node, capture)
    listen(node, SOCKET)
    (files,) = collect(node)
    Crictl(node, answers(capture))
    (asked,) = collect(node)
    assert (how([files]), how([asked])) == ([(*HOW, "files")], [(*HOW, "crictl")])
    assert asked.version.startswith(version)
    assert asked.told.missing == []
    all_of_it = {one["id"]: (identity, one) for identity, one in asked.told.found}
    assert len(all_of_it) == 7
    for identity, one in files.told.found:
        whole_identity, whole = all_of_it[one["id"]]
        assert identity in (whole_identity, whole_identity._replace(attempt=None))
        for key, value in one.items():
            assert value in (None, whole[key]), key


def test_times_are_added_from_the_files(node):
    listen(node, SOCKET)
    Crictl(node, answers(CAPTURE))
    assert {one["started_ns"] for _identity, one in collect(node)[0].told.found} == {None}
    place(node, CAPTURE)
    found = {
        one["attempt"]: one for identity, one in collect(node)[0].told.found if identity.container == "kube-apiserver"
    }
    ended, running = found[23], found[24]
    assert (ended["exit_code"], running["exit_code"]) == (0, None)
    assert ended["created_ns"] < ended["started_ns"] < ended["finished_ns"] < running["started_ns"]


@pytest.mark.parametrize(
    "answer",
    [FAILED, "garbage", {"status": 9}, UNIMPLEMENTED, {"code": "os.kill(os.getpid(), 9)"}],
)
@pytest.mark.parametrize("call", ["version", "ps -a -o json", "pods -o json"])
def test_what_crictl_cannot_tell_is_read(node, call, answer):
    place(node, CAPTURE)
    listen(node, SOCKET)
    Crictl(node, answers(CAPTURE, **{call: answer}))
    (one,) = collect(node)
    if (call, answer) == ("version", "garbage"):  # nothing but the version is lost
        assert (how([one]), one.version) == ([(*HOW, "crictl")], None)
        return
    assert how([one]) == [(*HOW, "files")]
    assert one.told.missing[0]["what"] == "crictl"
    assert one.told.missing[0]["why"].startswith(f"unix://{SOCKET}: crictl {call}")
    assert len(one.told.found) == 5


def test_a_runtime_that_is_down(node):
    """It takes its socket away when it ends, and leaves its containers."""
    place(node, CAPTURE)
    Crictl(node, answers(CAPTURE))
    (one,) = collect(node)
    assert how([one]) == [(*HOW, "files")]
    why = f"unix://{SOCKET}: there is no such socket, so nobody was asked: does it run?"
    assert one.told.missing[0] == {"what": "crictl", "why": why}


def test_a_runtime_that_hangs(node):
    place(node, CAPTURE)
    listen(node, SOCKET)
    Crictl(node, {"version": {"code": "time.sleep(600)"}})
    (one,) = collect(node, seconds=1)
    assert how([one]) == [(*HOW, "files")]
    assert "did not come to an end within 1 s" in one.told.missing[0]["why"]


@pytest.mark.parametrize(
    ("beside_docker", "answer", "has_containers", "expected"),
    [
        # Beside Docker, containerd is Docker's own unless Kubernetes has something there.
        (True, answers(CAPTURE, **EMPTY), False, []),
        (True, answers(CAPTURE, version=UNIMPLEMENTED), False, []),
        (True, answers(CAPTURE, version=FAILED), False, []),
        (True, None, False, []),
        (True, answers(CAPTURE), False, ["crictl"]),
        (True, answers(CAPTURE, version=FAILED), True, ["files"]),
        (True, None, True, ["files"]),
        (False, answers(CAPTURE, **EMPTY), False, ["crictl"]),
        (False, answers(CAPTURE, version=UNIMPLEMENTED), False, []),  # its CRI plugin is off
        (False, answers(CAPTURE, version=UNIMPLEMENTED), True, ["files"]),  # or too old for this crictl
        (False, None, False, ["files"]),
    ],
)
def test_a_containerd_of_dockers_or_kubernetes(node, beside_docker, answer, has_containers, expected):
    listen(node, SOCKET)
    node.file("/run/containerd/io.containerd.runtime.v2.task/moby/" + "a" * 64 + "/config.json", "{}")
    if answer:
        Crictl(node, answer)
    if has_containers:
        place(node, CAPTURE)
    assert how(collect(node, beside_docker)) == [(*HOW, method) for method in expected]


def test_cri_dockerd(node):
    """Where Docker itself could not be asked."""
    said = answers(CAPTURE)
    Crictl(node, {**said, "version": "RuntimeName:  docker\nRuntimeVersion:  28.2.2\n"})
    listen(node, "/run/cri-dockerd.sock")
    (one,) = collect(node)
    assert (how([one]), one.version) == ([("docker", "unix:///run/cri-dockerd.sock", "crictl")], "28.2.2")
    assert len(one.told.found) == 7
    assert collect(node, beside_docker=True) == []


def test_cri_dockerd_that_does_not_answer(node):
    listen(node, "/run/cri-dockerd.sock")
    assert collect(node) == []  # and no crictl
    Crictl(node, {"version": FAILED})
    assert collect(node) == []


def test_cri_o(node):
    store(node, entry())
    write(node, "state.json", state("stopped", **ENDED))
    (one,) = collect(node)
    assert (how([one]), told(one.told.found)) == (
        [("cri-o", "unix:///run/crio/crio.sock", "files")],
        {ID: ("etcd", "etcd-m", 4, "exited")},
    )
    assert one.told.missing == []


def test_cri_o_through_crictl(node):
    store(node, entry())
    write(node, "state.json", state("stopped", **ENDED))
    listen(node, "/run/crio/crio.sock")
    labels = {"io.kubernetes.pod.uid": "u"}
    metadata = {"name": "etcd-m", "uid": "u", "namespace": "n", "attempt": 0}
    sandbox = {"id": SANDBOX, "metadata": metadata, "state": "SANDBOX_READY", "labels": labels}
    container = {"id": ID, "podSandboxId": SANDBOX, "metadata": {"name": "etcd", "attempt": 4}, "labels": labels}
    said = {
        "version": "RuntimeName:  cri-o\nRuntimeVersion:  1.30.1\n",
        "ps -a -o json": json.dumps({"containers": [{**container, "state": "CONTAINER_EXITED"}]}),
        "pods -o json": json.dumps({"items": [sandbox]}),
    }
    Crictl(node, said)
    (one,) = collect(node)
    assert (how([one]), one.version) == ([("cri-o", "unix:///run/crio/crio.sock", "crictl")], "1.30.1")
    ended = one.told.found[1][1]
    assert (ended["exit_code"], ended["started_ns"] is not None) == (137, True)


def test_the_machines_own_path_is_not_another_roots(node, tmp_path, monkeypatch):
    (tmp_path / "crictl").write_text("#!/bin/sh\necho called >&2\nexit 7\n")
    (tmp_path / "crictl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    listen(node, SOCKET)
    (one,) = collect(node)
    assert one.told.missing == []
