# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""owner: one process, from all that tells of it."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import file_package, owner, procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_program import make

ID = "6ca1eb5d" * 8
UID = "909a2aa1-bf6a-4a8c-a274-3180ea640fb1"
STAT = "2936 (containerd) S 1" + " 0" * 17 + " 8742 0 0\n"
KEYS = [
    *("pid", "name", "unit", "container_id", "pod_uid", "pod", "exe", "replaced", "started", "parent"),
    *("go", "module", "version", "package", "missing"),
]
NOTHING = ("exe", "replaced", "started", "parent", "go", "module", "version", "package")


def process(node, cgroup="/system.slice/containerd.service", program="containerd", name="containerd"):
    """Process 2936, which runs one of the programs of the fixtures; returns its path."""
    place = node.proc / "2936"
    node.process(2936, name, [])
    path = node.folder / "bin" / name
    path.parent.mkdir()
    make(program, path)
    (place / "cgroup").write_text(f"0::{cgroup}\n")
    (place / "stat").write_text(STAT)
    (node.proc / "stat").write_text("btime 1795255113\n")
    os.symlink(str(path), str(place / "exe"))
    os.symlink("/", str(place / "root"))
    return str(path)


def install(node, path):
    """Make a file one of Debian's containerd."""
    node.file("/var/lib/dpkg/status", "Package: containerd\nArchitecture: amd64\nVersion: 1.6.20~ds1-1+deb12u3\n")
    node.file("/var/lib/dpkg/info/containerd.list", f"/.\n{path}\n")
    below = node.root / path.lstrip("/")
    below.parent.mkdir(parents=True, exist_ok=True)
    os.link(path, str(below))
    os.utime(path, (1_700_000_000, 1_700_000_000))


def describe(node, packages=True, seen=None):
    told = owner.describe(seen or procfs.describe(2936, str(node.proc)), packages, str(node.proc), str(node.root))
    assert list(told) == KEYS
    json.dumps(told)
    return told


def gaps(told):
    return [gap["what"] for gap in told["missing"]]


def test_a_service(node):
    path = process(node)
    install(node, path)
    told = describe(node)
    assert told.pop("started").startswith("2026-11-21T")
    assert told == {
        "pid": 2936,
        "name": "containerd",
        "unit": "containerd.service",
        "container_id": None,
        "pod_uid": None,
        "pod": None,
        "exe": path,
        "replaced": False,
        "parent": {"pid": 1, "name": "systemd"},
        "go": "go1.19.8",
        "module": "github.com/containerd/containerd",
        "version": "1.6.20",
        "package": "containerd 1.6.20~ds1-1+deb12u3",
        "missing": [],
    }


def test_the_programs_own_version_counts_more_than_the_packages(node):
    install(node, process(node, program="dockerd"))
    assert describe(node)["version"] == "20.10.24+dfsg1"


def test_without_packages_none_is_looked_for(node, monkeypatch):
    install(node, process(node))
    monkeypatch.setattr(file_package, "of", None)
    told = describe(node, packages=False)
    assert (told["package"], told["version"], told["missing"]) == (None, None, [])


def test_a_package_is_looked_for_while_there_is_time(node):
    install(node, process(node))
    seen = procfs.describe(2936, str(node.proc))
    told = owner.describe(seen, True, str(node.proc), str(node.root), Deadline(0))
    assert (told["go"], told["package"], gaps(told)) == ("go1.19.8", None, ["package"])


def test_no_dpkg(node):
    path = process(node)
    below = node.root / path.lstrip("/")
    below.parent.mkdir(parents=True)
    os.link(path, str(below))
    told = describe(node)
    assert gaps(told) == ["package"]
    assert f"rpm -qf {path}" in told["missing"][0]["why"]


