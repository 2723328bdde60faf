# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line of a log and where it comes from: what the sources of logs hand to whoever reads them."""

from __future__ import annotations

from typing import NamedTuple, Optional

JOURNAL = "journal"
KERNEL = "kernel"
POD = "pod"
SOURCES = (JOURNAL, KERNEL, POD)


class PodLog(NamedTuple):
    """The container whose log a line is of, as kubelet names its folder: namespace_name_uid/container/attempt.log."""

    namespace: str
    name: str
    uid: str
    container: str
    attempt: Optional[int]  # None: the file's name is no number


class Origin(NamedTuple):
    """Where a line is from. One object of it is shared by all lines of one file or unit."""

    source: str  # one of SOURCES
    unit: Optional[str] = None  # with its suffix: "kubelet.service"; only in the journal, and not for all of its lines
    pod: Optional[PodLog] = None  # only in pod logs


class LogLine(NamedTuple):
    """One message without what its log put around it (time stamp, stream, JSON, priority). It may hold any characters."""

    text: str
    when: Optional[float]  # epoch seconds, by the clock of that time; None: the log does not tell
    origin: Origin
