# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel tells of one process: the program that it runs, since when, and who started it.

/proc/PID/exe is a link to the file that runs, even one that was removed, and its text the path (proc_pid_exe(5), proc_pid_stat(5))::

    /usr/bin/containerd                 the file that runs is the one that has this path
    /usr/bin/containerd (deleted)       it was removed, or another one was put in its place, as an update does
    /memfd:runc_cloned:… (deleted)      it never had a path: made in memory, memfd_create(2)

Neither arguments nor environment are read.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import NamedTuple, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs

_DELETED = " (deleted)"
_IN_MEMORY = "/memfd:"
# Of procfs.stat_fields.
_STATE, _PARENT, _START = 0, 1, 19
_DEAD = frozenset("ZXx")
# /proc/stat has a line for each CPU and a number for each interrupt: 100 KiB and more on big machines.
_STAT_LIMIT = 1 << 20
_GONE = "the process ended while it was looked at: try again"


class Parent(NamedTuple):
    """Who started a process, or took it over when that one ended; ``name`` is None where it is hidden."""

    pid: int
    name: Optional[str]


class UnseenError(Exception):
    """Nothing can be told of a process: it has ended, or is hidden. The message says what to do."""


class Facts(NamedTuple):
    """Parts that could not be seen are None and told in ``missing``, ``[{what, why}]``.

    ``exe`` is the path as the process itself sees it, in a container that of the container. ``replaced`` says that another file has
    that path now, or none. ``started`` is in UTC, by this machine's clock: a second more or less when that is adjusted. There is no
    ``parent`` of a process that has none here: the first one of a pid namespace.
    """

    exe: Optional[str]
    replaced: Optional[bool]
    started: Optional[str]
    parent: Optional[Parent]
    missing: list[dict[str, str]]


class _Stat(NamedTuple):
    dead: bool
    parent: int
    ticks: int


def read(pid: int, proc: str = "/proc") -> Facts:
    """What is known of a process. Raises UnseenError, also when it ends meanwhile: its number may then be another's."""
    missing: list[dict[str, str]] = []
    stat = _stat(pid, proc)
    exe, replaced = _program(pid, proc, missing)
    facts = Facts(exe, replaced, _started(stat.ticks, proc, missing), _parent(stat.parent, proc), missing)
    if stat.dead or _stat(pid, proc).ticks != stat.ticks:
        raise UnseenError(_GONE)
    return facts


def is_file(pid: int, path: str, proc: str = "/proc") -> bool:
    """Whether what a process runs is the file that has this path here; False also where that cannot be seen."""
    try:
        return os.path.samestat(os.stat(f"{proc}/{pid}/exe"), os.stat(path))
    except (OSError, ValueError):
        return False


def _stat(pid: int, proc: str) -> _Stat:
    """Raises UnseenError."""
    try:
        fields = procfs.stat_fields(f"{proc}/{pid}/stat")
        return _Stat(fields[_STATE] in _DEAD, int(fields[_PARENT]), int(fields[_START]))
    except PermissionError:
        raise UnseenError(f"{proc}/{pid}/stat may not be read: {procfs.cure_for_refused()}") from None
    except (OSError, ValueError, IndexError):
        raise UnseenError(_GONE) from None


def _program(pid: int, proc: str, missing: list[dict[str, str]]) -> Tuple[Optional[str], Optional[bool]]:
    """The path, and whether something else has it now."""
    try:
        link = os.readlink(f"{proc}/{pid}/exe")
    except OSError as error:
        why = (
            f"it may not be seen which program runs: {procfs.cure_for_refused()}"
            if isinstance(error, PermissionError)
            else "it runs no program: it is a part of the kernel, or is about to end"
        )
        missing.append({"what": "program", "why": why})
        return None, None
    # By its own root, or by ours: it may have opened the program before it entered a container.
    if any(is_file(pid, place, proc) for place in (f"{proc}/{pid}/root{link}", link)):
        return _shown(link), False
    if link.endswith(_DELETED):
        path = link[: -len(_DELETED)]
        return _shown(path), None if path.startswith(_IN_MEMORY) else True
    why = f"whether {_shown(link)} is still the file that runs cannot be seen: run with become (-b) and outside of a container"
    missing.append({"what": "program", "why": why})
    return _shown(link), None


def _shown(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "replace")


def _started(ticks: int, proc: str, missing: list[dict[str, str]]) -> Optional[str]:
    try:
        lines = procfs.text(f"{proc}/stat", _STAT_LIMIT).splitlines()
        booted = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
        seconds = booted + ticks // os.sysconf("SC_CLK_TCK")
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
    except (OSError, ValueError, IndexError, OverflowError, StopIteration):
        why = f"{proc}/stat does not tell when this machine was started (btime)"
        missing.append({"what": "start", "why": why})
        return None


def _parent(pid: int, proc: str) -> Optional[Parent]:
    return Parent(pid, procfs.comm(pid, proc)) if pid > 0 else None
