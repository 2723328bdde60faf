# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of this collection's own was interrupted, and nobody has ended it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import change_store, node_fixes
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    NotApplicable,
    Remedy,
    Rule,
    Unknown,
    missing,
)


def _judge(node: NodeView, _context: Context) -> Iterator[Answer]:
    section = node["host"]
    if "changes" not in section:  # nor did that version change anything
        yield NotApplicable("the version that made this audit did not look for interrupted changes")
        return
    if section["changes"] is None:
        yield Unknown(missing(section, "changes") or "the records of changes were not read")
        return
    for change in section["changes"]:
        if change["state"] == change_store.INTERRUPTED:
            yield _fail(node.host, change)
        elif change["state"] == change_store.UNREADABLE:
            yield Unknown(f"the record of a change cannot be used: {change['why']}", f"fix {change['fix']}")


def _fail(host: str, change: dict[str, Any]) -> Fail:
    fix = change["fix"]
    evidence = [
        f"its record on the host, {change['id']}, says that it was begun {change['at']}, and no process is at it"
    ]
    if change["why"]:
        evidence.append(f"it could not be taken back: {change['why']}")
    return Fail(
        subject=f"fix {fix}",
        title=f"the fix {fix} was interrupted here, and may have left this host between its old and its new state",
        explanation=(
            "Its process, and the one that would have taken it back, were killed, or the machine went down; or taking it back failed. Some of its "
            "steps may have been taken and others not: a file may say one thing, and what runs another, until a restart at some other time brings "
            "them together. What was there before is kept on the host. No other fix acts on this host until this one is ended."
        ),
        evidence=tuple(evidence),
        remedies=(_remedy(host, fix),),
    )


def _remedy(host: str, fix: str) -> Remedy:
    if fix not in node_fixes.FIXES:
        return Remedy(
            f"end it with the version of this collection that began it: this one has no fix {fix}",
            (),
            "units that its change is about may restart",
        )
    limit = (f"--limit={host}",) if host.startswith("-") else ("-l", host)
    return Remedy(
        "run the fix again: before it plans, it takes back what was interrupted, or keeps it where all of its steps had been taken, and says which",
        (shlex.join(("ansible-playbook", "kubenode.doctor.fix", "-e", f"fix={fix}", *limit)),),
        "units that had been restarted are restarted once more, now with what they read before",
        fix=fix,
    )


RULE = Rule(
    id="change-interrupted",
    group="host",
    severity="critical",
    claim="no change of this collection was left half done",
    why="with the next restart or boot this host behaves as nobody planned it",
    sources=("plugins/module_utils/change_store.py: a record that says acting while nobody holds the lock",),
    judge=_judge,
    needs=("host",),
)
