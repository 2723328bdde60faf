# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings that somebody has decided to live with: what a waiver has to say, which findings it covers, and what became of it. Pure.

A waiver without reason, owner and end stays for ever, because nobody dares to remove it. So all three are asked for.
"""

from __future__ import annotations

import datetime
import difflib
import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

# Whoever waives decides anew at least every two years; it also catches a 2206 that was to be a 2026.
MOST_DAYS = 731
SOON_DAYS = 14  # before its end a waiver is told of for so long: two weeks, in which a ticket can be worked on
_NEEDED = ("rule", "reason", "owner", "until")
_TEXTS = ("rule", "reason", "owner", "host", "object")
KEYS = frozenset({*_NEEDED, *_TEXTS})
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

# From a key of an entry to the place to be named in a message; "" is the entry itself.
Where = Callable[[str], str]


@dataclass(frozen=True)
class Waiver:
    """One waiver: patterns for rule, host and object (``*`` and ``?``), the reason, who answers for it, and the last day it holds (UTC)."""

    rule: str
    reason: str
    owner: str
    until: datetime.date
    host: str = "*"
    object: str = "*"
    place: str = field(default="", compare=False)  # where it was written

    def expired(self, today: datetime.date) -> bool:
        """True when the last day it holds has passed."""
        return today > self.until

    def covers(self, finding: Mapping[str, Any]) -> bool:
        """True when it speaks of this finding, whether or not it still holds. A finding of the cluster has an empty host."""
        return self.fits_rule(finding["rule"]) and self._fits_place(finding["host"] or "", finding["object"])

    def fits_rule(self, rule: str) -> bool:
        """True when its pattern fits the id of a rule."""
        return self._patterns[0].match(rule) is not None

    def _fits_place(self, host: str, subject: str) -> bool:
        _rule, of_host, of_object = self._patterns
        return of_host.match(host) is not None and of_object.match(subject) is not None

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], ...]:
        return tuple(_compiled(pattern) for pattern in (self.rule, self.host, self.object))


def _compiled(pattern: str) -> re.Pattern[str]:
    """``*`` and ``?`` only: fnmatch's brackets are here those of an IPv6 address in an object's name."""
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))


def read(value: Any) -> tuple[Waiver, ...]:
    """Check what was set as the variable ``waivers``. Raises ValueError that names what is wrong."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("waivers: a list of mappings is expected")
    return tuple(_of_variable(f"waivers[{index}]", entry) for index, entry in enumerate(value))


def _of_variable(place: str, entry: Any) -> Waiver:
    if not isinstance(entry, Mapping):
        raise ValueError(f"{place}: a mapping is expected")
    return read_one(entry, lambda _key: place)


def read_one(entry: Mapping[Any, Any], where: Where) -> Waiver:
    """Check one waiver. Raises ValueError that begins with what ``where`` says of the key that is wrong."""
    unknown = sorted(str(key) for key in entry if key not in KEYS)
    if unknown:
        raise ValueError(f"{where(unknown[0])}: unknown keys {clean(', '.join(unknown), 200)}")
    given = {key: value for key, value in entry.items() if value is not None and str(value).strip()}
    for key in _NEEDED:
        if key not in given:
            raise ValueError(f"{where(key)}: {key} is needed")
    for key in _TEXTS:
        if not isinstance(given.get(key, ""), str):
            raise ValueError(f"{where(key)}: {key} {clean(repr(given[key]), 100)} is no text: put it in quotes")
    until = _day(given["until"], where)
    return Waiver(until=until, place=where(""), **{key: str(given[key]).strip() for key in _TEXTS if key in given})


def _day(value: Any, where: Where) -> datetime.date:
    day = _date(value)
    if day is None:
        raise ValueError(f"{where('until')}: until {clean(repr(str(value)), 100)} is no date (YYYY-MM-DD)")
    last = today() + datetime.timedelta(days=MOST_DAYS)
    if day > last:
        raise ValueError(f"{where('until')}: until {day} is more than two years ahead: {last} is the last day there is")
    return day


def _date(value: Any) -> datetime.date | None:
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    try:
        return datetime.date.fromisoformat(value) if _DATE.fullmatch(value) else None
    except (TypeError, ValueError):
        return None


def today() -> datetime.date:
    """The day that decides, in UTC, as all times of an audit are."""
    return datetime.datetime.now(datetime.timezone.utc).date()


def check_rules(waivers: Iterable[Waiver], rules: Sequence[str]) -> None:
    """Raise ValueError for a waiver that fits none of the rules, a mistake that would leave its author in the dark, and for one of everything."""
    for waiver in waivers:
        fitting = [rule for rule in rules if waiver.fits_rule(rule)]
        if not fitting:
            near = difflib.get_close_matches(waiver.rule.replace("*", ""), rules, 3, 0.5)
            hint = f"; there is {', '.join(near)}" if near else ""
            raise ValueError(
                f"{waiver.place}: no rule is named {clean(waiver.rule, 100)}{hint} (docs/rules.md lists all)"
            )
        if len(fitting) == len(rules) and not any(pattern.strip("*?") for pattern in (waiver.host, waiver.object)):
            raise ValueError(f"{waiver.place}: this waives everything: name a rule, a host or an object")


def apply(findings: Iterable[dict[str, Any]], waivers: Sequence[Waiver], day: datetime.date) -> list[dict[str, Any]]:
    """Set ``waived`` of the findings that are covered. Return what became of each waiver, as findings.json has it::

    rule, host, object, reason, owner, until, days_left (below 0 when it has expired),
    findings: how many it covers; of an expired one, how many are back because of that
    state: expired | unused (it covers none) | expiring (it ends within SOON_DAYS) | used
    """
    of_rule: dict[str, list[int]] = {}
    covered = [0] * len(waivers)
    for finding in findings:
        if finding["status"] != "fail":
            continue
        rule = finding["rule"]
        if rule not in of_rule:
            of_rule[rule] = [number for number, waiver in enumerate(waivers) if waiver.fits_rule(rule)]
        covering = [number for number in of_rule[rule] if waivers[number].covers(finding)]
        live = [number for number in covering if not waivers[number].expired(day)]
        if live:
            first = waivers[live[0]]
            finding["waived"] = {"reason": first.reason, "owner": first.owner, "until": first.until.isoformat()}
        for number in live or covering:
            covered[number] += 1
    return [_became(waiver, count, day) for waiver, count in zip(waivers, covered, strict=True)]


def _became(waiver: Waiver, count: int, day: datetime.date) -> dict[str, Any]:
    left = (waiver.until - day).days
    return {
        "rule": waiver.rule,
        "host": waiver.host,
        "object": waiver.object,
        "reason": waiver.reason,
        "owner": waiver.owner,
        "until": waiver.until.isoformat(),
        "days_left": left,
        "findings": count,
        "state": _state(left, count),
    }


def _state(left: int, count: int) -> str:
    if left < 0:
        return "expired"
    if not count:
        return "unused"
    return "expiring" if left <= SOON_DAYS else "used"
