# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods and Deployments a Service's selector matches, and what comes nearest where it matches nothing."""

from __future__ import annotations

import bisect
import difflib
import functools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

Object = dict[str, Any]
Selector = Mapping[str, str]

# Bounds of one search: what is beyond is not looked at. A namespace of tens of thousands of pods has few kinds of them.
_MOST_ALIKE = 1000
_MOST_VALUES = 5000
_SHOWN = 3
_VALUES_SHOWN = 10
_LEAST_FOR_A_SLIP = 5  # letters: in shorter words one more or less is another word
_LEAST_BEGINNING = 3
_LEAST_LIKENESS = 0.66  # of difflib: "wbe" is like "web", and "front" not like "cart"
_FEW = 100


class Labelled(NamedTuple):
    """Something whose labels a selector may match: a pod, or a Deployment with its template's labels."""

    kind: str
    namespace: str
    name: str
    labels: Selector
    what: Object

    @property
    def words(self) -> str:
        """``pod shop/front-6559f5d576-ctfs7`` or ``Deployment shop/front``."""
        return f"{self.kind} {self.namespace}/{self.name}"


class Labels:
    """The labels of a cluster's Deployments and pods, as far as they were read."""

    def __init__(self, cluster: Object) -> None:
        self._by_pair: dict[tuple[str, str, str], list[Labelled]] = {}
        self._values: dict[str, dict[str, dict[str, None]]] = {}  # by namespace and key, in the order of the API
        self._alike: dict[tuple[str, str], _Alike] = {}
        for one in _all(cluster):
            for key, value in one.labels.items():
                self._by_pair.setdefault((one.namespace, key, value), []).append(one)
                self._values.setdefault(one.namespace, {}).setdefault(key, {})[value] = None

    def matching(self, namespace: str, selector: Selector) -> list[Labelled]:
        """What has all labels of a selector, Deployments first; nothing for a selector that is empty."""
        pairs = [self._by_pair.get((namespace, *pair), []) for pair in selector.items()]
        fewest = min(pairs, key=len, default=[])
        return [one for one in fewest if selector.items() <= one.labels.items()]

    def elsewhere(self, namespace: str, selector: Selector) -> list[str]:
        """The other namespaces in which something has all labels of a selector, sorted."""
        return sorted(other for other in self._values if other != namespace and self._matches(other, selector))

    def _matches(self, namespace: str, selector: Selector) -> bool:
        return all((namespace, *pair) in self._by_pair for pair in selector.items()) and bool(
            self.matching(namespace, selector)
        )

    def nearest(self, namespace: str, selector: Selector) -> list[str]:
        """What comes nearest to a selector that matches nothing, in sentences: which label differs, and from what."""
        told = list(self._partly(namespace, selector))
        for key, value in sorted(selector.items()):
            if (namespace, key, value) not in self._by_pair:
                told += self._instead(namespace, key, value)
        return told

    def _partly(self, namespace: str, selector: Selector) -> Iterator[str]:
        """Things that have some of the labels: those with the most of them, one example of each kind."""
        score: Counter[int] = Counter()
        found: dict[int, Labelled] = {}
        for pair in selector.items():
            for one in islice(self._by_pair.get((namespace, *pair), ()), _MOST_ALIKE):
                score[id(one)] += 1
                found[id(one)] = one
        best = max(score.values(), default=0)
        differences: dict[str, Labelled] = {}
        for key, count in score.items():
            if count == best:
                differences.setdefault(_difference(found[key].labels, selector), found[key])
        for difference, one in list(differences.items())[:_SHOWN]:
            common = ", ".join(f"{key}={value}" for key, value in sorted(selector.items() & one.labels.items()))
            yield f"{one.words} has {common}, but {difference}"

    def _instead(self, namespace: str, key: str, value: str) -> Iterator[str]:
        """What stands in the place of a label that nothing in the namespace has."""
        values = self._values.get(namespace, {})
        near = self._near(namespace, key)
        alike = near.of(value)
        if alike:
            for like in alike[:_SHOWN]:
                yield f"did you mean {key}={like}? {self._by_pair[namespace, key, like][0].words} has it"
            return
        keys = sorted(other for other in islice(values, _MOST_VALUES) if value in values[other])
        if keys:
            for other in keys[:_SHOWN]:
                yield f"{self._by_pair[namespace, other, value][0].words} has {other}={value}, not {key}={value}"
        elif key in values:
            yield f"values of {key} in namespace {namespace}: {near.listed(value)}"

    def _near(self, namespace: str, key: str) -> _Alike:
        if (namespace, key) not in self._alike:
            values = self._values.get(namespace, {}).get(key, {})
            self._alike[namespace, key] = _Alike(tuple(islice(values, _MOST_VALUES)))
        return self._alike[namespace, key]


