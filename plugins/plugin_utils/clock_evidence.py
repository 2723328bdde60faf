# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What shows that a machine's clock was set back: containers and files with times that cannot be, a step that was seen, log lines.

Creation times of equal value show nothing: a coarse clock gives one tick to two attempts that were created right after each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import logged, moments
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings

STEPPED, JUMPED = "clock-stepped", "clock-jumped-back"

_TIMES = (("created_ns", "created"), ("started_ns", "started"), ("finished_ns", "ended"))


class Trace(NamedTuple):
    """One thing that shows it: evidence in words, by how many seconds at least the clock went back (None: not told), and whether
    it is at hand: what it left is still there, or it happened just now. Otherwise only a log remembers it.
    """

    text: str
    seconds: float | None
    at_hand: bool


def between_samples(clock: dict[str, Any], settings: Settings) -> Iterator[Trace]:
    """A step while the node was looked at."""
    back = -clock["step_seconds"]
    if _is_step(back, settings):
        yield Trace(f"it went back by {moments.span(back)} while the node was looked at", back, True)


def in_files(clock: dict[str, Any], settings: Settings) -> Iterator[Trace]:
    """Files that were written at a time that has not come yet, the farthest first."""
    for entry in sorted(clock["from_future"], key=lambda entry: -entry["seconds"]):
        if _is_step(entry["seconds"], settings):
            text = f"{entry['path']} was last written {moments.span(entry['seconds'])} from now"
            yield Trace(text, entry["seconds"], True)


def inverted(containers: dict[str, Any]) -> Iterator[Trace]:
    """Containers of which a later attempt was created before an earlier one, by however little, the farthest first.

    kubelet numbers attempts in the order in which it creates them, so nothing but the clock can have put them into another.
    """
    found = [(*pair, group) for group in containers["groups"] for pair in _inversion(group)]
    for by_ns, before, after, group in sorted(found, key=lambda entry: -entry[0]):
        text = (
            f"{_which(group, after)} was created {moments.utc_ns(after['created_ns'])}, {moments.span(by_ns / 1e9)} before attempt "
            f"{before['attempt']} ({before['state']}, {before['id'][:12]}): the clock was set back between the two"
        )
        yield Trace(text, by_ns / 1e9, True)


def from_future(containers: dict[str, Any], settings: Settings) -> Iterator[Trace]:
    """Containers with a time that has not come yet, the farthest first."""
    late = []
    for group in containers["groups"]:
        for one in group["instances"]:
            times = [(one[key], word) for key, word in _TIMES if one[key] is not None]
            when, word = max(times, default=(0, ""))
            if _is_step((when - containers["now_ns"]) / 1e9, settings):
                late.append((when, word, group, one))
    for when, word, group, one in sorted(late, key=lambda entry: -entry[0]):
        ahead = (when - containers["now_ns"]) / 1e9
        yield Trace(f"{_which(group, one)} {word} {moments.utc_ns(when)}, {moments.span(ahead)} from now", ahead, True)


def in_logs(logs: dict[str, Any], settings: Settings) -> Iterator[Trace]:
    """Steps back that were logged, the latest first.

    journald tells each jump, however small, but not how far. So its word counts only where no clock daemon tells of a step back, and
    then as a trace that nothing is known of.
    """
    steps = [(entry, -_number(entry["fields"].get("seconds"))) for entry in logged.entries(logs, STEPPED)]
    for entry, by in steps:
        if _is_step(by, settings):
            yield Trace(logged.told(logs, entry), by, logged.is_recent(logs, entry, settings))
    if not any(by > 0 for _entry, by in steps):
        for entry in logged.entries(logs, JUMPED):
            yield Trace(f"{logged.told(logs, entry)} (by how much is not told)", None, False)


def _is_step(seconds: float, settings: Settings) -> bool:
    # More than it, not as much: a leap second takes back exactly one, and is no fault.
    return seconds > settings.threshold("clock_step_seconds")


def _inversion(group: dict[str, Any]) -> list[tuple[int, dict[str, Any], dict[str, Any]]]:
    """The farthest step back in a group: by how many ns, the instance before it and the one after it. Empty when there is none."""
    told = [one for one in group["instances"] if one["own"] and None not in (one["attempt"], one["created_ns"])]
    pairs = []
    latest: dict[str, Any] | None = None
    for one in sorted(told, key=lambda one: (one["attempt"], one["created_ns"])):
        if latest is None or one["created_ns"] >= latest["created_ns"]:
            latest = one
        elif latest["attempt"] < one["attempt"]:
            pairs.append((latest["created_ns"] - one["created_ns"], latest, one))
    return [max(pairs, key=lambda pair: pair[0])] if pairs else []


def _which(group: dict[str, Any], one: dict[str, Any]) -> str:
    attempt = "" if one["attempt"] is None else f" attempt {one['attempt']}"
    return f"{group['namespace']}/{group['pod']} {group['container']}{attempt} ({one['state']}, {one['id'][:12]})"


def _number(text: Any) -> float:
    """The seconds of a message; 0, which is no step, for what is no number."""
    try:
        number = float(text)
    except (TypeError, ValueError):
        return 0.0
    return number if math.isfinite(number) else 0.0
