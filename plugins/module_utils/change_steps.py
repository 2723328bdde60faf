# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that a change of a node is made of."""

from __future__ import annotations

from typing import NamedTuple, Optional, Union


class FileText(NamedTuple):
    """The file at ``path`` holds ``after``, or is not there where that is None. A file that is there keeps its mode, owner and extended attributes."""

    path: str
    after: Optional[str]
    mode: int = 0o644  # of a file that is new


class Sysctl(NamedTuple):
    """The kernel setting ``key`` ("net.core.somaxconn") of this network namespace is ``after``."""

    key: str
    after: str


class Reload(NamedTuple):
    """systemd has read its units anew; before a restart of a unit whose files an earlier step has changed."""


class Restart(NamedTuple):
    """The unit, which is active, has been restarted and is active again."""

    unit: str


class Enable(NamedTuple):
    """The unit is enabled and active."""

    unit: str


class Terminate(NamedTuple):
    """The process got SIGTERM and is gone. Who keeps it (kubelet: a static pod's container) starts it anew; nothing takes it back.

    ``started`` is field 22 of /proc/PID/stat, in clock ticks: another process that has the pid by then is left alone.
    """

    pid: int
    started: int
    name: str


Step = Union[FileText, Sysctl, Reload, Restart, Enable, Terminate]
