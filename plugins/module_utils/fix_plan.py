# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fix is going to do to a node, or why it does nothing. Planners make it of evidence that they read anew; they change nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import Step
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

NEEDED, DONE, STOPPED = "needed", "done", "stopped"
AGAIN = "Diagnose again"


class Places(NamedTuple):
    """Where the node's files are; a test has its own."""

    proc: str = "/proc"
    root: str = "/"


class Plan(NamedTuple):
    """``state`` is NEEDED, DONE (what the fix is for is no more, ``why`` says what is there) or STOPPED (``why`` says what stands against it).

    ``told`` says for a person what is to be changed and what that breaks for a while, ``undo`` how it is undone. ``steps`` are taken in
    their order; then ``verify`` is asked, which waits for what takes time, within its deadline, and answers "" or why it did not help:
    the steps are then taken back.
    """

    state: str
    why: str = ""
    told: Sequence[str] = ()
    undo: Sequence[str] = ()
    steps: Sequence[Step] = ()
    verify: Callable[[Deadline], str] = lambda _deadline: ""


class TargetError(Exception):
    """A target that cannot be acted on; the text says why."""


def stopped(why: str) -> Plan:
    """Nothing is done, and a person has to look."""
    return Plan(STOPPED, why)


def done(why: str) -> Plan:
    """Nothing is left to be done."""
    return Plan(DONE, why)


def target_text(**fields: Any) -> str:
    """A target as rules write it into a remedy: JSON of plain values."""
    return json.dumps(fields, sort_keys=True)


def read_target(text: str, fields: Mapping[str, Tuple[type, ...]]) -> dict[str, Any]:
    """A target's fields, all of the types that are wanted and no others; raises TargetError."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TargetError(f"what is to be cured is no JSON text: {text[:100]}") from error
    if not isinstance(found, dict) or found.keys() != fields.keys():
        raise TargetError(f"what is to be cured has other fields than {', '.join(sorted(fields))}: {text[:100]}")
    for name, types in fields.items():
        if type(found[name]) not in types:  # a bool is an int elsewhere
            raise TargetError(f"what is to be cured has no usable {name!r}: {text[:100]}")
    return found
