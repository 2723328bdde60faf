# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers of this node's CRI runtimes: asked through crictl where that is installed, else read from their files.

What crictl does not tell of a container (when it started and finished, its exit code) is then added from the files.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple, Optional, Union

from ansible_collections.kubenode.doctor.plugins.module_utils import containerd_files, crictl, crio_files
from ansible_collections.kubenode.doctor.plugins.module_utils.container_groups import Times, Told
from ansible_collections.kubenode.doctor.plugins.module_utils.container_processes import ContainerProcesses
from ansible_collections.kubenode.doctor.plugins.module_utils.containerd_files import Containerd
from ansible_collections.kubenode.doctor.plugins.module_utils.crictl import CrictlError, NoCriError
from ansible_collections.kubenode.doctor.plugins.module_utils.crio_files import CriO
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

# Mirantis/cri-dockerd packaging/systemd/cri-docker.socket; k3s --docker (pkg/agent).
_CRI_DOCKERD = ("/run/cri-dockerd.sock", "/run/k3s/cri-dockerd/cri-dockerd.sock")


class Runtime(NamedTuple):
    """One runtime and what it tells. ``method`` is "crictl" or "files", ``endpoint`` its socket as an address."""

    name: str
    version: Optional[str]
    endpoint: str
    method: str
    told: Told


class _CriDockerd:
    """Docker behind its CRI shim, which has no files that tell."""

    name = "docker"

    def __init__(self, socket: str) -> None:
        self.socket = socket

    def read(self, _processes: ContainerProcesses, _deadline: Deadline) -> None:
        """Nothing is to be read."""

    def times(self, _id: str) -> Optional[Times]:
        """Not told either."""
        return None


_Source = Union[Containerd, CriO, _CriDockerd]


def collect(deadline: Deadline, root: str = "/", beside_docker: bool = False) -> list[Runtime]:
    """List the CRI runtimes of this node; ``root`` is the folder that stands for its /.

    ``beside_docker``: Docker's containers are known already. Then cri-dockerd is not asked for the same ones, and a containerd or
    CRI-O that holds nothing of Kubernetes is left out: it is Docker's own.
    """
    sources: list[_Source] = [*containerd_files.here(root)]
    crio = crio_files.here(root)
    if crio is not None:
        sources.append(crio)
    if not beside_docker:
        sources += [_CriDockerd(socket) for socket in _CRI_DOCKERD]
    asking = _Asking(deadline, root)
    runtimes = [runtime for runtime in (asking.runtime(source) for source in sources) if runtime is not None]
    return [one for one in runtimes if not beside_docker or one.told.found or one.told.strangers]


class _Asking:
    """Asks with the crictl of this node, if it has one."""

    def __init__(self, deadline: Deadline, root: str) -> None:
        self._deadline = deadline
        self._root = root
        self._processes = ContainerProcesses(os.path.join(root, "proc"))
        folders = [os.path.join(root, folder.lstrip("/")) for folder in crictl.FOLDERS]
        self._program = crictl.find(folders, None if root == "/" else "")

    def runtime(self, source: _Source) -> Optional[Runtime]:
        """What a runtime tells, None when it is no CRI runtime, nothing but its folders is left, or there is no way to ask it."""
        endpoint = f"unix://{source.socket}"
        socket = os.path.join(self._root, source.socket.lstrip("/"))
        listens = _is_socket(socket)
        failure = None if listens else "there is no such socket, so nobody was asked: does it run?"
        speaks_cri = listens
        if self._program is not None and listens:
            try:
                return self._asked(self._program, source, socket, endpoint)
            except CrictlError as error:
                failure, speaks_cri = str(error), not isinstance(error, NoCriError)
        told = source.read(self._processes, self._deadline)
        if told is None or not (speaks_cri or told.found or told.strangers or told.missing):
            return None
        gaps = [{"what": "crictl", "why": f"{endpoint}: {failure}"}] if failure and self._program else []
        return Runtime(source.name, None, endpoint, "files", told._replace(missing=gaps + told.missing))

    def _asked(self, program: str, source: _Source, socket: str, endpoint: str) -> Runtime:
        """What crictl tells, and what is added to it. Raises CrictlError."""
        version = crictl.version(program, socket, self._deadline)
        name = version.runtime or source.name
        told = crictl.read(program, socket, name, self._deadline)
        for _identity, one in told.found:
            times = None if one["sandbox_id"] is None or self._deadline.passed() else source.times(one["id"])
            one.update(times._asdict() if times else {})
        return Runtime(name, version.version, endpoint, "crictl", told)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
