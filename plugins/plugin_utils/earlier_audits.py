# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audits that lie beside one: what listened on a host before, and where its random ports were."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ansible_collections.kubenode.doctor.plugins.module_utils import reach
from ansible_collections.kubenode.doctor.plugins.module_utils.nodeport_verdict import is_streaming
from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe, drift, section_gaps
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import Bundle, BundleError, Keep
from ansible_collections.kubenode.doctor.plugins.plugin_utils.misshapen import MISSHAPEN

MOST = 10  # audits that are looked back at, whomever they asked
_LOOKED_AT = 100  # folders of audits; their names begin with the time, so these are the latest
_SECTION = "listen_ports"

Socket = Mapping[str, Any]


class Earlier(NamedTuple):
    """The last audit before this one in which a host showed what listens on it: its folder's name, when it began, the host's sections.

    Where there is none ``why`` says so; ``asked`` is then True for a host that was asked before.
    """

    audit: str = ""
    started: str = ""
    sections: Mapping[str, Any] = {}
    why: str = ""
    asked: bool = False


class _Audit(Protocol):
    """What is used of a Bundle."""

    audit: dict[str, Any]

    def beside(self, name: str) -> _Audit | None:
        """Return the audit of another folder beside it."""

    def node(self, host: str) -> dict[str, Any]:
        """One host's document."""

    def findings(self, keep: Keep | None = None) -> dict[str, Any]:
        """What judge found in it; ``keep`` as Bundle.findings has it."""


@dataclass
class EarlierAudits:
    """The earlier audits that an audit names; each is opened once, and one host's document is read at a time."""

    bundle: _Audit
    _opened: list[tuple[str, _Audit, frozenset[str]]] | None = field(default=None, init=False)
    _gone: list[str] = field(default_factory=list, init=False)

    def of(self, host: str) -> Earlier:
        """What the last of them that a host answered has of it."""
        return next(self.all_of(host))

    def all_of(self, host: str) -> Iterator[Earlier]:
        """What all of them that a host answered have of it, the latest first; the last one says why there are no more."""
        found, asked, told = [], False, False
        for name, audit, hosts in self.all():
            if host not in hosts:
                continue
            asked = True
            document = audit.node(host)
            # Only the last of them is compared with.
            why = _unusable(document) or ("" if told else drift.why_unreadable(document["snapshot"]["sections"]))
            if not why:
                told = True
                yield Earlier(name, str(audit.audit.get("started")), document["snapshot"]["sections"], "", True)
            else:
                found.append(f"{name}: {why}")
        yield Earlier(why=self._why(found), asked=asked)

    def all(self) -> list[tuple[str, _Audit, frozenset[str]]]:
        """Their folders' names, what is read of them and who was asked, the latest first: those that are there."""
        if self._opened is None:
            self._opened = list(self._open())
        return self._opened

    @property
    def later(self) -> list[str]:
        """The audits that lay beside it and claimed to have begun later, which no clock that is right can have told."""
        names = self.bundle.audit.get("later")
        return [name for name in names if isinstance(name, str)][:MOST] if isinstance(names, list) else []

    def why_none(self) -> str:
        """Why there is none of them."""
        return self._why(())

    def _open(self) -> Iterator[tuple[str, _Audit, frozenset[str]]]:
        for name in self._names():
            try:
                audit = self.bundle.beside(name)
            except BundleError as error:
                self._gone.append(str(error))
                continue
            if audit is None:
                self._gone.append(f"{name} is gone")
            else:
                yield name, audit, frozenset(audit.audit["asked"])

    def _names(self) -> list[str]:
        names = self.bundle.audit.get("earlier")
        return [name for name in names if isinstance(name, str)][:_LOOKED_AT] if isinstance(names, list) else []

    def _why(self, found: Sequence[str]) -> str:
        if found:
            more = f" (nor the {len(found) - 1} before it)" if len(found) > 1 else ""
            return f"no earlier audit{more} tells what listened on this host: {found[0]}"
        if not isinstance(self.bundle.audit.get("earlier"), list):
            return "this audit does not say which ones were before it: a newer version of kubenode.doctor notes that"
        if self._gone and not self.all():
            return f"the earlier audits cannot be read: {'; '.join(self._gone[:3])}"
        if self.later and not self.all():
            return f"no audit beside it began before it, {of_the_future(self.later)}"
        return "this host was in none of the earlier audits" if self.all() else "this is the first audit"


def of_the_future(later: Sequence[str]) -> str:
    """What is to be said of audits that claim to have begun later."""
    verb = "claims" if len(later) == 1 else "claim"
    return f"and {describe.listed(later, 3)} {verb} to have begun later: look at the controller's clock"


