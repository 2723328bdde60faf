# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for what takes a while after a change: a program that comes back, a socket that is opened."""

from __future__ import annotations

import time
from typing import Callable

from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

_PAUSE_SECONDS = 0.5


def wait_until(ask: Callable[[], str], deadline: Deadline) -> str:
    """Ask, again and again, what is still amiss: "" as soon as nothing is, else the last answer before the deadline. Asks once at least."""
    while True:
        amiss = ask()
        if not amiss or deadline.passed():
            return amiss
        time.sleep(min(_PAUSE_SECONDS, deadline.left()))
