# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All containers of a Docker Engine, and which of them are instances of the same container of the same pod.

One list tells of all. What it cannot tell (nanoseconds, exit codes) is asked one by one, of containers that have several instances.
kubelet compares their creation times in nanoseconds (cri-dockerd core/container_status.go), and the list has whole seconds: where
one of several could not be asked about, none of them has a time, so that the two are never compared. Of sandboxes it knows whole
seconds only, but keeps those of one second in the engine's order, the last created first (Go sorts up to 12 by insertion).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Dict, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.container_groups import grouped, instance, stranger
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import Engine, EngineError, plain
from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import (
    LABEL_SANDBOX_ID,
    LABEL_TYPE,
    SANDBOX,
    Identity,
    UnclearError,
    identify,
    is_id,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.rfc3339 import nanoseconds
from ansible_collections.kubenode.doctor.plugins.module_utils.stale_names import SETTLED

RUNTIME = "docker"
MOST_INSPECTED = 1000
# moby container/state.go StateString. What podman has beyond them is unknown here, and so left alone.
_STATES = frozenset({"created", "running", "paused", "restarting", "removing", "exited", "dead"})
_JOINED = "container:"  # before an id in HostConfig.NetworkMode: it is in the network namespace of that container
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,999}")  # moby daemon/names/names.go, but for the length
_LONGEST_ODD_NAME = 500
_LATEST = 253_402_300_799  # the end of the year 9999, seconds since 1970

Container = Dict[str, Any]


class Details(NamedTuple):
    """What is told of one container. Two inspections give equal ones when nothing happened to it in between."""

    name: Optional[str]  # without the leading "/"
    labels: dict[str, str]
    state: str
    created_ns: Optional[int]
    started_ns: Optional[int]
    finished_ns: Optional[int]
    exit_code: Optional[int]
    image: Optional[str]
    network: Optional[str]  # the id of the container in whose network namespace it is


class Listing(NamedTuple):
    """All containers of an engine.

    ``groups`` and ``strangers`` are those of stale_names, ``others`` the containers of no Kubernetes, which are told like
    strangers: ``{runtime, id, name, state, why, sandbox_id}``. ``inspected`` has what was inspected, by id.
    """

    now_ns: int
    groups: list[dict[str, Any]]
    strangers: list[Container]
    others: list[Container]
    inspected: dict[str, Details]
    missing: list[dict[str, str]]


class _Member(NamedTuple):
    """A container that says of which pod's which container it is an instance."""

    id: str
    identity: Identity
    own: bool


def collect(
    engine: Engine,
    deadline: Deadline,
    most_inspected: int = MOST_INSPECTED,
    beside: Optional[frozenset[str]] = None,
) -> Listing:
    """List all containers of an engine that has begun, and inspect, until ``deadline``, those of which there are several instances.

    With ``beside`` only instances of the same containers as these ids are inspected. Raises EngineError when there is no list.
    """
    listed = {entry["Id"]: _from_list(entry) for entry in engine.containers()}
    families, strangers, others = _sort(listed)
    wanted = [
        member.id
        for family in sorted(families, key=lambda family: _in_order(family, listed))
        for member in family
        if len(family) > 1 and (beside is None or any(one.id in beside for one in family))
    ]
    inspected, gone, missing = _inspect_all(engine, deadline, wanted, most_inspected)
    found = []
    for family in families:
        there = [member for member in family if member.id not in gone]
        same = [member for member in there if _same_identity(listed[member.id], inspected.get(member.id))]
        strangers += [
            _stranger(member.id, inspected[member.id], "its name or its labels changed while it was looked at")
            for member in there
            if member not in same
        ]
        timed = len(family) == 1 or all(member.id in inspected for member in same)
        found += [
            (member.identity, _instance(member, inspected.get(member.id, listed[member.id]), timed)) for member in same
        ]
    return Listing(engine.now_ns(), grouped(RUNTIME, found), strangers, others, inspected, missing)


def inspect(engine: Engine, container_id: str) -> Optional[Details]:
    """What the engine tells of one container now, None when it is gone. Raises EngineError."""
    told = engine.inspect(container_id)
    return None if told is None else _from_inspection(told)


def _sort(listed: Mapping[str, Details]) -> tuple[list[list[_Member]], list[Container], list[Container]]:
    """Instances of the same container of the same pod, strangers, and containers of no Kubernetes."""
    found: dict[tuple[str, str], list[_Member]] = {}
    strangers, others = [], []
    for id_, details in listed.items():
        try:
            known = identify(details.name or "", details.labels)
        except UnclearError as error:
            strangers.append(_stranger(id_, details, str(error)))
            continue
        if known is None:
            others.append(_stranger(id_, details, "it is no container of Kubernetes"))
        else:
            identity, own = known
            found.setdefault((identity.pod_uid, identity.container), []).append(_Member(id_, identity, own))
    families = []
    for family in found.values():
        # kubelet tells pods apart by uid alone.
        if len({(member.identity.namespace, member.identity.pod) for member in family}) == 1:
            families.append(_as_kubelet_sees_it(family, listed))
        else:
            why = "containers with the uid of its pod name different pods"
            strangers += [_stranger(member.id, listed[member.id], why) for member in family]
    return families, strangers, others


def _as_kubelet_sees_it(family: list[_Member], listed: Mapping[str, Details]) -> list[_Member]:
    """Where one has the label of its type, the shim gives that label, and lists for kubelet only what has it."""
    typed = {member.id for member in family if LABEL_TYPE in listed[member.id].labels}
    return [member._replace(own=member.own and (not typed or member.id in typed)) for member in family]


