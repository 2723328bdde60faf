# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files from the future: what a clock that was set back leaves behind."""

from __future__ import annotations

import fnmatch
import itertools
import os
from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import why_refused

# Files that are written with the current time, and then stay as they are for a while. The last part may have wildcards.
FILES = (
    "/var/lib/systemd/timesync/clock",  # systemd-timesyncd: when it was last sure of the time
    "/var/lib/systemd/timers/stamp-*.timer",  # systemd: when a persistent timer last elapsed
    "/var/log/wtmp",
    "/run/utmp",
    "/var/lib/chrony/*drift*",
    "/var/lib/ntp/*drift*",
    "/var/lib/ntpsec/*drift*",
)
# Folders that get an entry for each pod, or container, that is started: the newest entry of each is looked at.
FOLDERS = ("/var/log/pods", "/var/log/containers")
_ENTRIES_LIMIT = 2000  # of one folder
_TOLERANCE_NS = 1_000_000_000  # file systems take the time from coarse clocks, some of other machines

_ABSENT = (FileNotFoundError, NotADirectoryError)


def from_future(now_ns: int, root: str = "/") -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Files that were written more than a second after ``now_ns``, a reading of CLOCK_REALTIME.

    Returns ``[{"path", "seconds": how much later}]`` and the gaps, ``[{"what", "why"}]``. That a file is not there is no gap.
    """
    search = _Search(root)
    written = [entry for pattern in FILES for entry in search.matching(pattern)]
    written += [max(entries) for entries in map(search.below, FOLDERS) if entries]
    late = [(when - now_ns, path) for when, path in written if when - now_ns > _TOLERANCE_NS]
    return [{"path": _shown(path), "seconds": round(by / 1e9, 3)} for by, path in late], search.gaps


class _Search:
    """Finds files below ``root``, as ``(modification time in ns, path)``; what refuses itself is in ``gaps``."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.gaps: list[dict[str, str]] = []

    def matching(self, pattern: str) -> list[tuple[int, str]]:
        folder, name = os.path.split(pattern)
        names = fnmatch.filter(self._names(folder), name) if "*" in name else [name]
        return list(self._written(folder, sorted(names)))

    def below(self, folder: str) -> list[tuple[int, str]]:
        return list(self._written(folder, self._names(folder)))

    def _names(self, folder: str) -> list[str]:
        try:
            with os.scandir(self._place(folder)) as entries:
                names = [entry.name for entry in itertools.islice(entries, _ENTRIES_LIMIT + 1)]
        except _ABSENT:
            return []
        except OSError as error:
            self._note(folder, why_refused(error))
            return []
        if len(names) > _ENTRIES_LIMIT:
            self._note(folder, f"has more than {_ENTRIES_LIMIT} entries: the others were not looked at")
        return names[:_ENTRIES_LIMIT]

    def _written(self, folder: str, names: list[str]) -> Iterator[tuple[int, str]]:
        for name in names:
            path = f"{folder}/{name}"
            try:
                # Not what a link leads to: it may be slow, or gone. kubelet makes the links when it starts containers.
                yield os.lstat(self._place(path)).st_mtime_ns, path
            except _ABSENT:
                continue
            except OSError as error:
                self._note(folder, why_refused(error))

    def _place(self, path: str) -> str:
        return os.path.join(self._root, path.lstrip("/"))

    def _note(self, folder: str, why: str) -> None:
        if folder not in [gap["what"] for gap in self.gaps]:
            self.gaps.append({"what": folder, "why": why})


def _shown(path: str) -> str:
    """A path as text that can be printed, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "replace")
