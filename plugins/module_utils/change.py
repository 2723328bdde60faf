# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes a node step by step, and brings back what was there: after a step that failed, after a kill or a lost connection, and when asked to.

What is changed, is changed by a process that outlives the module, under a lock that ends with it. A run that finds the record of a change and nobody who
holds the lock ends that change first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Dict, List, Optional, Type

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    change_diff,
    change_parts,
    change_run,
    change_store,
    change_worker,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.change_file import FilePart, look
from ansible_collections.kubenode.doctor.plugins.module_utils.change_part import ChangeError
from ansible_collections.kubenode.doctor.plugins.module_utils.change_parts import Prepared, prepare
from ansible_collections.kubenode.doctor.plugins.module_utils.change_run import (
    APPLIED,
    FAILED,
    ROLLED_BACK,
    STOPPED,
    UNDONE,
    Outcome,
    Run,
    Verify,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.change_store import INTERRUPTED, Store
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import NEEDED, Places

__all__ = [
    "APPLIED",
    "FAILED",
    "INTERRUPTED",
    "NEEDED",
    "ROLLED_BACK",
    "UNDONE",
    "ChangeError",
    "NotEndedError",
    "Outcome",
    "Prepared",
    "as_diff",
    "can_be_undone",
    "carry_out",
    "prepare",
    "recover",
    "undo",
]

_KEPT = "all of its steps had been taken, so it is kept; whether it helped was not verified"
_NO_WAY_BACK = "no restart is taken back, and no process that has ended"
_UNTOUCHED = "nothing had been undone yet, so the change is kept"
# For what a worker does besides its steps: systemd is asked, files are written.
_SPARE_SECONDS = 60.0


def as_diff(prepared: Sequence[Prepared]) -> List[Dict[str, str]]:
    """For Ansible's --diff, a dict each file, setting, unit and process: of a file nothing but the lines that change."""
    found = [change_diff.of(one.part, one.old, one.new) for one in prepared]
    return [diff for diff in found if diff is not None]


def can_be_undone(prepared: Sequence[Prepared]) -> bool:
    """Whether anything of it can be brought back."""
    return change_run.can_be_undone([one.part for one in prepared])


def carry_out(
    store: str, fix: str, digest: str, prepared: Sequence[Prepared], verify: Verify, places: Places, seconds: float
) -> Outcome:
    """Take all steps and ask ``verify``, else take them back: APPLIED, ROLLED_BACK or FAILED.

    ``store`` is the folder of the records, below ``places.root``; ``seconds`` are for the steps and ``verify``, and as many again for taking back. Raises
    ChangeError when nothing was begun: another change is under way, or something is no longer what it was prepared for.
    """
    change = change_store.new_id(fix, digest)
    with _Errors(), change_store.locked(places.root, store) as held:
        _refuse_interrupted(held)
        now = prepare([one.step for one in prepared], places)
        if [one.document() for one in now] != [one.document() for one in prepared]:
            raise ChangeError("changed since it was planned")
        run = Run(held, change, [one.part for one in now], seconds)
        again = _Again(held, change, places, seconds)
        outcome = _worked(lambda: run.carry_out(fix, now, verify), lambda: again.end(verify), run, seconds)
        if outcome.state == APPLIED and not run.can_be_undone:
            held.remove(change)
        return outcome


def recover(store: str, places: Places, seconds: float, check: bool = False) -> List[Dict[str, str]]:
    """End every change that was interrupted: ``[{id, fix, state, why}]``, empty where there was none.

    One whose steps have all been taken is kept (APPLIED; whether it helped, the next plan sees), any other is taken back (ROLLED_BACK; FAILED where a
    step of it cannot be). With ``check`` nothing
    is changed, and the state is INTERRUPTED. Raises ChangeError when one could not be ended, and when somebody is changing the node: nothing else is
    to be done here then.
    """
    if check:
        return _interrupted(store, places)
    ended = []
    with _Errors():
        if not change_store.is_there(places.root, store):
            return []
    with _Errors(), change_store.locked(places.root, store) as held:
        held.tidy()
        for change in held.ids():
            record = held.read(change)
            run = Run.of_record(held, record, places, seconds)
            if record["state"] == change_store.DONE:
                run.tidy()
                if not run.can_be_undone:  # carry_out was killed just before it did so
                    held.remove(change)
            else:
                ended.append(_ended(_Again(held, change, places, seconds), run, record))
        left = held.ids()
    failed = [f"{one['fix']}: {one['why']}" for one in ended if one["state"] == FAILED and one["id"] in left]
    if failed:
        raise NotEndedError(f"a change that was interrupted could not be ended: {'; '.join(failed)}")
    return ended


def undo(store: str, change: str, places: Places, seconds: float, check: bool = False) -> Outcome:
    """Bring back what was there before the change of this id: UNDONE or FAILED. With ``check`` nothing is changed: NEEDED, with ``told`` and ``diff``.

    Raises ChangeError, and has changed nothing, when there is no such change (any more), when something was changed since, or when another run is at it.
    """
    change_store.checked(change)
    with _Errors(), change_store.locked(places.root, store) as held:
        record = held.read(change)
        run = Run.of_record(held, record, places, seconds)
        against = run.why_not_back() if run.can_be_undone else f"{record['fix']} cannot be undone: {_NO_WAY_BACK}"
        if against:
            raise ChangeError(against)
        told = run.back()
        diff = _diff_back(run, places)
        if check:
            return Outcome(NEEDED, "", change, changed=True, told=told, diff=diff)
        outcome = _worked(lambda: run.undo(record), _Again(held, change, places, seconds).undo, run, seconds)
    if outcome.state == STOPPED:
        raise ChangeError(outcome.why)
    return outcome._replace(diff=diff)


class NotEndedError(ChangeError):
    """What was interrupted before could not be ended; not all is as it was."""


class _Again:
    """A change that a killed worker has left as it is now."""

    def __init__(self, held: Store, change: str, places: Places, seconds: float) -> None:
        self._held = held
        self._change = change
        self._places = places
        self.seconds = seconds

    def end(self, verify: Verify) -> Outcome:
        """APPLIED, ROLLED_BACK or FAILED."""
        record = self._record()
        if record is None:
            return Outcome(ROLLED_BACK, "it was not begun, or is taken back", self._change)
        return self._run(record).end(record["state"], verify)

    def undo(self) -> Outcome:
        """UNDONE or FAILED."""
        record = self._record()
        return Outcome(UNDONE, "", self._change, changed=True) if record is None else self._run(record).undo(record)

    def _record(self) -> Optional[Dict[str, Any]]:
        """None where there is none yet, or no more: nothing is there to be taken back."""
        self._held.tidy()
        return self._held.read(self._change) if self._change in self._held.ids() else None

    def _run(self, record: Dict[str, Any]) -> Run:
        return Run.of_record(self._held, record, self._places, self.seconds)


def _ended(again: _Again, run: Run, record: Dict[str, Any]) -> Dict[str, str]:
    def end() -> Outcome:
        return again.end(lambda _deadline: "")

    outcome = _worked(end, end, run, again.seconds)
    kept = _UNTOUCHED if record["undoing"] else _KEPT
    doing = "undone" if record["undoing"] else "carried out"
    words = kept if outcome.state == APPLIED else outcome.why
    why = f"it was interrupted while it was {doing} (begun {record['at']}): {words}"
    return {"id": outcome.id, "fix": record["fix"], "state": outcome.state, "why": why}


def _interrupted(store: str, places: Places) -> List[Dict[str, str]]:
    with _Errors():
        changes = change_store.changes(places.root, store)
    for one in changes:
        if one["state"] == change_store.ACTING:
            raise ChangeError(
                f"{one['fix']} is being carried out or undone on this node by another run (begun {one['at']})"
            )
        if one["state"] == change_store.UNREADABLE:
            raise ChangeError(str(one["why"]))
    would = "it was interrupted: it will be taken back, or kept if all of its steps were taken"
    return [
        {"id": str(one["id"]), "fix": str(one["fix"]), "state": INTERRUPTED, "why": f"{would} (begun {one['at']})"}
        for one in changes
        if one["state"] == INTERRUPTED
    ]


class _Errors:
    """Lets a file or folder that cannot be used stop all with a ChangeError."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: Optional[Type[BaseException]], error: Optional[BaseException], _trace: Optional[TracebackType]
    ) -> None:
        if isinstance(error, OSError):
            raise ChangeError(change_parts.why(error)) from error


def _refuse_interrupted(held: Store) -> None:
    for change in held.ids():
        if held.read(change)["state"] != change_store.DONE:
            raise ChangeError(f"the change {change} was interrupted and has to be ended first: run its fix again")


def _worked(act: Callable[[], Outcome], again: Callable[[], Outcome], run: Run, seconds: float) -> Outcome:
    """What a worker makes of it; when it is killed, or breaks, what another one does."""
    limit = 2 * seconds + _SPARE_SECONDS
    reason = ""
    for do in (act, again):
        try:
            answer = change_worker.run(functools.partial(_document, do), limit)
        except change_worker.HangingError as error:
            reason = str(error)
            break
        if answer is not None and change_worker.BROKEN not in answer:
            outcome = Outcome(**answer)
            return outcome._replace(why="; ".join(filter(None, (reason, outcome.why))))
        reason = "the process that changed the node was killed" if answer is None else str(answer[change_worker.BROKEN])
    why = f"{reason}; it is not known how far it came: run it again, which ends what was begun (record {run.id})"
    return Outcome(FAILED, why, run.id, changed=True)


def _document(do: Callable[[], Outcome]) -> Dict[str, Any]:
    return do()._asdict()


def _diff_back(run: Run, places: Places) -> List[Dict[str, str]]:
    found = []
    for part in run.parts:
        old = new = None
        if isinstance(part, FilePart):
            old, new = part.old(), look(places.root, part.path).content
        found.append(change_diff.back(part, old, new))
    return [diff for diff in found if diff is not None]
