# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a fix is undone, in a file of the bundle that exists before the fix acts: a lost connection must not lose the way back.

A record of a node's change: ``{schema, fix, host, change, store, at, state}``; what was there before is kept on the node itself, since a
configuration may hold secrets. ``state`` is PLANNED until the node has answered, then what it has answered. Of what cannot be undone the record
has ``no_undo``, which says why, and where that is kept which was there before.
"""

from __future__ import annotations

import datetime
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

SCHEMA = 1
PLANNED, UNDONE = "planned", "undone"
_LONGEST = 2000  # characters of a reason
_FIX = re.compile("[a-z][a-z0-9-]*")


def path(folder: Path, fix: str, subject: str) -> Path:
    """Where the record of a fix on a host, or of another subject, lies; of one that is applied again into the same bundle, the older one is kept."""
    return folder / f"undo-{fix}-{bundle.node_file(folder, subject).name}"


def begin(folder: Path, document: dict[str, Any], subject: str | None = None) -> Path:
    """Write the record of what is about to be done; the ``subject`` is in its name, left out the host. Raises BundleError."""
    fix, about = document.get("fix"), subject or document.get("host")
    if not isinstance(fix, str) or not _FIX.fullmatch(fix) or "host" not in document or not isinstance(about, str):
        raise bundle.BundleError("the record of a fix names the fix and its host; one without a host needs a subject")
    file = path(folder, fix, about)
    if file.exists():
        file.replace(file.with_suffix(".previous.json"))
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    bundle.write(file, {"schema": SCHEMA, "at": now, "state": PLANNED, **document})
    return file


def read(file: Path) -> dict[str, Any]:
    """A record of a node's change, or of one of the cluster (``host`` is None then). Raises BundleError."""
    record = bundle.read(file)
    if (
        record.get("schema") != SCHEMA
        or not isinstance(record.get("fix"), str)
        or "host" not in record
        or "state" not in record
    ):
        raise bundle.BundleError(
            f"{file} is no record of a fix that this version wrote: give an undo-….json of a bundle"
        )
    return record


def end(file: Path, state: str | None, more: Mapping[str, Any] | None = None) -> None:
    """Note how it ended, and ``more`` of it; without a state nothing was changed, and there is nothing to undo. Raises BundleError."""
    if state is None:
        file.unlink(missing_ok=True)
        return
    bundle.write(file, {**read(file), **(more or {}), "state": state})


def why_not(record: Mapping[str, Any]) -> str:
    """Why nobody can undo it; empty where somebody may."""
    if record["state"] == UNDONE:
        return "it was undone already"
    if "no_undo" not in record:
        return ""
    unsure = "; whether all of it was carried out is not known" if record["state"] == PLANNED else ""
    return clean(f"{record['fix']} on {record['host']} cannot be undone: {record['no_undo']}{unsure}", _LONGEST)


def command(file: Path) -> str:
    """What undoes it."""
    return shlex.join(("ansible-playbook", "kubenode.doctor.undo", "-e", f"record={file}"))
