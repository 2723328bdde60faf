# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a limit is in use, and from which of the operator's thresholds on that is a finding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import tcp_words, thresholds
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings

BY_HAND = "a larger limit is the second choice: whoever fills this one fills the next, and how much memory the machine can spare is a choice"


class Use(NamedTuple):
    """``used`` of ``limit``; a limit of zero that is used at all is more than full."""

    used: int
    limit: int

    @property
    def share(self) -> float:
        """0 to 1, or above where a limit was lowered."""
        if self.limit == 0:
            return math.inf if self.used else 0.0
        return self.used / self.limit  # which an empty text is not, so that it does not pass for none

    @property
    def doubled(self) -> int:
        """A limit that leaves room: never below today's, nor below what is in use."""
        return 2 * max(self.used, self.limit)

    def __str__(self) -> str:
        share = f" ({tcp_words.share(self.share)})" if self.limit else ""
        return f"{self.used} of {self.limit}{share}"


def severity(use: Use, settings: Settings, name: str) -> str:
    """``critical``, ``warning`` or nothing, by the threshold of this name and, where there is one, its ``_critical`` twin."""
    critical = f"{name}_critical"
    if critical in thresholds.BY_NAME and use.share >= settings.threshold(critical):
        return "critical"
    return "warning" if use.share >= settings.threshold(name) else ""


def gap(section: dict[str, Any], word: str) -> str:
    """The first gap of a section with this word in its name, told; empty when there is none."""
    return next((f"{gap['what']}: {gap['why']}" for gap in section["missing"] if word in gap["what"]), "")


def unseen(section: dict[str, Any], name: str, *words: str) -> str:
    """Why a value of a section is not known: the first gap with one of the words in its name, else just that it was not seen."""
    return next(filter(None, (gap(section, word) for word in words)), f"{name} was not seen")


def growth(section: dict[str, Any], counter: str) -> int | None:
    """By how much a counter of tcp_states grew between the samples; None when that is not known.

    A counter that stands at zero has not grown, whether there was a second sample or not.
    """
    if section["counters"][counter] == 0:
        return 0
    grown: Mapping[str, int] = {} if section["growth"] is None else section["growth"]["counters"]
    return grown.get(counter)


def unseen_growth(section: dict[str, Any], counter: str) -> str:
    """Why it is not known whether a counter grows."""
    value = section["counters"][counter]
    if value is None:
        return unseen(section, counter, "netstat")
    return f"{counter} stands at {value}; whether it still grows takes a second sample: {tcp_words.SECOND_SAMPLE}"
