# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``logs``: known errors in the journal, in the kernel's ring and in what containers said, within limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import journal as journal_source
from ansible_collections.kubenode.doctor.plugins.module_utils import journal_files, kernel_ring, log_files, pod_logs
from ansible_collections.kubenode.doctor.plugins.module_utils import signatures as catalogue
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.log_matcher import Matcher
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import Told, Wanted

# In the order in which they are read: the ring takes some milliseconds, what containers say takes what is left.
SOURCES = ("kernel", "journal", "pods")
SINCE = 86400  # seconds: a day, in which everything that runs by the clock has run once
# Bytes from the journal, and as many from the logs of containers: a quarter of a second of one core, and a second of an SD card
# that does not have them in memory.
MAX_BYTES = 32 << 20
TIMEOUT = 10.0  # seconds, of which a usual node needs less than one; a journal on a worn SD card needs more
LONGEST_TIMEOUT = 300.0
_FOUND_LIMIT = 200
# Of the time that is left: a journal that hangs leaves as much to the logs of containers.
_SHARE_OF_TIME = 2


def why_not(since: float, max_bytes: int, timeout: float) -> str:
    """What is wrong with these options; empty when nothing is."""
    if since <= 0:
        return f"since: {since:g}: more than 0 seconds expected"
    if max_bytes < 1 << 20:
        return f"max_bytes: {max_bytes}: at least {1 << 20} expected"
    if not 0 < timeout <= LONGEST_TIMEOUT:  # True for nan
        return f"timeout: {timeout:g}: more than 0, at most {LONGEST_TIMEOUT:g} seconds expected"
    return ""


def collect(
    deadline: Deadline,
    since: int = SINCE,
    signatures: Collection[str] = (),
    sources: Collection[str] = SOURCES,
    root: str = "/",
    journal: Optional[str] = None,
    max_bytes: int = MAX_BYTES,
) -> dict[str, Any]:
    """Return the section, as documented in plugins/modules/log_signatures.py.

    ``since`` is how many seconds to look back, ``signatures`` are ids (empty: all), ``sources`` some of SOURCES; ``journal`` is a
    folder with files of a journal. Below ``root`` everything else is looked for. What fails costs no other source its results.
    Raises ValueError for an unknown signature.
    """
    scan = _Scan(deadline, since, signatures, root, journal, max_bytes)
    for name in SOURCES:
        if name in sources:
            scan.source(name)
    return scan.section()


class _Scan:
    """One search through the logs of a node."""

    def __init__(
        self, deadline: Deadline, since: int, ids: Collection[str], root: str, folder: Optional[str], max_bytes: int
    ) -> None:
        self._deadline = deadline
        self._signatures = catalogue.chosen(ids)
        self._matcher = Matcher(self._signatures)
        self._wanted = Wanted(time.time(), since, max_bytes)
        self._root = root
        self._journal = journal_source.Source(
            self._signatures, self._matcher, self._wanted, folder or journal_files.saved(root)
        )
        self._elsewhere = folder is not None
        self._told = Told()

    def source(self, name: str) -> None:
        """Read one source, whatever happens."""
        readers: dict[str, Callable[[], None]] = {
            "journal": self._units,
            "kernel": self._kernel,
            "pods": lambda: pod_logs.collect(
                self._signatures, self._matcher, self._wanted, self._deadline, self._told, self._root
            ),
        }
        if self._deadline.passed():
            self._told.miss(name, "there was no time left to read it: raise timeout")
            return
        try:
            readers[name]()
        except Exception as error:  # what one log holds must not cost the others
            self._told.miss(name, f"{type(error).__name__}: {error}")

    def section(self) -> dict[str, Any]:
        found, other = self._matcher.found(_FOUND_LIMIT)
        return {
            "now": self._wanted.now,
            "window_seconds": int(self._wanted.since),
            "found": found,
            "other": other,
            "scanned": [scanned.told() for scanned in self._told.scanned],
            "complete": not self._told.missing,
            "missing": self._told.missing,
        }

    def _share(self) -> Deadline:
        return Deadline(self._deadline.left() / _SHARE_OF_TIME)

    def _units(self) -> None:
        """The journal, and the files that take its place for programs of RKE2 and k3s; not where the journal is from elsewhere."""
        journal_source.collect(self._journal, self._share(), self._told)
        if self._elsewhere:
            log_files.left_out(self._told)
        else:
            log_files.collect(self._matcher, self._wanted, self._share(), self._told, self._root)

    def _kernel(self) -> None:
        """The ring, or what journald took over from it where the ring cannot be read."""
        try:
            kernel_ring.collect(self._matcher, self._wanted, self._share(), self._told, self._root)
        except kernel_ring.RingError as error:
            told = Told()
            if journal_source.collect_kernel(self._journal, self._share(), told):
                self._told.add(told)
            else:
                self._told.miss(kernel_ring.NAME, f"{error}; the journal has nothing of the kernel either")
