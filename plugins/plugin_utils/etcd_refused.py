# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""API servers that said that etcd refuses them: which instance said it, and whether that one is there to be refused.

``kubectl logs`` and whoever reads /var/log/pods meets the words of dead instances, and of the first seconds of living ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.kubenode.doctor.plugins.module_utils import signature_words
from ansible_collections.kubenode.doctor.plugins.plugin_utils import containers_seen
from ansible_collections.kubenode.doctor.plugins.plugin_utils.containers_seen import Container, Containers, Group
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logged import Entry
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logs_seen import Logs

SIGNATURE = "etcd-dial-refused"
API_SERVER = "kube-apiserver"
LIVE = "live"  # the instance that runs now, lately
LAST_WORDS = "last words"  # no instance runs, and the last one that said anything like it ended since
ECHO = "echo"  # an instance that is dead, or before the one that runs was started
OVER = "over"  # the instance that runs now, and not lately


@dataclass(frozen=True)
class Refused:
    """What one API server said at one stage of its life. ``running`` is the instance that runs, ``of`` the one that said it."""

    subject: str
    kind: str
    entries: tuple[Entry, ...]
    running: Container | None
    of: Container | None


def found(containers: Containers, logs: Logs) -> Iterator[Refused]:
    """One for each API server: the worst of what it said."""
    by_server: dict[str, list[Entry]] = {}
    for entry in logs.entries(SIGNATURE):
        subject = _subject(entry)
        if subject and not (entry["pod"] and containers.is_of_no_node):
            by_server.setdefault(subject, []).append(entry)
    for subject, entries in by_server.items():
        yield _refused(subject, entries, containers, logs)


def _subject(entry: Entry) -> str:
    pod = entry["pod"]
    if pod:
        named = containers_seen.subject(pod["namespace"], pod["name"], pod["container"])
        return named if pod["container"] == API_SERVER else ""
    # What a unit logged before its last start is not read.
    unit = (entry["unit"] or "").rpartition(".service")[0]
    return f"{unit} {API_SERVER}" if unit in signature_words.API_SERVER else ""


def _refused(subject: str, entries: list[Entry], containers: Containers, logs: Logs) -> Refused:
    by_kind: dict[str, list[Entry]] = {}
    for entry in entries:
        by_kind.setdefault(_kind(entry, entries, containers, logs), []).append(entry)
    kind = next(kind for kind in (LIVE, LAST_WORDS, ECHO, OVER) if kind in by_kind)
    told = by_kind[kind]
    group = _group(told[0], containers)
    return Refused(subject, kind, tuple(told), containers_seen.running(group), _instance(told[0], group))


def _kind(entry: Entry, entries: list[Entry], containers: Containers, logs: Logs) -> str:
    recent, group = logs.is_recent(entry), _group(entry, containers)
    running = containers_seen.running(group)
    if running is not None:
        if not _is_of(entry, running):
            return ECHO
        return LIVE if recent else OVER
    if group is None or any(map(containers_seen.is_alive, group["instances"])):
        return LIVE if recent else OVER
    newest = max(one["attempt"] or 0 for one in group["instances"])
    if _attempt(entry) not in (None, newest) and any(_attempt(other) == newest for other in entries):
        return ECHO
    return LAST_WORDS


def _is_of(entry: Entry, running: Container) -> bool:
    """True when the instance that runs said it."""
    if _attempt(entry) not in (None, running["attempt"]):
        return False
    return entry["last"] is None or running["started_ns"] is None or entry["last"] * 1e9 >= running["started_ns"]


def _attempt(entry: Entry) -> int | None:
    return entry["pod"]["attempt"] if entry["pod"] else None


def _group(entry: Entry, containers: Containers) -> Group | None:
    pod = entry["pod"]
    return None if containers.unseen or not pod else containers.group(pod["uid"], pod["container"])


def _instance(entry: Entry, group: Group | None) -> Container | None:
    instances = group["instances"] if group else ()
    return next((one for one in instances if one["attempt"] == _attempt(entry)), None)
