# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes hold which sockets: one pass over /proc/*/fd, shared by all that ask."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline


class SocketHolders:
    """``look``, or ``look_for`` some sockets, then ask ``pids`` or ``first``.

    ``first`` has the holder with the lowest pid by inode. ``refused`` are processes whose open files could not be seen,
    ``open_files`` are the descriptors by pid, and ``timed_out`` says that the last pass was not finished.
    """

    def __init__(self, deadline: Deadline, proc: str = "/proc") -> None:
        self.first: dict[int, int] = {}
        self.refused: set[int] = set()
        self.timed_out = False
        self.open_files: dict[int, int] = {}
        self._deadline = deadline
        self._proc = proc
        # A node may have a hundred thousand sockets, nearly all with one holder: a list for each would double the memory.
        self._others: dict[int, list[int]] = {}
        self._looked_for: set[int] = set()

    def look_for(self, inodes: Iterable[int]) -> None:
        """Make sure that the holders of these sockets are known, where they can be: a pass, if one has not been seen yet."""
        new = {inode for inode in inodes if inode not in self.first and inode not in self._looked_for}
        if new:
            self._looked_for |= new
            self.look()

    def pids(self, inode: int) -> list[int]:
        """The processes that hold a socket, in ascending order; none when nobody was seen to."""
        return [self.first[inode], *self._others.get(inode, ())] if inode in self.first else []

    def look(self, inodes: Iterable[int] = ()) -> None:
        """Make a pass over the open files of all processes; none will be made again for ``inodes``, sockets that are there already."""
        self._looked_for.update(inodes)
        self.first, self._others, self.open_files = {}, {}, {}
        self.refused = set()
        for pid in procfs.pids(self._proc):
            self.timed_out = self._deadline.passed()
            if self.timed_out:
                return
            try:
                self._read(pid)
            except PermissionError:
                self.refused.add(pid)
            except OSError:  # the process ended under our eyes
                continue

    def _read(self, pid: int) -> None:
        """Raises PermissionError also where the files are listed and not shown: for root without CAP_SYS_PTRACE."""
        folder = os.open(f"{self._proc}/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            names = os.listdir(folder)
            self.open_files[pid] = len(names)
            for name in names:
                try:
                    target = os.readlink(name, dir_fd=folder)
                except FileNotFoundError:  # closed under our eyes
                    continue
                if target.startswith("socket:["):
                    inode = int(target[8:-1])
                    if self.first.setdefault(inode, pid) != pid:
                        others = self._others.setdefault(inode, [])
                        if pid not in others[-1:]:  # one process may hold a socket by several descriptors
                            others.append(pid)
        finally:
            os.close(folder)
