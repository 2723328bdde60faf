# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pod_log_tree: which logs there are, and what is never followed or opened."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import pod_log_tree
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import PodLog
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import Told

UID = "1403dda53affdfee1130475a6d9609da"
ID = "4" * 64
FOLDER = "/var/log/pods"


class Tree:
    def __init__(self, folder):
        self.root = folder
        self.pods = folder / "var/log/pods"
        self.pods.mkdir(parents=True)

    def log(self, name="0.log", pod=f"shop_web-0_{UID}", container="web", written=None):
        place = self.pods / pod / container / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"line\n")
        if written is not None:
            os.utime(str(place), (written, written))
        return place

    def look(self, seconds=60.0):
        told = Told()
        return pod_log_tree.logs(str(self.root), Deadline(seconds), told), told

    def whys(self):
        _logs, told = self.look()
        assert all(gap["what"] == "pod logs" for gap in told.missing)
        return [gap["why"] for gap in told.missing]


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def test_the_newest_two_attempts(tree):
    for name in (
        "0.log",
        "9.log",
        "10.log",
        "10.log.20261121-101112",
        "10.log.20261121-101112.gz",
        "11.log.tmp",
        "x.log",
    ):
        place = tree.log(name, written=1000)
    logs, told = tree.look()
    assert [log.pod for log in logs] == [PodLog("shop", "web-0", UID, "web", attempt) for attempt in (10, 9)]
    assert logs[0].path == str(place.with_name("10.log"))
    assert logs[0].written == 1000
    assert told.missing == []


def test_the_order(tree):
    for pod, written in (
        ("shop_b_1", 10),
        ("shop_a_1", 30),
        ("kube-system_c_1", 5),
        ("calico-system_d_1", 7),
        ("shop_e_1", 20),
    ):
        tree.log(pod=pod, written=written)
    logs, _told = tree.look()
    assert [log.pod.name for log in logs] == ["d", "c", "a", "e", "b"]


@pytest.mark.parametrize(
    ("namespace", "is_system"),
    [
        ("kube-system", True),
        ("kube-flannel", True),
        ("openshift-etcd", True),
        ("longhorn-system", True),
        ("default", False),
        ("systematic", False),
    ],
)
def test_system_namespaces(tree, namespace, is_system):
    tree.log(pod=f"{namespace}_a_1")
    assert tree.look()[0][0].is_system is is_system


def test_docker(tree, tmp_path):
    """kubelet's file is a link to Docker's, wherever Docker keeps it."""
    real = tmp_path / "data" / "docker" / "containers" / ID / f"{ID}-json.log"
    real.parent.mkdir(parents=True)
    real.write_bytes(b"{}\n")
    os.utime(str(real), (50, 50))
    place = tree.log()
    place.unlink()
    place.symlink_to(real)
    logs, told = tree.look()
    assert logs == [pod_log_tree.Log(PodLog("shop", "web-0", UID, "web", 0), str(real), 50.0)]
    assert told.missing == []


NOT_FOLLOWED = "1 entries below /var/log/pods are links to something else than a log of Docker, or no files at all, and are not followed, for instance "


@pytest.mark.parametrize(
    "target",
    [
        "/etc/shadow",
        f"../{ID}/{ID}-json.log",
        f"/x/{ID}/{'5' * 64}-json.log",
        f"/x/{ID}/{ID}-json.log/../../../etc/shadow",
        "/dev/zero",
        "0.log",
    ],
)
def test_other_links(tree, target):
    place = tree.log()
    place.unlink()
    place.symlink_to(target)
    assert tree.look()[0] == []
    assert tree.whys() == [NOT_FOLLOWED + str(place)]


def test_a_link_by_dockers_name_to_something_else(tree, tmp_path):
    disguise = tmp_path / "x" / ID / f"{ID}-json.log"
    disguise.parent.mkdir(parents=True)
    disguise.symlink_to("/etc/shadow")
    place = tree.log()
    place.unlink()
    place.symlink_to(disguise)
    assert tree.look()[0] == []
    assert tree.whys() == [NOT_FOLLOWED + str(place)]


