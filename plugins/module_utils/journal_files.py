# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files the journal is made of, and which of them this user may not read: journalctl leaves those out without a word."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator
from typing import Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import why_refused
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import Told

# systemd-journald.service(8): kept over a boot, and not.
FOLDERS = ("/var/log/journal", "/run/log/journal")
_PATTERNS = ("*.journal", "*.journal~")  # the latter were not closed properly
_LEFT_OUT = "others' entries are left out: run with become (-b), or as a member of the group systemd-journal"


def look(folders: Iterable[str], told: Told) -> bool:
    """Whether there is any file of a journal in ``folders``, or one folder below; what is hidden there is added to ``told``."""
    found = 0
    for folder in folders:
        names = list(_files(folder, told))
        hidden = sum(not _may_be_read(name) for name in names)
        if hidden:
            told.miss("journal", f"{hidden} of {len(names)} files in {folder} may not be read, so that {_LEFT_OUT}")
        found += len(names)
    return found > 0


def _files(folder: str, told: Told) -> Iterator[str]:
    """journald has a folder for each machine id, which saved files need not have."""
    for entry in _entries(folder, told):
        if entry.is_dir():
            yield from (inner.path for inner in _entries(entry.path, told) if _is_journal(inner.name))
        elif _is_journal(entry.name):
            yield entry.path


def _entries(folder: str, told: Told) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        told.miss("journal", f"{folder}: {why_refused(error)}")
        return []


def _is_journal(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in _PATTERNS)


def _may_be_read(path: str) -> bool:
    """access(2) would not know of the capabilities of who is not root."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY))
    except PermissionError:
        return False
    except OSError:  # gone under our eyes
        return True
    return True


def saved(root: str) -> Optional[str]:
    """The folder of the journal of a system below ``root``; None for "/", whose journal journalctl finds by itself."""
    if os.path.abspath(root) == "/":
        return None
    places = [os.path.join(root, folder.lstrip("/")) for folder in FOLDERS]
    return next((place for place in places if os.path.isdir(place)), places[0])
