# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""net_namespaces: which there are, and what keeps one from being entered. tests/integration_real enters real ones."""

from __future__ import annotations

import errno
import os
import sys
import threading
from types import SimpleNamespace

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import net_namespaces, netlink, rights
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.net_namespaces import OWN, Namespace

POD_UID, CONTAINER = "909a2aa1-bf6a-4a8c-a274-3180ea640fb1", "6c" * 32
NOBODYS_PID = 1 << 30  # pid_max is 2**22 at most


def others(node, deadline=None):
    return net_namespaces.others(deadline or Deadline(60), str(node.proc))


def third(node):
    """Make a third network namespace to put processes in."""
    (node.folder / "third").touch()
    return "third"


def number(node, name):
    return str((node.folder / name).stat().st_ino)


def in_cgroup(node, pid, path):
    (node.proc / str(pid) / "cgroup").write_text(f"0::{path}\n")


def test_each_namespace_once_with_its_first_process_and_whose_it_is(node):
    node.process(20, "app", [], netns="other")
    node.process(7, "pause", [], netns="other")
    node.process(30, "sshd", [])
    node.process(100, "dnsmasq", [], netns=third(node))
    in_cgroup(node, 7, f"/kubepods/burstable/pod{POD_UID}/{CONTAINER}")
    in_cgroup(node, 100, "/system.slice/dnsmasq.service")
    assert others(node) == (
        [
            Namespace(number(node, "other"), 7, CONTAINER, POD_UID),
            Namespace(number(node, "third"), 100, None, None),
        ],
        [],
    )


def test_no_others(node):
    assert others(node) == ([], [])


def test_one_whose_cgroup_cannot_be_read(node):
    node.process(7, "pause", [], netns="other")  # no such file
    assert others(node)[0] == [Namespace(number(node, "other"), 7, None, None)]


def test_processes_that_end_meanwhile(node):
    (node.proc / "12").mkdir()
    node.process(13, "app", [], netns="other")
    assert others(node) == ([Namespace(number(node, "other"), 13, None, None)], [])


def hide(monkeypatch, node, *pids):
    real = os.stat

    def stat(path, *arguments, **options):
        if any(str(path) == f"{node.proc}/{pid}/ns/net" for pid in pids):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, *arguments, **options)

    monkeypatch.setattr(net_namespaces.os, "stat", stat)


@pytest.mark.parametrize(("uid", "cure"), [(1000, "run with become (-b)"), (0, "run as root that has CAP_SYS_PTRACE")])
def test_hidden_ones_are_told(node, monkeypatch, uid, cure):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(rights, "effective", lambda: 0)
    for pid in (7, 8, 9):
        node.process(pid, "app", [], netns="other")
    hide(monkeypatch, node, 7, 8)
    assert others(node) == (
        [Namespace(number(node, "other"), 9, None, None)],
        [{"what": "network namespaces", "why": f"those of 2 processes could not be seen: {cure}"}],
    )


def test_a_container_sees_nobody_elses(node):
    os.symlink("pid:[4026532200]", str(node.proc / "self" / "ns" / "pid"))
    found, (gap,) = others(node)
    assert found == []
    assert gap == {
        "what": "network namespaces",
        "why": "this is a container with its own pid namespace: run on the host",
    }


def test_hidepid_hides_whole_processes(node):
    node.hidepid()
    _found, (gap,) = others(node)
    assert gap["what"] == "network namespaces"
    assert "hidepid" in gap["why"]


@pytest.mark.parametrize("seconds", [0, -1])
def test_no_time(node, seconds):
    node.process(7, "app", [], netns="other")
    found, missing = others(node, Deadline(seconds))
    assert found == []
    assert missing == [{"what": "network namespaces", "why": "the time budget ended: raise budget_seconds"}]


def test_where_its_tables_are():
    assert OWN.net == "/proc/net"
    assert Namespace("4026532281", 7, None, None).net == "/proc/7/net"
    assert Namespace("4026532281", 7, None, None, "/host/proc").net == "/host/proc/7/net"


