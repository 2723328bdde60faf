# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The places of an audit, the cluster and each host: the fleet's map, and what the page's script makes pages of single hosts from.

A place has a number, in the page's addresses as well: 0 is the cluster, hosts follow in their order. ``island`` is the JSON in the page; texts,
lists of answers and remedies stand there once, so it grows with the faults and hardly with the hosts.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import answers, report_waivers
from ansible_collections.kubenode.doctor.plugins.plugin_utils.finding_groups import CLUSTER_NAME, Group
from ansible_collections.kubenode.doctor.plugins.plugin_utils.html_texts import Shapes, Texts
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.survey_read import STATES

ROWS = 200  # of a table, in the page itself; the script shows the others when it is asked to
NAMED = 20  # hosts in a sentence
_STRIPES = 250  # of the map's strips: the narrowest that an eye tells apart on a laptop
COMMAND_LIMIT = 20_000
# The worst first. Unknown is worse than a note: something may be there that nobody saw.
CELLS = ("critical", "warning", "unknown", "info", "waived", "pass", "not_applicable")
_SHORT = {"pass": "p", "fail": "f", "unknown": "u", "not_applicable": "n"}
_SEVERITIES = ("critical", "warning", "info")
_QUIET = frozenset({"pass", "not_applicable"})

Finding = dict[str, Any]
Cell = tuple[str, int, int]


