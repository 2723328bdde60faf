# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an earlier audit found: of its findings.json only what a later one is compared with, so that the rest can be forgotten.

Its schema may be another one: only what is read here has to be there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError
from ansible_collections.kubenode.doctor.plugins.plugin_utils.misshapen import MISSHAPEN

CLUSTER = None  # the host of findings that belong to no single node
_READ = ("status", "rule", "severity", "host", "object", "title", "waived", "fingerprint", "first_seen")
_UNREADABLE = "its findings.json is not of the form that this collection writes: judge it again"


class Seen(NamedTuple):
    """A fault as an audit remembers it. ``first_seen`` and ``last_seen`` are when the first and the last audit began that saw it."""

    fingerprint: str
    rule: str
    severity: str
    host: str | None
    object: str
    title: str
    waived: bool
    first_seen: str
    last_seen: str


@dataclass
class Then:
    """What one audit has of one host: its faults by fingerprint, with those that it carried on; what was unknown, as rules and objects."""

    audit: str
    started: str
    answered: bool
    rules: frozenset[str]
    faults: dict[str, Seen] = field(default_factory=dict)
    unknown: set[tuple[str, str]] = field(default_factory=set)

    def could_tell(self, rule: str, subject: str) -> bool:
        """Whether that audit would have found a fault that was there."""
        return self.answered and rule in self.rules and self.unknown.isdisjoint(((rule, ""), (rule, subject)))


class Past(NamedTuple):
    """An earlier audit: by what it was judged (None where it does not say), which API server it asked (None for none), how many hosts it has."""

    audit: str
    started: str
    judged_with: Any
    server: str | None
    answered: int
    hosts: dict[str | None, Then]


def keep(found: dict[str, Any]) -> dict[str, Any] | None:
    """Of an object of findings.json what is read here; of a finding most is not, and an audit of thousands of hosts has tens of thousands."""
    if isinstance(found.get("commands"), list) and isinstance(found.get("summary"), str):
        return None  # a remedy
    if isinstance(found.get("evidence"), list) and isinstance(found.get("fingerprint"), str):
        return {key: found[key] for key in _READ if key in found}
    return found


def read(name: str, started: str, document: Mapping[str, Any], wanted: Collection[str | None]) -> Past:
    """What a document has of the ``wanted`` hosts. Raises BundleError for one that cannot be read."""
    try:
        return _read(name, started, document, wanted)
    except MISSHAPEN as error:
        raise BundleError(f"{name}: {_UNREADABLE} ({type(error).__name__}: {error})") from error


def _read(name: str, started: str, document: Mapping[str, Any], wanted: Collection[str | None]) -> Past:
    cluster, rules = document["cluster"], frozenset(document["rules"])
    asked = {host: state["answered"] is True for host, state in document["hosts"].items()}
    asked_of = {**asked, CLUSTER: any(cluster[kind] is not None for kind in ("services", "nodes"))}
    hosts = {host: Then(name, started, asked_of[host], rules) for host in wanted if host in asked_of}
    for finding in document["findings"]:
        then = hosts.get(finding["host"])
        if then is None:
            continue
        if finding["status"] == "fail":
            seen = _seen(finding, bool(finding["waived"]), _text(finding.get("first_seen"), started), started)
            then.faults[seen.fingerprint] = seen
        elif then.answered:  # of a silent host everything is unknown
            then.unknown.add((finding["rule"], finding["object"]))
    for entry in _carried(document):
        then = hosts.get(entry["host"])
        if then is not None:
            seen = _seen(entry, entry["waived"] is True, entry["first_seen"], entry["last_seen"])
            then.faults.setdefault(seen.fingerprint, seen)
    server = cluster.get("server")
    return Past(
        name,
        started,
        document.get("judged_with"),
        server if isinstance(server, str) else None,
        sum(asked.values()),
        hosts,
    )


def _carried(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What that audit itself could not tell of."""
    yield from (document.get("memory") or {}).get("unsure", ())


def _seen(told: Mapping[str, Any], waived: bool, first: Any, last: Any) -> Seen:
    texts = (told["fingerprint"], told["rule"], told["severity"], told["object"], told["title"], first, last)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a text is expected")
    return Seen(
        told["fingerprint"],
        told["rule"],
        told["severity"],
        told["host"],
        told["object"],
        told["title"],
        waived,
        first,
        last,
    )


def _text(value: Any, otherwise: str) -> str:
    return value if isinstance(value, str) else otherwise
