# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder in which a program is about to write a dump of its goroutines, as root and under a name that others may know.

Programs follow what lies there under that name, and truncate it: moby pkg/stack/stackdump.go and cri-o utils/utils.go open it with
O_CREATE and without O_EXCL, containerd cmd/containerd/command/main.go with os.Create. So it is looked at before they are asked,
and what they wrote is read only where nobody else can have written it. Messages go on after "containerd (pid 1)".
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, Dict, NamedTuple, Optional, Tuple, Type

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs, rooted_path
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline, shown
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain
from ansible_collections.kubenode.doctor.plugins.module_utils.dump_source import Blocks, DumpError

_LARGEST_DUMP = 512 << 20  # 300,000 goroutines have about 250 MB
_BLOCK = 1 << 18
_MOST_DUMPS = 1000  # older ones that lie there
# A file's time is that of the last tick of the kernel's clock (4 ms before, or 10), on some file systems that of a second.
_COARSE_SECONDS = 2.0
_GUARDED = "1"  # Documentation/admin-guide/sysctl/fs.rst, protected_symlinks: systemd sets it

# What tells a file that was written since: inode, size, time of its last change.
Mark = Tuple[int, int, int]


class Expected(NamedTuple):
    """What a dump will be called: ``name`` where that is known, else anything of ``pattern``."""

    pattern: str = ""
    name: Optional[str] = None


class DumpFolder:
    """One folder; ``path`` as the program knows it, ``root`` its root directory as we reach it, ``uid`` the program's."""

    def __init__(self, root: str, path: str, uid: int, expected: Expected) -> None:
        self._root = root
        self._shown = plain(path, 200)
        self._path = path
        self._uid = uid
        self._expected = expected
        self._descriptor = -1
        self._before: Dict[str, Mark] = {}

    def __enter__(self) -> DumpFolder:
        """Raises DumpError for a folder that cannot be looked at, or in which others may replace things."""
        try:
            self._descriptor = rooted_path.open_folder(self._root, self._path, self._uid)
        except (OSError, ValueError) as error:
            raise DumpError(f"was not asked: {self._shown}, where it would write: {_said(error)}") from error
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        os.close(self._descriptor)

    def prepare(self, proc: str) -> None:
        """Make sure that what is about to be written goes to a file of the program's own. Raises DumpError when it may not.

        Where the name is known, an empty file is put there that only the program's user may read: in a folder with the sticky bit
        nobody else can replace it any more.
        """
        for name, found in self._found():
            if not self._is_its_own(found):
                raise DumpError(
                    f"was not asked: {self._shown}/{plain(name, 100)} lies where it would write, and is no plain file of its own: a trap? "
                    "Look at it, remove it, and ask again"
                )
            self._before[name] = _mark(found)
        if self._expected.name is not None:
            if self._expected.name not in self._before:
                self._reserve(self._expected.name)
        elif os.fstat(self._descriptor).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            self._need_guard(proc)

    def written(self, since: float) -> Optional[Tuple[str, os.stat_result]]:
        """Name and state of the newest file that the program has written after ``since`` (seconds since 1970)."""
        fresh = [
            (name, found)
            for name, found in self._found()
            if self._is_its_own(found)
            and found.st_size
            and self._before.get(name) != _mark(found)
            and found.st_mtime >= since - _COARSE_SECONDS
        ]
        return max(fresh, key=lambda entry: entry[1].st_mtime_ns, default=None)

    def opened(self, name: str) -> BinaryIO:
        """Such a file, open. Raises DumpError."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            file = os.fdopen(os.open(name, flags, dir_fd=self._descriptor), "rb", buffering=0)
        except OSError as error:
            raise DumpError(f"wrote {self._shown}/{name}, which cannot be read: {_said(error)}") from error
        if not self._is_its_own(os.fstat(file.fileno())):
            file.close()
            raise DumpError(f"wrote {self._shown}/{name}, which was replaced under our eyes")
        return file

    def _found(self) -> Iterator[Tuple[str, os.stat_result]]:
        for name in self._names():
            try:
                yield name, os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise DumpError(
                    f"has {self._shown}/{plain(name, 100)}, which cannot be looked at: {_said(error)}"
                ) from error

    def _names(self) -> Iterator[str]:
        if self._expected.name is not None:
            yield self._expected.name
            return
        count = 0
        try:
            with os.scandir(self._descriptor) as entries:
                for entry in entries:
                    if re.fullmatch(self._expected.pattern, entry.name):
                        count += 1
                        yield entry.name
                    if count > _MOST_DUMPS:
                        raise DumpError(
                            f"was not asked: {self._shown} holds more than {_MOST_DUMPS} dumps: remove old ones"
                        )
        except OSError as error:
            raise DumpError(f"writes to {self._shown}, which cannot be read: {_said(error)}") from error

    def _is_its_own(self, found: os.stat_result) -> bool:
        """A plain file, of the program's user, with no second name: that could be one of root's files."""
        return stat.S_ISREG(found.st_mode) and found.st_uid == self._uid and found.st_nlink == 1

    def _reserve(self, name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(name, flags, 0o600, dir_fd=self._descriptor)
            try:
                if self._uid != os.geteuid():
                    os.fchown(descriptor, self._uid, -1)
                self._before[name] = _mark(os.fstat(descriptor))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise DumpError(
                f"was not asked: nothing can be written to {self._shown}, where it would write: {_said(error)}"
            ) from error

    def _need_guard(self, proc: str) -> None:
        try:
            guarded = procfs.text(f"{proc}/sys/fs/protected_symlinks").strip() == _GUARDED
        except OSError:
            guarded = False
        if not guarded:
            raise DumpError(
                f"was not asked: it would write to {self._shown}, where everybody may put a symbolic link that it would follow: "
                "set the sysctl fs.protected_symlinks to 1, which is systemd's default, and ask again"
            )


def blocks(file: BinaryIO, name: str, deadline: Deadline) -> Blocks:
    """The bytes of a dump. Raises DumpError."""
    left = _LARGEST_DUMP
    try:
        for block in iter(lambda: file.read(_BLOCK), b""):
            if deadline.passed():
                raise DumpError(
                    f"{name} was not read to its end within {shown(deadline.seconds)} s: raise the time limit"
                )
            if len(block) > left:
                raise DumpError(f"{name} has more than {_LARGEST_DUMP >> 20} MiB, of which the rest was not read")
            left -= len(block)
            yield block
    except OSError as error:
        raise DumpError(f"{name} cannot be read to its end: {_said(error)}") from error


def _mark(found: os.stat_result) -> Mark:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _said(error: Exception) -> str:
    if getattr(error, "errno", None) == errno.EACCES:
        return "permission denied: run it as root (become: true)"
    return plain(getattr(error, "strerror", None) or str(error))
