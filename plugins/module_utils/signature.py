# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a signature is: an error that is known, how programs word it in their logs, what it means and what to do."""

from __future__ import annotations

import re
from typing import NamedTuple, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import JOURNAL, POD, Origin

LEVELS = ("info", "warning", "critical")  # in ascending order


class Wording(NamedTuple):
    """How some versions of a program say it.

    ``anchor`` is a literal that every match holds. Blocks of raw logs are searched for it before anything is decoded, so it
    has no character that JSON or a quoted Go string writes differently: no quote, backslash, <, > or &, nothing beyond
    ASCII. ``pattern`` is a regular expression that is searched for in the line; its named groups are the fields. ``also``
    are expressions that must be found in the same line, in whatever order, and whose groups are fields too. All repeats
    are bounded and none is inside another, so that a hostile line costs no more than its length.
    """

    anchor: str
    pattern: str
    versions: str
    link: str  # the source of the wording, or the issue where it is quoted
    also: Tuple[str, ...] = ()


class Signature(NamedTuple):
    """An error that is known. ``title``, ``meaning`` and ``cure`` are prose for who is on call."""

    id: str
    level: str  # one of LEVELS: how bad it is where nothing more is known
    title: str
    meaning: str
    cure: str
    sources: Tuple[str, ...]  # of log_line.SOURCES
    wordings: Tuple[Wording, ...]  # the first that is found in a line counts
    units: Tuple[str, ...] = ()  # in the journal, without .service; empty: all
    containers: Tuple[str, ...] = ()  # in pod logs, by the container's name; empty: all
    negatives: Tuple[str, ...] = ()  # expressions: a line that holds one of them is no match

    @property
    def fields(self) -> Tuple[str, ...]:
        """The names of all fields that a match may have, sorted."""
        expressions = [expression for wording in self.wordings for expression in (wording.pattern, *wording.also)]
        return tuple(sorted({name for expression in expressions for name in re.compile(expression).groupindex}))

    @property
    def versions(self) -> str:
        """All versions that its wordings are known from, in one text."""
        return "; ".join(dict.fromkeys(wording.versions for wording in self.wordings))

    @property
    def link(self) -> str:
        """The address of its first wording's source."""
        return self.wordings[0].link

    def applies(self, origin: Origin) -> bool:
        """Whether a line from there can be one of it."""
        if origin.source not in self.sources:
            return False
        if origin.source == JOURNAL and self.units:
            return _without_suffix(origin.unit or "") in self.units
        if origin.source == POD and self.containers:
            return origin.pod is not None and origin.pod.container in self.containers
        return True


def _without_suffix(unit: str) -> str:
    return unit[: -len(".service")] if unit.endswith(".service") else unit
