# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a path of another process leads: below its root, which may be a container's or another mount namespace's.

The kernel resolves ``/proc/PID/root/var/run/docker`` in that namespace, but an absolute symbolic link on the way, such as Debian's
/var/run, in ours.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from typing import List

_MOST_LINKS = 40  # MAXSYMLINKS, include/linux/namei.h
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def real(root: str, path: str) -> str:
    """The place of a path, as we reach it, with no symbolic link in it below ``root``. Raises OSError, also when nothing is there."""
    left = deque(path.split("/"))
    done: List[str] = []
    links = 0
    while left:
        part = left.popleft()
        if part in ("", "."):
            continue
        if part == "..":
            done = done[:-1]
            continue
        place = os.path.join(root, *done, part)
        if not stat.S_ISLNK(os.lstat(place).st_mode):
            done.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(place)
        if target.startswith("/"):
            done = []
        left.extendleft(reversed(target.split("/")))
    return os.path.join(root, *done)


def open_folder(root: str, path: str, uid: int) -> int:
    """A descriptor of a folder in which, and on the way to which, only root and ``uid`` may replace what they own.

    Others may add names where the folder's sticky bit is set, as in /tmp. Raises OSError, EPERM for a folder of others.
    """
    place = real(root, path)
    steps = os.path.relpath(place, root).split("/")
    descriptor = os.open(
        root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    )  # "root" may itself be a link: /proc/PID/root is
    try:
        _check(descriptor, uid, path)
        for step in steps:
            below = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
            _check(descriptor, uid, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(descriptor: int, uid: int, path: str) -> None:
    found = os.fstat(descriptor)
    if found.st_uid not in (0, uid) or (found.st_mode & _OTHERS_MAY_WRITE and not found.st_mode & stat.S_ISVTX):
        raise OSError(errno.EPERM, "others may put something else in its place", path)