def test_a_program_that_was_replaced_is_of_no_package(node):
    """The package told would be that of the file that has the path now."""
    path = process(node)
    install(node, path)
    link = node.proc / "2936" / "exe"
    link.unlink()
    make("docker-28", node.folder / "bin" / "containerd (deleted)")
    os.symlink(f"{path} (deleted)", str(link))
    os.rename(f"{path} (deleted)", f"{path}.old")
    told = describe(node)
    assert (told["exe"], told["replaced"], told["package"]) == (path, True, None)
    assert "package" in gaps(told)


POD = f"/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/cri-containerd-{ID}.scope"


def test_a_pod(node):
    process(node, cgroup=POD, program="kubectl-1.33", name="server")
    (node.root / f"var/log/pods/reddit-entry_ui-1_{UID}").mkdir(parents=True)
    told = describe(node)
    assert (told["pod"], told["pod_uid"], told["container_id"]) == ("reddit-entry/ui-1", UID, ID)
    assert (told["go"], told["module"], told["version"]) == ("go1.24.2", "k8s.io/kubernetes", "1.33.1")
    assert (told["package"], told["missing"]) == (None, [])


def test_a_pod_without_a_name(node):
    process(node, cgroup=POD)
    told = describe(node)
    assert told["pod"] is None
    assert gaps(told) == ["pod"]
    assert UID in told["missing"][0]["why"]


def test_no_go_program(node):
    path = process(node)
    with open(path, "wb") as file:
        file.write(b"\x7fELF\x02\x01" + bytes(200))
    told = describe(node, packages=False)
    assert (told["exe"], told["go"], told["module"], told["version"], told["missing"]) == (path, None, None, None, [])


def test_a_program_that_cannot_be_read(node):
    path = process(node)
    os.unlink(path)
    os.mkdir(path)
    told = describe(node, packages=False)
    assert (told["exe"], told["go"]) == (path, None)
    assert gaps(told) == ["program"]


def test_a_part_of_the_kernel(node):
    process(node)
    (node.proc / "2936" / "exe").unlink()
    told = describe(node)
    assert (told["exe"], told["go"], told["package"]) == (None, None, None)
    assert told["started"] is not None
    assert gaps(told) == ["program"]


def test_a_process_that_has_ended(node):
    process(node)
    seen = procfs.describe(2936, str(node.proc))
    (node.proc / "2936" / "stat").unlink()
    told = describe(node, seen=seen)
    assert (told["name"], told["unit"]) == ("containerd", "containerd.service")
    assert [told[key] for key in NOTHING] == [None] * 8
    assert gaps(told) == ["process"]


@pytest.mark.parametrize("change", [{"name": "kubelet"}, {"unit": "kubelet.service"}, {"pod_uid": UID}])
def test_the_number_is_another_processs_by_now(node, change):
    process(node)
    (node.root / f"var/log/pods/reddit-entry_ui-1_{UID}").mkdir(parents=True)
    seen = {**procfs.describe(2936, str(node.proc)), **change}
    told = describe(node, packages=False, seen=seen)
    assert {key: told[key] for key in seen} == seen
    assert [told[key] for key in NOTHING] == [None] * 8
    assert gaps(told) == ["process"]
    assert "another process" in told["missing"][0]["why"]


def test_nobody(node):
    assert gaps(describe(node)) == ["process"]


def test_each_process_is_looked_at_once(node, monkeypatch):
    process(node)
    seen = procfs.describe(2936, str(node.proc))
    describer = owner.Describer(False, str(node.proc), str(node.root))
    told = describer.owner(seen)
    monkeypatch.setattr(owner.process_facts, "read", None)
    assert describer.owner(dict(seen)) == told


def test_no_arguments_and_no_environment_are_read(node, monkeypatch):
    install(node, process(node))
    opened = []
    real = procfs.text
    monkeypatch.setattr(procfs, "text", lambda path, *rest: opened.append(path) or real(path, *rest))
    describe(node)
    assert {os.path.basename(path) for path in opened} == {"cgroup", "comm", "stat"}
