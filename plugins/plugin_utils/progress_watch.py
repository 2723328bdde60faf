# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the progress of the task at hand, from a thread of its own, since no event comes while hosts are waited for.

The thread takes one lock, Display's, and imports nothing, so a worker that is forked beside it inherits nothing half done (see display_door).
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils.display_door import DisplayDoor
from ansible_collections.kubenode.doctor.plugins.plugin_utils.progress import Progress
from ansible_collections.kubenode.doctor.plugins.plugin_utils.status_line import StatusLine, can_draw

_TICK_SECONDS = 0.5  # a task that is over sooner shows nothing


class ProgressWatch:
    """``how`` is the option progress of the callback: auto, log or none."""

    def __init__(self, display: Any, how: str) -> None:
        self.door = DisplayDoor(display, self._erase)
        self._display = display
        self._wanted = how != "none"
        terminal = how == "auto" and sys.stdout.isatty() and can_draw(sys.stdout.fileno())
        self._line = StatusLine(sys.stdout.fileno(), sys.stdout.encoding) if terminal else None
        self._progress: Progress | None = None
        self._thread: threading.Thread | None = None
        self._end = threading.Event()

    def watch(self, task: Progress) -> None:
        """Another task."""
        with self.door.lock:
            self._progress = task if self._wanted else None

    def start(self, host: str) -> None:
        """A host begins. The thread does with the first task of several."""
        if self._progress is None:
            return
        with self.door.lock:
            self._progress.start(host, time.monotonic())
        if self._thread is None and self._progress.several():
            self._thread = threading.Thread(target=self._run, name="kubenode.doctor.fleet", daemon=True)
            self._thread.start()

    def end(self, host: str, how: str) -> None:
        """A host is through."""
        if self._progress is not None:
            with self.door.lock:
                self._progress.end(host, how)

    def over(self) -> None:
        """The task is."""
        with self.door.lock:
            last, self._progress = self._progress, None
            self._erase()
            if last is not None and self._line is None:
                self._say(last.end_step(time.monotonic()))

    def leave(self) -> None:
        """For good."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        self.over()

    def _erase(self) -> None:
        if self._line is not None:
            self._line.erase()

    def _run(self) -> None:
        while not self._end.wait(_TICK_SECONDS):
            with self.door.lock:
                self.tick(time.monotonic())

    def tick(self, now: float) -> None:
        """Show what there is to be seen now."""
        if self._progress is None or not self._progress.several():
            return
        if self._line is None:
            self._say(self._progress.step(now))
        elif self._progress.seconds(now) >= _TICK_SECONDS:
            self._line.draw(self._progress.line(self._line.columns(), now))

    def _say(self, step: str | None) -> None:
        """A line of the log, to be seen at once."""
        if step is None:
            return
        try:
            self._display.display(step)
            sys.stdout.flush()
        except OSError:  # nobody reads any more: Ansible meets that itself
            self._wanted, self._progress = False, None
