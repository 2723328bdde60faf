# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which network namespace processes are, without entering any, and whether it is ours.

/proc/PID/ns/net tells, to those who may trace the process (ptrace(2)). Anybody may stat /proc/PID/net/dev, and each namespace has
files of its own there: proc_net_ns_init makes a folder for each and dev_proc_net_init a file in it, whose inode number
proc_alloc_inum gives to nothing else while it lasts (Linux fs/proc/proc_net.c, net/core/net-procfs.c, fs/proc/generic.c). So equal
numbers are one namespace and different ones are two, whatever is in the files.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Optional

_NAMESPACE, _TABLE = "ns/net", "net/dev"


class Network(NamedTuple):
    """A network namespace by the inode number of one of the two files above; only numbers of the same file are compared."""

    file: str
    inode: int

    @property
    def name(self) -> Optional[str]:
        """The inode of the namespace as text, None where only its tables were seen."""
        return str(self.inode) if self.file == _NAMESPACE else None


class Networks:
    """``proc``'s processes by network namespace."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._own = {_find(proc, "self", file) for file in (_NAMESPACE, _TABLE)} - {None}
        self._init = {_find(proc, "1", file) for file in (_NAMESPACE, _TABLE)} - {None}

    def is_own(self, network: Network) -> bool:
        """Whether it is the one that we are in."""
        return network in self._own

    def is_hosts(self, network: Network) -> bool:
        """Whether it is the host's: ours, or that of process 1, which is another one when we run in a container with hostPID alone."""
        return network in self._own or network in self._init

    def of(self, pids: Sequence[int]) -> dict[int, Network]:
        """The namespace of each process, all by the same file; those that have ended, or hide, are left out."""
        found = self._by(_NAMESPACE, pids)
        return found if found is not None else self._by(_TABLE, pids) or {}

    def is_still(self, pid: int, network: Network) -> bool:
        """Whether a process is there, and in this namespace: what was read through it in between, was read of it."""
        return _find(self._proc, pid, network.file) == network

    def _by(self, file: str, pids: Iterable[int]) -> Optional[dict[int, Network]]:
        """None when the file of one of them may not be seen."""
        found = {}
        for pid in pids:
            try:
                number = os.stat(f"{self._proc}/{pid}/{file}").st_ino
            except PermissionError:
                return None
            except OSError:
                continue
            found[pid] = Network(file, number)
        return found


def main_network(networks: dict[int, Network], oldest: Iterable[int], sandbox: Iterable[int]) -> Optional[Network]:
    """The network of a pod whose processes are in several: the sandbox's, or that of most containers' first processes.

    ``oldest`` are the first processes of the pod's containers, ``sandbox`` those of its sandbox. None when none is known.
    """
    for pid in sandbox:
        if pid in networks:
            return networks[pid]
    votes = Counter(networks[pid] for pid in sorted(oldest) if pid in networks)
    if votes:
        return max(votes, key=lambda network: votes[network])  # of equally many, the one that was counted first
    return networks[min(networks)] if networks else None


def _find(proc: str, pid: object, file: str) -> Optional[Network]:
    try:
        return Network(file, os.stat(f"{proc}/{pid}/{file}").st_ino)
    except OSError:
        return None
