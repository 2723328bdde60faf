# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the TCP sockets of a node are, however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import attribution, procfs, tcp_limits, tcp_reader
from ansible_collections.kubenode.doctor.plugins.module_utils.attribution import Owners
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_reader import COUNTED, Reading

_PROCESSES_LIMIT = 30
_CLOSED_LIMIT = (
    1000  # so many sockets may be closed under our eyes; more are hidden, and looking again would cost too much
)
_INTERESTING_FILES = 64  # a process with fewer open files is far from any limit (the least usual one is 1024)


class Who:
    """Names of processes for many sockets, everything about the owners of listeners, and what stayed unseen in ``missing``.

    Without ``holders`` nobody is looked for.
    """

    def __init__(self, readings: Iterable[Reading], holders: Optional[SocketHolders], proc: str = "/proc") -> None:
        self._names: dict[int, Optional[str]] = {0: None}
        self._holders = holders
        self._proc = proc
        self.missing: list[dict[str, str]] = []
        self.owners: Optional[Owners] = None
        if holders is None:
            return
        holders.look(entry.inode for reading in readings for entry in reading.listeners if entry.inode)
        unseen = {inode for reading in readings for inode in _inodes(reading) if inode not in holders.first}
        if len(unseen) <= _CLOSED_LIMIT and attribution.missing(len(unseen), holders, proc):
            unseen &= _still_there(readings)
        self.missing = attribution.missing(len(unseen), holders, proc)
        self.owners = Owners([entry for reading in readings for entry in reading.listeners], holders, proc)

    def pid(self, inode: Optional[int]) -> int:
        """The process that holds a socket, 0 when none was seen to."""
        return self._holders.first.get(inode, 0) if self._holders and inode else 0

    @property
    def holders(self) -> Optional[dict[int, int]]:
        """The process that holds a socket, by inode; None when nobody looked."""
        return self._holders.first if self._holders else None

    def name(self, pid: int) -> Optional[str]:
        """A process's name; None for 0 and for one that is gone."""
        if pid not in self._names:
            self._names[pid] = procfs.comm(pid, self._proc)
        return self._names[pid]

    def files(self) -> Optional[list[dict[str, Any]]]:
        """The processes with many open files, ``[{pid, name, open, limit}]``, nearest to their limit first; None when nobody looked."""
        if self._holders is None:
            return None
        found: list[dict[str, Any]] = [
            {"pid": pid, "name": self.name(pid), "open": count, "limit": tcp_limits.open_file_limit(pid, self._proc)}
            for pid, count in self._holders.open_files.items()
            if count >= _INTERESTING_FILES
        ]
        return sorted(found, key=lambda one: -one["open"] / (one["limit"] or float("inf")))[:_PROCESSES_LIMIT]


def _still_there(readings: Iterable[Reading]) -> set[int]:
    """The inodes of now: a socket that was closed before its holder was looked for is no hidden one."""
    found: set[int] = set()
    for reading in readings:
        try:
            found.update(_inodes(tcp_reader.read(reading.namespace, reading.backend)))
        except tcp_reader.ReaderError:  # then nobody knows, and all of them count
            found.update(_inodes(reading))
    return found


def _inodes(reading: Reading) -> Iterator[int]:
    """The inodes of sockets that some process holds."""
    yield from (entry.inode for entry in (*reading.listeners, *reading.stuck) if entry.inode)
    yield from filter(None, reading.tally.inodes(COUNTED))
