# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rooted_path: a path of another process leads where that process would get to, and never out of its root."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import rooted_path


@pytest.fixture
def root(tmp_path):
    """A root folder with Debian's /var/run, and a folder beside it."""
    (tmp_path / "outside").mkdir()
    root = tmp_path / "root"
    (root / "run" / "docker").mkdir(parents=True)
    (root / "var").mkdir()
    (root / "var" / "run").symlink_to("/run")
    return root


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/run/docker", "run/docker"),
        ("/var/run/docker", "run/docker"),
        ("//var/./run//docker/", "run/docker"),
        ("/var/run/..", ""),
        ("/../../outside/../run", "run"),
        ("/", ""),
    ],
)
def test_where_paths_lead(root, path, leads_to):
    (root / "outside").mkdir()
    assert rooted_path.real(str(root), path).rstrip("/") == str(root / leads_to)


@pytest.mark.parametrize("target", ["../../../../outside", "/outside"])
def test_links_do_not_leave_the_root(root, target):
    (root / "link").symlink_to(target)
    with pytest.raises(FileNotFoundError):
        rooted_path.real(str(root), "/link")
    (root / "outside").mkdir()
    assert rooted_path.real(str(root), "/link") == str(root / "outside")


def test_links_in_a_circle(root):
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("/a")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        rooted_path.real(str(root), "/a")


def test_a_folder_is_opened_where_its_path_leads(root):
    descriptor = rooted_path.open_folder(str(root), "/var/run/docker", os.geteuid())
    try:
        assert os.path.sameopenfile(descriptor, os.open(str(root / "run" / "docker"), os.O_PATH))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("folder", ["run/docker", "run", "."])
@pytest.mark.parametrize(("mode", "is_safe"), [(0o777, False), (0o775, False), (0o1777, True), (0o755, True)])
def test_others_may_not_replace_anything_on_the_way(root, folder, mode, is_safe):
    (root / folder).chmod(mode)
    if is_safe:
        os.close(rooted_path.open_folder(str(root), "/run/docker", os.geteuid()))
        return
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="others may put something else in its place"):
        rooted_path.open_folder(str(root), "/run/docker", os.geteuid())
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_folder_of_somebody_else(root):
    os.chown(str(root / "run"), 4242, -1)
    os.close(rooted_path.open_folder(str(root), "/run/docker", 4242))
    with pytest.raises(PermissionError, match="others may put something else in its place"):
        rooted_path.open_folder(str(root), "/run/docker", 4343)


@pytest.mark.parametrize(
    ("path", "error"), [("/nowhere", FileNotFoundError), ("/file", NotADirectoryError), ("/\0", ValueError)]
)
def test_no_folder(root, path, error):
    (root / "file").write_text("x")
    with pytest.raises(error):
        rooted_path.open_folder(str(root), path, os.geteuid())
