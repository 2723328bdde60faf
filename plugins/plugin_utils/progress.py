# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far one task over several hosts has come: counted, and said in one line. Pure: whoever asks hands in the time."""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter
from collections.abc import Collection

from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

DONE, FAILED, UNREACHABLE, SILENT = "done", "failed", "unreachable", "without answer"
TROUBLES = (FAILED, UNREACHABLE, SILENT)

_SETTLED_SECONDS = 1  # after the last start: with fewer hosts at work than may be, no other will start
_SLOW = 3  # so many of those that work longest are named
_SLOW_SECONDS = 2
_NAME_COLUMNS = 60  # of a task or a host
# A log gets a line when a task lasts, then at each quarter, or when nothing was said for long.
_FIRST_SECONDS = 5
_LONG_SECONDS = 30


class Progress:
    """One task. ``hosts`` are those that may run it, of which ``at_once`` work at a time."""

    def __init__(self, name: str, hosts: Collection[str], at_once: int, now: float) -> None:
        self.name = clean(name, _NAME_COLUMNS)
        self._hosts = hosts
        self._at_once = at_once
        self._began = self._started = self._said = now
        self._running: dict[str, float] = {}  # since when, the longest first
        self._ended: dict[str, str] = {}
        self._quarter = 0
        self._told = False

    def start(self, host: str, now: float) -> None:
        """A host begins."""
        self._running[host] = self._started = now

    def end(self, host: str, how: str) -> None:
        """A host is through, with one of the words above."""
        self._running.pop(host, None)
        self._ended[host] = how

    def several(self) -> bool:
        """Whether more than one host takes part: one alone needs no count."""
        return len(self._running) + len(self._ended) > 1

    def seconds(self, now: float) -> float:
        """How long it lasts."""
        return now - self._began

    def line(self, columns: int, now: float) -> str:
        """All of it in so many columns; the counts first of all, then who is slow, then the task's name."""
        counts = fitting(self._counts(now), columns)
        name = fitting(self.name, columns // 3)
        left = columns - width(counts) - width(name) - 2
        slow = next((words for words in self._slow(now) if width(words) <= left), "")
        return f"{name}: {counts}{slow}" if left >= 0 else counts

    def step(self, now: float) -> str | None:
        """A line for a log, when it is time for one."""
        quarter = len(self._ended) * 4 // max(1, self._total(now))
        lasts = self.seconds(now) >= _FIRST_SECONDS and now - self._said >= _FIRST_SECONDS
        due = not self._told or quarter > self._quarter or now - self._said >= _LONG_SECONDS
        if not (lasts and due and self._running and self.several()):
            return None
        self._told, self._said, self._quarter = True, now, quarter
        return f"{self.name}: {self._counts(now)} after {_seconds(self.seconds(now))}{''.join(self._slow(now)[:1])}"

    def end_step(self, now: float) -> str | None:
        """The last line for a log, where there was one before."""
        return f"{self.name}: {self._counts(now)} after {_seconds(self.seconds(now))}" if self._told else None

    def _total(self, now: float) -> int:
        """How many will have done it: some of the hosts may skip it unseen (an include for others, a rescue)."""
        seen = len(self._running) + len(self._ended)
        more = len(self._running) >= self._at_once or now - self._started < _SETTLED_SECONDS
        return max(seen, len(self._hosts)) if more else seen

    def _counts(self, now: float) -> str:
        """``37 of 50 hosts, 2 failed``."""
        how = Counter(self._ended.values())
        troubles = [f"{how[word]} {word}" for word in TROUBLES if how[word]]
        return ", ".join([f"{len(self._ended)} of {self._total(now)} hosts", *troubles])

    def _slow(self, now: float) -> list[str]:
        """Who works longest, in fewer and fewer words."""
        slowest = [
            f"{clean(host, _NAME_COLUMNS)} {_seconds(now - since)}"
            for host, since in itertools.islice(self._running.items(), _SLOW)
            if now - since >= _SLOW_SECONDS
        ]
        found = []
        for named in range(len(slowest), 0, -1):
            more = len(self._running) - named
            found.append(f"; slowest {', '.join(slowest[:named])}{f', {more} more' if more else ''}")
        return found


def width(text: str) -> int:
    """Columns on a terminal: wide characters (Unicode's East Asian Width W and F) take two, combining ones none."""
    return sum(_columns(character) for character in text)


def fitting(text: str, columns: int) -> str:
    """The text, cut where it has more columns."""
    if width(text) <= columns:
        return text
    kept, used = [], 0
    for character in text:
        used += _columns(character)
        if used > columns - 1:
            break
        kept.append(character)
    return "".join(kept) + ("…" if columns > 0 else "")


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds // 60:.0f} min"
