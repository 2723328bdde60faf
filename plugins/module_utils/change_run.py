# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change of a node: begun, carried out, taken back, and ended by a later run where it was interrupted.

Old or new in all its parts, and never between: what needs room on the disk is done before the first step; each step is seen from the node itself, so
that whoever comes later knows which have been taken. What cannot be brought back is said, and its record stays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Callable, Dict, List, NamedTuple, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import change_parts, change_store
from ansible_collections.kubenode.doctor.plugins.module_utils.change_part import (
    AFTER,
    UNSEEN,
    ChangeError,
    Document,
    Part,
    UnderWayError,
    UntouchedError,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.change_parts import Prepared, why
from ansible_collections.kubenode.doctor.plugins.module_utils.change_store import Store
from ansible_collections.kubenode.doctor.plugins.module_utils.change_unit import ReloadPart, RestartPart
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places

APPLIED, ROLLED_BACK, FAILED, UNDONE, STOPPED = "applied", "rolled-back", "failed", "undone", "stopped"
Verify = Callable[[Deadline], str]


class Outcome(NamedTuple):
    """How a change, the undoing of one, or the end of an interrupted one, went.

    ``state`` is APPLIED (the record ``id`` on the node can undo it, where something can be brought back), ROLLED_BACK (``why`` says what failed; all is as
    it was before), FAILED (not even that: ``why`` says what is where; the record stays while something is to be put right), UNDONE (the old state is there,
    the record is gone), or NEEDED (in check mode: it would be undone). ``told`` are sentences on what was done; ``diff`` is for Ansible's --diff.
    """

    state: str
    why: str
    id: str
    changed: bool = False
    told: Sequence[str] = ()
    diff: Sequence[Dict[str, str]] = ()


class Run:
    """A change whose record is, or is going to be, in the store."""

    def __init__(self, store: Store, change: str, parts: Sequence[Part], seconds: float) -> None:
        self.id = change
        self._store = store
        self._parts = parts
        self._seconds = seconds

    @classmethod
    def of_record(cls, store: Store, record: Document, places: Places, seconds: float) -> Run:
        """The change of a record. Raises ChangeError for one that is none."""
        change = record["id"]
        parts = [
            change_parts.read(document, places, lambda number=number: store.backup(change, number))  # type: ignore[misc]
            for number, document in enumerate(record["parts"])
        ]
        return cls(store, change, parts, seconds)

    @property
    def parts(self) -> Sequence[Part]:
        """In the order in which they are taken."""
        return self._parts

    def carry_out(self, fix: str, prepared: Sequence[Prepared], verify: Verify) -> Outcome:
        """APPLIED, ROLLED_BACK or FAILED."""
        deadline = Deadline(self._seconds)
        reached: List[Part] = []
        try:
            backups = {number: one.old for number, one in enumerate(prepared) if one.old is not None}
            self._store.begin(self.id, fix, [one.document() for one in prepared], backups)
            for part in self._parts:
                part.stage()
            self._act(deadline, reached)
            self._ask(verify, deadline)
            self._store.finish(self.id)
        except (ChangeError, OSError) as error:
            return self._taken_back(reached, why(error))
        self.tidy()
        return Outcome(APPLIED, "", self.id, changed=True)

    def end(self, state: str, verify: Verify) -> Outcome:
        """End it where it was interrupted: it is kept when all steps have been taken and ``verify`` has nothing against it, else taken back."""
        if state == change_store.DONE:
            self.tidy()
            return Outcome(APPLIED, "", self.id, changed=True)
        with contextlib.suppress(ChangeError, OSError):  # told by who takes it back
            deadline = Deadline(self._seconds)
            for part in self._parts:
                part.settle(deadline)
        if not self._is_whole():
            return self._taken_back(self._parts, "")
        try:
            self._ask(verify, Deadline(self._seconds))
            self._store.finish(self.id)
        except (ChangeError, OSError) as error:
            return self._taken_back(self._parts, why(error))
        self.tidy()
        return Outcome(APPLIED, "", self.id, changed=True)

    def undo(self, record: Document) -> Outcome:
        """UNDONE, FAILED, or STOPPED: nothing was changed."""
        try:
            for part in self._parts:
                part.stage_back()
            if record["state"] == change_store.DONE:
                self._store.begin_undo(record)
        except (ChangeError, OSError) as error:
            self.tidy()
            return Outcome(STOPPED, why(error), self.id)
        outcome = self._taken_back(self._parts, "")
        if outcome.state == FAILED:
            return outcome
        told = outcome.told or ("nothing of it was left to be brought back",)
        return outcome._replace(state=UNDONE, why="", told=told)

    @property
    def can_be_undone(self) -> bool:
        """Whether anything of it can be brought back: no restart can, and no process that has ended."""
        return can_be_undone(self._parts)

    def why_not_back(self) -> str:
        """Why it must not be undone; "" when all is as it left it. Raises ChangeError and OSError."""
        return "; ".join(filter(None, (part.why_not_back() for part in self._parts)))

    def back(self) -> List[str]:
        """What undoing it does, in words."""
        return [words for words in (part.back() for part in self._parts) if words]

    def _act(self, deadline: Deadline, reached: List[Part]) -> None:
        """Take each step; ``reached`` gets those that have been taken or begun. Raises ChangeError and OSError."""
        for part in self._parts:
            if deadline.passed():
                raise ChangeError(f"not done in {self._seconds:g} s")
            if part.begins():
                self._store.keep(self.id, [one.document() for one in self._parts])
            reached.append(part)
            try:
                part.act(deadline)
            except UntouchedError:
                reached.pop()
                raise

    def _ask(self, verify: Verify, deadline: Deadline) -> None:
        """Raises ChangeError when it did not help."""
        try:
            against = verify(deadline)
        except Exception as error:  # whatever it is, nothing says that the change helped
            raise ChangeError(f"whether it helped could not be seen: {type(error).__name__}: {error}") from error
        if against:
            raise ChangeError(against)

    def _is_whole(self) -> bool:
        """Whether every step has been taken: they were taken in their order, so the last one has to show that it was."""
        try:
            places = [part.where() for part in self._parts]
        except (ChangeError, OSError):  # told by who takes it back
            return False
        return places[-1:] == [AFTER] and all(place in (AFTER, UNSEEN) for place in places)

    def _taken_back(self, reached: Sequence[Part], failed: str) -> Outcome:
        """Take these steps back: ROLLED_BACK, or FAILED."""
        told, problems = self._take_back(reached)
        lasting, unseen = self._lasting(reached)
        problems += [] if problems else unseen
        said = [failed] if failed else []
        done = [f"taken back: {'; '.join(told)}"] if told else []
        done += [f"cannot be taken back: {'; '.join(lasting)}"] if lasting else []
        if problems:
            kept = [words for words in map(why, problems) if words != failed]
            said += (
                [f"not taken back: {'; '.join(kept)}"] if kept else ["not taken back: it failed again in the same way"]
            )
            said += done
            self._store.note(self.id, "; ".join(said))
            return Outcome(FAILED, f"{'; '.join(said)}. {self._left(problems)}", self.id, changed=True, told=told)
        self.tidy()
        for part in reversed(self._parts):
            part.tidy_back()
        with contextlib.suppress(OSError):  # the next run finds that nothing is left to be taken back, and removes it
            self._store.remove(self.id)
        said += done or ["all is as it was before"]
        return Outcome(FAILED if lasting else ROLLED_BACK, "; ".join(said), self.id, bool(done), told)

    def _left(self, problems: Sequence[Exception]) -> str:
        """What a person has to do."""
        if all(isinstance(error, UnderWayError) for error in problems):
            return "Run it again when it has ended; where it never does, end it by hand"
        return (
            f"Put that right by hand and run it again, or remove {self._store.path}/{self.id}.* to leave all as it is"
        )

    def _take_back(self, reached: Sequence[Part]) -> Tuple[List[str], List[Exception]]:
        """What was done, and what could not be. First what units read, from the last step to the first; then the units."""
        told: List[str] = []
        problems: List[Exception] = []
        deadline = Deadline(self._seconds)
        reads = _reads(reached)
        units = [part for part in reached if isinstance(part, (ReloadPart, RestartPart))]
        for part in (*(part for part in reversed(reached) if part not in units), *units):
            try:
                told.append(_take_back(part, reads, deadline))
            except (ChangeError, OSError) as error:
                problems.append(error)
        return [sentence for sentence in told if sentence], problems

    def _lasting(self, reached: Sequence[Part]) -> Tuple[List[str], List[Exception]]:
        """What of these steps stays whatever is taken back, and what could not be seen. A unit that has read the old again is as it was."""
        lasting: List[str] = []
        try:
            for part in reached:
                lasting.append("" if isinstance(part, RestartPart) and _reads(reached) else part.lasts())
        except (ChangeError, OSError) as error:
            return [], [error]
        return [sentence for sentence in lasting if sentence], []

    def tidy(self) -> None:
        """Remove all that was staged."""
        for part in self._parts:
            with contextlib.suppress(OSError):  # a file that nobody reads; a later run removes it
                part.unstage()


def can_be_undone(parts: Sequence[Part]) -> bool:
    """Whether anything of these steps can be brought back."""
    return any(part.back() for part in parts if not isinstance(part, RestartPart))


def _reads(parts: Sequence[Part]) -> bool:
    """Whether something is among them that programs read."""
    return any(part.READ for part in parts)


def _take_back(part: Part, reads: bool, deadline: Deadline) -> str:
    if isinstance(part, RestartPart) and not reads:
        return part.revive(deadline)
    return part.take_back(deadline)
