# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name conflicts between containers of Kubernetes: who holds the name that kubelet wants, and what may be removed.

kubelet takes the instance of a container that was *created* last for its latest one, and creates the next attempt after it
(kubernetes/kubernetes pkg/kubelet/kuberuntime: containerStatusByCreated, startContainer). After the clock was set back, a dead
lower attempt looks like the latest one, so kubelet asks for a name that a living, higher attempt has. Removing the dead one lets
kubelet adopt the living one; removing the holder stops a healthy program.

All here is pure: the module docker_stale_names decides with it on a node, the rules decide with it on the controller.
Containers come as groups, ``{runtime, pod_uid, namespace, pod, container, sandbox, instances}``, with instances
``{id, name, attempt, suffix, state, created_ns, started_ns, finished_ns, exit_code, sandbox_id, own, image}``.
``own`` says whether kubelet takes it for its own (see kube_container.identify); ``name`` is None where a runtime does not tell it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Dict, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import Identity, wanted_name

# In these states nothing of it runs and nothing is about to happen to it; all other states are left alone.
SETTLED = frozenset({"exited", "created", "dead"})
ALIVE = frozenset({"running", "paused", "restarting", "unknown"})

# A living attempt was created before a dead lower one, which kubelet takes for the latest.
CLOCK_INVERSION = "clock-inversion"
DEAD_HOLDER = "dead-holder"
STRANGER = "stranger"  # the holder has the name, but kubelet does not take it for its own

Container = Dict[str, Any]
Group = Dict[str, Any]


def verdict(
    groups: Sequence[Group], strangers: Sequence[Container], now_ns: int, min_age_seconds: float
) -> dict[str, list[dict[str, Any]]]:
    """Return ``{conflicts, removable: [{id, name, why}], kept: [{id, name, why}]}``. A conflict is::

        runtime, pod_uid, namespace, pod, container, wanted: the name,
        holder: the instance that has it, newest: the instance that kubelet takes for the latest,
        living: the instance that kubelet overlooks, or None, kind,
        remove: [ids, to be removed in this order], why_not: None, or why nothing may be removed

    Only what ends a conflict is removable; all other containers are kept, each with its reason.
    ``strangers`` are containers, ``{id, name, why}``, that are kept for their own reasons; ``sandbox_id``, where one has it, is the
    sandbox that it lives in.
    """
    occupied = _occupied_sandboxes(groups) | {one["sandbox_id"] for one in strangers if one.get("sandbox_id")}
    found = [(group, _conflict(group, occupied, now_ns, min_age_seconds)) for group in groups]
    removable, kept = [], [_told(stranger, stranger["why"]) for stranger in strangers]
    for group, conflict in found:
        order = conflict["remove"] if conflict else []
        removable += [
            _told(instance, _why_removable(conflict)) for id_ in order for instance in _by_id(group, id_) if conflict
        ]
        kept += [
            _told(instance, _why_kept(instance, group, conflict))
            for instance in group["instances"]
            if instance["id"] not in order
        ]
    return {"conflicts": [conflict for _group, conflict in found if conflict], "removable": removable, "kept": kept}


def newest(group: Group) -> Optional[Container]:
    """The instance that kubelet takes for the latest: created last. Of several, the lowest attempt, which is the worst case.

    None when there is no instance, or when it is not known when one of them was created.
    """
    own = _own(group)
    if not own or any(instance["created_ns"] is None or instance["attempt"] is None for instance in own):
        return None
    return max(own, key=lambda instance: (instance["created_ns"], -instance["attempt"]))


def _own(group: Group) -> list[Container]:
    return [instance for instance in group["instances"] if instance["own"]]