def test_dockers_file_is_gone(tree):
    place = tree.log()
    place.unlink()
    place.symlink_to(f"/nonexistent/{ID}/{ID}-json.log")
    assert tree.look()[0] == []
    assert tree.whys() == []


@pytest.mark.parametrize("make", [lambda path: os.mkfifo(str(path)), lambda path: path.mkdir()])
def test_what_is_no_file(tree, make):
    place = tree.log()
    place.unlink()
    make(place)
    assert tree.look()[0] == []
    assert tree.whys() == [NOT_FOLLOWED + str(place)]


@pytest.mark.parametrize("level", ["pod", "container"])
def test_folders_that_are_links(tree, tmp_path, level):
    """They may lead anywhere, and in a circle."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "0.log").write_bytes(b"x\n")
    place = tree.pods / f"shop_web-0_{UID}"
    if level == "container":
        place.mkdir()
        place = place / "web"
    place.symlink_to(other)
    assert tree.look()[0] == []
    assert tree.whys() == [NOT_FOLLOWED + str(place)]


def test_names_that_are_none(tree):
    for name in ("1403dda53affdfee1130475a6d9609da", "a_b", "a_b_c_d", "a_\x1b[31m_c"):
        (tree.pods / name).mkdir()
    assert tree.look()[0] == []
    (why,) = tree.whys()
    assert why.startswith("4 entries below /var/log/pods are not named NAMESPACE_POD_UID, for instance ")
    assert "\x1b" not in why


def test_no_folder(tmp_path):
    told = Told()
    assert pod_log_tree.logs(str(tmp_path), Deadline(60), told) == []
    why = "there is no /var/log/pods: kubelet does not run here, or its logs are not mounted into this container"
    assert told.missing == [{"what": "pod logs", "why": why}]


def refusing(monkeypatch, place):
    """Folders as they are for somebody else; the tests may run as root, who is refused nothing."""
    real = os.scandir

    def scandir(path):
        if str(path) == str(place):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(pod_log_tree.os, "scandir", scandir)


def test_not_permitted(tree, monkeypatch):
    tree.log()
    refusing(monkeypatch, tree.pods)
    assert tree.whys() == ["/var/log/pods: Permission denied: run with become (-b)"]


def test_one_not_permitted(tree, monkeypatch):
    tree.log(pod="shop_a_1")
    refusing(monkeypatch, tree.log(pod="shop_b_1").parent)
    assert [log.pod.name for log in tree.look()[0]] == ["a"]
    why = f"1 entries below /var/log/pods may not be read: run with become (-b), for instance {tree.pods}/shop_b_1/web"
    assert tree.whys() == [why]


def test_thousands_of_pods_are_bounded(tree, monkeypatch):
    monkeypatch.setattr(pod_log_tree, "_PODS_LIMIT", 10)
    for number in range(12):
        tree.log(pod=f"shop_web_{number}")
    logs, _told = tree.look()
    assert len(logs) == 10
    assert tree.whys() == ["/var/log/pods has more than 10 entries: the others were not looked at"]


def test_no_time(tree):
    tree.log()
    logs, told = tree.look(seconds=0)
    assert logs == []
    assert told.missing == [
        {"what": "pod logs", "why": "there was no time left to look through /var/log/pods: raise timeout"}
    ]


@pytest.mark.parametrize(
    ("name", "others", "expected"),
    [
        (
            "3.log",
            [
                "3.log",
                "3.log.20261120-101112.gz",
                "3.log.20261121-101112",
                "3.log.20261119-101112.gz.tmp",
                "2.log",
                "3.log.bak",
            ],
            ["3.log.20261121-101112", "3.log.20261120-101112.gz"],
        ),
        (
            f"{ID}-json.log",
            [f"{ID}-json.log.10.gz", f"{ID}-json.log.2", f"{ID}-json.log.1", f"{'5' * 64}-json.log.1"],
            [f"{ID}-json.log.1", f"{ID}-json.log.2", f"{ID}-json.log.10.gz"],
        ),
        ("3.log", [], []),
    ],
)
def test_rotated(tmp_path, name, others, expected):
    for other in others:
        (tmp_path / other).touch()
    assert pod_log_tree.rotated(str(tmp_path / name)) == [str(tmp_path / other) for other in expected]
