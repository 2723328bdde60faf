# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cgroups of this machine that are called like kubelet's, so that what is put into them is taken for the containers of pods."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

_MOUNT = Path("/sys/fs/cgroup")
# A hierarchy of v1 with a controller, where containers of a machine with cgroup v1 or both are; v2 beside it, or alone.
V1 = _MOUNT / "memory"
V2 = next((folder for folder in (_MOUNT / "unified", _MOUNT) if (folder / "cgroup.controllers").exists()), None)
# Of cgroup v1 beside v2 ("hybrid"), of v2 alone, of v1 alone.
_HIERARCHIES = (_MOUNT / "unified", _MOUNT, _MOUNT / "systemd")


class PodCgroups:
    """A folder of its own in the hierarchy, which is empty and gone at the end of the with block. Needs root."""

    def __init__(self, name: str, hierarchy: Path | None = None) -> None:
        """``hierarchy``: V1 or V2 in place of the first that there is."""
        chosen = hierarchy or next(folder for folder in _HIERARCHIES if (folder / "cgroup.procs").exists())
        self._top = chosen / f"kd-{name}-{os.getpid()}"

    def __enter__(self) -> PodCgroups:
        self._top.mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for folder, _folders, _files in os.walk(self._top, topdown=False):
            os.rmdir(folder)

    def add(self, uid: str, container_id: str) -> Path:
        """Make the cgroup of a container, and return the file to which the pids of its processes are written."""
        folder = self._top / "kubepods" / "besteffort" / f"pod{uid}" / container_id
        folder.mkdir(parents=True)
        return folder / "cgroup.procs"


def are_possible() -> bool:
    """Whether this process may make cgroups."""
    return os.geteuid() == 0 and any(os.access(folder, os.W_OK) for folder in _HIERARCHIES if folder.is_dir())
