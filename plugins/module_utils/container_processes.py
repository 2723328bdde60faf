# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the process that a runtime has noted for a container is there, and still is that container's."""

from __future__ import annotations

from typing import Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs

# Programs (comm, at most 15 bytes) that run containers, or stand over one; where one is visible, so are the containers' processes.
_RUNTIMES = frozenset(
    {
        "containerd",
        "containerd-shim",
        "crio",
        "conmon",
        "conmonrs",
        "k3s",
        "k3s-server",
        "k3s-agent",
        "rke2",
        "k0s",
        "kubelite",
        "microshift",
    }
)


class ContainerProcesses:
    """The processes that ``proc`` shows."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._all_visible: Optional[bool] = None

    def runs(self, pid: object, container_id: str) -> Optional[bool]:
        """Whether process ``pid`` is the container's.

        True when it lies in the container's cgroup, whose name holds the id with every runtime and cgroup driver (see cgroup.py);
        False when there is no such process; None when it lies elsewhere, since the pid may have been given to another one, or
        the container may be a virtual machine, when processes are hidden from us, and for what is no pid.
        """
        if not isinstance(pid, int) or pid < 0:
            return None
        if pid == 0:  # so runtimes write that there is none
            return False
        try:
            groups = procfs.text(f"{self._proc}/{pid}/cgroup")
        except (FileNotFoundError, ProcessLookupError):
            return False if self.sees_all() else None
        except OSError:
            return None
        return True if container_id in groups else None

    def sees_all(self) -> bool:
        """Whether the processes of all containers are among those that ``proc`` shows, hidden ones aside.

        Also in a pid namespace that is not the machine's, where that is a node's own (kind): then a runtime is visible.
        """
        if self._all_visible is None:
            self._all_visible = procfs.in_host_pid_namespace(self._proc) is not False or any(
                procfs.comm(pid, self._proc) in _RUNTIMES for pid in procfs.pids(self._proc)
            )
        return self._all_visible
