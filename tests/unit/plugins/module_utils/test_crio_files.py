# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""crio_files: containers as CRI-O's source writes them, beside podman's real ones."""

from __future__ import annotations

import json

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import crio_files
from ansible_collections.kubenode.doctor.plugins.module_utils.container_groups import BUDGET
from ansible_collections.kubenode.doctor.plugins.module_utils.container_processes import ContainerProcesses
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_runtime import (
    FIXTURES,
    ID,
    UID,
    listen,
    process,
    told,
)

PODMANS = (FIXTURES / "crio" / "podman-4.3-containers.json").read_text("utf-8")
ROOT = "/var/lib/containers/storage/overlay-containers"
RUN = "/run/containers/storage/overlay-containers"
SANDBOX = "f" * 64
NAME = f"k8s_etcd_etcd-m_kube-system_{UID}_4"
POD_NAME = f"k8s_POD_etcd-m_kube-system_{UID}_2"


def entry(id_=ID, name=NAME, **changes):
    """An entry as internal/storage/runtime.go makes it."""
    metadata = {
        "pod-name": f"k8s_etcd-m_kube-system_{UID}_2",
        "pod-id": SANDBOX,
        "image-name": "registry.k8s.io/etcd:3.5",
        "image-id": "94ae9165",
        "name": name,
        "metadata-name": "etcd",
        "created-at": 1795270031,
        "attempt": 4,
        **changes,
    }
    names = [name, metadata["pod-name"]] if metadata["pod-id"] == id_ else [name]
    return {
        "id": id_,
        "names": names,
        "image": "94ae9165",
        "layer": "1a6a0a5e",
        "metadata": json.dumps(metadata),
        "created": "2026-11-21T14:07:11.914321427Z",
        "flags": {"MountLabel": "", "ProcessLabel": "", "Volatile": True},
    }


def state(status, **changes):
    """state.json as internal/oci/container.go ContainerState has it."""
    never = "0001-01-01T00:00:00Z"
    return {
        "ociVersion": "1.0.2-dev",
        "id": ID,
        "status": status,
        "pid": 42,
        "bundle": f"{RUN}/{ID}/userdata",
        "created": "2026-11-21T14:07:12.000000005Z",
        "started": "2026-11-21T14:07:13Z",
        "finished": never,
        "initPid": 42,
        "initStartTime": "123456",
        "checkpointedTime": never,
        **changes,
    }


ENDED = {"finished": "2026-11-21T15:07:14.25+01:00", "exitCode": 137, "pid": 0}
SECOND = 1795270032 * 10**9


def store(node, *entries, name="volatile-containers.json", root=ROOT):
    node.file(f"{root}/{name}", json.dumps(entries))


def write(node, name, document, id_=ID, root=ROOT):
    node.file(f"{root}/{id_}/userdata/{name}", document if isinstance(document, str) else json.dumps(document))


def read(node, deadline=None):
    found = crio_files.here(str(node.root))
    assert found is not None
    return found.read(ContainerProcesses(str(node.root / "proc")), deadline or Deadline(60))


def lives(node, groups=f"0::/kubepods.slice/crio-{ID}.scope\n"):
    process(node, 42, groups)


def only(node):
    ((_identity, one),) = read(node).found
    return one


def test_a_container(node):
    store(node, entry())
    write(node, "state.json", state("stopped", **ENDED))
    found = read(node)
    assert told(found.found) == {ID: ("etcd", "etcd-m", 4, "exited")}
    ((identity, one),) = found.found
    assert (identity.namespace, identity.pod_uid) == ("kube-system", UID)
    assert one == {
        "id": ID,
        "name": NAME,
        "attempt": 4,
        "suffix": None,
        "state": "exited",
        "created_ns": SECOND + 5,
        "started_ns": SECOND + 10**9,
        "finished_ns": SECOND + 2_250_000_000,
        "exit_code": 137,
        "sandbox_id": SANDBOX,
        "own": True,
        "image": "registry.k8s.io/etcd:3.5",
    }
    assert (found.strangers, found.others, found.missing) == ([], 0, [])
    assert crio_files.here(str(node.root)).times(ID) == (SECOND + 10**9, SECOND + 2_250_000_000, 137)


@pytest.mark.parametrize(
    ("status", "process_is", "expected"),
    [
        ("running", "there", "running"),
        ("running", "gone", "exited"),  # which CRI-O has not noticed, or the machine was started anew
        ("running", "another's", "unknown"),
        ("paused", "there", "paused"),
        ("paused", "gone", "exited"),
        ("created", "there", "created"),
        ("stopped", "another's", "exited"),
        ("", "there", "unknown"),
        (None, "there", "unknown"),
        (["running"], "there", "unknown"),
        ("pausing", "there", "unknown"),
    ],
)
def test_states(node, status, process_is, expected):
    store(node, entry())
    write(node, "state.json", state(status))
    if process_is != "gone":
        lives(node, f"0::/crio-{ID if process_is == 'there' else SANDBOX}.scope\n")
    one = only(node)
    assert one["state"] == expected
    assert one["exit_code"] is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '"running"'])
def test_no_state(node, text):
    """Also while CRI-O makes a container: there is none yet."""
    store(node, entry())
    write(node, "state.json", text)
    one = only(node)
    assert (one["state"], one["created_ns"]) == ("unknown", None)
    assert crio_files.here(str(node.root)).times(ID) is None


