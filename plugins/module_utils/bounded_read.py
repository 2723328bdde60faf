# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read configuration files that may be anything: a pipe, a device, endless, no text."""

from __future__ import annotations

import errno
import fnmatch
import os
import stat
from datetime import datetime, timezone

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


class Files:
    """The files below a root folder, named by their absolute paths there.

    What keeps one from being seen is noted in ``gaps``, a list of ``{"what", "why"}``; that one is not there, is not.
    """

    def __init__(self, root: str, gaps: list[dict[str, str]]) -> None:
        self._root = root
        self.gaps = gaps

    def text(self, path: str) -> str | None:
        """What a file holds: "" when it is not there, None when it cannot be read."""
        try:
            return regular_file(self._place(path))
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as error:
            self._note(path, error)
            return None

    def may_be_there(self, path: str) -> bool:
        """False only for what is certainly not there: a folder that may not be searched hides what is in it."""
        try:
            os.lstat(self._place(path))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True

    def is_folder(self, path: str) -> bool:
        """A link to a folder is none."""
        try:
            return stat.S_ISDIR(os.lstat(self._place(path)).st_mode)
        except OSError:
            return False

    def modified(self, path: str) -> str | None:
        """When a file was last changed, in UTC ("2026-11-21T18:00:00+00:00"); None when it is not there or cannot be seen."""
        try:
            seconds = int(os.stat(self._place(path)).st_mtime)
            return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
        except (OSError, OverflowError, ValueError):  # no file, or a time of no calendar
            return None

    def matching(self, pattern: str) -> list[str]:
        """The paths, sorted, that a pattern with wildcards in its last part names; one without wildcards names itself.

        Wildcards in a folder's name are not followed, since they could mean a walk through everything.
        """
        folder, name = os.path.split(pattern)
        if not _has_wildcard(pattern):
            return [pattern]
        try:
            if _has_wildcard(folder):
                raise OSError(errno.EINVAL, "a wildcard in a folder's name is not followed")
            names = self.names_in(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._note(pattern, error)
            return []
        return [os.path.join(folder, found) for found in sorted(fnmatch.filter(names, name))]

    def with_text(self, path: str, text: str) -> Files:
        """The same files as they would be if the one at ``path`` held ``text``, with gaps of their own."""
        return _Amended(self._root, path, text)

    def names_in(self, folder: str) -> list[str]:
        """The names in a folder. Raises OSError."""
        return os.listdir(self._place(folder))

    def _place(self, path: str) -> str:
        return os.path.join(self._root, path.lstrip("/"))

    def _note(self, what: str, error: OSError) -> None:
        self.gaps.append({"what": what, "why": error.strerror or str(error)})


def _has_wildcard(text: str) -> bool:
    return any(sign in text for sign in "*?[")


class _Amended(Files):
    def __init__(self, root: str, path: str, text: str) -> None:
        super().__init__(root, [])
        self._path = path
        self._text = text

    def text(self, path: str) -> str | None:
        return self._text if path == self._path else super().text(path)

    def may_be_there(self, path: str) -> bool:
        return path == self._path or super().may_be_there(path)

    def with_text(self, path: str, text: str) -> Files:
        """The same files as they would be if the one at ``path`` held ``text``, with gaps of their own."""
        return _Amended(self._root, path, text)

    def names_in(self, folder: str) -> list[str]:
        here, name = os.path.split(self._path)
        if folder != here:
            return super().names_in(folder)
        try:
            return sorted({*super().names_in(folder), name})
        except (FileNotFoundError, NotADirectoryError):
            return [name]
