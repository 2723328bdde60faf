# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""attribution: whose sockets they are, and what is said when that could not be seen."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import attribution, cgroup, procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.attribution import Owners
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders

LATER = Deadline(1e6)


def listener(inode, pid=None, cgroup_id=None):
    return Entry("tcp", "ipv4", "listen", "0.0.0.0", 80, "0.0.0.0", 0, 0, 128, 0, inode, None, cgroup_id, pid)


@pytest.fixture
def host(node, monkeypatch):
    """A node whose root looks from the host's pid namespace, where kubelet (12) holds the socket 100."""
    monkeypatch.setattr(attribution.os, "geteuid", lambda: 0)
    os.symlink("pid:[4026531836]", str(node.proc / "self" / "ns" / "pid"))
    node.process(12, "kubelet", [])
    (node.proc / "12" / "fd").mkdir()
    os.symlink("socket:[100]", str(node.proc / "12" / "fd" / "3"))
    (node.proc / "12" / "cgroup").write_text("0::/system.slice/kubelet.service\n")
    return node


def owners(host, *entries, deadline=LATER):
    return Owners(entries, SocketHolders(deadline, str(host.proc)), str(host.proc))


def test_seen(host):
    found = owners(host, listener(100))
    assert [process["name"] for process in found.processes(listener(100))] == ["kubelet"]
    assert found.hidden(listener(100)) is False
    assert found.missing == []


def test_root_sees_all_so_a_socket_of_nobody_is_the_kernels(host):
    found = owners(host, listener(100), listener(200))
    assert found.processes(listener(200)) == []
    assert found.hidden(listener(200)) is False
    assert found.missing == []


def unreadable(monkeypatch, _host):
    monkeypatch.setattr(SocketHolders, "look", lambda holders: setattr(holders, "refused", set(range(31))))


def unreadable_for_nobody(monkeypatch, host):
    unreadable(monkeypatch, host)
    not_root(monkeypatch, host)


def not_root(monkeypatch, _host):
    monkeypatch.setattr(attribution.os, "geteuid", lambda: 65534)
    monkeypatch.setattr(attribution.rights, "effective", lambda: 0)


def contained(_monkeypatch, host):
    link = host.proc / "self" / "ns" / "pid"
    link.unlink()
    os.symlink("pid:[4026532200]", str(link))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (unreadable, "the open files of 31 processes could not be read: run as root that has CAP_SYS_PTRACE"),
        (unreadable_for_nobody, "the open files of 31 processes could not be read: run with become (-b)"),
        # /proc mounted with hidepid=2: nothing is unreadable, others' processes are just not there.
        (not_root, "processes of other users need root to be seen: run with become (-b)"),
        (contained, "this is a container with its own pid namespace: run on the host"),
    ],
)
def test_hidden(host, monkeypatch, spoil, why):
    spoil(monkeypatch, host)
    found = owners(host, listener(200), listener(300), listener(0))
    assert found.missing == [{"what": "processes", "why": f"2 sockets have no visible process; {why}"}]
    assert found.hidden(listener(200)) is True
    assert found.hidden(listener(0)) is False  # TIME-WAIT and the like: no process holds it


def test_out_of_time(host):
    found = owners(host, listener(100), deadline=Deadline(0))
    assert found.hidden(listener(100)) is True
    assert "raise budget_seconds" in found.missing[0]["why"]


def test_nothing_hidden_nothing_missing(host, monkeypatch):
    not_root(monkeypatch, host)
    found = owners(host, listener(100), listener(0))
    assert found.missing == []


def test_a_backend_that_names_the_pid_itself(host):
    found = owners(host, listener(None, pid=12))
    assert [process["unit"] for process in found.processes(listener(None, pid=12))] == ["kubelet.service"]
    assert found.missing == []


def test_a_backend_that_shows_no_inode_does_not_make_it_the_kernels(host, monkeypatch):
    not_root(monkeypatch, host)
    ended = listener(None)._replace(state="time_wait")  # no process holds it
    found = owners(host, listener(None), ended)
    assert found.hidden(listener(None)) is True
    assert found.hidden(ended) is False
    assert "1 socket has no visible process" in found.missing[0]["why"]


def test_workers_that_share_a_listener_are_told_up_to_a_limit(host):
    for pid in range(1000, 1030):
        (host.proc / str(pid) / "fd").mkdir(parents=True)
        os.symlink("socket:[100]", str(host.proc / str(pid) / "fd" / "3"))
    pids = [process["pid"] for process in owners(host, listener(100)).processes(listener(100))]
    assert pids == [12, *range(1000, 1019)]


def test_the_cgroup_names_whom_proc_did_not(host, monkeypatch):
    asked = []
    monkeypatch.setattr(
        cgroup, "paths_by_id", lambda wanted: asked.extend(wanted) or {77: "/system.slice/crio.service"}
    )
    found = owners(host, listener(100, cgroup_id=55), listener(200, cgroup_id=77), listener(0, cgroup_id=66))
    assert asked == [77]
    assert found.cgroup(listener(200, cgroup_id=77)) == "/system.slice/crio.service"
    assert found.cgroup(listener(100, cgroup_id=55)) is None
    assert found.cgroup(listener(200)) is None


def test_each_process_is_described_once(host, monkeypatch):
    described = []
    real = procfs.describe
    monkeypatch.setattr(procfs, "describe", lambda pid, proc: described.append(pid) or real(pid, proc))
    found = owners(host, listener(100))
    for _time in range(3):
        found.processes(listener(100))
    assert described == [12]


def test_several_that_ask_share_one_pass(host, monkeypatch):
    passes = []
    real = procfs.pids
    monkeypatch.setattr(procfs, "pids", lambda proc: passes.append(proc) or real(proc))
    holders = SocketHolders(LATER, str(host.proc))
    for entries in ([listener(100), listener(200)], [listener(200), listener(0)], [listener(100)]):
        found = Owners(entries, holders, str(host.proc))
    assert len(passes) == 1
    assert [process["name"] for process in found.processes(listener(100))] == ["kubelet"]
