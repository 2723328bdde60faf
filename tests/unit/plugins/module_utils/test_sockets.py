# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sockets: which backend answers, and what is said of those that did not."""

from __future__ import annotations

import errno
import os
from collections import namedtuple

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink, procfs_net, sock_diag, sockets
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry

LISTENER = Entry("tcp", "ipv4", "listen", "0.0.0.0", 80, "0.0.0.0", 0, 0, 128, 0, 100)
TALKING = LISTENER._replace(state="established", port=40000)
BOUND = {"what": "bound sockets", "why": "only sock_diag of Linux 6.8 or newer shows TCP sockets that do not listen"}


def serves(*entries):
    return lambda protocol, *_arguments: iter(entry for entry in entries if entry.protocol == protocol)


def throw(error):
    raise error


def refuses(error):
    # Lazy as the readers are: the error comes with the first socket.
    return lambda *_arguments: map(throw, [error])


@pytest.fixture(autouse=True)
def quiet_node(monkeypatch):
    """A node with a new kernel and no sockets, and no psutil."""
    monkeypatch.setattr(sock_diag, "sockets", serves())
    monkeypatch.setattr(procfs_net, "sockets", serves())
    monkeypatch.setattr(sock_diag, "shows_bound_sockets", lambda: True)
    monkeypatch.setattr(sockets, "psutil", None)


def test_sock_diag_first(monkeypatch):
    monkeypatch.setattr(sock_diag, "sockets", serves(LISTENER))
    assert sockets.collect(["tcp", "udp"]) == ([LISTENER], "sock_diag", [])


@pytest.mark.parametrize("protocols", [["tcp"], ["tcp", "udp"]])
def test_an_old_kernel_does_not_show_bound_sockets(monkeypatch, protocols):
    monkeypatch.setattr(sock_diag, "shows_bound_sockets", lambda: False)
    assert sockets.collect(protocols).missing == [BOUND]
    assert sockets.collect(["udp"]).missing == []


@pytest.mark.parametrize(
    ("protocol", "waiting_only", "states"),
    [("tcp", True, 1 << 10 | 1 << 13), ("udp", True, 1 << 7), ("tcp", False, 0xFFFFFFFF), ("udp", False, 0xFFFFFFFF)],
)
def test_the_kernel_filters(monkeypatch, protocol, waiting_only, states):
    asked = []
    monkeypatch.setattr(sock_diag, "sockets", lambda *arguments: asked.append(arguments) or iter([]))
    sockets.collect([protocol], waiting_only=waiting_only, ports={80})
    assert asked == [(protocol, states, {80})]


def test_waiting_only(monkeypatch):
    monkeypatch.setattr(procfs_net, "sockets", serves(LISTENER, TALKING))
    assert sockets.collect(["tcp"], "procfs", waiting_only=True).entries == [LISTENER]
    assert sockets.collect(["tcp"], "procfs").entries == [LISTENER, TALKING]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (netlink.NetlinkError("the kernel refused", errno.ENOENT), "this kernel has no tcp_diag or udp_diag"),
        (
            netlink.NetlinkError("no netlink socket of protocol 4: Protocol not supported", errno.EPROTONOSUPPORT),
            "Protocol not supported",
        ),
        (
            netlink.NetlinkError("no netlink socket of protocol 4: Operation not permitted", errno.EPERM),
            "Operation not permitted",
        ),
        (netlink.NetlinkError("malformed inet_diag message: family 2, state 14"), "state 14"),
    ],
)
def test_without_sock_diag_proc_net_answers_and_says_why(monkeypatch, error, reason):
    monkeypatch.setattr(sock_diag, "sockets", refuses(error))
    monkeypatch.setattr(procfs_net, "sockets", serves(LISTENER))
    seen = sockets.collect(["tcp"])
    assert (seen.entries, seen.backend) == ([LISTENER], "procfs")
    assert [gap["what"] for gap in seen.missing] == ["backlog, v6only", "bound sockets"]
    assert seen.missing[0]["why"].startswith(
        "the backend procfs does not show them; sock_diag would, and did not answer (sock_diag: "
    )
    assert reason in seen.missing[0]["why"]


