# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What container runtimes leave in files: listed, read and parsed within bounds, whatever lies there.

Each file that could not be used is counted, and one of them is named; that a file is not there is no fault.
"""

from __future__ import annotations

import errno
import json
import os
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.bounded_read import regular_file
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain
from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import why_refused

# A pod has two entries and more in some folders; a node has 110 pods unless kubelet is told otherwise (--max-pods).
_MOST_NAMES = 10_000
# An OCI specification has 10 KB, and 1.5 MiB at most with all that fits into a Pod object (etcd's limit for a request).
_LARGEST_DOCUMENT = 4 << 20
_ABSENT = (errno.ENOENT, errno.ENOTDIR)


class RuntimeFiles:
    """The files below ``root``, a folder that stands for the node's /; all paths are the node's."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._faults: dict[str, str] = {}

    def place(self, path: str) -> str:
        """Where a path of the node lies."""
        return os.path.join(self._root, path.lstrip("/"))

    def names(self, folder: str) -> list[str]:
        """What a folder holds, sorted; nothing when there is no such folder."""
        try:
            with os.scandir(self.place(folder)) as entries:
                names = [entry.name for entry, _number in zip(entries, range(_MOST_NAMES + 1))]
        except OSError as error:
            self._failed(folder, error)
            return []
        if len(names) > _MOST_NAMES:
            self._fault(folder, f"it holds more than {_MOST_NAMES} entries, of which some were not looked at")
        return sorted(names[:_MOST_NAMES])

    def is_there(self, path: str) -> bool:
        """Whether there is such a file or folder; one that is hidden in a folder that may not be searched counts."""
        try:
            os.lstat(self.place(path))
        except OSError as error:
            return error.errno not in _ABSENT
        return True

    def text(self, path: str) -> Optional[str]:
        """The text of a small file, None when there is none or it cannot be read."""
        try:
            return regular_file(self.place(path))
        except OSError as error:
            self._failed(path, error)
            return None

    def json(self, path: str, largest: int = _LARGEST_DOCUMENT) -> Any:
        """The document in a file, None when there is none or it is not understood."""
        try:
            return json.loads(regular_file(self.place(path), largest))
        except OSError as error:
            self._failed(path, error)
        except (ValueError, RecursionError) as error:
            self._fault(path, f"no JSON: {error}")
        return None

    def link(self, path: str) -> Optional[str]:
        """What a symbolic link says, None for what is no link."""
        try:
            return os.readlink(self.place(path))
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: it is something else
                self._failed(path, error)
            return None

    def note(self, path: str, why: str) -> None:
        """Remember that what a file says is not understood."""
        self._fault(path, why)

    def missing(self, what: str) -> list[dict[str, str]]:
        """One gap ``{what, why}`` for all faults so far, none when there are none."""
        if not self._faults:
            return []
        path, why = next(iter(self._faults.items()))
        others = f", and {len(self._faults) - 1} other files could not be used" if len(self._faults) > 1 else ""
        return [{"what": what, "why": f"{plain(path)}: {plain(why)}{others}"}]

    def _failed(self, path: str, error: OSError) -> None:
        if error.errno not in _ABSENT:
            self._fault(path, why_refused(error))

    def _fault(self, path: str, why: str) -> None:
        self._faults.setdefault(path, why)