def test_our_own_is_not_entered(monkeypatch):
    monkeypatch.setattr(netlink, "connect", lambda protocol: (protocol, threading.current_thread()))
    assert OWN.connect(4) == (4, threading.current_thread())


class Libc:
    """What ctypes.CDLL(None) gives; setns fails with an error number, if there is one."""

    def __init__(self, number=0):
        self.number = number
        self.entered = []

    def setns(self, descriptor, kind):
        self.entered.append((os.fstat(descriptor).st_ino, kind, threading.current_thread()))
        return -1 if self.number else 0


def use(monkeypatch, libc, cdll=None):
    """Let ``import ctypes`` find this C library."""
    made = SimpleNamespace(CDLL=cdll or (lambda _name, **_options: libc), get_errno=lambda: libc.number)
    monkeypatch.setitem(sys.modules, "ctypes", made)


def inside(pid=None):
    """Our own namespace, as if it were another: entering it changes nothing."""
    return Namespace("4026532281", pid or os.getpid(), None, None)


def test_another_thread_enters_and_opens(monkeypatch):
    libc = Libc()
    use(monkeypatch, libc)
    monkeypatch.setattr(netlink, "connect", lambda protocol: (protocol, threading.current_thread()))
    protocol, thread = inside().connect(4)
    assert protocol == 4
    assert thread is not threading.current_thread()
    assert not thread.is_alive()
    assert libc.entered == [(os.stat("/proc/self/ns/net").st_ino, 0x40000000, thread)]


def test_any_socket_may_be_opened_inside(monkeypatch):
    libc = Libc()
    use(monkeypatch, libc)
    assert inside().open(threading.current_thread) is libc.entered[0][2]
    assert OWN.open(threading.current_thread) is threading.current_thread()


def raises(error):
    def function(*_arguments, **_options):
        raise error

    return function


def gone(_monkeypatch):
    return NOBODYS_PID


def not_permitted(monkeypatch):
    use(monkeypatch, Libc(errno.EPERM))


def without_ctypes(monkeypatch):
    monkeypatch.setitem(sys.modules, "ctypes", None)  # Debian's python3-minimal


def without_setns(monkeypatch):
    use(monkeypatch, None, lambda _name, **_options: SimpleNamespace())


def without_libc(monkeypatch):
    use(monkeypatch, None, raises(OSError("no such library")))


def without_executable_memory(monkeypatch):
    use(monkeypatch, None, raises(MemoryError("libffi")))  # what some SELinux policies make of ctypes


def without_sock_diag(monkeypatch):
    use(monkeypatch, Libc())
    monkeypatch.setattr(netlink, "connect", raises(netlink.NetlinkError("no netlink socket", errno.EPROTONOSUPPORT)))


def without_room_for_threads(monkeypatch):
    monkeypatch.setattr(threading.Thread, "start", raises(RuntimeError("can't start new thread")))


@pytest.mark.parametrize(
    ("spoil", "number", "told"),
    [
        (gone, errno.ENOENT, "No such file or directory"),
        (not_permitted, errno.EPERM, "Operation not permitted"),
        (without_ctypes, 0, "ctypes"),
        (without_setns, 0, "setns"),
        (without_libc, 0, "no such library"),
        (without_executable_memory, 0, "libffi"),
        (without_sock_diag, errno.EPROTONOSUPPORT, "no netlink socket"),
        (without_room_for_threads, 0, "can't start new thread"),
    ],
)
def test_what_cannot_be_entered_is_a_netlink_error(monkeypatch, capfd, spoil, number, told):
    namespace = inside(spoil(monkeypatch))
    with pytest.raises(netlink.NetlinkError, match=f"process {namespace.pid} could not be entered: .*{told}") as caught:
        namespace.connect(4)
    assert caught.value.errno == number
    assert capfd.readouterr() == ("", "")  # no thread's traceback
