# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tcp_reader: one namespace by each backend, and by the next one when a backend does not answer."""

from __future__ import annotations

import errno
import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple, Optional

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink, tcp_reader
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_reader import ReaderError
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_kernel import (
    Kernel,
    Sock,
    close_wait,
    syn_sent,
)

FIXTURES = Path(__file__).parents[3] / "fixtures"
STUCK = json.loads((FIXTURES / "sock_diag" / "stuck.json").read_text("ascii"))
NO_SOCK_DIAG = netlink.NetlinkError("no netlink socket of protocol 4: Protocol not supported", errno.EPROTONOSUPPORT)
LISTENER = Sock("listen", "0.0.0.0", 80, inode=1, rqueue=2, wqueue=128, cookie=1)
SOCKS = [
    LISTENER,
    Sock("listen", "::", 443, "::", inode=2, cookie=2),
    Sock("established", "10.0.0.1", 80, "10.0.0.7", 40001, inode=3, cookie=3),
    Sock("time_wait", "10.0.0.1", 80, "10.0.0.7", 40002, cookie=4),
    Sock("syn_sent", "10.0.0.1", 50001, "10.0.0.9", 179, inode=5, cookie=5, **syn_sent(3, 3, 8000, 7500)),
    Sock(
        "close_wait", "::ffff:10.0.0.1", 50002, "::ffff:10.0.0.8", 443, inode=6, rqueue=1, cookie=6, **close_wait(63000)
    ),
]
WHY_PROCFS = "the backend procfs does not show them; sock_diag would"


class Place(NamedTuple):
    """A namespace whose netlink sockets are a made-up kernel's, and whose /proc/net is a folder."""

    name: str
    net: str
    kernel: Optional[Kernel] = None

    def connect(self, protocol):
        assert protocol == netlink.NETLINK_SOCK_DIAG
        if self.kernel is None:
            raise NO_SOCK_DIAG
        return self.kernel.connect(protocol)


@pytest.fixture
def net(tmp_path):
    """A /proc/net with the tables of connections that hang."""
    for name, table in STUCK["tables"].items():
        (tmp_path / name).write_text(table)
    return tmp_path


def place(net, kernel=None):
    return Place("host", str(net), kernel)


def ports(entries):
    return [(entry.port, entry.state) for entry in entries]


def counts(reading):
    states = ("established", "syn_sent", "fin_wait2", "time_wait", "close_wait")
    return {state: reading.tally.counts()[state] for state in states if reading.tally.counts()[state]}


def test_sock_diag(tmp_path):
    reading = tcp_reader.read(place(tmp_path, Kernel(SOCKS)))
    assert (reading.backend, reading.missing) == ("sock_diag", [])
    assert ports(reading.listeners) == [(80, "listen"), (443, "listen")]
    assert [(entry.port, entry.state, entry.age_ms, entry.retransmits) for entry in reading.stuck] == [
        (50001, "syn_sent", 7500, 3),
        (50002, "close_wait", 63_000, 0),
    ]
    assert counts(reading) == {"established": 1, "time_wait": 1, "syn_sent": 1, "close_wait": 1}
    # 80 and 443 are listened on, whoever does.
    assert reading.tally.used(80, 443) == 2
    (hung,) = [entry for entry in reading.stuck if entry.state == "close_wait"]
    assert reading.doors.of(hung) is None
    assert reading.doors.of(hung._replace(port=443)).inode == 2


def test_ports_outside_of_the_range_are_used_up_by_nobody(tmp_path):
    reading = tcp_reader.read(place(tmp_path, Kernel(SOCKS)), drawn=[50002, 60999])
    assert [destination for _source, destination, _port, _inodes in reading.tally.destinations(10)] == ["10.0.0.8"]


@pytest.mark.parametrize(("bound", "used"), [(False, 2), (True, 3)])
def test_bound_sockets_use_a_port_and_are_no_connection(tmp_path, bound, used):
    kernel = Kernel([*SOCKS, Sock("bound", "0.0.0.0", 50003, inode=7)])
    reading = tcp_reader.read(place(tmp_path, kernel), drawn=(50000, 60000), inodes=bound)
    assert reading.tally.used(50001, 50003) == used
    assert counts(reading) == {"established": 1, "time_wait": 1, "syn_sent": 1, "close_wait": 1}


BOUND = 1 << 13
LISTEN, STUCK_STATES = 1 << 10, 1 << 2 | 1 << 8
ALL_OTHERS = sum(1 << number for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12))


def test_the_kernel_filters_and_tcp_info_is_asked_only_of_what_is_stuck(tmp_path):
    kernel = Kernel(SOCKS)
    tcp_reader.read(place(tmp_path, kernel))
    # (extensions, states), for both families each
    assert Counter(kernel.heard) == {(0, LISTEN): 2, (0, ALL_OTHERS): 2, (2, STUCK_STATES): 2}


def test_bound_sockets_are_asked_for_where_they_are_wanted(tmp_path):
    # They cost another walk over all sockets.
    kernel = Kernel([LISTENER])
    tcp_reader.read(place(tmp_path, kernel), drawn=(50000, 60000), inodes=True)
    assert Counter(kernel.heard) == {(0, LISTEN): 2, (0, ALL_OTHERS): 2, (0, BOUND): 2}


def test_nothing_stuck_is_not_asked_for_again(tmp_path):
    kernel = Kernel([sock for sock in SOCKS if sock.state not in tcp_reader.STUCK])
    reading = tcp_reader.read(place(tmp_path, kernel))
    assert (reading.stuck, len(kernel.heard)) == ([], 4)


