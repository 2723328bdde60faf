# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one door through which this process prints: Ansible's Display, with somebody at it who sees what passes.

All that Ansible's main process prints, its own threads' and callbacks' and what its workers send, goes through ``Display.display``, which is
replaced on that one object (Display is a singleton). So a line that is being redrawn can be taken away first, and what a callback prints can be
looked at before it is printed. A worker, which is a fork, prints nothing itself: there the door is open.

The lock is Display's own. Ansible holds it while it forks (executor/process/worker.py) "to both prevent intermingled output between threads and
to block writes during forks" (utils/display.py), so no thread of ours is ever in the middle of a write when a worker is made, and with one
lock there is no order of locks to get wrong.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple


class Said(NamedTuple):
    """One call of Display.display that was held back."""

    text: str
    rest: tuple[Any, ...] = ()
    named: tuple[tuple[str, Any], ...] = ()


class DisplayDoor:
    """``before`` is called just before anything is printed, with the lock held."""

    def __init__(self, display: Any, before: Callable[[], None]) -> None:
        self.lock = display._lock  # the same from ansible-core 2.16 to 2.21
        self._print = display.display
        self._before = before
        self._process = os.getpid()
        self._held: list[Said] | None = None
        self._holder = 0
        display.display = self._pass

    @contextmanager
    def held(self) -> Iterator[list[Said]]:
        """What this thread prints is kept in the list instead."""
        said: list[Said] = []
        with self.lock:
            self._held, self._holder = said, threading.get_ident()
        try:
            yield said
        finally:
            with self.lock:
                self._held = None

    def let_through(self, said: Said) -> None:
        """Print what was held back."""
        self._pass(said.text, *said.rest, **dict(said.named))

    def _pass(self, msg: str, *rest: Any, **named: Any) -> None:
        if os.getpid() != self._process:
            self._print(msg, *rest, **named)
            return
        with self.lock:
            if self._held is not None and self._holder == threading.get_ident():
                self._held.append(Said(msg, rest, tuple(named.items())))
                return
            self._before()
            self._print(msg, *rest, **named)
