# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pod_sockets: what waits in a namespace, by sock_diag where it can be asked, else by /proc. tests/integration_real reads real ones."""

from __future__ import annotations

import errno

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink
from ansible_collections.kubenode.doctor.plugins.module_utils.net_namespaces import Namespace
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_sockets import WaitingSockets
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils import made_up_kernel
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_pods import MadeUpPods, path, row

CLOSE, ESTABLISHED = 7, 1


@pytest.fixture
def pods(node, monkeypatch):
    made = MadeUpPods(node, monkeypatch)
    made.network(
        "other",
        row("0.0.0.0:5000", 11),
        row("10.0.0.1:5000", 12, state=ESTABLISHED),
        row("[::]:8080", 13),
        udp=[row("127.0.0.1:53", 14, "udp"), row("127.0.0.1:40000", 15, "udp", ESTABLISHED)],
    )
    made.process(7, path())
    return made


@pytest.fixture
def namespace(pods):
    return Namespace(pods.number("other"), 7, None, None, pods.proc)


EXPECTED = [
    ("tcp", "ipv4", "0.0.0.0", 5000, 11, None),
    ("tcp", "ipv6", "::", 8080, 13, None),
    ("udp", "ipv4", "127.0.0.1", 53, 14, None),
]


def told(entries):
    return [(one.protocol, one.family, one.address, one.port, one.inode, one.v6only) for one in entries]


def connecting(monkeypatch, *answers):
    """Let namespaces be entered with these results, the last one again and again; returns what was asked."""
    asked = []

    def connect(namespace, protocol):
        asked.append((namespace.pid, protocol))
        answer = answers[min(len(asked), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Namespace, "connect", connect)
    return asked


def error(number, text="no"):
    return netlink.NetlinkError(text, number)


@pytest.mark.parametrize(
    ("number", "times"),
    [
        (errno.EPERM, 1),
        (errno.EACCES, 1),
        (errno.EPROTONOSUPPORT, 1),
        (0, 1),  # no ctypes, no room for a thread
        (errno.ENOENT, 2),  # this process has ended: others may not
        (errno.EINVAL, 2),
    ],
)
def test_where_it_may_not_enter_proc_tells(namespace, monkeypatch, number, times):
    asked = connecting(monkeypatch, error(number, "first"), error(number, "second"))
    sockets = WaitingSockets()
    assert told(sockets.read(namespace)) == told(sockets.read(namespace)) == EXPECTED
    assert asked == [(7, netlink.NETLINK_SOCK_DIAG)] * times
    assert (sockets.without_v6only, sockets.refusal) == (2, "first")


class Kernel:
    """A netlink socket inside, which ``heard`` what was asked of it, and was ``opened`` so often."""

    def __init__(self, socks=(), refused=None):
        self.heard = []
        self.opened = 0
        self._socks = socks
        self._refused = refused

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def dup(self):
        self.opened += 1
        if self._refused is not None:
            raise self._refused
        return made_up_kernel.Link(self._socks, self.heard)


def test_sock_diag_is_asked_for_what_waits_alone(namespace, monkeypatch):
    kernel = Kernel(
        [made_up_kernel.Sock("listen", "0.0.0.0", 5000, inode=11), made_up_kernel.Sock("established", "::", 1)]
    )
    asked = connecting(monkeypatch, kernel)
    sockets = WaitingSockets()
    entries = [entry for entry in sockets.read(namespace) if entry.protocol == "tcp"]
    assert told(entries) == EXPECTED[:1]
    assert [states for _extensions, states in kernel.heard] == [1 << 10, 1 << 10, 1 << CLOSE, 1 << CLOSE]
    assert len(asked) == 1
    assert (sockets.without_v6only, sockets.refusal) == (0, "")


@pytest.mark.parametrize(("number", "times"), [(errno.ENOENT, 1), (errno.ETIMEDOUT, 2), (errno.EINTR, 2)])
def test_a_dump_that_fails(namespace, monkeypatch, number, times):
    """Without tcp_diag it will fail everywhere; what took too long here may not there."""
    kernel = Kernel(refused=error(number))
    connecting(monkeypatch, kernel)
    sockets = WaitingSockets()
    assert told(sockets.read(namespace)) == told(sockets.read(namespace)) == EXPECTED
    assert kernel.opened == times


def test_our_own_network(pods, monkeypatch):
    pods.network("host", row("0.0.0.0:10250", 21))
    own = Namespace("host", None, None, None, pods.proc)
    connecting(monkeypatch, error(errno.EPROTONOSUPPORT))
    assert told(WaitingSockets().read(own)) == [("tcp", "ipv4", "0.0.0.0", 10250, 21, None)]


def test_a_process_that_has_ended(pods, monkeypatch):
    connecting(monkeypatch, error(errno.ENOENT))
    with pytest.raises(FileNotFoundError):
        WaitingSockets().read(Namespace("1", 8, None, None, pods.proc))


def test_no_such_table(namespace, pods, monkeypatch):
    (pods.node.folder / "net-other" / "tcp").write_text("\nnonsense\n")
    connecting(monkeypatch, error(errno.EPERM))
    with pytest.raises(ValueError, match="nonsense"):
        WaitingSockets().read(namespace)