def test_procfs(net):
    reading = tcp_reader.read(place(net), "procfs")
    assert reading.backend == "procfs"
    assert reading.missing == [
        {"what": "backlog", "why": WHY_PROCFS},
        {"what": "age of close_wait", "why": WHY_PROCFS},
    ]
    assert ports(reading.listeners) == [(36601, "listen"), (36603, "listen"), (36602, "listen")]
    assert {entry.wqueue for entry in reading.listeners} == {None}
    ages = {state: [entry.age_ms for entry in reading.stuck if entry.state == state] for state in tcp_reader.STUCK}
    assert ages["close_wait"] == [None] * 12
    assert ages["syn_sent"] == pytest.approx([3400] * 3, abs=100)
    assert counts(reading) == {"syn_sent": 3, "close_wait": 12, "fin_wait2": 12, "time_wait": 3}


def test_without_sock_diag_procfs_answers_and_says_why(net):
    reading = tcp_reader.read(place(net))
    assert reading.backend == "procfs"
    why = f"{WHY_PROCFS}, and did not answer (sock_diag: {NO_SOCK_DIAG})"
    assert [gap["why"] for gap in reading.missing] == [why] * 2


@pytest.mark.parametrize("answered", range(6))
def test_a_kernel_that_stops_answering_leaves_nothing_half_read(net, answered):
    error = netlink.NetlinkError("netlink answer broke off: timed out", errno.ETIMEDOUT)
    reading = tcp_reader.read(place(net, Kernel(SOCKS, error, answered)))
    assert reading.backend == "procfs"
    assert sum(counts(reading).values()) == 30


def test_a_chosen_backend_is_not_replaced(net):
    with pytest.raises(ReaderError, match=r"^sock_diag: no netlink socket of protocol 4: Protocol not supported$"):
        tcp_reader.read(place(net), "sock_diag")


def garbage(net):
    (net / "tcp6").write_text("heading\n   0: no row\n")


def gone(net):
    for name in ("tcp", "tcp6"):
        (net / name).unlink()


def no_text(net):
    (net / "tcp").write_bytes(bytes(range(256)))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (garbage, "procfs: not a row of /proc/net/tcp: '   0: no row"),
        (gone, "procfs: [Errno 2] No such file or directory: "),
        (no_text, "procfs: not a row of /proc/net/tcp: "),
    ],
)
def test_no_backend_answers(net, spoil, told):
    spoil(net)
    with pytest.raises(ReaderError) as caught:
        tcp_reader.read(place(net))
    assert str(caught.value).startswith(f"sock_diag: {NO_SOCK_DIAG}; {told}")
    assert len(str(caught.value)) < 500


def test_without_ipv6(net):
    (net / "tcp6").unlink()
    assert len(tcp_reader.read(place(net), "procfs").listeners) == 1


def test_a_namespace_without_sockets(tmp_path):
    reading = tcp_reader.read(place(tmp_path, Kernel()))
    assert (reading.listeners, reading.stuck, counts(reading)) == ([], [], {})


def test_first_look_by_sock_diag_has_the_same_identities_as_the_second(tmp_path):
    here = place(tmp_path, Kernel(SOCKS))
    listeners, stuck = tcp_reader.first_look(here, "sock_diag")
    reading = tcp_reader.read(here)
    assert list(map(tcp_reader.identity, listeners)) == list(map(tcp_reader.identity, reading.listeners))
    assert list(map(tcp_reader.identity, stuck)) == list(map(tcp_reader.identity, reading.stuck))
    assert len({tcp_reader.identity(entry) for entry in listeners + stuck}) == 4


def test_first_look_by_procfs_has_the_same_identities_as_the_second(net):
    listeners, stuck = tcp_reader.first_look(place(net), "procfs")
    reading = tcp_reader.read(place(net), "procfs")
    assert listeners == reading.listeners
    assert stuck == reading.stuck
    assert len({tcp_reader.identity(entry) for entry in listeners + stuck}) == 18


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"rqueue": 9, "age_ms": 5000, "retransmits": 4}, True),
        ({"peer_port": 40002}, False),
        ({"peer": "10.0.0.8"}, False),
        ({"port": 81}, False),
        ({"address": "10.0.0.2"}, False),
        ({"inode": 4}, False),
    ],
)
def test_identity_without_a_cookie(net, change, same):
    entry = tcp_reader.first_look(place(net), "procfs")[1][0]._replace(inode=0)  # never accepted, for instance
    assert (tcp_reader.identity(entry) == tcp_reader.identity(entry._replace(**change))) is same


def test_identity_is_the_cookie_where_there_is_one(net):
    # The same addresses and ports a moment later are another connection, however little time lies between.
    entry = tcp_reader.first_look(place(net), "procfs")[1][0]
    one, other = entry._replace(cookie=b"1" * 8), entry._replace(cookie=b"2" * 8)
    assert tcp_reader.identity(one) != tcp_reader.identity(other)
    assert tcp_reader.identity(one) == tcp_reader.identity(one._replace(inode=7, rqueue=9))


@pytest.mark.parametrize(
    ("kernel", "backend", "error"),
    [
        (None, "sock_diag", netlink.NetlinkError),
        (Kernel(refused=OSError(errno.EMFILE, "Too many open files")), "sock_diag", OSError),
        (None, "procfs", FileNotFoundError),
    ],
)
def test_first_look_says_that_it_could_not(tmp_path, kernel, backend, error):
    with pytest.raises(error):
        tcp_reader.first_look(place(tmp_path, kernel), backend)
