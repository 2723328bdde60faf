# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that is asked to end because somebody keeps it and starts it anew: kubelet, of a static pod's container.

From the signal on there is no way back. It leaves no trace on the process, which may take a minute to end: the record says before that it is sent.
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
    UnderWayError,
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
        self._asked: bool = field(document, "asked", bool)
        if self._pid in (0, 1, os.getpid()) or self._pid < 0:
            raise ChangeError(f"process {self._pid} must not end")

    def document(self) -> Document:
        return {**self._document, "asked": self._asked}

    def where(self) -> str:
        try:
            found = procfs.stat_fields(f"{self._proc}/{self._pid}/stat")
            return BEFORE if int(found[_STARTED]) == self._started and found[_STATE] not in _ENDED else AFTER
        except (FileNotFoundError, ProcessLookupError):
            return AFTER
        except (IndexError, ValueError) as error:
            raise ChangeError(f"{self._proc}/{self._pid}/stat is not understood") from error

    def begins(self) -> bool:
        self._asked = True
        return True

    def act(self, deadline: Deadline) -> None:
        try:
            with SignalTarget(self._pid, self._proc) as target:
                if self.where() == BEFORE:  # seen after the target was taken hold of: no other process gets the signal
                    target.send(signal.SIGTERM)
        except (FileNotFoundError, ProcessLookupError):
            return
        self._wait(deadline)

    def settle(self, deadline: Deadline) -> None:
        if self._asked:
            self._wait(deadline)

    def take_back(self, _deadline: Deadline) -> str:
        if self._asked and self.where() == BEFORE:
            raise self._under_way()
        return ""

    def lasts(self) -> str:
        return f"{self.name()} has ended" if self._asked and self.where() == AFTER else ""

    def back(self) -> str:
        return ""

    def why_not_back(self) -> str:
        return ""

    def _wait(self, deadline: Deadline) -> None:
        while self.where() == BEFORE:
            if deadline.passed():
                raise self._under_way()
            time.sleep(min(_POLL_SECONDS, deadline.left()))

    def _under_way(self) -> UnderWayError:
        return UnderWayError(f"{self.name()} was asked to end and has not yet; it will")

    def name(self) -> str:
        """For a message."""
        return f"{plain(self._name, 100)} (process {self._pid})"


def look(part: ProcessPart) -> Document:
    """Raises ChangeError when it has ended."""
    if part.where() != BEFORE:
        raise ChangeError(f"{part.name()} has ended, or is another one by now")
    return ALIVE