def _conflict(group: Group, occupied: frozenset[str], now_ns: int, min_age_seconds: float) -> Optional[dict[str, Any]]:
    latest = newest(group)
    if latest is None or latest["state"] in ALIVE:
        return None
    next_attempt = latest["attempt"] + 1
    who = Identity(group["pod_uid"], group["namespace"], group["pod"], group["container"], next_attempt)
    wanted = wanted_name(group["runtime"], who)
    holder = next((one for one in group["instances"] if _holds(one, wanted, next_attempt)), None)
    if holder is None:
        return None
    living = _living(group, latest, holder)
    kind = _kind(holder, living)
    remove = _candidates(group, living) if living and kind == CLOCK_INVERSION else [holder]
    why_not = (
        _why_none(group, latest, holder, kind)
        or next(filter(None, (_why_not(one, living, occupied, now_ns, min_age_seconds) for one in remove)), "")
        or _why_not_enough(group, remove, kind)
    )
    return {
        **{key: group[key] for key in ("runtime", "pod_uid", "namespace", "pod", "container")},
        "wanted": wanted,
        "holder": holder,
        "newest": latest,
        "living": living,
        "kind": kind,
        "remove": [] if why_not else [one["id"] for one in remove],
        "why_not": why_not or None,
    }


def _holds(one: Container, wanted: str, attempt: int) -> bool:
    if one["name"] is None:
        return bool(one["attempt"] == attempt and one["suffix"] is None)
    return bool(one["name"] == wanted)


def _living(group: Group, latest: Container, holder: Container) -> Optional[Container]:
    """The living instance that kubelet overlooks because it was created before the latest one; the holder, if that lives."""
    if holder["own"] and holder["state"] in ALIVE:
        return holder
    living = [one for one in _own(group) if one["state"] in ALIVE and one["attempt"] > latest["attempt"]]
    return max(living, key=lambda one: int(one["attempt"]), default=None)


def _kind(holder: Container, living: Optional[Container]) -> str:
    if not holder["own"]:
        return STRANGER
    return CLOCK_INVERSION if living else DEAD_HOLDER


def _candidates(group: Group, living: Container) -> list[Container]:
    """What looks later than the living one and is dead: all of it has to go, or nothing.

    Upwards: whichever of those that are left kubelet takes for the latest, the name that it then wants is taken, until the last
    one is gone. In another order it could find a name free, and start a second copy beside the living one.
    """
    inverted = [
        one
        for one in _own(group)
        if one["attempt"] < living["attempt"]
        and one["created_ns"] >= living["created_ns"]
        and one["state"] not in ALIVE
    ]
    return sorted(inverted, key=lambda one: int(one["attempt"]))


def _why_none(group: Group, latest: Container, holder: Container, kind: str) -> str:
    """Why this conflict is none that a removal here may end; empty when it is one."""
    if kind == STRANGER:
        return _why_strange(holder)
    return _why_dead_stays(group, latest, holder) if kind == DEAD_HOLDER else ""


def _why_strange(holder: Container) -> str:
    lacks = f"{holder['id'][:12]} has the name, but not what kubelet knows its own by"
    if holder["state"] in ALIVE:
        return f"{lacks}, and it is {holder['state']}: rename it, which stops nothing"
    return f"{lacks}: look at it, and rename or remove it by hand"


def _why_dead_stays(group: Group, latest: Container, holder: Container) -> str:
    beside = next((one for one in _own(group) if one["state"] in ALIVE), None)
    if beside:
        return f"{_short(beside)} is {beside['state']}: once the name is free, kubelet starts a second copy beside it"
    if holder["state"] in SETTLED and (holder["started_ns"] is not None or holder["state"] == "exited"):
        return (
            f"{_short(holder)}, which has the name, is dead, but also the newest instance by its number, which kubelet needs: the shim "
            "removes it by itself at its next try; where it does not, remove it by hand"
        )
    if holder["created_ns"] == latest["created_ns"]:
        return "both were created at the same time, so kubelet may take either for the latest"
    return ""


