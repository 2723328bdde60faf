# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""procfs: a made-up /proc, with all that real ones do while they are read."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.procfs import Holders

LATER = Deadline(60)


def opens(node, pid, *targets):
    """Give a process open files, by the targets of its /proc/PID/fd links."""
    folder = node.proc / str(pid) / "fd"
    folder.mkdir(parents=True)
    for number, target in enumerate(targets):
        os.symlink(target, str(folder / str(number)))


def refuse(monkeypatch, function, path, error):
    """Let os.<function> fail for one path."""
    real = getattr(os, function)

    def refusing(asked, *arguments, **options):
        if str(asked) == str(path):
            raise error
        return real(asked, *arguments, **options)

    monkeypatch.setattr(procfs.os, function, refusing)


def test_holders(node):
    opens(node, 12, "/dev/null", "socket:[100]", "socket:[200]", "pipe:[300]", "anon_inode:[eventpoll]")
    opens(node, 7, "socket:[100]")
    opens(node, 100, "socket:[999]")
    # In ascending order of pids, not of their names: 7, 12, 100.
    assert procfs.socket_holders({100, 200, 300}, LATER, str(node.proc)) == Holders({100: [7, 12], 200: [12]}, 0, False)


def test_what_is_no_process_is_left_out(node):
    opens(node, "self/task", "socket:[100]")
    assert list(procfs.pids(str(node.proc))) == [1]


def test_a_process_that_has_ended(node):
    node.process(7, "gone", [])  # no fd folder
    opens(node, 12, "socket:[100]")
    assert procfs.socket_holders({100}, LATER, str(node.proc)) == Holders({100: [12]}, 0, False)


@pytest.mark.parametrize(
    ("function", "path"),
    [
        ("listdir", "12/fd"),  # of another user
        ("readlink", "12/fd/0"),  # root without CAP_SYS_PTRACE may list the files and not see what they are
    ],
)
def test_unreadable_processes_are_counted(node, monkeypatch, function, path):
    opens(node, 12, "socket:[100]")
    opens(node, 13, "socket:[200]")
    refuse(monkeypatch, function, node.proc / path, PermissionError(13, "Permission denied"))
    assert procfs.socket_holders({100, 200}, LATER, str(node.proc)) == Holders({200: [13]}, 1, False)


@pytest.mark.parametrize("error", [FileNotFoundError(2, "closed"), ProcessLookupError(3, "ended")])
def test_a_file_that_is_closed_meanwhile(node, monkeypatch, error):
    opens(node, 12, "socket:[100]", "socket:[200]")
    opens(node, 13, "socket:[200]")
    refuse(monkeypatch, "readlink", node.proc / "12" / "fd" / "0", error)
    found = procfs.socket_holders({100, 200}, LATER, str(node.proc))
    assert 13 in found.pids[200]
    assert (found.unreadable, found.timed_out) == (0, False)


def test_the_budget_ends_the_search(node):
    opens(node, 12, "socket:[100]")
    assert procfs.socket_holders({100}, Deadline(0), str(node.proc)) == Holders({}, 0, True)


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