def _in_order(family: list[_Member], listed: Mapping[str, Details]) -> bool:
    """Whether each attempt was created later than the one before it: then no clock can have misled kubelet."""
    attempts = sorted(family, key=lambda member: -1 if member.identity.attempt is None else member.identity.attempt)
    times = [listed[member.id].created_ns or 0 for member in attempts]
    return all(before < after for before, after in zip(times, times[1:]))


def _inspect_all(
    engine: Engine, deadline: Deadline, wanted: list[str], most: int
) -> tuple[dict[str, Details], set[str], list[dict[str, str]]]:
    """What was inspected, what was gone by then, and what could not be inspected."""
    inspected: dict[str, Details] = {}
    gone: set[str] = set()
    failures: list[str] = []
    for id_ in wanted[:most]:
        if deadline.passed():
            break
        try:
            details = inspect(engine, id_)
        except EngineError as error:
            failures.append(str(error))
            continue
        if details is None:
            gone.add(id_)
        else:
            inspected[id_] = details
    left = len(wanted) - len(inspected) - len(gone)
    if not left:
        return inspected, gone, []
    reason = failures[0] if failures else "there was no time for more"
    if len(wanted) > most:
        reason = f"no more than {most} are inspected"
    why = f"{left} of {len(wanted)} containers were not inspected, so when they were created is not known: {reason}"
    return inspected, gone, [{"what": "containers", "why": why}]


def _same_identity(before: Details, after: Optional[Details]) -> bool:
    return after is None or (before.name, before.labels) == (after.name, after.labels)


def _instance(member: _Member, details: Details, timed: bool) -> Container:
    times = (details.created_ns, details.started_ns, details.finished_ns) if timed else (None, None, None)
    return instance(
        member.id,
        details.state,
        name=details.name,
        attempt=member.identity.attempt,
        suffix=member.identity.suffix,
        created_ns=times[0],
        started_ns=times[1],
        finished_ns=times[2],
        exit_code=details.exit_code,
        sandbox_id=None if member.identity.container == SANDBOX else _sandbox_id(details),
        own=member.own,
        image=details.image,
    )


def _stranger(id_: str, details: Details, why: str) -> Container:
    sandbox_id = None if details.state in SETTLED else details.network or _sandbox_id(details)
    return stranger(RUNTIME, id_, details.state, why, details.name, sandbox_id)


def _sandbox_id(details: Details) -> Optional[str]:
    """The sandbox that a container lives in; None where its label and its network tell different ones."""
    label = details.labels.get(LABEL_SANDBOX_ID)
    if not is_id(label):
        return details.network
    return label if details.network in (None, label) else None


def _from_list(entry: dict[str, Any]) -> Details:
    """An entry of GET /containers/json, whatever is in it."""
    names = [name for name in _list(entry.get("Names")) if isinstance(name, str) and "/" not in name[1:]]
    created = _int(entry.get("Created"))
    state = entry.get("State")
    return Details(
        name=_name(names[0]) if names else None,  # others have a second "/": /other/alias, a link
        labels=_labels(entry.get("Labels")),
        state=state if isinstance(state, str) and state in _STATES else "unknown",
        created_ns=None if created is None else created * 1_000_000_000,
        started_ns=None,
        finished_ns=None,
        exit_code=None,
        image=_image(entry.get("Image")),
        network=_network(entry.get("HostConfig")),
    )


def _from_inspection(told: dict[str, Any]) -> Details:
    """GET /containers/{id}/json, whatever is in it."""
    state = _dict(told.get("State"))
    config = _dict(told.get("Config"))
    name = told.get("Name")
    status = _status(state)
    return Details(
        name=_name(name) if isinstance(name, str) and name else None,
        labels=_labels(config.get("Labels")),
        state=status,
        created_ns=nanoseconds(told.get("Created")),
        started_ns=nanoseconds(state.get("StartedAt")),
        finished_ns=nanoseconds(state.get("FinishedAt")),
        exit_code=_int(state.get("ExitCode")) if status in ("exited", "dead") else None,
        image=_image(config.get("Image")),
        network=_network(told.get("HostConfig")),
    )


def _status(state: dict[str, Any]) -> str:
    """The state of an inspected container. One that is called dead, and has a process all the same, is in an unknown one."""
    status = state.get("Status")
    if not isinstance(status, str) or status not in _STATES:
        return "unknown"
    lives = any(state.get(key) for key in ("Running", "Paused", "Restarting", "Pid"))
    return "unknown" if lives and status in SETTLED else status


def _name(name: str) -> str:
    """A name without its "/". One that no engine would accept is quoted, so that it equals no other."""
    bare = name[1:] if name.startswith("/") else name
    return bare if _NAME.fullmatch(bare) else plain(ascii(bare), _LONGEST_ODD_NAME)


def _image(value: Any) -> Optional[str]:
    return plain(value) if isinstance(value, str) else None


def _network(host_config: Any) -> Optional[str]:
    mode = _dict(host_config).get("NetworkMode")
    if not isinstance(mode, str) or not mode.startswith(_JOINED):
        return None
    id_ = mode[len(_JOINED) :]
    return id_ if is_id(id_) else None


def _labels(value: Any) -> dict[str, str]:
    return {key: text for key, text in _dict(value).items() if isinstance(text, str)}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _int(value: Any) -> Optional[int]:
    """A number, unless it is too large to be a time in seconds or an exit code."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LATEST else None
