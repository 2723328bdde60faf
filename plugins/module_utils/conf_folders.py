# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files NAME.conf in several folders, as sysctl.d(5) and modules-load.d(5) have them.

All are read in the order of their names, whatever folder they are in; of several with one name the first folder's is read, and hides the
others, also where it is empty or a link to nothing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import bounded_read, rooted_path
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

_SUFFIX = ".conf"
_NOTHING = "/dev/null"
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_MOST_FILES = 1000


class ConfError(Exception):
    """Something of the folders could not be read, so that nobody knows what the boot does; the text says what."""


class ConfFile(NamedTuple):
    """One that is read."""

    path: str
    text: str

    @property
    def name(self) -> str:
        """By which it is sorted."""
        return os.path.basename(self.path)


def read(root: str, folders: Sequence[str], deadline: Deadline) -> list[ConfFile]:
    """The files that count, in their order. Raises ConfError."""
    found: dict[str, str] = {}
    for folder in folders:
        for name in _names(root, folder):
            found.setdefault(name, f"{folder}/{name}")
    if len(found) > _MOST_FILES:
        raise ConfError(f"{len(found)} files are in {', '.join(folders)}: more than {_MOST_FILES} are not read")
    return list(_texts(root, sorted(found.values(), key=sort_key), deadline))


def sort_key(path: str) -> bytes:
    """Names are compared byte by byte (strcmp(3))."""
    return os.fsencode(os.path.basename(path))


def text_of(root: str, path: str) -> str:
    """What a file holds, "" for a link to /dev/null. Raises ConfError, and FileNotFoundError where there is none."""
    try:
        place = os.path.join(root, path.lstrip("/"))
        if os.path.islink(place) and os.readlink(place) == _NOTHING:
            return ""
        return bounded_read.regular_file(rooted_path.real(root, path))
    except OSError as error:
        if error.errno in _ABSENT:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
        raise ConfError(f"{shown(path)} cannot be read: {error.strerror or error}") from error


def shown(path: str) -> str:
    """A path for a message, whatever is in its name."""
    return path if path.isprintable() else repr(path)


def _names(root: str, folder: str) -> Iterator[str]:
    try:
        names = os.listdir(rooted_path.real(root, folder))
    except OSError as error:
        if error.errno in _ABSENT:
            return
        raise ConfError(f"{folder} cannot be read: {error.strerror or error}") from error
    yield from (name for name in names if name.endswith(_SUFFIX))


def _texts(root: str, paths: Sequence[str], deadline: Deadline) -> Iterator[ConfFile]:
    for path in paths:
        if deadline.passed():
            raise ConfError("the time ended before all files were read")
        try:
            yield ConfFile(path, text_of(root, path))
        except FileNotFoundError:  # a link to nothing
            continue
