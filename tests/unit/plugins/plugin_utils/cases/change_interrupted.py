# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Case, Scene, live, unknowns

COMMAND = "ansible-playbook kubenode.doctor.fix -e fix=pin-stream-port -l node-a"


def change(state, fix="pin-stream-port", why="", at="2026-11-21T23:10:04+00:00"):
    """As change_store.changes tells it."""
    return {"id": f"{fix}-0123456789ab", "fix": fix, "state": state, "at": at, "why": why}


def told(*changes):
    return seen(list(changes), [])


def seen(changes, missing):
    """The captured node, which was asked by a version that did not look for changes yet."""
    scene = live("host.missing", list(missing))
    scene.snapshots["node-a"]["sections"]["host"]["changes"] = changes
    return scene


def hostile():
    """A host of another name, with a record that anybody may have written."""
    snapshot = told(change("interrupted", "'; rm -rf / #", "\x1b[2J\u202e")).snapshots["node-a"]
    return Scene({"$(reboot)": snapshot}, live().cluster_document)


CASES = [
    Case(
        "killed with all who would have taken it back",
        "fail",
        told(change("interrupted"), change("done", "reserve-nodeports")),
        "node-a",
        "critical",
        words=(
            "the fix pin-stream-port was interrupted here",
            "pin-stream-port-0123456789ab, says that it was begun 2026-11-21T23:10:04+00:00, and no process is at it",
        ),
        absent=("reserve-nodeports",),
        commands=(COMMAND,),
    ),
    Case(
        "one that could not be taken back says why",
        "fail",
        told(change("interrupted", why="/etc/containerd/config.toml was changed by somebody else meanwhile")),
        "node-a",
        words=("it could not be taken back: /etc/containerd/config.toml was changed by somebody else meanwhile",),
        commands=(COMMAND,),
    ),
    Case(
        "of a fix that this version does not know",
        "fail",
        hostile(),
        "$(reboot)",
        words=("end it with the version of this collection that began it",),
        absent=("ansible-playbook",),
    ),
    Case("done ones, and one that is under way", "pass", told(change("done"), change("acting")), "node-a"),
    Case("nothing was ever changed", "pass", told(), "node-a"),
    Case(
        "a record that cannot be read",
        "unknown",
        told(change("unreadable", why="the record x.json cannot be read", at=None)),
        "node-a",
        words=("the record x.json cannot be read",),
    ),
    Case(
        "without root",
        "unknown",
        seen(None, [{"what": "changes", "why": "Permission denied: run with become (-b)"}]),
        "node-a",
        words=("changes: Permission denied: run with become (-b)",),
    ),
    Case("an audit of a version that did not look", "not_applicable", live(), "node-a"),
    *unknowns(("host",)),
]
