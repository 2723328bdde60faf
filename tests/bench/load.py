# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tens of thousands of established sockets, both ends on this machine, in a network namespace of their own.

    with Load(92_000):
        subprocess.run(["ss", "-tan"])

Inside the block this process, and what it starts, is in that namespace. The namespace has no name: it ends with the
workers, and they end with their standard input, so nothing is left behind even when this process is killed.

Each worker holds both ends of its connections and is one of three services that a node may run: an IPv4 ingress to which
every client comes from an address of its own, a program that listens on both families as Go's do, so that its peers are
IPv4-mapped, and an IPv6 service. The workers, their listeners and their half-closed connections are the same under every load.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# Open files are limited to 20,000 a process where this was written: enough workers for 110,000 sockets.
_WORKERS = 6
_PORTS = range(8000, 8020)
# The addresses that the clients of a service have in common, unless each has one of its own.
_SHARED_SOURCES = 250
# Connections of each worker beyond those asked for, closed at the client's end alone: CLOSE-WAIT here, FIN-WAIT-2 there.
_HALF_CLOSED = 50
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h: the port is drawn by connect(), from all that this destination leaves


class Load:
    """``sockets`` established sockets (an even number: each end of a connection is one) and a few half-closed ones."""

    def __init__(self, sockets: int) -> None:
        self.sockets = sockets
        self._home = -1
        self._workers: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Load:
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _call("unshare", _CLONE_NEWNET)
        try:
            _ip("link", "set", "lo", "up")
            # As 127.0.0.0/8 for IPv4: every address of this net is ours, without being set one by one.
            _ip("-6", "route", "add", "local", "fd00::/16", "dev", "lo")
            Path("/proc/sys/net/ipv6/ip_nonlocal_bind").write_text("1", "ascii")
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        _call("setns", self._home, _CLONE_NEWNET)
        os.close(self._home)
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.communicate()

    def _start(self) -> None:
        connections = self.sockets // 2
        for number in range(_WORKERS):
            share = (number + 1) * connections // _WORKERS - number * connections // _WORKERS
            command = [sys.executable, __file__, str(number), str(share)]
            self._workers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        for worker in self._workers:
            if worker.stdout is None or worker.stdout.readline() != "ready\n":
                raise RuntimeError("a worker of the load could not open its sockets")


def _call(name: str, *arguments: int) -> None:
    # Python has os.unshare and os.setns since 3.12.
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, stdin=subprocess.DEVNULL)


def _listener(number: int, port: int) -> socket.socket:
    if number % 3 == 0:
        return socket.create_server(("0.0.0.0", port), backlog=128)
    return socket.create_server(("::", port), family=socket.AF_INET6, backlog=128, dualstack_ipv6=number % 3 == 1)


def _ends(number: int, count: int) -> tuple[socket.AddressFamily, str, str]:
    """Family, the client's address and the server's address of connection ``count`` of worker ``number``."""
    if number % 3 == 0:
        return socket.AF_INET, f"127.{128 + number}.{count >> 8}.{count & 255}", f"127.1.{number}.1"
    shared = count % _SHARED_SOURCES + 1
    if number % 3 == 1:
        return socket.AF_INET, f"127.2.{number}.{shared}", f"127.1.{number}.1"
    return socket.AF_INET6, f"fd00:2::{number:x}:{shared:x}", f"fd00:1::{number:x}"


def _connected(number: int, count: int, listeners: Sequence[socket.socket]) -> tuple[socket.socket, socket.socket]:
    """Connection ``count`` of worker ``number``: the client's end and the server's."""
    family, source, destination = _ends(number, count)
    listener = listeners[count % len(listeners)]
    client = socket.socket(family)
    client.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    client.bind((source, 0))
    client.connect((destination, listener.getsockname()[1]))
    return client, listener.accept()[0]


def main() -> None:
    """Be worker ``number`` with so many connections: open them, say so, and hold them until standard input ends."""
    number, connections = map(int, sys.argv[1:])
    # Wildcard addresses are shared by all workers, so each has ports of its own.
    listeners = [_listener(number, port + number * len(_PORTS)) for port in _PORTS]
    pairs = [_connected(number, count, listeners) for count in range(1, connections + _HALF_CLOSED + 1)]
    for client, _server in pairs[connections:]:
        client.shutdown(socket.SHUT_WR)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
