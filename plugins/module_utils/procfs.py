# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of this node: who holds which socket, and which Kubernetes components run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import cgroup, rights

# The initial pid namespace has this inode since Linux 3.8 (PROC_PID_INIT_INO, include/linux/proc_ns.h).
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"
_TEXT_LIMIT = 65536


def text(path: str, limit: int = _TEXT_LIMIT) -> str:
    """Read at most ``limit`` bytes of a small file as text, whatever bytes it holds. Raises OSError."""
    with open(path, "rb") as file:
        return file.read(limit).decode("utf-8", "replace")


def pids(proc: str = "/proc") -> Iterator[int]:
    """Yield the process ids that ``proc`` shows, in ascending order."""
    yield from sorted(int(name) for name in os.listdir(proc) if name.isdigit())


def unreadable(proc: str = "/proc") -> int:
    """How many processes are listed and refuse to tell even their name, which anybody may read without hidepid=1."""
    count = 0
    for pid in pids(proc):
        try:
            text(f"{proc}/{pid}/comm", 1)
        except PermissionError:
            count += 1
        except OSError:  # the process ended under our eyes
            continue
    return count


def comm(pid: int, proc: str = "/proc") -> Optional[str]:
    """The kernel's name of a process (at most 15 bytes), None when it is gone or hidden."""
    try:
        return text(f"{proc}/{pid}/comm").rstrip("\n")
    except OSError:
        return None


def stat_fields(path: str) -> list[str]:
    """The fields of a stat file of /proc behind the name, which may hold anything, ")" too: 0 is the state, 19 the start (proc_pid_stat(5)).

    Raises OSError.
    """
    return text(path).rpartition(")")[2].split()


def cure_for_refused() -> str:
    """What to do when the open files and namespaces of some processes could not be read (ptrace(2), access mode checking)."""
    return rights.cure(rights.TRACE, rights.READ_FILES)  # what the files are, and that they are listed


def why_hidden(unreadable: int, proc: str = "/proc") -> str:
    """Why some processes cannot be named, given how many refused to be read; empty when all can.

    Documentation/filesystems/proc.rst: hidepid=1 refuses the files of others' processes, hidepid=2 shows none of them.
    """
    if not os.path.exists(f"{proc}/1"):
        return "/proc is mounted with hidepid and shows no processes of others: run with become (-b)"
    return f"{unreadable} processes are hidden (hidepid): run with become (-b)" if unreadable else ""


def describe(pid: int, proc: str = "/proc") -> dict[str, Any]:
    """Return ``{pid, name, unit, container_id, pod_uid}``; parts that cannot be seen are None."""
    try:
        whose = cgroup.owner(cgroup.path_of(text(f"{proc}/{pid}/cgroup")))
    except OSError:
        whose = cgroup.Owner(None, None, None)
    return {
        "pid": pid,
        "name": comm(pid, proc),
        "unit": whose.unit,
        "container_id": whose.container_id,
        "pod_uid": whose.pod_uid,
    }


def in_host_pid_namespace(proc: str = "/proc") -> Optional[bool]:
    """False inside a container with its own pid namespace, where other processes are invisible; None when unknown."""
    try:
        return os.readlink(f"{proc}/self/ns/pid") == _INITIAL_PID_NAMESPACE
    except OSError:
        return None


def same_network_namespace(pid: int, proc: str = "/proc") -> Optional[bool]:
    """Whether a process shares this one's network namespace; None when that cannot be seen (needs root)."""
    try:
        return os.stat(f"{proc}/{pid}/ns/net").st_ino == os.stat(f"{proc}/self/ns/net").st_ino
    except OSError:
        return None