class _Alike:
    """Finds words that look like a word: other case or separators, a slip of a letter, one part of the other.

    Where there are many words, only the first _FEW are compared letter by letter; the other ways know all of them.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._by_slip: dict[str, list[str]] = {}
        self._by_part: dict[str, list[str]] = {}
        for word in words:
            for slip in _slips(_plain(word)):
                self._by_slip.setdefault(slip, []).append(word)
            for part in _parts(word):
                self._by_part.setdefault(part, []).append(word)
        self._sorted = sorted((_plain(word), word) for word in words)
        self._few = sorted(words)[:_FEW]
        self._more = len(words) - len(self._few)

    def of(self, wanted: str) -> list[str]:
        """The words like this one, the most alike first."""
        parts = _parts(wanted)
        found = {word for slip in _slips(_plain(wanted)) for word in self._by_slip.get(slip, ())}
        found |= {word for part in parts for word in self._by_part.get(part, ()) if _nested(parts, _parts(word))}
        found |= {word for word in self._few if _likeness(word, wanted) >= _LEAST_LIKENESS}
        return _nearest_first(sorted(found.union(self._longer(_plain(wanted))) - {wanted})[:_FEW], wanted)

    def listed(self, wanted: str) -> str:
        """Some of the words, the nearest first, for people."""
        shown = _nearest_first(self._few, wanted)[:_VALUES_SHOWN]
        more = len(self._few) - len(shown) + self._more
        return ", ".join(shown) + (f" and {more} more" if more else "")

    def _longer(self, plain: str) -> Iterator[str]:
        """Words that begin with this one."""
        if len(plain) >= _LEAST_BEGINNING:
            for other, word in islice(self._sorted, bisect.bisect_left(self._sorted, (plain, "")), None):
                if not other.startswith(plain):
                    return
                yield word


def _nearest_first(words: Sequence[str], wanted: str) -> list[str]:
    return sorted(words, key=lambda word: (-_likeness(word, wanted), word))


def _likeness(one: str, other: str) -> float:
    """0 to 1; labels have 63 characters at most, and longer ones come from no API server."""
    return difflib.SequenceMatcher(None, one[:63], other[:63], autojunk=False).ratio()


def _plain(word: str) -> str:
    return "".join(character for character in word.lower() if character.isalnum())


@functools.lru_cache(maxsize=20_000)
def _parts(word: str) -> frozenset[str]:
    """``{"reddit", "ui"}`` of reddit-ui."""
    return frozenset(re.findall("[a-z0-9]+", word.lower()))


def _nested(one: frozenset[str], other: frozenset[str]) -> bool:
    return one <= other or other <= one


def _slips(plain: str) -> set[str]:
    """The word itself and, for a long one, itself without any one letter: words that share one differ in a letter or two."""
    if len(plain) < _LEAST_FOR_A_SLIP:
        return {plain} if plain else set()
    return {plain, *(plain[:place] + plain[place + 1 :] for place in range(len(plain)))}


def _all(cluster: Object) -> Iterator[Labelled]:
    for entry in cluster["deployments"] or ():
        yield Labelled("Deployment", entry["namespace"], entry["name"], entry["template_labels"], entry)
    for entry in cluster["pods"] or ():
        yield Labelled("pod", entry["namespace"], entry["name"], entry["labels"], entry)


def _difference(labels: Selector, selector: Selector) -> str:
    return " and ".join(
        f"{key}={labels[key]} instead of {key}={value}" if key in labels else f"no label {key} (wanted {key}={value})"
        for key, value in sorted(selector.items())
        if labels.get(key) != value
    )
