# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a search through logs is given, and what it tells of itself: how far it looked back, and what stopped it."""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple, Optional

# What stopped a look back through one log. Nothing is missing after the first three.
WINDOW = "window"  # what is older was not asked for
START = "start"  # the unit was started then
BEGINNING = "beginning"  # the log does not go back further
LIMIT = "limit"  # of bytes
BUDGET = "budget"  # of time


class Wanted(NamedTuple):
    """``now`` in epoch seconds; what is more than ``since`` seconds older is not wanted; ``max_bytes`` bounds each source."""

    now: float
    since: float
    max_bytes: int

    @property
    def begin(self) -> float:
        """The oldest moment of the window, never before 1970, which is as far as clocks go back."""
        return max(0.0, self.now - self.since)


class Scanned:
    """How much of one log was looked at; times are epoch seconds, by the log's own clock."""

    def __init__(self, source: str, name: str) -> None:
        self.source = source
        self.name = name
        self.begin: Optional[float] = None
        self.end: Optional[float] = None
        self.bytes = 0
        self.lines = 0
        self.stopped = WINDOW

    def saw(self, when: Optional[float]) -> None:
        """Widen the span that was looked at."""
        if when is None:
            return
        self.begin = when if self.begin is None else min(self.begin, when)
        self.end = when if self.end is None else max(self.end, when)

    def told(self) -> dict[str, Any]:
        """The entry of the section's ``scanned``."""
        return {
            "source": self.source,
            "name": self.name,
            "from": self.begin,
            "to": self.end,
            "bytes": self.bytes,
            "lines": self.lines,
            "stopped": self.stopped,
        }


class Told:
    """What a source tells: its ``scanned``, and its gaps, at most one for each pair of words."""

    def __init__(self) -> None:
        self.scanned: list[Scanned] = []
        self.missing: list[dict[str, str]] = []

    def miss(self, what: str, why: str) -> None:
        """Remember what could not be seen, and why."""
        gap = {"what": what, "why": why}
        if gap not in self.missing:
            self.missing.append(gap)

    def add(self, other: Told) -> None:
        """Take over what another search tells."""
        self.scanned += other.scanned
        for gap in other.missing:
            self.miss(gap["what"], gap["why"])


def moment(when: float) -> str:
    """A time for people, in UTC."""
    try:
        return datetime.datetime.fromtimestamp(when, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"second {when:.0f}"
