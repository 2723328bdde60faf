# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gather the objects of one list while its pages come in: each page is trimmed at once, so that no more than one is held.

A gatherer is fed raw objects and returns the trimmed ones at the end. A list that begins again is gathered anew.
"""

from __future__ import annotations

import heapq
from typing import Callable, Dict, List, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_trim
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_shape import Object, mapping, text

# Events that are kept: a person reads a few of them, and a cluster in trouble may have tens of thousands.
MOST_EVENTS = 5000


class Gatherer:
    """Keeps every object that ``trim`` does not turn into None."""

    def __init__(self, trim: Callable[[Object], Optional[Object]]) -> None:
        self._trim = trim
        self._found: List[Object] = []

    def feed(self, raw: Object) -> None:
        """Take one object. Raises ShapeError."""
        trimmed = self._trim(raw)
        if trimmed is not None:
            self._found.append(trimmed)

    def result(self) -> List[Object]:
        """Return the trimmed objects in the order they came."""
        return self._found


class NewestWarnings(Gatherer):
    """Keeps of Events the newest of type Warning, one for each (object, reason), with the sum of their counts."""

    def __init__(self, most: int = MOST_EVENTS) -> None:
        super().__init__(cluster_trim.event)
        self._most = most
        self._kept: Dict[Tuple[Optional[str], ...], Tuple[float, int, Object]] = {}

    def feed(self, raw: Object) -> None:
        """Take one Event. Raises ShapeError."""
        if text(raw, "type") != cluster_trim.WARNING:
            return
        about = mapping(raw, "involvedObject")
        subject = tuple(text(about, key) for key in ("kind", "namespace", "name", "uid"))
        if not about.get("name"):
            return
        key = (*subject, text(raw, "reason"))
        last, count, event = cluster_trim.event_time(raw) or 0.0, cluster_trim.event_count(raw), _bare(raw)
        if key in self._kept:
            before = self._kept[key]
            count += before[1]
            if before[0] > last:
                last, event = before[0], before[2]
        self._kept[key] = (last, count, event)
        if len(self._kept) >= 2 * self._most:
            self._kept = dict(self._newest())

    def result(self) -> List[Object]:
        """Return the trimmed Events, the newest first."""
        return [{**cluster_trim.event(event), "count": count} for _key, (_last, count, event) in self._newest()]

    def _newest(self) -> List[Tuple[Tuple[Optional[str], ...], Tuple[float, int, Object]]]:
        return heapq.nlargest(self._most, self._kept.items(), key=lambda entry: entry[1][0])


def _bare(raw: Object) -> Object:
    """Return what is needed of an Event: cleaning a message takes longer than all else, and most are not kept."""
    keys = ("involvedObject", "reason", "message", "type", "lastTimestamp", "eventTime", "series", "metadata")
    kept = {key: raw.get(key) for key in keys}
    kept["metadata"] = {"creationTimestamp": mapping(raw, "metadata").get("creationTimestamp")}
    return kept
