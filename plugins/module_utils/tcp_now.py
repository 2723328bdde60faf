# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on this node right now, and who holds connections that their other end has closed: what a fix looks at again before it acts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    attribution,
    net_namespaces,
    netlink,
    procfs,
    tcp_reader,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.net_namespaces import Namespace
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders


class Owner(NamedTuple):
    """A program in a unit of systemd, or in a pod; None for the one that it is not in."""

    program: str
    unit: Optional[str]
    pod_uid: Optional[str]

    @property
    def words(self) -> str:
        """kubelet of kubelet.service, kube-apiserver of the pod 0123…."""
        return f"{self.program} of {self.unit or f'the pod {self.pod_uid}'}"

    def is_(self, process: dict[str, Any]) -> bool:
        """Whether a process, as procfs.describe tells it, is of this program there."""
        if process["name"] != self.program or process["pod_uid"] != self.pod_uid:
            return False
        return self.unit is None or (process["unit"] == self.unit and process["container_id"] is None)


class TcpNow:
    """One look at this network namespace. Raises tcp_reader.ReaderError when no backend answers."""

    def __init__(self, deadline: Deadline, proc: str = "/proc") -> None:
        self._proc = proc
        self._known: dict[int, dict[str, Any]] = {}
        self.listeners, stuck = _look(net_namespaces.OWN._replace(proc=proc))
        self.close_wait = [entry for entry in stuck if entry.state == "close_wait"]
        self._holders = SocketHolders(deadline, proc)
        self._holders.look(entry.inode for entry in (*self.listeners, *self.close_wait) if entry.inode)

    def processes(self, entry: Entry) -> list[dict[str, Any]]:
        """The processes that hold a socket (procfs.describe); none where none was seen."""
        return [self._describe(pid) for pid in self._holders.pids(entry.inode or 0)]

    def owned(self, entries: Iterable[Entry], owner: Owner) -> list[Entry]:
        """Those of them that the owner holds."""
        return [entry for entry in entries if any(map(owner.is_, self.processes(entry)))]

    def pids(self, entries: Iterable[Entry], owner: Owner) -> set[int]:
        """The owner's processes that hold them."""
        return {process["pid"] for entry in entries for process in self.processes(entry) if owner.is_(process)}

    def unseen(self, entries: Iterable[Entry]) -> str:
        """Why it could not be seen who holds some of them; empty where all that somebody holds are known."""
        count = sum(1 for entry in entries if entry.inode and not self._holders.pids(entry.inode))
        gaps = attribution.missing(count, self._holders, self._proc)
        return gaps[0]["why"] if gaps else ""

    def _describe(self, pid: int) -> dict[str, Any]:
        if pid not in self._known:
            self._known[pid] = procfs.describe(pid, self._proc)
        return self._known[pid]


def _look(namespace: Namespace) -> tuple[list[Entry], list[Entry]]:
    refusals = []
    for backend in tcp_reader.BACKENDS:
        try:
            return tcp_reader.first_look(namespace, backend)
        except (OSError, ValueError, netlink.NetlinkError) as error:
            refusals.append(f"{backend}: {error}")
    raise tcp_reader.ReaderError("; ".join(refusals))
