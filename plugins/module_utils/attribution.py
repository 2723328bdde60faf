# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names the processes behind sockets, in one pass over /proc, and says which it could not see."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import cgroup, procfs, rights
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders

# A forking server shares its listener with every worker; a few names tell the story.
_PROCESSES_LIMIT = 20


class Owners:
    """Who holds each of ``entries``: ``processes(entry)``, ``cgroup(entry)`` and what stayed unseen in ``missing``."""

    def __init__(self, entries: Sequence[Entry], holders: SocketHolders, proc: str = "/proc") -> None:
        self._described: dict[int, dict[str, Any]] = {}
        self._proc = proc
        self._holders = holders
        holders.look_for(entry.inode for entry in entries if entry.inode)
        unseen = [entry for entry in entries if self._held_unseen(entry)]
        self._cgroups = cgroup.paths_by_id(entry.cgroup_id for entry in unseen if entry.cgroup_id)
        self.missing = missing(len(unseen), holders, proc)

    def processes(self, entry: Entry) -> list[dict[str, Any]]:
        """The processes that hold a socket, ``[{pid, name, unit, container_id, pod_uid}]``; empty when none was seen."""
        pids = (entry.pid,) if entry.pid else self._holders.pids(entry.inode or 0)
        return [self._describe(pid) for pid in pids[:_PROCESSES_LIMIT]]

    def hidden(self, entry: Entry) -> bool:
        """True when a process holds the socket and could not be seen."""
        return bool(self.missing) and self._held_unseen(entry)

    def cgroup(self, entry: Entry) -> Optional[str]:
        """The cgroup v2 path of a socket whose process was not seen: it still names the unit or pod."""
        return self._cgroups.get(entry.cgroup_id) if entry.cgroup_id else None

    def _held_unseen(self, entry: Entry) -> bool:
        if entry.inode is None:
            return entry.pid is None and entry.state != "time_wait"
        return entry.inode > 0 and not self._holders.pids(entry.inode)

    def _describe(self, pid: int) -> dict[str, Any]:
        if pid not in self._described:
            self._described[pid] = procfs.describe(pid, self._proc)
        return self._described[pid]


def missing(unseen: int, holders: SocketHolders, proc: str = "/proc") -> list[dict[str, str]]:
    """Why ``unseen`` sockets have no visible process, as ``[{what, why}]``; empty when they truly have none."""
    # Root in the host's pid namespace sees every process, so a socket without one then belongs to the kernel.
    if not unseen:
        return []
    if holders.timed_out:
        why = "the time budget ended before all processes were looked at: raise budget_seconds"
    elif holders.refused:
        why = f"the open files of {len(holders.refused)} processes could not be read: {procfs.cure_for_refused()}"
    elif os.geteuid() != 0 and not rights.has(rights.TRACE):  # hidepid then shows no process of others at all
        why = "processes of other users need root to be seen: run with become (-b)"
    elif procfs.in_host_pid_namespace(proc) is False:
        why = "this is a container with its own pid namespace: run on the host"
    else:
        return []
    sockets = "1 socket has" if unseen == 1 else f"{unseen} sockets have"
    return [{"what": "processes", "why": f"{sockets} no visible process; {why}"}]
