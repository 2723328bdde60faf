# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes the containers that end a name conflict, and nothing else, from a Docker Engine that goes on working meanwhile.

Before each removal the verdict is found anew, what the container was is kept where that is asked for, and then the container and the
living one that kubelet is to adopt are inspected once more. What is not what it was stays, and so does all that was to be removed after
it for the same conflict: in another order kubelet could find a name free, and start a second copy beside the living one (see stale_names).
"""

from __future__ import annotations

import contextlib
import http.client
import re
from collections.abc import Collection, Sequence
from typing import Any, Callable, Dict, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import docker_containers, removal_keep
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_containers import Details, Listing
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import Engine, EngineError, plain
from ansible_collections.kubenode.doctor.plugins.module_utils.removal_keep import Keeper, KeepError, Kept
from ansible_collections.kubenode.doctor.plugins.module_utils.stale_names import SETTLED, verdict

_PART_OF_ID = re.compile(r"[0-9a-f]{4,63}")
_GONE = "it is gone: somebody else removed it"
_CHANGES = (
    ("name", "it was renamed"),
    ("labels", "its labels changed"),
    ("created_ns", "its time of creation changed"),
)

Conflict = Dict[str, Any]
Told = Dict[str, Any]  # {id, name, why}; of what is removed also the fields of Kept


class ChoiceError(Exception):
    """What was named must not be removed; the text says why."""


class RemovalError(Exception):
    """The engine failed half-way, or nothing could be kept; ``outcome`` is what had happened by then."""

    def __init__(self, text: str, outcome: Outcome) -> None:
        super().__init__(text)
        self.outcome = outcome


class View(NamedTuple):
    """All containers at one time, and the verdict on them (see stale_names)."""

    listing: Listing
    conflicts: list[Conflict]
    removable: list[Told]
    kept: list[Told]

    def all(self) -> list[Told]:
        """Every container."""
        return [*self.removable, *self.kept]


class Outcome(NamedTuple):
    """What became of the containers that were chosen."""

    removed: list[Told]
    left_alone: list[Told]


def look(engine: Engine, deadline: Deadline, min_age: float, beside: Optional[frozenset[str]] = None) -> View:
    """The verdict on all containers; ``beside`` is that of docker_containers.collect. Raises EngineError."""
    listing = docker_containers.collect(engine, deadline, beside=beside)
    # What is no container of Kubernetes may live in a sandbox, too.
    strangers = [*listing.strangers, *listing.others]
    return View(listing, **verdict(listing.groups, strangers, listing.now_ns, min_age))


def choose(view: View, names: Optional[Sequence[str]]) -> list[str]:
    """The ids to be removed, in order: all that are removable, or those of them that are named, by name or full id.

    A name that no container has is passed over. Raises ChoiceError.
    """
    removable = [one["id"] for one in view.removable]
    if names is None:
        return removable
    chosen = {id_ for name in names for id_ in _named(view, name)}
    for conflict in view.conflicts:
        _refuse_gaps(conflict, chosen)
    return [id_ for id_ in removable if id_ in chosen]


def not_found(view: View, names: Sequence[str]) -> list[str]:
    """Those of the names and ids that no container has."""
    there = {known for one in view.all() for known in (one["id"], one["name"])}
    return [given for given in names if _bare(given) not in there]


def planned(view: View, chosen: Collection[str]) -> Outcome:
    """What would become of what was chosen."""
    return Outcome([_removed(one, Kept()) for one in view.removable if one["id"] in chosen], [])


def remove(
    engine: Engine, deadline: Deadline, min_age: float, view: View, chosen: Collection[str], keep: Optional[str] = None
) -> Outcome:
    """Remove what was chosen from a view, as far as it is still what it was; what it was is kept in the folder ``keep`` first.

    Raises RemovalError when the engine fails, and when nothing can be kept.
    """
    outcome = Outcome([], [])
    try:
        with contextlib.ExitStack() as stack:
            keeper = stack.enter_context(removal_keep.opened(keep)) if keep and chosen else None
            run = _Run(engine, deadline, min_age, view, outcome, keeper)
            if keeper:
                keeper.begin([one["id"] for one in view.removable if one["id"] in chosen])
            for conflict in view.conflicts:
                run.end(conflict, [id_ for id_ in conflict["remove"] if id_ in chosen])
            run.verify()
            if keeper:
                keeper.end()
    except (EngineError, KeepError) as error:
        raise RemovalError(str(error), outcome) from error
    return outcome


def _named(view: View, given: str) -> list[str]:
    """The id of the removable container that is named so, as a list; an empty one where there is no such container."""
    bare = _bare(given)
    shown = plain(given)
    for one in view.kept:
        if bare in (one["id"], one["name"]):
            raise ChoiceError(f"names: {shown} must stay: {one['why']}")
    if _PART_OF_ID.fullmatch(bare) and any(one["id"].startswith(bare) for one in view.all()):
        raise ChoiceError(f"names: {shown} is the beginning of an id: give the full one, or the name")
    return [one["id"] for one in view.removable if bare in (one["id"], one["name"])]


def _bare(given: str) -> str:
    """Without the "/" that Docker puts before names."""
    return given[1:] if given.startswith("/") else given


def _refuse_gaps(conflict: Conflict, chosen: Collection[str]) -> None:
    """Refuse to remove one of several while another one, which is to be removed before it, stays.

    kubelet could then take that one for the latest, and find the next name free: a second copy would start beside the living one.
    """
    order = conflict["remove"]
    stays = next((number for number, id_ in enumerate(order) if id_ not in chosen), len(order))
    late = [id_ for id_ in order[stays:] if id_ in chosen]
    if late:
        raise ChoiceError(
            f"names: {late[0]} must not be removed before {order[stays]}, or kubelet could start a second {conflict['container']} of "
            f"{conflict['namespace']}/{conflict['pod']} beside the living one"
        )


class _Run:
    """The removals of one call."""

    def __init__(
        self, engine: Engine, deadline: Deadline, min_age: float, view: View, outcome: Outcome, keeper: Optional[Keeper]
    ) -> None:
        self._outcome = outcome
        self._keeper = keeper
        self._kept: Dict[str, Kept] = {}
        self._engine = engine
        self._deadline = deadline
        self._min_age = min_age
        self._before = view.listing.inspected
        self._planned = {one["id"]: one for one in view.removable}

    def end(self, conflict: Conflict, todo: Sequence[str]) -> None:
        """Remove these containers one after the other, up to the first that has to be left alone. Raises EngineError, KeepError."""
        waiting = list(conflict["remove"])
        for number, id_ in enumerate(todo):
            why = self._why_not(conflict, id_, waiting) or self._keep_and_remove(conflict, id_)
            waiting.remove(id_)
            if why:
                self._leave(id_, why)
            if why and why != _GONE:
                for later in todo[number + 1 :]:
                    self._leave(later, f"{id_}, which had to be removed before it, was left alone")
                return

    def verify(self) -> None:
        """Look whether what was removed is gone. Raises EngineError."""
        there = {entry["Id"] for entry in self._engine.containers()} if self._outcome.removed else set()
        left = [one["id"] for one in self._outcome.removed if one["id"] in there]
        if left:
            raise EngineError(f"{self._engine.host} said that it removed {', '.join(left)}, and still lists it")

    def _keep_and_remove(self, conflict: Conflict, id_: str) -> str:
        """Returns why it stays, empty when it does not. Raises EngineError, KeepError."""
        if self._keeper:
            try:
                self._kept[id_] = self._keeper.keep(self._engine, id_)
            except KeepError as error:
                raise KeepError(f"{error}: {id_} was not removed, since what it was is to be kept before") from error
        # The list is older than the inspections, and these took their time: the last look is at the two that matter.
        return self._why_changed(
            conflict, id_, lambda one: docker_containers.inspect(self._engine, one)
        ) or self._remove(id_)

    def _remove(self, id_: str) -> str:
        """Remove one. Returns why it stays, empty when it does not. Raises EngineError."""
        try:
            if not self._engine.remove(id_):
                return _GONE
        except EngineError as error:
            if error.status == http.client.CONFLICT:
                return str(error)
            raise EngineError(f"{error} (whether {id_} was removed is not known)", error.status) from error
        self._outcome.removed.append(_removed(self._planned[id_], self._kept.get(id_, Kept())))
        return ""

    def _leave(self, id_: str, why: str) -> None:
        if self._keeper and why != _GONE:
            self._keeper.forget(id_)
        self._outcome.left_alone.append({**self._planned[id_], "why": why})

    def _why_not(self, conflict: Conflict, id_: str, waiting: Sequence[str]) -> str:
        """Why a container has to be left alone now; empty when everything is as it was. Raises EngineError."""
        view = look(self._engine, self._deadline, self._min_age, frozenset(waiting))
        there = {one["id"] for one in view.all()}
        if id_ not in there:
            return _GONE
        if any(one["name"] == id_ for one in view.all()):
            return "another container has this id for its name: were this one gone, the engine would remove that one"
        seen = view.listing.inspected
        return self._why_changed(
            conflict, id_, lambda one: seen.get(one) or docker_containers.inspect(self._engine, one)
        ) or _why_judged_otherwise(conflict, view, [one for one in waiting if one in there])

    def _why_changed(self, conflict: Conflict, id_: str, now: Callable[[str], Optional[Details]]) -> str:
        """What happened since the first look to the living one, for whose sake it is done, or to the container itself."""
        living = conflict["living"]
        change = _change(self._before.get(living["id"]), now(living["id"])) if living else ""
        if change:
            return f"{living['id']}, the living one that kubelet was to adopt, is not what it was: {change}"
        return _change(self._before.get(id_), now(id_))


def _removed(told: Told, kept: Kept) -> Told:
    return {**told, **kept._asdict()}


def _change(before: Optional[Details], after: Optional[Details]) -> str:
    """What became of a container between two inspections; empty when nothing did."""
    if after is None:
        return _GONE
    if before is None:
        return "it was not inspected before"
    if after.state != before.state and after.state not in SETTLED:
        return f"it is {after.state} now"
    for field, change in _CHANGES:
        if getattr(after, field) != getattr(before, field):
            return change
    return "" if after == before else "it has run, or was changed, in between"


def _why_judged_otherwise(conflict: Conflict, view: View, waiting: Sequence[str]) -> str:
    """Why the verdict of now is no longer that these containers have to go, in this order; empty when it is."""
    now = next((one for one in view.conflicts if _whose(one) == _whose(conflict)), None)
    if now is None:
        unseen = [gap["why"] for gap in view.listing.missing]
        return unseen[0] if unseen else "the conflict is over: kubelet, or somebody else, ended it"
    if now["why_not"]:
        return str(now["why_not"])
    same = now["remove"] == list(waiting) and _id(now["living"]) == _id(conflict["living"])
    return "" if same else "the conflict is another one now: look again"


def _whose(conflict: Conflict) -> tuple[str, str]:
    return conflict["pod_uid"], conflict["container"]


def _id(container: Optional[dict[str, Any]]) -> Optional[str]:
    return container["id"] if container else None
