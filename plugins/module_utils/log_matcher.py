# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the known errors in lines of logs, and counts them."""

from __future__ import annotations

import re
from functools import cached_property
from itertools import islice
from typing import Any, Dict, Iterator, List, Optional, Pattern, Sequence, Set, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import log_sample
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import POD, LogLine, Origin
from ansible_collections.kubenode.doctor.plugins.module_utils.signature import Signature, Wording

# Of a longer line, what comes after that is not looked at. journald cuts at 48 KiB, container runtimes at 16 KiB.
_LINE_LIMIT = 64 * 1024
_MATCHES_LIMIT = 10  # of one signature in one line
_FIELD_LIMIT = 500  # characters
# Bounds on what is remembered. What a pod says costs nothing of what the journal and the kernel may say.
_ENTRIES_LIMIT = 100  # of one signature from one origin
_POD_ENTRIES_LIMIT = 1000
_DROPPED_LIMIT = 10_000  # entries that are only told apart, to be counted

Fields = Tuple[Tuple[str, str], ...]
Place = Tuple[str, Origin]  # a signature's id, and where its lines are from
Match = Tuple[str, int, int]  # a line, and where the match begins and ends in it
Item = Tuple[Place, Fields, "_Entry"]


class Matcher:
    """Counts the signatures in the lines that it is fed; one entry for each signature, origin and set of fields.

    Its memory is bounded, whatever the lines say: of a signature from one origin it remembers the 100 entries that
    were seen last, and from all pods together at most 1,000 entries.
    """

    def __init__(self, signatures: Sequence[Signature]) -> None:
        self._readers = [_Reader(signature) for signature in signatures]
        anchors = [anchor for reader in self._readers for anchor, _reader in reader.pairs]
        self._anchors = [anchor.encode("ascii") for anchor in dict.fromkeys(anchors)]
        self._origin: Optional[Origin] = None
        self._here: List[Tuple[str, _Reader]] = []
        self._memory = _Memory()

    def interesting(self, data: bytes) -> bool:
        """Whether these bytes of a raw log may hold a match: a quick test before they are decoded and split.

        What spans two blocks is not seen in either: ask about blocks that end with a line.
        """
        return any(map(data.__contains__, self._anchors))

    def feed(self, line: LogLine) -> None:
        """Count what the line says."""
        if line.origin is not self._origin:
            self._origin = line.origin
            here = [reader for reader in self._readers if reader.signature.applies(line.origin)]
            self._here = [pair for reader in here for pair in reader.pairs]
        text = line.text if len(line.text) <= _LINE_LIMIT else line.text[:_LINE_LIMIT]
        hit = [reader for anchor, reader in self._here if anchor in text]
        for reader in dict.fromkeys(hit):
            for fields, start, end in reader.read(text):
                self._memory.count((reader.signature.id, line.origin), fields, line.when, (text, start, end))

    def found(self, limit: int) -> Tuple[List[Dict[str, Any]], Dict[str, int]]:
        """What was counted: at most ``limit`` entries, newest last time first, and how much is left out.

        Entries: {signature, source, unit, pod, count, first, last, sample, fields}, as in the section ``logs``. Left
        out: {entries, lines}; of the entries that were not even remembered at most 10,000 are told apart, and one that
        was forgotten and came again counts twice. Each signature, from pods and from elsewhere, has its newest entries
        among those that are told: a log that repeats one does not hide another.
        """
        newest_first = sorted(self._memory.entries(), key=lambda item: _age(item[2].last))
        told = {id(entry) for _place, _fields, entry in _fair(newest_first)[:limit]}
        rest = [entry for _place, _fields, entry in newest_first if id(entry) not in told]
        other = {
            "entries": len(rest) + len(self._memory.dropped),
            "lines": sum(entry.count for entry in rest) + self._memory.dropped_lines,
        }
        return [_told(*item) for item in newest_first if id(item[2]) in told], other


