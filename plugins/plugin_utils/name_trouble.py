# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that kubelet wants for a container and cannot have: joined from what the logs say and what the containers show.

The logs tell which name, and mostly who holds it; the containers tell whether the holder lives and whom kubelet takes for the
latest. Either may be missing. What is over is not told: logs remember it, containers show that kubelet got on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import kube_container, stale_names
from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import Identity
from ansible_collections.kubenode.doctor.plugins.plugin_utils import containers_seen
from ansible_collections.kubenode.doctor.plugins.plugin_utils.containers_seen import (
    CONTAINERD,
    CRIO,
    DOCKER,
    Container,
    Containers,
    Found,
    Group,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logged import Entry
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logs_seen import Logs, latest
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings

STAGE, STORAGE = "crio-creation-stage", "crio-storage-name-in-use"
# Which runtime logs a refusal, and kubelet repeats it, under which signature (module_utils/signatures.py).
SIGNATURES: Mapping[str, str] = {
    "docker-name-conflict": DOCKER,
    "containerd-name-reserved": CONTAINERD,
    "containerd-sandbox-name-reserved": CONTAINERD,
    "crio-name-reserved": CRIO,
    STORAGE: CRIO,
    STAGE: CRIO,
}

INVERTED = "inverted"  # a dead attempt looks later than a living one
ALIVE = "alive"  # the holder lives, and nothing dead looks later
DEAD = "dead"
NEVER_RAN = "never ran"  # the holder was created, and no more
STRANGER = "stranger"  # kubelet does not take the holder for its own
ELSEWHERE = "elsewhere"  # the runtime has the id that was logged under another name
UNLISTED = "unlisted"  # the runtime lists no such container
UNSEEN = "unseen"  # whether it does could not be seen


@dataclass(frozen=True)
class Trouble:
    """One name that is wanted in vain. ``entries`` are what the logs say of it, ``conflict`` is what stale_names says, if anything.

    ``holder`` is the container that has the name, ``holder_id`` its id ("" where no log tells it and no container has it).
    ``other_name`` is what the container with that id is called, where that is not the name.
    """

    runtime: str
    wanted: str
    identity: Identity
    kind: str
    entries: tuple[Entry, ...]
    conflict: dict[str, Any] | None
    holder: Container | None
    holder_id: str
    other_name: str = ""

    @property
    def subject(self) -> str:
        """The subject of the container that cannot be created."""
        return containers_seen.subject(self.identity.namespace, self.identity.pod, self.identity.container)

    @property
    def is_inverted(self) -> bool:
        """True where creation times that contradict attempts, and with them the clock, are the cause."""
        return self.kind == INVERTED

    @property
    def is_by_clock(self) -> bool:
        """True where the clock is the cause: kubelet takes one for the latest that has a lower number than the holder."""
        if self.is_inverted or not self.conflict:
            return self.is_inverted
        holder, newest = self.conflict["holder"], self.conflict["newest"]
        return bool(holder["own"] and newest["created_ns"] > holder["created_ns"])

    @property
    def count(self) -> int:
        """How often the name was refused; a refusal is logged by the runtime and by kubelet, so the logs are not added up."""
        return max((entry["count"] for entry in self.entries), default=0)

    @property
    def seconds(self) -> float:
        """Between the first refusal and the last one."""
        firsts = [entry["first"] for entry in self.entries if entry["first"] is not None]
        lasts = [entry["last"] for entry in self.entries if entry["last"] is not None]
        return max(lasts) - min(firsts) if firsts and lasts else 0.0

    @property
    def is_in_storage(self) -> bool:
        """True where it is the storage below CRI-O that has the name."""
        return any(entry["signature"] == STORAGE for entry in self.entries)

    @property
    def stage(self) -> str:
        """The stage at which CRI-O says that it still is; empty where it says none."""
        told = (entry["fields"].get("stage") for entry in self.entries if entry["signature"] == STAGE)
        return next(filter(None, told), "")


def going_on(containers: Containers, logs: Logs, settings: Settings, *runtimes: str) -> Iterator[Trouble]:
    """The troubles of these runtimes that are going on, as far as one can see; those with a conflict first.

    containerd and CRI-O refuse a name while a slow request for it goes on, so a few refusals there are none.
    """
    for trouble in _all(containers, logs, runtimes):
        if trouble.conflict or trouble.runtime == DOCKER or trouble.count >= settings.threshold("name_reserved_count"):
            yield trouble


def refused(containers: Containers, logs: Logs, settings: Settings) -> frozenset[str]:
    """The subjects of all containers whose name is taken, as far as one can see."""
    found = going_on(containers, logs, settings, *containers_seen.RUNTIMES)
    return frozenset(trouble.subject for trouble in found if trouble.kind != ELSEWHERE)


def _all(containers: Containers, logs: Logs, runtimes: tuple[str, ...]) -> Iterator[Trouble]:
    if containers.is_of_no_node:
        return
    logged = _logged(logs, runtimes)
    conflicts = {(conflict["runtime"], conflict["wanted"]): conflict for conflict in containers.conflicts(runtimes)}
    for place, conflict in conflicts.items():
        yield _trouble(place, _identity_of(conflict), logged.pop(place, []), conflict, containers)
    for place, entries in logged.items():
        identity = parse(*place)
        if identity and any(map(logs.is_recent, entries)) and not _is_over(identity, entries, containers, logs):
            yield _trouble(place, identity, entries, None, containers)


def parse(runtime: str, name: str) -> Identity | None:
    """Whose name it is; None for one that is none of Kubernetes."""
    read = kube_container.parse_containerd_name if runtime == CONTAINERD else kube_container.parse_name
    return read(name)


def _logged(logs: Logs, runtimes: tuple[str, ...]) -> dict[tuple[str, str], list[Entry]]:
    """The entries by runtime and the name that was refused; those that name nothing are left out."""
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in logs.entries(*(signature for signature, runtime in SIGNATURES.items() if runtime in runtimes)):
        name = (entry["fields"].get("name") or "").lstrip("/")
        if name:
            found.setdefault((SIGNATURES[entry["signature"]], name), []).append(entry)
    return found


def _identity_of(conflict: Mapping[str, Any]) -> Identity:
    uid, namespace, pod, container = (conflict[key] for key in ("pod_uid", "namespace", "pod", "container"))
    return Identity(uid, namespace, pod, container, conflict["newest"]["attempt"] + 1)


def _is_over(identity: Identity, entries: list[Entry], containers: Containers, logs: Logs) -> bool:
    """True where kubelet has got on since, with this attempt, a later one, or under another name; or where the pod is gone."""
    if containers.has_lost(identity.pod_uid) and logs.has_ended(entries):
        return True
    group = None if containers.unseen else containers.group(identity.pod_uid, identity.container)
    if group is None:
        return False
    if any(one["attempt"] == identity.attempt and one["suffix"] != identity.suffix for one in group["instances"]):
        return True  # the shim has taken the name with a random suffix
    now = stale_names.newest(group)
    if now is None or identity.attempt is None:
        return False
    if now["attempt"] > identity.attempt:
        return True
    began_since = containers_seen.began_after(now, latest(entries)["last"])
    return containers_seen.is_alive(now) and (began_since or logs.has_ended(entries))


def _trouble(
    place: tuple[str, str],
    identity: Identity,
    entries: list[Entry],
    conflict: dict[str, Any] | None,
    containers: Containers,
) -> Trouble:
    runtime, wanted = place
    told = next((entry["fields"]["holder"] for entry in entries if entry["fields"].get("holder")), "")
    holder, other_name = conflict["holder"] if conflict else None, ""
    if not conflict and not containers.unseen:
        found = containers.find(told) if told else None
        if found and not _has(found, place, identity):
            other_name = _name(found)
        else:
            holder = found.container if found else None if told else _by_attempt(identity, containers)
    kind = ELSEWHERE if other_name else _kind(holder, conflict, runtime, containers)
    id_ = holder["id"] if holder else told
    return Trouble(runtime, wanted, identity, kind, tuple(entries), conflict, holder, id_, other_name)


def _has(found: Found, place: tuple[str, str], identity: Identity) -> bool:
    """True where a container has the name; where the runtime tells no names, where it is this very attempt."""
    one, group = found
    if one["name"] is not None:
        return bool(one["name"] == place[1])
    mine = (place[0], identity.pod_uid, identity.container)
    return bool(group and (group["runtime"], group["pod_uid"], group["container"]) == mine) and _is(one, identity)


def _name(found: Found) -> str:
    """A container's name; where the runtime does not tell it, the one that it was asked to give."""
    one, group = found
    if one["name"] is not None or group is None:
        return str(one["name"] or "one that was not told")
    pod = Identity(group["pod_uid"], group["namespace"], group["pod"], group["container"], one["attempt"])
    return kube_container.wanted_name(group["runtime"], pod)


def _by_attempt(identity: Identity, containers: Containers) -> Container | None:
    """The holder where no log tells its id."""
    group: Group | None = containers.group(identity.pod_uid, identity.container)
    return next((one for one in (group["instances"] if group else ()) if _is(one, identity)), None)


def _is(one: Container, identity: Identity) -> bool:
    return (one["attempt"], one["suffix"]) == (identity.attempt, identity.suffix)


def _kind(holder: Container | None, conflict: dict[str, Any] | None, runtime: str, containers: Containers) -> str:
    if conflict and conflict["kind"] == stale_names.CLOCK_INVERSION:
        return INVERTED
    if holder is None:
        return UNLISTED if containers.lists_all_of(runtime) else UNSEEN
    if not holder.get("own", False):
        return STRANGER
    if containers_seen.is_alive(holder):
        return ALIVE
    return NEVER_RAN if containers_seen.never_ran(holder) else DEAD