def test_a_state_of_other_types(node):
    store(node, entry())
    odd = state("stopped", pid="42", created=1, started=None, finished={}, exitCode="1")
    write(node, "state.json", odd)
    one = only(node)
    assert (one["state"], one["created_ns"], one["started_ns"], one["finished_ns"], one["exit_code"]) == (
        "exited",
        None,
        None,
        None,
        None,
    )


def test_a_sandbox_with_a_process(node):
    store(node, entry(SANDBOX, POD_NAME))
    write(node, "state.json", state("running"), SANDBOX)
    process(node, 42, f"0::/crio-{SANDBOX}.scope\n")
    found = read(node)
    assert told(found.found) == {SANDBOX: ("POD", "etcd-m", 2, "running")}
    assert found.found[0][1]["sandbox_id"] is None


@pytest.mark.parametrize(
    ("mark", "after_restart", "expected"),
    [(None, False, "running"), ("stopped", False, "exited"), (None, True, "exited")],
)
def test_a_sandbox_without_a_process(node, mark, after_restart, expected):
    store(node, entry(SANDBOX, POD_NAME))
    annotations = {"io.kubernetes.cri-o.Spoofed": "true", "io.kubernetes.cri-o.Created": "2026-11-21T14:07:12Z"}
    write(node, "config.json", {"annotations": annotations}, SANDBOX)
    if not after_restart:
        write(node, mark or "resolv.conf", "", SANDBOX, RUN)
    one = only(node)
    assert (one["state"], one["created_ns"]) == (expected, SECOND)


@pytest.mark.parametrize("config", [{"annotations": {}}, {"annotations": None}, {}, "[]", "{"])
def test_a_sandbox_of_which_nothing_is_known(node, config):
    store(node, entry(SANDBOX, POD_NAME))
    write(node, "config.json", config, SANDBOX)
    one = only(node)
    assert (one["state"], one["created_ns"]) == ("unknown", None)


def test_podmans_containers_are_not_of_kubernetes(node):
    node.file(f"{ROOT}/containers.json", PODMANS)
    assert crio_files.here(str(node.root)) is None
    store(node, entry())
    found = read(node)
    assert list(told(found.found)) == [ID]
    assert (found.strangers, found.others) == ([], 0)


@pytest.mark.parametrize(
    "name", ["", "k8s_etcd", "etcd", "k8s_e\x1btcd_etcd-m_ns_uid_1", f"k8s_etcd_etcd-m_ns_{UID}_x"]
)
def test_names_that_cri_o_does_not_give(node, name):
    store(node, entry(name=name))
    found = read(node)
    assert found.found == []
    (one,) = found.strangers
    assert (one["id"], one["state"], one["sandbox_id"]) == (ID, "unknown", SANDBOX)
    assert one["name"].isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{}",
        "null",
        "[" * 100_000,
        "[null, 1, [], {}]",
        json.dumps([{"id": ID}]),
        json.dumps([{"id": ID[:12], "metadata": "{}"}]),
        json.dumps([{**entry(), "metadata": "{"}]),
        json.dumps([{**entry(), "metadata": "[]"}]),
        json.dumps([{**entry(), "metadata": {"pod-id": SANDBOX}}]),
        json.dumps([entry(**{"pod-id": 7})]),
    ],
)
def test_lists_that_are_none(node, text):
    node.file(f"{ROOT}/containers.json", text)
    assert crio_files.here(str(node.root)) is None
    listen(node, crio_files.SOCKET)
    found = read(node)
    assert (found.found, found.strangers, found.others) == ([], [], 0)


@pytest.mark.parametrize("names", [None, [], [7], "text"])
def test_no_name(node, names):
    store(node, {**entry(), "names": names})
    assert [one["id"] for one in read(node).strangers] == [ID]


@pytest.mark.parametrize(
    ("path", "text", "root"),
    [
        (
            "/etc/containers/storage.conf",
            '[storage]\ngraphroot = "/data/storage"\n',
            "/data/storage/overlay-containers",
        ),
        ("/etc/crio/crio.conf", '[crio]\nroot = "/data/storage"\n', "/data/storage/overlay-containers"),
        ("/etc/crio/crio.conf.d/10-a.conf", '[crio]\nroot = "/data/storage"\n', "/data/storage/vfs-containers"),
        ("/etc/crio/crio.conf", '[crio]\nroot = "relative"\n', ROOT),
        ("/etc/crio/crio.conf", "\x00[[", ROOT),
    ],
)
def test_configured_folders(node, path, text, root):
    node.file(path, text)
    store(node, entry(), root=root)
    write(node, "state.json", state("stopped", **ENDED), root=root)
    assert only(node)["exit_code"] == 137


def test_a_list_in_the_volatile_folder(node):
    """With transient_store."""
    (node.root / ROOT[1:]).mkdir(parents=True)
    store(node, entry(), root=RUN)
    assert only(node)["id"] == ID


def test_no_time_left(node):
    store(node, entry())
    found = read(node, Deadline(0))
    assert (found.found, found.missing) == ([], [{"what": "containers", "why": BUDGET}])


def test_nothing_here(node):
    assert crio_files.here(str(node.root)) is None
