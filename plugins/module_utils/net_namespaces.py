# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network namespaces of a node, and netlink sockets inside them.

A netlink socket stays in the namespace in which it was opened. So a thread of its own enters the namespace, opens it and ends,
and this process never leaves its namespace.
"""

from __future__ import annotations

import os
import socket
import threading
from typing import Callable, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import cgroup, netlink, procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

HOST = "host"
_CLONE_NEWNET = 0x40000000  # include/uapi/linux/sched.h


class Namespace(NamedTuple):
    """A network namespace: its inode as text ("host" for the one we are in), a process in it, whose it is, and the /proc that shows it."""

    name: str
    pid: Optional[int]
    container_id: Optional[str]
    pod_uid: Optional[str]
    proc: str = "/proc"

    @property
    def net(self) -> str:
        """The folder that shows its tables."""
        return f"{self.proc}/net" if self.pid is None else f"{self.proc}/{self.pid}/net"

    def connect(self, protocol: int) -> socket.socket:
        """Open a netlink socket inside. Raises netlink.NetlinkError."""
        return self.open(lambda: netlink.connect(protocol))

    def open(self, make: Callable[[], socket.socket]) -> socket.socket:
        """Let ``make`` open any socket inside. Raises netlink.NetlinkError."""
        return make() if self.pid is None else _open_inside(self.pid, self.proc, make)


OWN = Namespace(HOST, None, None, None)


def others(deadline: Deadline, proc: str = "/proc") -> tuple[list[Namespace], list[dict[str, str]]]:
    """The namespaces besides our own, each with its process of the lowest pid, and what stayed unseen (``{what, why}``)."""
    own = os.stat(f"{proc}/self/ns/net").st_ino
    found: dict[int, Namespace] = {}
    hidden = 0
    for pid in procfs.pids(proc):
        if deadline.passed():
            return list(found.values()), [
                {"what": "network namespaces", "why": "the time budget ended: raise budget_seconds"}
            ]
        try:
            number = os.stat(f"{proc}/{pid}/ns/net").st_ino
        except PermissionError:
            hidden += 1
            continue
        except OSError:  # the process ended under our eyes
            continue
        if number != own and number not in found:
            found[number] = _namespace(number, pid, proc)
    why = _why_unseen(hidden, proc)
    return list(found.values()), [{"what": "network namespaces", "why": why}] if why else []


def _why_unseen(hidden: int, proc: str) -> str:
    """Why there may be more namespaces than were found; empty when all processes were seen, ``hidden`` of them without theirs."""
    if hidden:
        return f"those of {hidden} processes could not be seen: {procfs.cure_for_refused()}"
    if procfs.in_host_pid_namespace(proc) is False:
        return "this is a container with its own pid namespace: run on the host"
    return procfs.why_hidden(0, proc)


def _namespace(number: int, pid: int, proc: str) -> Namespace:
    try:
        whose = cgroup.owner(cgroup.path_of(procfs.text(f"{proc}/{pid}/cgroup")))
    except OSError:
        whose = cgroup.Owner(None, None, None)
    return Namespace(str(number), pid, whose.container_id, whose.pod_uid)


def _open_inside(pid: int, proc: str, make: Callable[[], socket.socket]) -> socket.socket:
    opened: list[socket.socket] = []
    failed: list[Exception] = []

    def enter() -> None:
        try:
            _set_namespace(pid, proc)
            opened.append(make())
        except Exception as error:  # whatever it is, the caller goes on without sock_diag
            failed.append(error)

    thread = threading.Thread(target=enter)
    try:
        thread.start()
        thread.join()
    except RuntimeError as error:  # no room for another thread on this machine
        failed.append(error)
    if failed:
        number = getattr(failed[0], "errno", 0) or 0
        raise netlink.NetlinkError(f"the network namespace of process {pid} could not be entered: {failed[0]}", number)
    return opened[0]


def _set_namespace(pid: int, proc: str) -> None:
    """Move the calling thread; Python has os.setns only since 3.12. Raises OSError, and ImportError without ctypes."""
    import ctypes  # noqa: PLC0415 - Debian's python3-minimal has none, and only this function needs it

    with open(f"{proc}/{pid}/ns/net", "rb") as namespace:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
