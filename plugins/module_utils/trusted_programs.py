# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program to run as root: only one that nobody but root could have put there or changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import NamedTuple, Optional

# Where distributions have the programs of the administrator. The PATH is not asked: whoever became root may have brought his own.
# k3s and RKE2 bring iptables of their own for nodes without (k3s pkg/dataverify, bin/aux).
FOLDERS = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/run/current-system/sw/bin",
    "/opt/bin",
    "/var/lib/rancher/k3s/data/current/bin/aux",
)
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Search(NamedTuple):
    """``program`` is the path of the first that may be run; ``distrusted`` are those that were found and may not."""

    program: Optional[str]
    distrusted: tuple[str, ...]


def find(name: str, root: str = "/", folders: Iterable[str] = FOLDERS) -> Search:
    """Look for a program by name below ``root``."""
    distrusted: list[str] = []
    for folder in folders:
        candidate = os.path.join(root, folder.lstrip("/"), name)
        if not os.path.isfile(candidate):
            continue
        if is_trusted(candidate):
            return Search(candidate, tuple(distrusted))
        distrusted.append(candidate)
    return Search(None, tuple(distrusted))


def is_trusted(path: str) -> bool:
    """Whether it is a program, and only its owner, root or we, may change it, put another in its place, or lead its name elsewhere."""
    real = os.path.realpath(path)
    places = (os.path.dirname(path), os.path.dirname(real), real)
    return os.path.isfile(real) and os.access(real, os.X_OK) and all(map(_is_ours, places))


def _is_ours(path: str) -> bool:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return False
    return not found.st_mode & _OTHERS_MAY_WRITE and found.st_uid in (0, os.geteuid())
