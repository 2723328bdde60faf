# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all kinds of steps have in common when they are taken, and taken back, on a node.

A part is a step together with what was there before it. It can be kept as JSON and read again by a later run, which may have to take it back: where
it stands is therefore always seen from the node itself, never from a note on how far somebody came.
"""

from __future__ import annotations

from typing import Any, Callable, Dict

from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

Document = Dict[str, Any]

BEFORE, AFTER, OTHER, UNSEEN = "before", "after", "other", "unseen"


class ChangeError(Exception):
    """What could not be done, or was not begun; the text says why, for a person."""


class UntouchedError(ChangeError):
    """A step was not taken, because somebody else has just changed what it is about: there is nothing of ours to be taken back."""


class UnderWayError(ChangeError):
    """What was begun cannot be stopped any more, and has not come to its end."""


class Part:
    """One step on this node. All methods may raise ChangeError and OSError.

    ``READ`` marks what programs read: where it was taken back, those that were restarted have to be restarted again.
    """

    READ = False

    def document(self) -> Document:
        """What a record keeps of it."""
        raise NotImplementedError

    def stage(self) -> None:
        """Do all that needs disk space: nothing after this does."""

    def stage_back(self) -> None:
        """Do all that taking it back needs disk space for."""

    def unstage(self) -> None:
        """Remove what was staged, as far as it is there."""

    def where(self) -> str:
        """BEFORE, AFTER (also where both are the same), OTHER, or UNSEEN for what leaves no trace."""
        raise NotImplementedError

    def begins(self) -> bool:
        """Let the document say that the step is about to be taken, where that is not seen from the node; whether it says something else by now."""
        return False

    def act(self, deadline: Deadline) -> None:
        """Take the step."""
        raise NotImplementedError

    def take_back(self, deadline: Deadline) -> str:
        """Bring back what was there before, and say so; "" when it is there already. Never overwrites what is neither old nor new."""
        raise NotImplementedError

    def settle(self, deadline: Deadline) -> None:
        """Wait for the end of what was begun by a run that was killed, and cannot be stopped. Raises UnderWayError."""

    def lasts(self) -> str:
        """What has happened by it that nothing takes back, in words; "" for nothing."""
        return ""

    def back(self) -> str:
        """What taking it back will do, in words; "" for nothing."""
        raise NotImplementedError

    def why_not_back(self) -> str:
        """Why it is no longer what the step made of it, so that it must not be undone; "" when it is."""
        raise NotImplementedError

    def tidy_back(self) -> None:
        """Remove what the step needed and nobody else uses; when all parts have been taken back."""


def field(document: Any, name: str, kind: type) -> Any:
    """A field of a record. Raises ChangeError where it is not of that type."""
    value = document.get(name) if isinstance(document, dict) else None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ChangeError(f"a record of a change has no usable {name!r}")
    return value


Backup = Callable[[], bytes]
