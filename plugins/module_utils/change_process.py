# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that is asked to end because somebody keeps it and starts it anew: kubelet, of a static pod's container.

There is no way back, and no need of one.
"""

from __future__ import annotations

import os
import signal
import time

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.change_part import (
    AFTER,
    BEFORE,
    ChangeError,
    Document,
    Part,
    field,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain
from ansible_collections.kubenode.doctor.plugins.module_utils.signal_target import SignalTarget

KIND = "process"
ALIVE: Document = {"alive": True}
_STATE, _STARTED = 0, 19  # of procfs.stat_fields
_ENDED = ("Z", "X", "x")
_POLL_SECONDS = 0.1


class ProcessPart(Part):
    """One process, known by its number and its start."""

    def __init__(self, proc: str, document: Document) -> None:
        """Raises ChangeError for a document that is none of a process, or of one that must not end."""
        self._pid: int = field(document, "pid", int)
        self._started: int = field(document, "started", int)
        self._name: str = field(document, "name", str)
        self._proc = proc
        self._document = document
        if self._pid in (0, 1, os.getpid()) or self._pid < 0:
            raise ChangeError(f"process {self._pid} must not end")

    def document(self) -> Document:
        return self._document

    def where(self) -> str:
        try:
            found = procfs.stat_fields(f"{self._proc}/{self._pid}/stat")
            return BEFORE if int(found[_STARTED]) == self._started and found[_STATE] not in _ENDED else AFTER
        except (FileNotFoundError, ProcessLookupError):
            return AFTER
        except (IndexError, ValueError) as error:
            raise ChangeError(f"{self._proc}/{self._pid}/stat is not understood") from error

    def act(self, deadline: Deadline) -> None:
        try:
            with SignalTarget(self._pid, self._proc) as target:
                if self.where() == BEFORE:  # seen after the target was taken hold of: no other process gets the signal
                    target.send(signal.SIGTERM)
        except (FileNotFoundError, ProcessLookupError):
            return
        while self.where() == BEFORE:
            if deadline.passed():
                raise ChangeError(f"{self.name()} was asked to end and has not")
            time.sleep(min(_POLL_SECONDS, deadline.left()))

    def take_back(self, _deadline: Deadline) -> str:
        return ""

    def back(self) -> str:
        return ""

    def why_not_back(self) -> str:
        return ""

    def name(self) -> str:
        """For a message."""
        return f"{plain(self._name, 100)} (process {self._pid})"


def look(part: ProcessPart) -> Document:
    """Raises ChangeError when it has ended."""
    if part.where() != BEFORE:
        raise ChangeError(f"{part.name()} has ended, or is another one by now")
    return ALIVE
