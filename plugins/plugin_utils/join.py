# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several bundles as one: the slices of a fleet that one controller is too small for, or what nodes collected that nobody can reach.

Each host's answer is the latest one there is; a host that was to answer and is in no bundle did not answer. Whatever could not be used is told in
the joined audit.json, so that the judge and the report say it too. The bundles themselves stay as they are.

Whoever writes a bundle may write any name into it. A bundle of which is said whose it is speaks for that host only, and not for the cluster.
"""

from __future__ import annotations

import datetime
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_store
from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle, describe, earlier_audits, join_clusters
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import Bundle, BundleError
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

_NAMED = 6
_NO_CLUSTER = "each bundle is of one host, so nothing that they say of the cluster was taken"
_LISTED = 50  # of each list in audit.json, which findings.json repeats
# A bundle from the future would make all others old. Clocks that differ by less are a finding, and no reason to leave a node out.
_AHEAD = datetime.timedelta(hours=1)


class Slice(NamedTuple):
    """A bundle that is joined: its name for a person, what it is read with, when it began, and whether that is long ago beside the others.

    ``only`` is the one host that it may speak for; None for all and the cluster.
    """

    name: str
    bundle: Bundle
    started: datetime.datetime
    only: str | None = None
    is_old: bool = False

    @property
    def began(self) -> str:
        """When it began, in words."""
        return self.started.isoformat(timespec="seconds")


@dataclass
class Joined:
    """What became of a join: the new folder, which slices gave how many answers, what is to be told, and what was of no use."""

    path: Path
    slices: list[dict[str, Any]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    several: list[str] = field(default_factory=list)  # hosts that several bundles have an answer of


def join(
    folders: Sequence[Path],
    audits: Path,
    expected: Iterable[str] = (),
    max_age: datetime.timedelta | None = None,
    only: Mapping[Path, str] | None = None,
) -> Joined:
    """Make one bundle of several, in a new folder of ``audits`` that is named after the moment when the last of them began.

    ``expected`` are hosts that are to be in it, whether or not a bundle has them. An answer that is older than the latest bundle by more than
    ``max_age`` is not taken. ``only`` are the hosts that bundles may speak for, where somebody knows that. Raises BundleError where there is nothing
    to join.
    """
    joined = Joined(audits)
    slices = _open(folders, joined, only or {})
    oldest = None if max_age is None else max(one.started for one in slices) - max_age
    slices = [one._replace(is_old=oldest is not None and one.started < oldest) for one in slices]
    recent = [one for one in slices if not one.is_old]
    # The first of them may be yesterday's, where bundles pile up: then today's audit would lie before the last one, and be compared with none.
    started = min(slices[0].started, datetime.datetime.now(datetime.timezone.utc))
    asked = _asked(slices, expected)
    about = {
        **_about(recent),
        "started": started.isoformat(timespec="seconds"),
        "earlier": earlier_audits.beside(audits, started, asked).earlier,
    }
    joined.path = bundle.new_folder(audits, started.strftime("%Y%m%dT%H%M%SZ"))
    joined.damaged += [line for one in recent for line in _presumed(one)]
    answers = Counter(_take(joined, host, having) for host, having in asked.items())
    if joined.several:
        names = describe.listed(joined.several, _NAMED)
        joined.told.append(f"in several bundles, of which the latest answer was taken: {names}")
    joined.slices = [_told(one, answers[one.name]) for one in recent]
    _take_cluster(joined, recent)
    if ", " in about["version"]:
        joined.told.append(f"the bundles were collected by different versions: {about['version']}")
    joined.told, joined.damaged = _some(joined.told), _some(joined.damaged)
    more = max(0, len(joined.slices) - _LISTED)
    about["joined"] = {"bundles": joined.slices[:_LISTED], "more": more, "told": joined.told}
    about["damaged"] = joined.damaged
    # Last: without it a folder is no bundle, so that an interrupted join is never taken for one.
    bundle.write(joined.path / "audit.json", {"schema": bundle.SCHEMA, "asked": list(asked), **about})
    return joined


def _open(folders: Sequence[Path], joined: Joined, only: Mapping[Path, str]) -> list[Slice]:
    """The bundles that can be read, the latest first. Raises BundleError when there is none."""
    found = []
    latest = datetime.datetime.now(datetime.timezone.utc) + _AHEAD
    names = _names(folders)
    for folder in dict.fromkeys(folders):
        if not folder.is_dir():
            joined.told.append(f"{clean(str(folder))} is no folder, and was left out")
            continue
        try:
            read = Bundle(folder)
            found.append(Slice(names[folder], read, _started(read, latest), only.get(folder)))
        except BundleError as error:
            joined.damaged.append(clean(str(error)))
    if not found:
        raise BundleError(
            f"there is no bundle to join: {'; '.join([*joined.damaged, *joined.told][:3]) or 'none is named'}"
        )
    return sorted(found, key=lambda one: (one.started, one.name), reverse=True)


def _started(read: Bundle, latest: datetime.datetime) -> datetime.datetime:
    started = earlier_audits.when_begun(read.audit.get("started"))
    if started is None or started > latest:
        said = clean(repr(read.audit.get("started")), 100)
        raise BundleError(
            f"{read.folder / 'audit.json'}: it cannot have begun at {said}: look at the clock of who collected it"
        )
    return started.astimezone(datetime.timezone.utc)


def _names(folders: Sequence[Path]) -> dict[Path, str]:
    """The shortest paths that tell them apart."""
    common = os.path.commonpath([str(folder.parent) for folder in folders]) if folders else ""
    return {folder: clean(os.path.relpath(folder, common), 200) for folder in folders}


def _asked(slices: Iterable[Slice], expected: Iterable[str]) -> dict[str, list[Slice]]:
    """By host, in order, the bundles that have it."""
    having: dict[str, list[Slice]] = {host: [] for host in expected}
    for one in slices:
        for host in one.bundle.hosts:
            if one.only in (None, host):
                having.setdefault(host, []).append(one)
    return dict(sorted(having.items()))


def _presumed(one: Slice) -> Iterator[str]:
    """That a bundle speaks for others than the host it is of."""
    others = [host for host in one.bundle.hosts if one.only not in (None, host)]
    if others:
        yield (
            f"{one.name} is of {clean(str(one.only), 100)} and speaks for {describe.listed([clean(host, 100) for host in others], _NAMED)}: "
            "that was not taken"
        )


def _take(joined: Joined, host: str, having: Sequence[Slice]) -> str | None:
    """Store a host's answer, the latest that there is; return which bundle it is of, None when there is no answer."""
    silent = []
    found: list[tuple[Slice, Mapping[str, Any]]] = []
    for one in having:
        if one.is_old:
            silent.append(f"its answer in {one.name} is of {one.began}, too old beside the others (max_age_hours)")
            break  # and so are those after it
        document = one.bundle.node(host)
        if document["answered"]:
            found.append((one, document["snapshot"]))
        elif not found:
            silent.append(f"{document['why']} (in {one.name}, of {one.began})")
        if len(found) == 2:
            break
    two = _two_machines(host, *found) if len(found) == 2 else ""
    if two:
        joined.damaged.append(two)
        bundle.write_silence(joined.path, host, two)
        return None
    if not found:
        # A file that is of no use is no loss where a later or an earlier bundle has the answer.
        file = f"nodes/{bundle.node_file(joined.path, host).name}"
        joined.damaged += [clean(one.bundle.damaged[file]) for one in having if file in one.bundle.damaged]
        bundle.write_silence(
            joined.path, host, silent[0] if silent else "it is in none of the bundles that were joined"
        )
        return None
    taken, snapshot = found[0]
    if taken is not having[0]:
        why = "did not answer in the latest bundle that has it"
        joined.told.append(f"{clean(host, 100)} {why}: its answer in {taken.name}, of {taken.began}, was taken")
    elif len(found) > 1:
        joined.several.append(clean(host, 100))
    bundle.write_answer(joined.path, host, dict(snapshot))
    return taken.name


