# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What socket_age and tcp_groups take this kernel's word for: ages beside a clock, and queues beside what programs have read."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs_net, sock_diag
from ansible_collections.kubenode.doctor.tests.integration_real.fresh_netns import (
    in_fresh_netns,
    ip,
    needs_root,
    sysctl_net,
)
from ansible_collections.kubenode.doctor.tests.integration_real.tcp_scene import dialled, listening

pytestmark = needs_root

LOOKS = (2, 4, 9)  # seconds after everything began to hang
STUCK = 1 << 2 | 1 << 8
# By the number of the client's port
NEVER_READ, NOTHING_UNREAD, LEAKED, KEPT_ALIVE, STILL_SENDING, OTHERS_KEEPALIVE, NEVER_ACCEPTED = range(5001, 5008)
UNREAD = 5
TICK = 20  # ms, more than two of any kernel's
# A timer fires late by up to an eighth of its time (kernel/time/timer.c), and again by as much as this machine sleeps.
LATE_SHARE, LATE = 1 / 8, 700


def since(moment):
    return 1000 * (time.monotonic() - moment)


def hang(linear):
    """Let connections hang, and look at them: ``[[least, sent, most, {port: [age, rqueue, held]}, {port: age by /proc/net}]]``.

    All in ms: they hung for ``least`` when the look began and for ``most`` when it was over, ``sent`` after the last that one of them sent.
    """
    ip("link", "add", "nd0", "type", "veth", "peer", "name", "nd1")
    ip("addr", "add", "10.77.0.1/24", "dev", "nd0")
    ip("link", "set", "nd1", "up")
    ip("link", "set", "nd0", "up")
    ip("neigh", "add", "10.77.0.99", "lladdr", "02:00:00:00:00:01", "dev", "nd0", "nud", "permanent")
    if linear is not None and Path("/proc/sys/net/ipv4/tcp_syn_linear_timeouts").exists():
        sysctl_net("ipv4.tcp_syn_linear_timeouts", str(linear))
    pairs = {port: pair(port) for port in range(NEVER_READ, OTHERS_KEEPALIVE + 1)}
    keep_alive(pairs[KEPT_ALIVE][0])
    keep_alive(pairs[OTHERS_KEEPALIVE][1])
    pairs[NEVER_READ][1].sendall(bytes(UNREAD))
    deaf = listening("127.0.0.1", 7001)
    gone = connected("127.0.0.1", 7001, NEVER_ACCEPTED)
    began = time.monotonic()
    for port in (NEVER_READ, NOTHING_UNREAD, LEAKED):
        pairs[port][1].close()
    for port in (KEPT_ALIVE, STILL_SENDING, OTHERS_KEEPALIVE):
        pairs[port][1].shutdown(socket.SHUT_WR)
    gone.close()
    _calling = dialled("10.77.0.99", 179)
    assert pairs[LEAKED][0].recv(1) == b""
    hung = time.monotonic()
    found = []
    for seconds in LOOKS:
        time.sleep(max(0, began + seconds - time.monotonic()))
        sent = time.monotonic()
        pairs[STILL_SENDING][0].send(b"x")
        time.sleep(0.01)
        least, ages, by_procfs = since(hung), by_sock_diag(), by_proc_net()
        found.append([least, since(sent), since(began), ages, by_procfs])
    deaf.close()
    return found


def connected(address, port, source):
    made = socket.socket()
    made.bind((address, source))
    made.connect((address, port))
    return made


def pair(port):
    """``(client, server)``, established, the client at this port."""
    with listening("127.0.0.1", 7000 + port) as listener:
        return connected("127.0.0.1", 7000 + port, port), listener.accept()[0]


def keep_alive(made):
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)


def number(entry):
    """The client's port, 179 for the call."""
    ports = {entry.port, entry.peer_port}
    return 179 if 179 in ports else next(port for port in ports if NEVER_READ <= port <= NEVER_ACCEPTED)


def by_sock_diag():
    entries = sock_diag.sockets("tcp", STUCK, tcp_info=True)
    return {number(entry): [entry.age_ms, entry.rqueue, bool(entry.inode)] for entry in entries}


def by_proc_net():
    entries = procfs_net.sockets("tcp", net="/proc/thread-self/net")
    return {number(entry): entry.age_ms for entry in entries if entry.state == "syn_sent"}


@pytest.fixture(scope="module", params=[None, 0], ids=["as this kernel does", "as older kernels do"])
def looks(request):
    """1,1,1,1,1,2,4 seconds between two SYN since Linux 6.5, and 1,2,4 before."""
    return in_fresh_netns(hang, request.param)


def test_the_age_of_syn_sent(looks):
    for least, _sent, most, found, by_procfs in looks:
        for age in (found["179"][0], by_procfs["179"]):
            assert least * (1 - LATE_SHARE) - LATE <= age <= most + TICK


def test_the_age_of_close_wait(looks):
    for least, _sent, most, found, _by_procfs in looks:
        for port in (NEVER_READ, NOTHING_UNREAD, LEAKED, NEVER_ACCEPTED, OTHERS_KEEPALIVE):
            assert least - TICK <= found[str(port)][0] <= most + TICK


def test_close_wait_is_as_old_as_the_last_answer_of_the_other_end(looks):
    # So an age is "at least": one that is kept alive, or sends, is heard of again and again.
    for _least, sent, _most, found, _by_procfs in looks:
        assert found[str(STILL_SENDING)][0] <= sent + TICK
    assert max(found[str(KEPT_ALIVE)][0] for *_times, found, _by_procfs in looks) < looks[-1][0] / 2


def test_what_keeps_close_wait_is_in_its_queue(looks):
    for *_times, found, _by_procfs in looks:
        queues = {int(port): told[1:] for port, told in found.items()}
        assert queues[NEVER_READ] == [UNREAD + 1, True]
        assert queues[NOTHING_UNREAD] == queues[STILL_SENDING] == [1, True]
        assert queues[LEAKED] == [0, True]
        assert queues[NEVER_ACCEPTED] == [1, False]