class _Memory:
    """The entries, within their bounds."""

    def __init__(self) -> None:
        self._groups: Dict[Place, Dict[Fields, _Entry]] = {}
        self._pod_entries = 0
        self.dropped: Set[int] = set()  # hashes of what is not remembered
        self.dropped_lines = 0

    def entries(self) -> Iterator[Item]:
        for place, group in self._groups.items():
            for fields, entry in group.items():
                yield place, fields, entry

    def count(self, place: Place, fields: Fields, when: Optional[float], match: Match) -> None:
        group = self._groups.setdefault(place, {})
        entry = group.get(fields)
        if entry is not None:
            entry.again(when, match)
        elif self._has_room(place, group, when):
            group[fields] = _Entry(when, match)
            self._pod_entries += place[1].source == POD
        else:
            self._drop(place, fields, 1)

    def _has_room(self, place: Place, group: Dict[Fields, _Entry], when: Optional[float]) -> bool:
        """Whether one more can be remembered; something older of its group may be dropped for it."""
        is_pod = place[1].source == POD
        if len(group) < _ENTRIES_LIMIT and not (is_pod and self._pod_entries >= _POD_ENTRIES_LIMIT):
            return True
        if not group or when is None:
            return False
        oldest = min(group, key=lambda fields: group[fields].last or 0.0)
        if (group[oldest].last or 0.0) >= when:
            return False
        self._drop(place, oldest, group.pop(oldest).count)
        self._pod_entries -= is_pod
        return True

    def _drop(self, place: Place, fields: Fields, lines: int) -> None:
        self.dropped_lines += lines
        if len(self.dropped) < _DROPPED_LIMIT:
            self.dropped.add(hash((place, fields)))


class _Reader:
    """A signature; compiled when a line first holds what it begins with, since most nodes have lines of few."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._wordings = [_Compiled(wording) for wording in signature.wordings]
        self.pairs = [(wording.anchor, self) for wording in self._wordings]

    def read(self, text: str) -> Iterator[Tuple[Fields, int, int]]:
        """What a line says, once for each set of fields: the fields, and where the match begins and ends."""
        for wording in self._wordings:
            if wording.anchor in text:
                matches = wording.matches(text)
                if matches:
                    return iter(() if self._is_denied(text) else matches)
        return iter(())

    def _is_denied(self, text: str) -> bool:
        return any(negative.search(text) for negative in self._negatives)

    @cached_property
    def _negatives(self) -> List[Pattern[str]]:
        return [re.compile(negative) for negative in self.signature.negatives]


class _Compiled:
    """A wording, compiled when it is first asked."""

    def __init__(self, wording: Wording) -> None:
        self.anchor = wording.anchor
        self._wording = wording

    @cached_property
    def _pattern(self) -> Pattern[str]:
        return re.compile(self._wording.pattern)

    @cached_property
    def _also(self) -> List[Pattern[str]]:
        return [re.compile(expression) for expression in self._wording.also]

    def matches(self, text: str) -> List[Tuple[Fields, int, int]]:
        """The matches with different fields; none unless everything that must be in the line is there."""
        found = list(islice(self._pattern.finditer(text), _MATCHES_LIMIT))
        shared: Dict[str, Optional[str]] = {}
        for expression in self._also if found else ():
            match = expression.search(text)
            if match is None:
                return []
            shared.update(match.groupdict())
        distinct: Dict[Fields, Tuple[int, int]] = {}
        for match in found:
            distinct.setdefault(_fields({**shared, **match.groupdict()}), match.span())
        return [(fields, start, end) for fields, (start, end) in distinct.items()]


class _Entry:
    """The lines of one signature, from one origin, with the same fields."""

    def __init__(self, when: Optional[float], match: Match) -> None:
        self.count = 1
        self.first = when
        self.last = when
        self._piece = log_sample.cut(*match)

    def again(self, when: Optional[float], match: Match) -> None:
        """Count one more line; the newest is the sample."""
        self.count += 1
        if when is None:
            return
        self.first = when if self.first is None else min(self.first, when)
        if self.last is None or when > self.last:
            self.last = when
            self._piece = log_sample.cut(*match)

    def sample(self) -> str:
        return log_sample.sample(self._piece)


def _fields(groups: Dict[str, Optional[str]]) -> Fields:
    return tuple(sorted((name, value[:_FIELD_LIMIT]) for name, value in groups.items() if value is not None))


def _age(last: Optional[float]) -> Tuple[bool, float]:
    """A sort key: newest first, then those without a time."""
    return (True, 0.0) if last is None else (False, -last)


def _fair(newest_first: Sequence[Item]) -> List[Item]:
    """The newest entry of each signature and kind of source, then the second newest of each, and so on."""
    ranks: Dict[Tuple[str, bool], int] = {}
    ranked = []
    for item in newest_first:
        name, origin = item[0]
        group = (name, origin.source == POD)
        ranks[group] = ranks.get(group, -1) + 1
        ranked.append((ranks[group], item))
    return [item for _rank, item in sorted(ranked, key=lambda pair: pair[0])]


def _told(place: Place, fields: Fields, entry: _Entry) -> Dict[str, Any]:
    name, origin = place
    return {
        "signature": name,
        "source": origin.source,
        "unit": origin.unit,
        "pod": None if origin.pod is None else origin.pod._asdict(),
        "count": entry.count,
        "first": entry.first,
        "last": entry.last,
        "sample": entry.sample(),
        "fields": dict(fields),
    }
