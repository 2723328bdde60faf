# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real TCP connections of this process in every state that TCP has, and what ss says of them."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
from collections import Counter
from pathlib import Path

from ansible_collections.kubenode.doctor.tests.integration_real.fresh_netns import in_fresh_netns
from ansible_collections.kubenode.doctor.tests.integration_real.real_process import LIBC, answer_of

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
# Version 2 alone, version 2 beside version 1, and version 1 alone
CGROUP_TOPS = [Path("/sys/fs/cgroup") / name for name in ("", "unified", "systemd", "pids")]
UNREAD = b"0123456789"
STATES = {
    "ESTAB": "established",
    "SYN-SENT": "syn_sent",
    "SYN-RECV": "syn_recv",
    "FIN-WAIT-1": "fin_wait1",
    "FIN-WAIT-2": "fin_wait2",
    "TIME-WAIT": "time_wait",
    "CLOSE-WAIT": "close_wait",
    "LAST-ACK": "last_ack",
    "LISTEN": "listen",
    "CLOSING": "closing",
}


def alone(action):
    """What ``action()`` returns (JSON types) where it sees no process, mount or network but its own."""

    def inside():
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True)
        return action()

    def fork_inside():
        assert LIBC.unshare(CLONE_NEWNS | CLONE_NEWPID) == 0
        return answer_of(inside)  # the first child is process 1 there: with it, everything ends

    return in_fresh_netns(fork_inside)


@contextlib.contextmanager
def cgroup(path):
    """A cgroup of this path, whatever the version; yields the file that takes the pids of its members."""
    (top, *_less) = [folder for folder in CGROUP_TOPS if (folder / "cgroup.procs").exists()]
    made = [top.joinpath(*path.split("/")[:depth]) for depth in range(1, path.count("/") + 2)]
    for folder in made:
        folder.mkdir()
    try:
        yield made[-1] / "cgroup.procs"
    finally:
        for folder in reversed(made):
            folder.rmdir()


def listening(address, port, backlog=128, v6only=False):
    """A listener."""
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    if ":" in address:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
    made.bind((address, port))
    made.listen(backlog)
    return made


def dialled(address, port):
    """A client that does not wait for its answer."""
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    made.setblocking(False)
    made.connect_ex((address, port))
    return made


class Maker:
    """Makes connections to one listener of this process; ``kept`` holds what must not be closed."""

    def __init__(self, listener, address):
        self.listener = listener
        self.place = (address, listener.getsockname()[1])
        self.kept = []

    def pair(self):
        """``(client, server)``, established."""
        client = socket.socket(socket.AF_INET6 if ":" in self.place[0] else socket.AF_INET)
        client.connect(self.place)
        self.kept += [client, self.listener.accept()[0]]
        return self.kept[-2:]

    def established(self):
        self.pair()

    def never_read(self):
        """CLOSE-WAIT of a client that does not read, UNREAD for instance, and FIN-WAIT-2 of a server that has gone."""
        _client, server = self.pair()
        server.sendall(UNREAD)
        server.close()

    def leaked(self):
        """CLOSE-WAIT of a client that has read to the end, and FIN-WAIT-2 of a server that has gone."""
        client, server = self.pair()
        server.close()
        assert client.recv(1) == b""

    def half_closed(self):
        """FIN-WAIT-2 of a client that still reads, and CLOSE-WAIT of a server that does not."""
        client, _server = self.pair()
        client.shutdown(socket.SHUT_WR)

    def fin_wait1(self):
        """A client that has gone, whose FIN waits behind data that an established server does not read."""
        client, _server = self.pair()
        _fill(client)
        client.close()

    def closing(self):
        """The same, and a server that has ended its direction too: FIN-WAIT-2."""
        client, server = self.pair()
        _fill(client)
        client.close()
        server.shutdown(socket.SHUT_WR)

    def last_ack(self):
        """A server that has gone second, whose FIN waits behind data; its client is in FIN-WAIT-2."""
        client, server = self.pair()
        _fill(server)
        client.shutdown(socket.SHUT_WR)
        server.close()

    def time_wait(self):
        """A client that has ended the connection first."""
        client, server = self.pair()
        client.close()
        server.close()


def _fill(sender):
    sender.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            sender.send(bytes(1 << 16))


# ESTAB 0 0 [::ffff:127.0.0.1]:7002 [::ffff:127.0.0.1]:40112 users:(("maker",pid=7,fd=5))
def ss(*prefix):
    """What ``ss -tanp`` says: ``[{state, recv_q, address, port, peer, peer_port, process}]``; ``prefix`` runs it elsewhere."""
    printed = subprocess.run([*prefix, "ss", "-Htanp"], check=True, capture_output=True, text=True).stdout
    rows = []
    for line in printed.splitlines():
        words = line.split()
        address, port = _place(words[3])
        peer, peer_port = _place(words[4])
        users = re.search(r'users:\(\("([^"]*)"', line)
        rows.append(
            {
                "state": STATES[words[0]],
                "queues": [int(words[1]), int(words[2])],
                "address": address,
                "port": port,
                "peer": peer,
                "peer_port": peer_port,
                "process": users and users.group(1),
            }
        )
    return rows


def _place(text):
    address, _colon, port = text.rpartition(":")
    plain = address.strip("[]")
    return plain.removeprefix("::ffff:") if "." in plain else plain, None if port == "*" else int(port)


def states(rows):
    """How many rows are in each state, all ten of them."""
    counts = Counter(row["state"] for row in rows)
    return {state: counts[state] for state in STATES.values()}


def groups(rows):
    """``{(state, process, local port or None, peer port or None): {peer: count}}`` of all rows, as tcp_states groups them."""
    listeners = {row["port"]: row["process"] for row in rows if row["state"] == "listen"}
    found = {}
    for row in rows:
        if row["state"] == "listen":
            continue
        came_in = row["port"] in listeners and row["state"] != "syn_sent"
        process = row["process"]
        if process is None and came_in and row["state"] in ("close_wait", "established"):
            process = listeners[row["port"]]  # never accepted
        key = (row["state"], process, *((row["port"], None) if came_in else (None, row["peer_port"])))
        found.setdefault(key, Counter())[row["peer"]] += 1
    return found


def groups_of(section, netns="host"):
    """What the section tcp_states says of one network namespace, in the same shape."""
    return {
        (group["state"], group["process"], group["local_port"], group["peer_port"]): Counter(
            {peer["address"]: peer["count"] for peer in group["top_peers"]}
        )
        for group in section["groups"]
        if group["netns"] == netns
    }
