# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""change_file: what is refused, what a file keeps, and where temporary files are."""

from __future__ import annotations

import contextlib
import os
import stat

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import bounded_read, change, change_file
from ansible_collections.kubenode.doctor.plugins.module_utils.change_part import ChangeError
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import FileText
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places

PATH = "/etc/containerd/config.toml"
DEADLINE = Deadline(60)


@pytest.fixture
def place(node, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    return node.file(PATH, "old\n")


def part(node, path=PATH, after="new\n"):
    [prepared] = change.prepare([FileText(path, after)], Places(str(node.proc), str(node.root)))
    return prepared.part


def taken(node, path=PATH, after="new\n"):
    """A part whose step was taken."""
    one = part(node, path, after)
    one.stage()
    one.act(DEADLINE)
    return one


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda place: place.symlink_to("/etc/passwd"), "is a symbolic link: change by hand what it leads to"),
        (lambda place: place.symlink_to("nothing"), "is a symbolic link"),
        (os.mkfifo, "is no file"),
        (lambda place: place.mkdir(), "is no file"),
        (lambda place: place.write_bytes(b"#" * (bounded_read.LIMIT + 1)), "has more than 1048576 bytes"),
    ],
    ids=["link", "dangling", "fifo", "folder", "large"],
)
def test_what_is_no_plain_file_is_refused(node, place, make, why):
    place.unlink()
    make(place)
    with pytest.raises(ChangeError, match=why):
        part(node)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_somebody_elses_file_is_refused(node, place):
    os.chown(str(place), 12345, 0)
    with pytest.raises(ChangeError, match="belongs to user 12345, not to root"):
        part(node)


def test_a_folder_that_others_may_write_is_refused(node, place):
    place.parent.chmod(0o777)
    with pytest.raises(ChangeError, match="others may put something else in its place"):
        part(node)


def test_a_folder_may_be_a_link_inside_of_the_root(node, place):
    (node.root / "data").mkdir()
    place.parent.rename(node.root / "data" / "containerd")
    place.parent.symlink_to("/data/containerd")
    taken(node)
    assert (node.root / "data/containerd/config.toml").read_text() == "new\n"


def test_mode_owner_and_attributes_stay_and_come_back(node, place):
    place.chmod(0o640)
    with contextlib.suppress(OSError):  # a file system without attributes
        os.setxattr(str(place), "user.origin", b"by \xff hand")
    seen = change_file.look(str(node.root), PATH)
    one = taken(node)
    changed = change_file.look(str(node.root), PATH)
    assert changed.content == b"new\n"
    assert {**changed.state, "sha256": ""} == {**seen.state, "sha256": ""}
    one.take_back(DEADLINE)
    one.unstage()
    assert change_file.look(str(node.root), PATH) == seen
    assert os.listdir(str(place.parent)) == ["config.toml"]


def test_a_new_file_has_the_mode_that_it_is_to_have(node, place):
    one = taken(node, "/etc/containerd/conf.d/doctor.toml")
    new = place.parent / "conf.d" / "doctor.toml"
    assert stat.S_IMODE(new.stat().st_mode) == 0o644
    assert stat.S_IMODE(new.parent.stat().st_mode) == 0o755
    one.take_back(DEADLINE)
    one.unstage()
    one.tidy_back()
    assert not new.parent.exists()


def test_a_folder_that_somebody_uses_by_now_stays(node, place):
    one = taken(node, "/etc/containerd/conf.d/doctor.toml")
    (place.parent / "conf.d" / "mine.toml").write_text("")
    one.take_back(DEADLINE)
    one.unstage()
    one.tidy_back()
    assert os.listdir(str(place.parent / "conf.d")) == ["mine.toml"]


def test_a_file_is_removed_and_comes_back(node, place):
    one = taken(node, after=None)
    assert not place.exists()
    assert one.where() == "after"
    assert one.take_back(DEADLINE) == f"{PATH} is as it was"
    assert place.read_text() == "old\n"


@pytest.mark.parametrize("content", [b"a\r\nb\r\n", b"no end", b"", b"\xff\xfe caf\xe9\n"])
def test_bytes_go_through_as_they_are(node, place, content):
    place.write_bytes(content)
    text = content.decode("utf-8", "surrogateescape")
    one = taken(node, after=text + "#")
    assert place.read_bytes() == content + b"#"
    one.take_back(DEADLINE)
    assert place.read_bytes() == content


def staged(node, folder, path=PATH):
    """The temporary files of a change that was staged."""
    before = set(os.listdir(str(node.root / folder)))
    one = part(node, path)
    one.stage()
    found = set(os.listdir(str(node.root / folder))) - before
    one.unstage()
    assert set(os.listdir(str(node.root / folder))) - {"crio.conf.d"} == before - {"crio.conf.d"}
    return found


@pytest.mark.usefixtures("place")
def test_temporary_files_are_of_no_drop_ins_name(node):
    names = {".config.toml.kubenode-doctor", ".config.toml.kubenode-doctor-before"}
    assert staged(node, "etc/containerd") == names


def test_cri_o_finds_no_temporary_file_among_its_drop_ins(node):
    """It reads every file of that folder, whatever its name."""
    file = node.file("/etc/crio/crio.conf.d/60-x.conf", "old\n")
    names = {".crio.conf.d.60-x.conf.kubenode-doctor", ".crio.conf.d.60-x.conf.kubenode-doctor-before"}
    assert staged(node, "etc/crio", "/etc/crio/crio.conf.d/60-x.conf") == names
    assert os.listdir(str(file.parent)) == ["60-x.conf"]


def test_across_mounts_they_are_beside_the_file(node, monkeypatch):
    """A rename from one mount to another is refused, also of the same file system (rename(2))."""
    node.file("/etc/crio/crio.conf.d/60-x.conf", "old\n")
    monkeypatch.setattr(change_file, "_mount", lambda descriptor: descriptor)
    names = {".60-x.conf.kubenode-doctor", ".60-x.conf.kubenode-doctor-before"}
    assert staged(node, "etc/crio/crio.conf.d", "/etc/crio/crio.conf.d/60-x.conf") == names


def test_what_a_run_without_a_record_has_left_is_in_nobodys_way(node, place):
    (place.parent / ".config.toml.kubenode-doctor").write_text("half")
    taken(node)
    assert place.read_text() == "new\n"


def test_a_file_that_was_changed_just_now_is_not_overwritten(node, place):
    one = part(node)
    one.stage()
    place.write_text("mine\n")
    with pytest.raises(ChangeError, match="changed by somebody else just now"):
        one.act(DEADLINE)
    assert place.read_text() == "mine\n"


@pytest.mark.parametrize("mode", [0o600, 0o666])
def test_another_mode_is_another_file(node, place, mode):
    one = taken(node)
    place.chmod(mode)
    assert one.where() == "other"
    assert one.why_not_back() == f"{PATH} was changed since"


def test_a_file_that_became_a_link_is_not_taken_back(node, place):
    one = taken(node)
    place.unlink()
    place.symlink_to("/etc/shadow")
    with pytest.raises(ChangeError, match="symbolic link"):
        one.take_back(DEADLINE)
    assert one.where() == "other"


def test_the_old_text_is_taken_from_the_store_when_the_copy_is_gone(node, place):
    one = taken(node)
    one.unstage()
    assert one.take_back(DEADLINE) == f"{PATH} is as it was"
    assert place.read_text() == "old\n"
