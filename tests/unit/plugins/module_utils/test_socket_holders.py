# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""socket_holders: a made-up /proc, with all that real ones do while they are read."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders


def opens(node, pid, *targets):
    """Give a process open files, by the targets of its /proc/PID/fd links."""
    folder = node.proc / str(pid) / "fd"
    folder.mkdir(parents=True)
    for number, target in enumerate(targets):
        os.symlink(target, str(folder / str(number)))


def holders(node, seconds=60):
    return SocketHolders(Deadline(seconds), str(node.proc))


def looked(node, seconds=60):
    found = holders(node, seconds)
    found.look()
    return found


def pids(found, *inodes):
    return {inode: found.pids(inode) for inode in inodes}


def replaced(monkeypatch, function, path, error):
    """Let os.<function> fail for one file, however it is named."""
    real = getattr(os, function)

    def refusing(asked, *arguments, **options):
        folder = options.get("dir_fd", asked if isinstance(asked, int) else None)
        place = "" if folder is None else real_readlink(f"/proc/self/fd/{folder}")
        name = "" if isinstance(asked, int) else str(asked)
        if os.path.join(place, name).rstrip("/") == str(path):
            raise error
        return real(asked, *arguments, **options)

    real_readlink = os.readlink
    monkeypatch.setattr(os, function, refusing)


def test_who_holds_what(node):
    opens(node, 12, "/dev/null", "socket:[100]", "socket:[200]", "pipe:[300]", "anon_inode:[eventpoll]")
    opens(node, 7, "socket:[100]")
    opens(node, 100, "socket:[999]", "/tmp/socket:[400]", "/memfd:socket:[500] (deleted)")
    found = looked(node)
    # In ascending order of pids, not of their names: 7, 12, 100.
    assert found.first == {100: 7, 200: 12, 999: 100}
    assert pids(found, 100, 200, 300, 400, 500, 999) == {100: [7, 12], 200: [12], 300: [], 400: [], 500: [], 999: [100]}
    assert found.open_files == {7: 1, 12: 5, 100: 3}
    assert (found.refused, found.timed_out) == (set(), False)


def test_a_process_with_several_descriptors_of_a_socket_holds_it_once(node):
    opens(node, 7, *["socket:[100]"] * 3)
    opens(node, 12, *["socket:[100]"] * 3)
    opens(node, 13, "socket:[100]")
    assert looked(node).pids(100) == [7, 12, 13]


def test_before_the_first_look_nothing_is_known(node):
    opens(node, 7, "socket:[100]")
    found = holders(node)
    assert (found.pids(100), found.first, found.refused, found.timed_out) == ([], {}, set(), False)


def test_what_is_no_process_is_left_out(node):
    opens(node, "self/task", "socket:[100]")
    assert looked(node).first == {}


def test_a_process_that_has_ended(node):
    node.process(7, "gone", [])  # no fd folder
    opens(node, 12, "socket:[100]")
    found = looked(node)
    assert found.first == {100: 12}
    assert found.refused == set()


@pytest.mark.parametrize(
    ("function", "path"),
    [
        ("open", "12/fd"),  # of another user
        ("listdir", "12/fd"),
        ("readlink", "12/fd/0"),  # root without CAP_SYS_PTRACE may list the files and not see what they are
    ],
)
def test_processes_that_refuse_are_told(node, monkeypatch, function, path):
    opens(node, 12, "socket:[100]")
    opens(node, 13, "socket:[200]")
    replaced(monkeypatch, function, node.proc / path, PermissionError(13, "Permission denied"))
    found = looked(node)
    assert found.first == {200: 13}
    assert found.refused == {12}


@pytest.mark.parametrize("error", [FileNotFoundError(2, "closed"), ProcessLookupError(3, "ended")])
def test_a_file_that_is_closed_meanwhile(node, monkeypatch, error):
    opens(node, 12, "socket:[100]", "socket:[200]")
    opens(node, 13, "socket:[200]")
    replaced(monkeypatch, "readlink", node.proc / "12" / "fd" / "0", error)
    found = looked(node)
    assert 13 in found.pids(200)
    assert (found.refused, found.timed_out) == (set(), False)


def test_no_descriptor_is_left_open(node, monkeypatch):
    for pid in (12, 13, 14):
        opens(node, pid, "socket:[100]")
    replaced(monkeypatch, "readlink", node.proc / "12" / "fd" / "0", PermissionError(13, "Permission denied"))
    replaced(monkeypatch, "readlink", node.proc / "13" / "fd" / "0", ProcessLookupError(3, "ended"))
    before = os.listdir("/proc/self/fd")
    looked(node)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_the_budget_ends_the_search(node, seconds):
    opens(node, 12, "socket:[100]")
    found = looked(node, seconds)
    assert (found.first, found.open_files, found.timed_out) == ({}, {}, True)


def test_another_look_sees_what_is_there_now(node):
    opens(node, 12, "socket:[100]")
    found = looked(node)
    (node.proc / "12" / "fd" / "0").unlink()
    opens(node, 13, "socket:[200]")
    found.look()
    assert found.first == {200: 13}
    assert found.pids(100) == []


@pytest.fixture
def passes(monkeypatch):
    """How often /proc was gone through."""
    count = Counter()
    real = procfs.pids
    monkeypatch.setattr(procfs, "pids", lambda proc: count.update(["pass"]) or real(proc))
    return count


def test_one_pass_serves_all_that_ask_for_what_was_there(node, passes):
    opens(node, 12, "socket:[100]", "socket:[200]")
    found = holders(node)
    found.look_for([100])
    found.look_for([200, 100])
    assert passes["pass"] == 1
    assert pids(found, 100, 200) == {100: [12], 200: [12]}


def test_nobody_is_looked_for_in_vain_twice(node, passes):
    found = holders(node)
    found.look_for([])
    assert passes["pass"] == 0
    for _time in range(3):
        found.look_for(iter([300]))  # the kernel's own, or a hidden process's
    assert passes["pass"] == 1


def test_a_new_socket_is_looked_for(node, passes):
    found = holders(node)
    found.look_for([100])
    opens(node, 12, "socket:[200]")
    found.look_for([100, 200])
    assert passes["pass"] == 2
    assert found.pids(200) == [12]


def test_what_a_look_was_made_for_is_not_looked_for_again(node, passes):
    found = holders(node)
    found.look(iter([300]))
    found.look_for([300])
    assert passes["pass"] == 1
    found.look_for([301])
    assert passes["pass"] == 2
