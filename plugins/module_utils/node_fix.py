# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One fix on one node: planned, carried out as it was planned, or undone.

A plan's digest covers the fix, what it is to act on, what the operator chose, the steps, and what the node had before each of them. It is carried
out only while it comes to the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import change, change_store, node_fixes
from ansible_collections.kubenode.doctor.plugins.module_utils.change import ChangeError, NotEndedError, Prepared
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import Enable, Restart, Terminate
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import (
    AGAIN,
    NEEDED,
    STOPPED,
    Places,
    Plan,
    TargetError,
    done,
    stopped,
)

_HERE = Places()
PLANNED, APPLIED, RECOVERED, UNDONE = "planned", "applied", "recovered", "undone"
ARGUMENTS = {
    "fix": {"type": "str", "choices": sorted(node_fixes.FIXES), "required": True},
    "targets": {"type": "list", "elements": "str", "default": []},
    "choices": {"type": "dict", "default": {}},
    "state": {"type": "str", "choices": [PLANNED, APPLIED, RECOVERED, UNDONE], "default": PLANNED},
    "digest": {"type": "str"},
    "change": {"type": "str"},
    "controller_time": {"type": "float"},
    "seconds": {"type": "int", "default": 300},
    "store": {"type": "path", "default": change_store.FOLDER},
    "bundle": {"type": "path"},
}


class _Made(NamedTuple):
    plan: Plan
    prepared: Sequence[Prepared]
    digest: str


def run(arguments: Mapping[str, Any], check: bool, places: Places = _HERE) -> dict[str, Any]:
    """The module's answer. Raises ChangeError and TargetError."""
    seconds = arguments["seconds"]
    if arguments["state"] == UNDONE:
        return _undo(arguments, check, places)
    would = check
    check = check or arguments["state"] == PLANNED
    ended = change.recover(arguments["store"], places, seconds, check=check)
    recovered = [_ended(one) for one in ended]
    if arguments["state"] == RECOVERED:
        return {
            "state": RECOVERED,
            "why": "",
            "plan": [],
            "change": None,
            "recovered": recovered,
            "changed": bool(ended),
        }
    made = _make(arguments, places)
    if arguments["state"] == APPLIED and made.plan.state == NEEDED and not check:
        answer = _apply(arguments, made, places)
        return {**answer, "recovered": recovered, "changed": answer["changed"] or bool(ended)}
    return {**_told(made), "recovered": recovered, "changed": would and (made.plan.state == NEEDED or bool(ended))}


def _ended(record: Mapping[str, str]) -> str:
    """What became of a change that was interrupted."""
    states = {
        change.APPLIED: "is done, all of its steps had been taken",
        change.ROLLED_BACK: "is taken back",
        change.FAILED: "is ended, and not all of it could be taken back",
        change.INTERRUPTED: "is neither done nor taken back",
    }
    return f"{record['fix']} ({record['id']}) {states.get(record['state'], record['state'])}: {record['why']}"


def change_id(fix: str, digest: str) -> str:
    """Under which name the node keeps what was before a change. Raises ChangeError for a digest that is none."""
    return change_store.new_id(fix, digest)


def _make(arguments: Mapping[str, Any], places: Places) -> _Made:
    choices = dict(arguments["choices"])
    deadline = Deadline(arguments["seconds"])
    if not arguments["targets"]:
        # So the rule change-interrupted offers it: what was interrupted is ended before each plan.
        return _Made(done("nothing else is to be done"), [], "")
    plan = node_fixes.FIXES[arguments["fix"]](
        arguments["targets"], {**choices, "controller_time": arguments["controller_time"]}, places, deadline
    )
    try:
        prepared = change.prepare(plan.steps, places)
    except ChangeError as error:
        plan, prepared = stopped(str(error)), []
    covered = [arguments["fix"], sorted(arguments["targets"]), choices, [one.document() for one in prepared]]
    text = json.dumps(covered, sort_keys=True, default=str)
    return _Made(plan, prepared, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())


def _apply(arguments: Mapping[str, Any], made: _Made, places: Places) -> dict[str, Any]:
    if made.digest != arguments["digest"]:
        why = f"changed since it was planned a moment ago. {AGAIN}"
        return {**_told(made), "state": STOPPED, "why": why, "changed": False}
    try:
        outcome = change.carry_out(
            arguments["store"],
            arguments["fix"],
            made.digest,
            made.prepared,
            made.plan.verify,
            places,
            arguments["seconds"],
        )
    except ChangeError as error:
        return {**_told(made), "state": STOPPED, "why": str(error), "changed": False}
    return {
        **_told(made),
        "state": outcome.state,
        "why": outcome.why,
        "change": outcome.id if change.can_be_undone(made.prepared) else None,
        "changed": outcome.changed,
    }


def _undo(arguments: Mapping[str, Any], check: bool, places: Places) -> dict[str, Any]:
    outcome = change.undo(arguments["store"], arguments["change"], places, arguments["seconds"], check=check)
    return {
        "state": outcome.state,
        "why": outcome.why,
        "change": arguments["change"],
        "changed": outcome.changed,
        "plan": list(outcome.told),
        "diff": list(outcome.diff),
    }


def _told(made: _Made) -> dict[str, Any]:
    return {
        "state": made.plan.state,
        "why": made.plan.why,
        "plan": list(made.plan.told),
        "undo": list(made.plan.undo),
        "restarts": any(isinstance(one.step, (Enable, Restart, Terminate)) for one in made.prepared),
        "can_be_undone": change.can_be_undone(made.prepared),
        "digest": made.digest,
        "change": None,
        "diff": change.as_diff(made.prepared),
    }


__all__ = [
    "APPLIED",
    "ARGUMENTS",
    "PLANNED",
    "RECOVERED",
    "UNDONE",
    "ChangeError",
    "NotEndedError",
    "TargetError",
    "run",
]
