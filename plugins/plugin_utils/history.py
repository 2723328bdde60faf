# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many audits are kept in a folder, and for how long: the oldest go first, and each goes whole.

Removed is only what this collection made. An audit in which anything else lies stays, and so does one that holds the way back of a fix.
An audit is renamed before it is removed, so that nobody meets half of one. Its audit.json, which says what is of this audit, goes last: what a
killed run left is removed by the next, and nothing else that has such a name.
"""

from __future__ import annotations

import datetime
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_store, whole_file
from ansible_collections.kubenode.doctor.plugins.plugin_utils import announcement, undo_record
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import Bundle, BundleError, node_file
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_forms import FORMS

_AUDIT, _FINDINGS, _NODES = "audit.json", "findings.json", "nodes"
_FILES = frozenset(
    {
        _AUDIT,
        cluster_store.NAME,
        _FINDINGS,
        "findings.previous.json",
        announcement.FILE,
        *(form.file for form in FORMS.values()),
    }
)
_UNDO = re.compile(r"undo-[a-z][a-z0-9-]*-.*\.json")
_UNFINISHED = re.compile(re.escape(whole_file.PREFIX) + "[a-z0-9_]{8}")  # the random part is tempfile.mkstemp's
_REMOVED = re.compile(r"\..+\.removed")
# Our choice: longer than any audit takes. One without findings may still be running, begun by somebody else.
_RUNNING = datetime.timedelta(days=1)


@dataclass
class Pruned:
    """The names of the audits that were removed, oldest first, and why others that are too old or too many are kept."""

    removed: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)


def prune(current: Path, count: int, days: int, now: datetime.datetime, dry: bool = False) -> Pruned:
    """Remove the audits beside ``current`` that are beyond the latest ``count``, or older than ``days``; 0 of either keeps all.

    ``current`` itself and what began after it are kept. ``dry`` only says what would go. Raises BundleError when ``current`` is no audit.
    """
    began, pruned = _began(Bundle(current)), Pruned()
    if began is None:
        raise BundleError(f"{current}: audit.json does not say when it began, so which audits are older is not known")
    if not count and not days:
        return pruned
    if not dry:
        _finish(current.parent, pruned)
    earlier = sorted(((when, name) for when, name in _others(current, pruned) if when <= began), reverse=True)
    for number, (when, name) in reversed(list(enumerate(earlier, 1))):
        if (count and number >= count) or (days and now - when > datetime.timedelta(days=days)):
            _remove(current.parent / name, when, now, pruned, dry)
    return pruned


def _others(current: Path, pruned: Pruned) -> Iterator[tuple[datetime.datetime, str]]:
    """Yield when the audits beside one began, and their names; what is a folder and no audit is noted."""
    for entry in sorted(os.scandir(current.parent), key=lambda entry: entry.name):
        path = current.parent / entry.name
        if entry.is_symlink() or not entry.is_dir() or path == current or _REMOVED.fullmatch(entry.name):
            continue
        try:
            began = _began(Bundle(path))
        except BundleError as error:
            pruned.kept[entry.name] = f"it is no audit: {error}"
            continue
        if began is None:
            pruned.kept[entry.name] = "its audit.json does not say when it began"
        else:
            yield began, entry.name


def _began(read: Bundle) -> datetime.datetime | None:
    try:
        moment = datetime.datetime.fromisoformat(str(read.audit.get("started")))
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


def _remove(folder: Path, began: datetime.datetime, now: datetime.datetime, pruned: Pruned, dry: bool) -> None:
    try:
        why = _foreign(folder) or _unfinished(folder, began, now) or _way_back(folder)
        if not why and not dry:
            why = _take_away(folder)
    except FileNotFoundError:
        return  # another run has removed it meanwhile
    except OSError as error:
        why = f"it could not be removed: {error.strerror}"
    if why:
        pruned.kept[folder.name] = why
    else:
        pruned.removed.append(folder.name)


def _take_away(folder: Path) -> str:
    """Rename it, look again, since a fix may have stored its way back meanwhile, and remove it. Return why it stays; empty when it is gone."""
    away = folder.with_name(f".{folder.name}.removed")
    folder.rename(away)
    if _foreign(away) or _way_back(away):
        away.rename(folder)
        return _foreign(folder) or _way_back(folder)
    _delete(away)
    return ""


def _delete(folder: Path) -> None:
    """Remove an audit of which all is known; what is put there meanwhile stays, and is an OSError."""
    if (folder / _NODES).is_dir():
        shutil.rmtree(folder / _NODES)
    for name in sorted(os.listdir(folder), key=lambda name: name == _AUDIT):
        (folder / name).unlink()
    folder.rmdir()


def _foreign(folder: Path) -> str:
    """What lies in a folder that no audit leaves there; empty for nothing. Raises OSError, when the folder is gone too."""
    try:
        answers = frozenset(node_file(folder, host).name for host in Bundle(folder).hosts)
    except BundleError as error:
        return f"it is no audit: {error}" if os.listdir(folder) else ""
    for path, known in ((folder, _FILES), (folder / _NODES, answers)):
        for entry in list(os.scandir(path)) if path.is_dir() else ():
            kind = entry.stat(follow_symlinks=False).st_mode
            if path == folder and entry.name == _NODES and stat.S_ISDIR(kind):
                continue
            undo = path == folder and _UNDO.fullmatch(entry.name)
            ours = undo or _UNFINISHED.fullmatch(entry.name) or entry.name in known
            if not stat.S_ISREG(kind) or not ours:
                return f"{entry.name!r} in it is of nobody known: move it away to have the audit removed"
    return ""


def _unfinished(folder: Path, began: datetime.datetime, now: datetime.datetime) -> str:
    if (folder / _FINDINGS).exists() or now - began > _RUNNING:
        return ""
    return "it was not judged and began less than a day ago, so it may still be running"


def _way_back(folder: Path) -> str:
    """The record of a fix that can still be undone, or of which nobody knows what became of it."""
    for file in sorted(folder.glob("undo-*.json")):
        try:
            record = undo_record.read(file)
        except BundleError as error:
            return f"what it says of a fix cannot be read: {error}"
        if record["state"] == undo_record.PLANNED or not undo_record.why_not(record):
            return f"it holds the way back of a fix: {undo_record.command(file)}"
    return ""


def _finish(audits: Path, pruned: Pruned) -> None:
    """Remove what a run that was killed had taken away already."""
    for entry in list(os.scandir(audits)):
        folder = Path(entry.path)
        if not _REMOVED.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False):
            continue
        try:
            why = _foreign(folder) or _way_back(folder)
            if not why:
                _delete(folder)
        except FileNotFoundError:
            continue  # another run is at it
        except OSError as error:
            why = f"it could not be removed: {error.strerror}"
        if why:
            pruned.kept[entry.name] = why
