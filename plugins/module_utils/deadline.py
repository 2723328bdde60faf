# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A budget of seconds that steps of a collection share."""

from __future__ import annotations

import math
import time


class Deadline:
    """Counts down from ``seconds``, by the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self._end - time.monotonic())

    def passed(self) -> bool:
        """True when nothing is left."""
        return self.left() <= 0


def shown(seconds: float) -> str:
    """Seconds for a message, rounded up to a tenth: a budget that is nearly whole reads the same on all hosts."""
    return f"{math.ceil(seconds * 10) / 10:g}"
