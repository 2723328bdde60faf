# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers and sandboxes that kubelet says it cannot create, by its log, without those that are there by now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.kubenode.doctor.plugins.module_utils import kube_container, stale_names
from ansible_collections.kubenode.doctor.plugins.plugin_utils import containers_seen, name_trouble
from ansible_collections.kubenode.doctor.plugins.plugin_utils.containers_seen import Container, Containers
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logged import Entry
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logs_seen import Logs, latest
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings

RULE, NAME_RULES = "container-not-created", ("container-name-conflict", "container-name-reserved")
CONTAINER = "container-not-created"
SANDBOX = "sandbox-not-created"


@dataclass(frozen=True)
class NotCreated:
    """One container, or the sandbox of a pod, and what kubelet logged of it, the latest first."""

    pod_uid: str
    namespace: str
    pod: str
    container: str
    entries: tuple[Entry, ...]
    recent: bool
    lives: bool  # the instance that kubelet takes for the latest is alive all the same

    @property
    def subject(self) -> str:
        """The subject of the container."""
        return containers_seen.subject(self.namespace, self.pod, self.container)

    @property
    def reason(self) -> str:
        """What kubelet calls it: ``CreateContainerError``; empty for a sandbox."""
        return str(self.entries[0]["fields"].get("reason") or "")


def found(containers: Containers, logs: Logs) -> Iterator[NotCreated]:
    """All that the log tells and the containers do not refute."""
    if containers.is_of_no_node:
        return
    by_place: dict[tuple[str, str, str, str], list[Entry]] = {}
    for entry in logs.entries(CONTAINER, SANDBOX):
        by_place.setdefault(_place(entry), []).append(entry)
    for place, entries in by_place.items():
        recent, now = any(map(logs.is_recent, entries)), _now(place[0], place[3], containers)
        lives = now is not None and containers_seen.is_alive(now)
        if now and lives and (containers_seen.began_after(now, latest(entries)["last"]) or logs.has_ended(entries)):
            continue
        if not (containers.has_lost(place[0]) and logs.has_ended(entries)):
            yield NotCreated(*place, tuple(entries), recent, lives)


def causes(subject: str, containers: Containers, logs: Logs, settings: Settings) -> tuple[tuple[str, str], ...]:
    """What keeps a container away, the nearest first: that it or its sandbox is not created, else that a name of theirs is taken."""
    places = (subject, containers_seen.sandbox_of(subject))
    absent = {one.subject for one in found(containers, logs)}
    if absent.intersection(places):
        return tuple((RULE, place) for place in places if place in absent)
    taken = name_trouble.refused(containers, logs, settings)
    return tuple((rule, place) for place in places if place in taken for rule in NAME_RULES)


def _place(entry: Entry) -> tuple[str, str, str, str]:
    told = entry["fields"]
    container = kube_container.SANDBOX if entry["signature"] == SANDBOX else told.get("container")
    return tuple(str(part or "?") for part in (told.get("uid"), told.get("namespace"), told.get("pod"), container))  # type: ignore[return-value]


def _now(pod_uid: str, container: str, containers: Containers) -> Container | None:
    """The instance that kubelet takes for the latest by now."""
    group = None if containers.unseen else containers.group(pod_uid, container)
    return stale_names.newest(group) if group else None