class Beside(NamedTuple):
    """The folders that hold audits which began before a moment, and after it; the latest first."""

    earlier: list[str]
    later: list[str]


def beside(folder: Path, moment: datetime.datetime, hosts: Iterable[str] = ()) -> Beside:
    """The last few in a folder; of those before, also the last one of each of the ``hosts`` that is in none of these."""
    earlier: list[tuple[datetime.datetime, str, frozenset[str]]] = []
    later: list[tuple[datetime.datetime, str, frozenset[str]]] = []
    for name in _latest(folder):
        try:
            audit = Bundle(folder / name).audit
        except BundleError:
            continue
        begun = when_begun(audit.get("started"))
        if begun is not None and begun != moment:
            (earlier if begun < moment else later).append((begun, name, frozenset(audit["asked"])))
    earlier.sort(reverse=True)
    missing, found = set(hosts), list[str]()
    for _begun, name, asked in earlier:
        if len(found) < MOST or missing & asked:
            found.append(name)
            missing -= asked
    return Beside(found, [name for _begun, name, _asked in sorted(later, reverse=True)[:MOST]])


def names(folder: Path, before: datetime.datetime | None = None) -> list[str]:
    """The folders in ``folder`` that hold an audit which began before a moment (now), the latest first; a few at most."""
    return beside(folder, before or datetime.datetime.now(datetime.timezone.utc)).earlier


class History:
    """What the audits of a folder saw of one host, each read once; without ``bundle_names`` all that it holds. What cannot be read is left out."""

    def __init__(self, folder: Path, host: str, bundle_names: Sequence[str] | None = None) -> None:
        self._folder = folder
        self._host = host
        self._names = bundle_names

    def of(self, listener: Socket) -> list[dict[str, Any]] | None:
        """Where a listener was: ``[{audit, port, started}]``, the latest first; None where its program was not seen.

        Another audit's listener is the same when it is of the same program, reach and kind: a CRI streaming server, one that no table knows on a
        port that was drawn, or any on this very port. ``audit`` is when that audit began, ``started`` when the owner was, None where it was not
        seen.
        """
        if _identity(listener) is None:
            return None
        found: list[dict[str, Any]] = []
        for began, sections in self._seen:
            with contextlib.suppress(*MISSHAPEN):
                found += _same(began, sections, listener)
        return found

    @cached_property
    def _seen(self) -> list[tuple[str, Mapping[str, Any]]]:
        """When each audit began, and the host's sections."""
        seen = []
        for name in (names(self._folder) if self._names is None else self._names)[:MOST]:
            with contextlib.suppress(BundleError, *MISSHAPEN):
                audit = Bundle(self._folder / name)
                document = audit.node(self._host)
                if not _unusable(document):
                    seen.append((str(audit.audit.get("started")), document["snapshot"]["sections"]))
        return seen


def _latest(folder: Path) -> list[str]:
    try:
        there = sorted(os.listdir(folder), reverse=True)
    except OSError:
        return []
    return [name for name in there if (folder / name / "audit.json").is_file()][:_LOOKED_AT]


def when_begun(text: Any) -> datetime.datetime | None:
    """When an audit began, as audit.json has it; None for what is no time of a known zone."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


def _unusable(document: Mapping[str, Any]) -> str:
    """Why a host's document does not tell what listened; empty when it does."""
    if not document["answered"]:
        return f"the host did not answer: {document['why']}"
    return section_gaps.gap(document["snapshot"]["sections"], _SECTION)


def _same(audit: str, sections: Mapping[str, Any], listener: Socket) -> list[dict[str, Any]]:
    wanted = _identity(listener)
    started = {
        one["inode"]: (one["owner"] or {}).get("started")
        for one in (sections.get("listener_origin") or {}).get("listeners", ())
    }
    return [
        {"audit": audit, "port": one["port"], "started": started.get(one["inode"])}
        for one in sections[_SECTION]["listeners"]
        if _identity(one) == wanted
    ]


def _identity(socket: Socket) -> tuple[Any, ...] | None:
    """What stays of a listener, also when its port is drawn anew; None where its program was not seen."""
    name = next((process["name"] for process in socket["processes"] if process["name"]), None)
    streaming = is_streaming(dict(socket))
    if name is None:
        return None
    drawn = streaming or (socket["known_as"] is None and socket["ephemeral"])
    return (
        socket["protocol"],
        socket["state"],
        name,
        streaming,
        reach.of(socket["address"]),
        None if drawn else socket["port"],
    )