def _why_not(
    one: Container, living: Optional[Container], occupied: frozenset[str], now_ns: int, min_age_seconds: float
) -> str:
    """Why this one must stay, although it is in the way; empty when nothing speaks for it."""
    if one["state"] not in SETTLED:
        return f"{_short(one)} is {one['state']}"
    if one["id"] in occupied:
        return f"{_short(one)} is the sandbox of a living container, or of one whose sandbox is not known"
    times = _times(one)
    if max(times) > now_ns and living:
        # Such times are from before the clock was set back. It was dead when the living one was created, after that.
        times = [time for time in times if time <= now_ns] + _times(living)
    age = (now_ns - max(times)) / 1e9
    if age < 0:
        return f"{_short(one)} has a time that is {-age:.0f} s in the future, so how old it is is not known: set the clock right first"
    if age < min_age_seconds:
        return f"{_short(one)} is only {age:.0f} s old, and at least {min_age_seconds:g} s are asked for"
    return ""


def _times(one: Container) -> list[int]:
    return [one[key] for key in ("created_ns", "started_ns", "finished_ns") if one[key] is not None]


def _why_not_enough(group: Group, remove: Sequence[Container], kind: str) -> str:
    """Why kubelet would not adopt the living instance even then; empty when it would."""
    if kind != CLOCK_INVERSION:
        return ""
    left = [one for one in _own(group) if one["id"] not in {gone["id"] for gone in remove}]
    after = newest({**group, "instances": left})
    if after is None or after["state"] not in ALIVE:
        return "kubelet would take another dead instance for the latest, and could start a second copy beside the living one"
    return ""


def _occupied_sandboxes(groups: Iterable[Group]) -> frozenset[str]:
    """Sandboxes that a living container needs. Where one does not tell its own, all of its pod's are."""
    groups = list(groups)
    living = [
        (group, one)
        for group in groups
        if not group["sandbox"]
        for one in group["instances"]
        if one["state"] not in SETTLED
    ]
    unclear = {(group["runtime"], group["pod_uid"]) for group, one in living if one["sandbox_id"] is None}
    of_unclear = {
        one["id"]
        for group in groups
        if group["sandbox"] and (group["runtime"], group["pod_uid"]) in unclear
        for one in group["instances"]
    }
    return frozenset({one["sandbox_id"] for _group, one in living if one["sandbox_id"]} | of_unclear)


def _by_id(group: Group, id_: str) -> list[Container]:
    return [one for one in group["instances"] if one["id"] == id_]


def _told(container: Container, why: str) -> dict[str, Any]:
    return {"id": container["id"], "name": container["name"], "why": why}


def _short(one: Container) -> str:
    attempt = "" if one["attempt"] is None else f"attempt {one['attempt']}, "
    return f"{attempt}{one['id'][:12]}"


def _why_removable(conflict: dict[str, Any]) -> str:
    if conflict["living"]:
        return (
            f"dead, and created no earlier than {_short(conflict['living'])}, which lives and which kubelet overlooks because of it: "
            "once it is gone, kubelet adopts the living one"
        )
    return f"never ran and holds the name that kubelet wants, which takes {_short(conflict['newest'])} for the latest"


def _why_kept(one: Container, group: Group, conflict: Optional[dict[str, Any]]) -> str:
    if one["state"] in ALIVE:
        overlooked = conflict is not None and one["id"] in (
            conflict["holder"]["id"],
            (conflict["living"] or {}).get("id"),
        )
        warning = "; kubelet overlooks it, and removing it would stop a healthy program" if overlooked else ""
        return f"it is {one['state']}{warning}"
    if not one["own"]:
        return "it lacks the name, or labels, by which kubelet knows its own"
    if one["state"] not in SETTLED:
        return f"it is {one['state']}: nothing is to be done about it"
    if (
        conflict is not None
        and conflict["why_not"]
        and one["id"] in (conflict["holder"]["id"], conflict["newest"]["id"])
    ):
        return f"nothing is removed for this conflict: {conflict['why_not']}"
    if _is_newest_dead(one, group):
        return "the newest dead instance: kubelet counts restarts by it, and shows its log as the previous one"
    return "it holds no name that kubelet wants; removing dead containers is the work of kubelet's garbage collection"


def _is_newest_dead(one: Container, group: Group) -> bool:
    dead = [other for other in _own(group) if other["state"] in SETTLED]
    if any(other["created_ns"] is None for other in dead):
        return True  # which one is not known, so none is called superfluous
    return bool(one["created_ns"] == max(other["created_ns"] for other in dead))