class Places:
    """Reads the document once."""

    def __init__(self, document: Mapping[str, Any], groups: Sequence[Group], texts: Texts) -> None:
        self._document, self._groups, self._texts = document, groups, texts
        self.names: list[str] = [CLUSTER_NAME, *(clean(host, 250) for host in document["hosts"])]
        self._numbers: dict[str | None, int] = {None: 0}
        self._numbers.update((host, number) for number, host in enumerate(document["hosts"], 1))
        self._rules = {rule: number for number, rule in enumerate(document["rules"])}
        self._group_names = list(dict.fromkeys(rule["group"] for rule in document["rules"].values()))
        self._shapes = {name: Shapes() for name in ("answers", "cells", "unknowns", "remedies", "evidence")}
        self._wide = max(1, math.ceil((len(self.names) - 1) / _STRIPES))
        self._places = self._read()
        self._order = sorted(range(len(self.names)), key=self._rank)

    def number(self, host: str | None) -> int:
        """The place of a host; None is the cluster."""
        return self._numbers[host]

    def text(self, text: str) -> int:
        """The number of a text in the island."""
        return self._texts.number(text)

    def listed(self, hosts: Iterable[str | None], most: int = NAMED) -> dict[str, Any]:
        """``{places: [(number, name)], more}``: hosts in their order, up to so many, and how many more there are."""
        numbers = sorted({self._numbers[host] for host in hosts if host in self._numbers})
        return {
            "places": [(number, self.names[number]) for number in numbers[:most]],
            "more": len(numbers[most:]),
            "count": len(numbers),
        }

    def fleet(self) -> dict[str, Any]:
        """The map: the worst places first, those where nothing is to be told folded; and each group of rules over the hosts."""
        loud = [number for number in self._order if not self._quiet(number)]
        quiet = [number for number in range(len(self.names)) if self._quiet(number)]
        return {
            "groups": self._group_names,
            "rows": [self._row(number) for number in loud[:ROWS]],
            "more": len(loud[ROWS:]),
            "loud": len(loud),
            "quiet": {
                "places": [(number, self.names[number]) for number in quiet[:ROWS]],
                "more": len(quiet[ROWS:]),
                "count": len(quiet),
            },
            "places": len(self.names),
            "wide": self._wide,
            "bars": [self._bar(index, name) for index, name in enumerate(self._group_names)],
        }

    def island(self) -> dict[str, Any]:
        """What the script reads."""
        return {
            "rules": [
                [rule, about["group"], self.text(about["claim"])] for rule, about in self._document["rules"].items()
            ],
            "groups": self._group_names,
            "faults": [self._fault(group.findings[0]) for group in self._groups],
            "names": self.names,
            "places": self._places,
            "order": self._order,
            "states": list(STATES),
            "texts": self._texts.all,
            **{name: shapes.all for name, shapes in self._shapes.items()},
        }

    def _read(self) -> list[dict[str, Any]]:
        faults = self._faults()
        unknown: dict[str | None, list[Finding]] = {}
        for finding in self._document["findings"]:
            if finding["status"] == "unknown":
                unknown.setdefault(finding["host"], []).append(finding)
        past = self._past()
        places = []
        for host, told in answers.matrix(self._document):
            own = faults.get(host, [])
            open_ones = unknown.get(host, [])
            places.append(
                {
                    "answers": self._shapes["answers"].number(
                        "".join(_SHORT[told[rule]] if rule in told else "-" for rule in self._rules)
                    ),
                    "cells": self._shapes["cells"].number(self._cells(told, [finding for _group, finding in own])),
                    "faults": [self._found(group, finding) for group, finding in own],
                    "unknown": self._shapes["unknowns"].number(
                        [[self._rules[finding["rule"]], self.text(finding["explanation"])] for finding in open_ones]
                    ),
                    "past": past.get(host, []),
                    **self._about(host),
                }
            )
        return places

    def _faults(self) -> dict[str | None, list[tuple[int, Finding]]]:
        found: dict[str | None, list[tuple[int, Finding]]] = {}
        for number, group in enumerate(self._groups):
            for finding in group.findings:
                found.setdefault(finding["host"], []).append((number, finding))
        return found

    def _past(self) -> dict[str | None, list[list[Any]]]:
        """What an earlier audit found and this one did not: ``[is gone, severity, title, first seen, why it cannot be told]``."""
        found: dict[str | None, list[list[Any]]] = {}
        for kind in ("gone", "unsure"):
            for entry in self._document["memory"][kind]:
                told = [
                    kind == "gone",
                    entry["severity"],
                    self.text(entry["title"]),
                    (entry["first_seen"] or "")[:10],
                    self.text(entry.get("why", "")),
                ]
                found.setdefault(entry["host"], []).append(told)
        return found

    def _about(self, host: str | None) -> dict[str, Any]:
        """What is known of a host besides its answers."""
        if host is None:
            return {"why": None, "picture": None, "states": None}
        state = self._document["hosts"][host]
        picture = state["picture"]
        states = self._document["survey"]["states"].get(host)
        return {
            "why": None if state["answered"] else self.text(str(state["why"])),
            "picture": picture and self._picture(picture),
            "states": states and [states[name] for name in STATES],
        }

    def _picture(self, picture: Mapping[str, Any]) -> list[Any]:
        programs = picture["components"]
        return [
            None if picture["kernel"] is None else self.text(picture["kernel"]),
            picture["root"],
            None if programs is None else self.text(", ".join(programs) or "no Kubernetes program"),
            None if picture["proxy_mode"] is None else self.text(picture["proxy_mode"]),
            picture["listeners"],
            picture["random_ports"],
        ]

    def _found(self, group: int, finding: Finding) -> list[Any]:
        return [
            group,
            self._shapes["evidence"].number([self.text(fact) for fact in finding["evidence"]]),
            self.text(finding["explanation"]),
            self._shapes["remedies"].number([remedy_view(remedy) for remedy in finding["remedies"]]),
            finding["change"] or "",
            (finding["first_seen"] or "")[:10],
        ]

    def _fault(self, finding: Finding) -> dict[str, Any]:
        return {
            "rule": self._rules[finding["rule"]],
            "severity": finding["severity"],
            "title": self.text(finding["title"]),
            "waived": report_waivers.beside(finding["waived"]) if finding["waived"] else "",
        }

    def _cells(self, told: Mapping[str, str], faults: Sequence[Finding]) -> list[Cell]:
        """The worst of each group of rules, how often, and how many answers of the group are unknown."""
        counts = {name: dict.fromkeys(CELLS, 0) for name in self._group_names}
        for rule, answer in told.items():
            if answer != "fail":
                counts[self._document["rules"][rule]["group"]][answer] += 1
        for finding in faults:
            kind = "waived" if finding["waived"] else finding["severity"]
            counts[self._document["rules"][finding["rule"]]["group"]][kind] += 1
        return [self._cell(count) for count in counts.values()]

    @staticmethod
    def _cell(counts: Mapping[str, int]) -> Cell:
        worst = next((kind for kind in CELLS if counts[kind]), "not_applicable")
        return worst, counts[worst], 0 if worst == "unknown" else counts["unknown"]

    def _row(self, number: int) -> dict[str, Any]:
        return {"number": number, "name": self.names[number], "cells": self._of(number)}

    def _of(self, number: int) -> list[Cell]:
        cells: list[Cell] = self._shapes["cells"].all[self._places[number]["cells"]]
        return cells

    def _quiet(self, number: int) -> bool:
        return all(kind in _QUIET for kind, _count, _unknown in self._of(number))

    def _rank(self, number: int) -> tuple[list[int], int]:
        """The most of the worst first; a silent host, of which all is unknown, comes before what was seen and is no fault."""
        cells = self._of(number)
        unknown = sum(count if kind == "unknown" else more for kind, count, more in cells)
        counts = [-sum(count for kind, count, _more in cells if kind == name) for name in CELLS[:5]]
        counts[CELLS.index("unknown")] = -unknown
        return counts, number

    def _bar(self, index: int, name: str) -> dict[str, Any]:
        """How many hosts have which worst answer in one group of rules, and who: a strip in the order of their names. The cluster is no host."""
        worst = [self._of(number)[index][0] for number in range(1, len(self.names))]
        counts = Counter(worst)
        stripes = [min(worst[at : at + self._wide], key=CELLS.index) for at in range(0, len(worst), self._wide)]
        return {
            "name": name,
            "parts": parts([(kind, counts[kind]) for kind in CELLS]),
            "strip": parts([(kind, len(list(same))) for kind, same in itertools.groupby(stripes)]),
        }


def parts(counts: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    """A bar's parts in per cent of its length, each from where the last one ends; parts of nothing are left out."""
    counts = list(counts)
    whole, start, told = sum(count for _kind, count in counts) or 1, 0.0, []
    for kind, count in counts:
        if count:
            width = 100 * count / whole
            told.append({"kind": kind, "count": count, "start": round(start, 3), "width": round(width, 3)})
            start += width
    return told


def remedy_view(remedy: Mapping[str, Any]) -> dict[str, Any]:
    """A cure as it is shown. A command that cannot be shown as it is must not be copied: it would be another one."""
    return {
        "summary": clean(remedy["summary"]),
        "risk": clean(remedy["risk"]),
        "commands": [_command(command) for command in remedy["commands"]],
        "fix": remedy["fix"],
        "by_hand": clean(remedy["by_hand"]),
    }


def _command(text: str) -> list[Any]:
    """``[text, whether it may be copied]``."""
    if len(text) > COMMAND_LIMIT:
        return [f"(a command of {len(text)} characters: see findings.json)", False]
    shown = clean(text, COMMAND_LIMIT)
    return [shown, shown == text]
