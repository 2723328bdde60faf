# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read configuration files that may be anything: a pipe, a device, endless, no text."""

from __future__ import annotations

import errno
import fnmatch
import os
import stat

LIMIT = 1 << 20


def regular_file(path: str, limit: int = LIMIT) -> str:
    """The whole of a regular file as text; bytes that are no UTF-8 become U+FFFD.

    Raises OSError, also for anything that is no regular file and for one of more than ``limit`` bytes. Never waits:
    opening a pipe without a writer would.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"more than {limit} bytes", path)
    return content.decode("utf-8", "replace")


def matching(pattern: str) -> list[str]:
    """The paths, sorted, that a pattern with wildcards in its last part names; one without wildcards names itself.

    [] when the folder is not there. Raises OSError when it cannot be listed, and for wildcards in the folder's name,
    which could mean a walk through everything.
    """
    folder, name = os.path.split(pattern)
    if not _has_wildcard(pattern):
        return [pattern]
    if _has_wildcard(folder):
        raise OSError(errno.EINVAL, "a wildcard in a folder's name is not followed", pattern)
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [os.path.join(folder, found) for found in sorted(fnmatch.filter(names, name))]


def _has_wildcard(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def below(root: str, path: str) -> str:
    """An absolute path as seen under another root directory."""
    return os.path.join(root, path.lstrip("/"))
