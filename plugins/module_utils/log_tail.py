# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a log file, which may be compressed, and may grow, shrink or be renamed meanwhile."""

from __future__ import annotations

import collections
import errno
import gzip
import os
import stat
import zlib
from types import TracebackType
from typing import Optional, Type

from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

# What a compressed file may hold. kubelet rotates at 10 MiB (containerLogMaxSize) unless it is told otherwise.
LARGEST = 64 << 20
_BLOCK = 1 << 18


class DamagedError(OSError):
    """A compressed file cannot be understood."""


class LogFile:
    """A regular file that is read from its end.

    ``identity`` stays with a file that is renamed; ``bytes`` counts what was read, or unpacked, so far.
    """

    def __init__(self, path: str, deadline: Deadline) -> None:
        """Never waits, follows no link in the last part of ``path``. Raises OSError, for all but regular files too."""
        self._deadline = deadline
        self.compressed = path.endswith(".gz")
        self.bytes = 0
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._descriptor)
            raise OSError(errno.EINVAL, "not a regular file", path)
        self.identity = (status.st_dev, status.st_ino)
        self._size = status.st_size

    def __enter__(self) -> LogFile:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        os.close(self._descriptor)

    def last(self, count: int) -> tuple[bytes, bool]:
        """At most ``count`` bytes of its end, and whether that is all. Raises OSError, DamagedError among them."""
        if self.compressed:
            return self._unpacked(count)
        begin = max(0, self._size - count)
        data = os.pread(self._descriptor, self._size - begin, begin)
        self.bytes += len(data)
        return data, begin == 0

    def _unpacked(self, count: int) -> tuple[bytes, bool]:
        """All of it has to be unpacked to see its end, but no more than LARGEST."""
        kept: collections.deque[bytes] = collections.deque()
        held = total = 0
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        with os.fdopen(os.dup(self._descriptor), "rb") as raw, gzip.GzipFile(fileobj=raw) as file:
            while True:
                try:
                    block = file.read(_BLOCK)
                except (EOFError, zlib.error, OSError) as error:
                    raise DamagedError(errno.EINVAL, f"cannot be unpacked: {error}") from error
                if not block:
                    break
                total += len(block)
                self.bytes += len(block)
                if total > LARGEST:
                    raise DamagedError(errno.EFBIG, f"holds more than {LARGEST >> 20} MiB")
                if self._deadline.passed():
                    raise TimeoutError(errno.ETIMEDOUT, "there was no time left to unpack it")
                kept.append(block)
                held += len(block)
                while held - len(kept[0]) >= count:
                    held -= len(kept.popleft())
        return b"".join(kept)[-count:], total <= count
