# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of Kubernetes by pod and container name: all attempts at one container, from whichever runtime, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Dict, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import SANDBOX, Identity

Instance = Dict[str, Any]
Group = Dict[str, Any]

# Why some containers are missing, where there was no time for them.
BUDGET = "the time budget ended before all containers were looked at: raise budget_seconds"
_WHEN_UNKNOWN = float("inf")  # what has no time comes where it is seen


class Times(NamedTuple):
    """What a container has lived through, in nanoseconds since 1970; None is what has not happened, or is not told."""

    started_ns: Optional[int]
    finished_ns: Optional[int]
    exit_code: Optional[int]


class Told(NamedTuple):
    """What one runtime tells of its containers.

    ``strangers`` bear signs of Kubernetes, but whose they are is not known: ``{runtime, id, name, state, why, sandbox_id}``.
    ``others`` is how many are of no Kubernetes, ``missing`` what was not seen, ``[{what, why}]``.
    """

    found: list[tuple[Identity, Instance]]
    strangers: list[dict[str, Any]]
    others: int
    missing: list[dict[str, str]]


def instance(
    id_: str,
    state: str,
    *,
    name: Optional[str] = None,
    attempt: Optional[int] = None,
    suffix: Optional[str] = None,
    created_ns: Optional[int] = None,
    started_ns: Optional[int] = None,
    finished_ns: Optional[int] = None,
    exit_code: Optional[int] = None,
    sandbox_id: Optional[str] = None,
    own: bool = True,
    image: Optional[str] = None,
) -> Instance:
    """One container, or the sandbox of a pod; None is what its runtime does not tell. Times are nanoseconds since 1970.

    ``state`` is created, running, paused, restarting, removing, exited, dead or unknown, ``name`` the runtime's own name without
    a "/" in front, ``suffix`` what sets a second try at one attempt apart, ``own`` whether kubelet takes it for its own.
    """
    return {
        "id": id_,
        "name": name,
        "attempt": attempt,
        "suffix": suffix,
        "state": state,
        "created_ns": created_ns,
        "started_ns": started_ns,
        "finished_ns": finished_ns,
        "exit_code": exit_code,
        "sandbox_id": sandbox_id,
        "own": own,
        "image": image,
    }


def exit_code(value: Any) -> Optional[int]:
    """What is an int32, as CRI has it; None for all else."""
    fits = isinstance(value, int) and not isinstance(value, bool) and -(1 << 31) <= value < 1 << 31
    return value if fits else None


def stranger(
    runtime: str, id_: str, state: str, why: str, name: Optional[str] = None, sandbox_id: Optional[str] = None
) -> dict[str, Any]:
    """A container of which is not known whose it is, and why."""
    return {"runtime": runtime, "id": id_, "name": name, "state": state, "why": why, "sandbox_id": sandbox_id}


def grouped(runtime: str, found: Iterable[tuple[Identity, Instance]]) -> list[Group]:
    """``[{runtime, pod_uid, namespace, pod, container, sandbox, instances}]`` by namespace, pod and container.

    ``sandbox`` is True for the containers that hold a pod's namespaces. Instances: the highest attempt first, those of unknown
    attempt last, and of one attempt the one that was created last first.
    """
    members: dict[tuple[str, str, str, str], list[Instance]] = {}
    for who, one in found:
        members.setdefault((who.namespace, who.pod, who.container, who.pod_uid), []).append(one)
    return [
        {
            "runtime": runtime,
            "pod_uid": pod_uid,
            "namespace": namespace,
            "pod": pod,
            "container": container,
            "sandbox": container == SANDBOX,
            "instances": sorted(instances, key=_order),
        }
        for (namespace, pod, container, pod_uid), instances in sorted(members.items())
    ]


def within(groups: Iterable[Group], most: int) -> tuple[list[Group], dict[str, int]]:
    """The groups that hold at most ``most`` instances together, in their order, and ``{groups, instances}`` that are left out.

    Only whole groups are left out, so that what is said of a group is said of all of it: first those of exactly one running
    instance, of which there is nothing to say, then the largest.
    """
    groups = list(groups)
    room, kept = most, set()
    for number, group in sorted(enumerate(groups), key=lambda one: (_is_quiet(one[1]), len(one[1]["instances"]))):
        if len(group["instances"]) <= room:
            room -= len(group["instances"])
            kept.add(number)
    left_out = [group for number, group in enumerate(groups) if number not in kept]
    truncated = {"groups": len(left_out), "instances": sum(len(group["instances"]) for group in left_out)}
    return [groups[number] for number in sorted(kept)], truncated


def _order(one: Instance) -> tuple[Any, ...]:
    attempt, created = one["attempt"], one["created_ns"]
    return (
        (attempt is None, -(attempt or 0)),
        -(_WHEN_UNKNOWN if created is None else created),
        one["id"],
    )


def _is_quiet(group: Group) -> bool:
    return [one["state"] for one in group["instances"]] == ["running"]
