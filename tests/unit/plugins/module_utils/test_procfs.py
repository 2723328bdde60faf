# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""procfs: a made-up /proc, with all that real ones do while they are read."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs


def test_pids_come_by_number_and_nothing_else_does(node):
    for name in ("100", "12", "7"):
        (node.proc / name).mkdir()
    (node.proc / "self" / "task").mkdir()
    assert list(procfs.pids(str(node.proc))) == [1, 7, 12, 100]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"kubelet\n", "kubelet"),
        (b"two words\n", "two words"),
        (b"{{ lookup('pip\n", "{{ lookup('pip"),
        (b"a\nb\x1b[31m\n", "a\nb\x1b[31m"),
        (b"\xff\xfe\n", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"),
        (b"\n", ""),
    ],
)
def test_comm(node, content, expected):
    node.process(12, "", [])
    (node.proc / "12" / "comm").write_bytes(content)
    assert procfs.comm(12, str(node.proc)) == expected


def test_comm_of_nobody(node):
    assert procfs.comm(12, str(node.proc)) is None


def test_text_is_cut(node):
    assert procfs.text(str(node.file("/long", "x" * 100)), 10) == "x" * 10


def test_describe(node):
    node.process(12, "kubelet", [])
    (node.proc / "12" / "cgroup").write_text("0::/system.slice/kubelet.service\n")
    expected = {"pid": 12, "name": "kubelet", "unit": "kubelet.service", "container_id": None, "pod_uid": None}
    assert procfs.describe(12, str(node.proc)) == expected


def test_describe_nobody(node):
    expected = {"pid": 12, "name": None, "unit": None, "container_id": None, "pod_uid": None}
    assert procfs.describe(12, str(node.proc)) == expected


@pytest.mark.parametrize(
    ("link", "expected"),
    [("pid:[4026531836]", True), ("pid:[4026532200]", False), (None, None)],
)
def test_in_host_pid_namespace(node, link, expected):
    if link:
        os.symlink(link, str(node.proc / "self" / "ns" / "pid"))
    assert procfs.in_host_pid_namespace(str(node.proc)) is expected


def test_same_network_namespace(node):
    node.process(12, "here", [])
    node.process(13, "there", [], netns="other")
    assert procfs.same_network_namespace(12, str(node.proc)) is True
    assert procfs.same_network_namespace(13, str(node.proc)) is False
    assert procfs.same_network_namespace(14, str(node.proc)) is None