def _two_machines(host: str, one: tuple[Slice, Mapping[str, Any]], other: tuple[Slice, Mapping[str, Any]]) -> str:
    """That a name stands for two machines, of which one would be lost: many nodes call themselves localhost. Empty where it does not."""
    names = [_machine(snapshot) for _slice, snapshot in (one, other)]
    if None in names or names[0] == names[1]:
        return ""
    return (
        f"{clean(host, 100)} is one machine in {one[0].name} ({clean(str(names[0]), 100)}) and another in {other[0].name} "
        f"({clean(str(names[1]), 100)}), so neither answer was taken: give each node a name of its own in the inventory, or leave one bundle out"
    )


def _machine(snapshot: Mapping[str, Any]) -> str | None:
    about = snapshot["sections"].get("host")
    name = about.get("hostname") if isinstance(about, dict) else None
    return name if isinstance(name, str) else None


def _take_cluster(joined: Joined, slices: Sequence[Slice]) -> None:
    """Store what the API server said: the answer that saw most, with the pods of the others."""
    free = [one for one in slices if one.only is None]
    document, told = join_clusters.join(_clusters(free))
    joined.told += told
    if not free:
        joined.told.append(_NO_CLUSTER)
        bundle.write(joined.path / cluster_store.NAME, bundle.silent_cluster(_NO_CLUSTER))
        return
    lost = [clean(one.bundle.damaged[cluster_store.NAME]) for one in free if cluster_store.NAME in one.bundle.damaged]
    if document is None:
        joined.damaged += lost
        return
    joined.told += lost
    try:
        cluster_store.store(str(joined.path), document)
    except OSError as error:
        raise BundleError(cluster_store.unwritten(str(joined.path), error)) from error


def _clusters(slices: Iterable[Slice]) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in slices:
        document = one.bundle.cluster()
        if cluster_store.NAME not in one.bundle.damaged:
            yield one.name, document


def _about(slices: Sequence[Slice]) -> dict[str, Any]:
    """What audit.json has of the bundles: the versions of all, and the limits of the latest."""
    audits = [one.bundle.audit for one in slices]
    limits = audits[0].get("limits")
    return {
        "version": ", ".join(sorted({clean(str(audit.get("version")), 50) for audit in audits})),
        "ansible_version": clean(str(audits[0].get("ansible_version")), 50),
        "limits": limits if isinstance(limits, dict) else {},
    }


def _told(one: Slice, answers: int) -> dict[str, Any]:
    version = clean(str(one.bundle.audit.get("version")), 50)
    return {"name": one.name, "started": one.began, "version": version, "answers": answers}


def _some(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _LISTED
    return [*lines[:_LISTED], *([f"and {more} more of this kind"] if more > 0 else [])]