def test_a_dump_that_breaks_off_leaves_nothing_half_read(monkeypatch):
    def broken(*_arguments):
        yield TALKING
        raise netlink.NetlinkError("netlink answer broke off: timed out")

    monkeypatch.setattr(sock_diag, "sockets", broken)
    monkeypatch.setattr(procfs_net, "sockets", serves(LISTENER))
    assert sockets.collect(["tcp"]).entries == [LISTENER]


def test_a_chosen_backend_is_not_replaced(monkeypatch):
    monkeypatch.setattr(sock_diag, "sockets", refuses(netlink.NetlinkError("no", errno.EPERM)))
    with pytest.raises(sockets.SocketsError, match=r"^sock_diag: no$"):
        sockets.collect(["tcp"], "sock_diag")


def test_none_answers(monkeypatch):
    monkeypatch.setattr(sock_diag, "sockets", refuses(netlink.NetlinkError("no", errno.ENOENT)))
    monkeypatch.setattr(
        procfs_net, "sockets", refuses(FileNotFoundError(2, "No such file or directory", "/proc/net/tcp"))
    )
    with pytest.raises(sockets.SocketsError) as caught:
        sockets.collect(["tcp"])
    assert str(caught.value) == (
        "sock_diag: this kernel has no tcp_diag or udp_diag; procfs: [Errno 2] No such file or directory: '/proc/net/tcp'; "
        "psutil: the Python library psutil is not installed for this node's interpreter"
    )


Connection = namedtuple("Connection", "fd family type laddr raddr status pid")
Place = namedtuple("Place", "ip port")


class Psutil:
    """What psutil.net_connections answers; an exception is raised."""

    class Error(Exception):
        pass

    def __init__(self, answer):
        self.answer = answer

    def net_connections(self, kind):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer if kind == "tcp" else []


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        (
            Connection(3, 2, 1, Place("127.0.0.1", 80), (), "LISTEN", 12),
            Entry("tcp", "ipv4", "listen", "127.0.0.1", 80, "", 0, None, None, None, None, pid=12),
        ),
        (
            Connection(-1, 10, 1, Place("::1", 40000), Place("::1", 80), "TIME_WAIT", None),
            Entry("tcp", "ipv6", "time_wait", "::1", 40000, "::1", 80, None, None, None, None),
        ),
    ],
)
def test_psutil_shows_little(monkeypatch, connection, expected):
    monkeypatch.setattr(sockets, "psutil", Psutil([connection]))
    seen = sockets.collect(["tcp", "udp"], "psutil")
    assert seen.entries == [expected]
    assert [gap["what"] for gap in seen.missing] == ["backlog, v6only", "bound sockets"]


def test_psutil_leaves_out_other_ports_and_sockets_without_one(monkeypatch):
    connections = [
        Connection(3, 2, 1, place, (), "LISTEN", 12) for place in (Place("127.0.0.1", 80), Place("::", 81), ())
    ]
    monkeypatch.setattr(sockets, "psutil", Psutil(connections))
    assert [entry.port for entry in sockets.collect(["tcp"], "psutil", ports={81, 82}).entries] == [81]


@pytest.mark.parametrize(
    "error", [Psutil.Error("gone"), RuntimeError("error while parsing /proc/net/tcp"), PermissionError(13, "no")]
)
def test_psutil_fails(monkeypatch, error):
    monkeypatch.setattr(sockets, "psutil", Psutil(error))
    with pytest.raises(sockets.SocketsError, match=r"^psutil: "):
        sockets.collect(["tcp"], "psutil")


@pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="needs a Linux kernel")
def test_this_machine_by_its_own_tables(monkeypatch):
    monkeypatch.undo()
    assert sockets.collect(["tcp", "udp"], "procfs").backend == "procfs"
