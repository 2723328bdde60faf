# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock on an open folder, which the kernel drops with its last holder, however that ends (flock(2))."""

from __future__ import annotations

import fcntl

ALONE, SHARED = fcntl.LOCK_EX, fcntl.LOCK_SH


def take(folder: int, kind: int) -> bool:
    """Whether it could be had at once, ALONE or SHARED."""
    try:
        fcntl.flock(folder, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def drop(folder: int) -> None:
    """Give it back before the descriptor is closed."""
    fcntl.flock(folder, fcntl.LOCK_UN)
