# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""runtime_files: whatever may lie where a runtime keeps its files."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import runtime_files
from ansible_collections.kubenode.doctor.plugins.module_utils.runtime_files import RuntimeFiles


@pytest.fixture
def files(node):
    return RuntimeFiles(str(node.root))


def why(files):
    (gap,) = files.missing("files")
    assert gap["what"] == "files"
    return gap["why"]


def test_what_is_not_there_is_no_fault(files, node):
    node.file("/etc/passwd", "")
    for path in ("/run/x/y", "/etc/passwd/x"):
        assert files.names(path) == []
        assert files.is_there(path) is False
        assert (files.text(path), files.json(path), files.link(path)) == (None, None, None)
    assert files.missing("files") == []


def test_names(files, node):
    for name in ("b", "a", "c\nd"):
        node.file(f"/run/{name}", "")
    assert files.names("/run") == ["a", "b", "c\nd"]
    assert files.is_there("/run/a")


def test_a_folder_without_end(files, node, monkeypatch):
    monkeypatch.setattr(runtime_files, "_MOST_NAMES", 2)
    for name in "abc":
        node.file(f"/run/{name}", "")
    assert len(files.names("/run")) == 2
    assert why(files) == "/run: it holds more than 2 entries, of which some were not looked at"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "no JSON: "),
        ("", "no JSON: "),
        ("[" * 200_000, "no JSON: "),
        ('{"a": NaN', "no JSON: "),
        ("\x1b[31m", "no JSON: "),
        (" " * 5_000_000, "more than 4194304 bytes"),
    ],
)
def test_what_is_no_document(files, node, text, expected):
    node.file("/run/config.json", text)
    assert files.json("/run/config.json") is None
    assert why(files).startswith(f"/run/config.json: {expected}")
    assert len(why(files)) < 400


def test_a_pipe_a_folder_a_device(files, node):
    os.mkfifo(str(node.root / "pipe"))
    (node.root / "folder").mkdir()
    (node.root / "endless").symlink_to("/dev/zero")
    for path in ("/pipe", "/folder", "/endless"):
        assert files.text(path) is None
        assert files.json(path) is None
    assert why(files).endswith("and 2 other files could not be used")
    assert "/pipe: not a regular file" in why(files)


def test_links(files, node):
    (node.root / "link").symlink_to("/etc/passwd\x1b")
    node.file("/file", "")
    assert files.link("/link") == "/etc/passwd\x1b"
    assert files.link("/file") is None
    assert files.missing("files") == []


@pytest.mark.parametrize("broken", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_what_may_not_be_read(files, monkeypatch, broken):
    def refuse(*_arguments):
        raise broken

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "lstat", refuse)
    monkeypatch.setattr(os, "readlink", refuse)
    assert files.names("/var/lib/containerd") == []
    assert files.is_there("/var/lib/containerd") is True  # nobody knows
    assert files.link("/var/log/containers/x") is None
    assert broken.strerror in why(files)


def test_the_same_fault_twice_is_one(files, node):
    node.file("/status", "{")
    files.json("/status")
    files.json("/status")
    files.note("/status", "odd")
    assert "other files" not in why(files)


def test_a_fault_is_told_in_one_line(files):
    files.note("/run/a\nb\x1b[2J", "c\nd\x07")
    assert why(files).isprintable()
