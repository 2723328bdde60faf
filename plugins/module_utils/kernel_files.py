# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files of /proc and /sys: what can be understood is a value, what cannot is a gap that names the file."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Collection
from typing import Optional, TypeVar

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs

Value = TypeVar("Value")

# What opening a file says when the kernel was built, or booted, without the thing that it would tell of.
ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})
# /proc/stat has a line for each CPU and a number for each interrupt: 100 KiB and more on big machines.
_FILE_LIMIT = 1 << 20
_SHOWN = 60  # characters of what was not understood
# The largest counters are unsigned 64-bit numbers, which have 20 digits.
_WHOLE = re.compile(r"[0-9]{1,20}")
_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")


def whole(text: str) -> int:
    """A number as the kernel prints counters and limits. Raises ValueError for all else, which int() may accept."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text[:_SHOWN]!r} is no whole number")
    return int(text)


def decimal(text: str) -> float:
    """A number as the kernel prints averages: never negative, infinite or nan. Raises ValueError."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"{text[:_SHOWN]!r} is no decimal number")
    return float(text)


def why_refused(error: OSError) -> str:
    """What an error means for who started the collection."""
    told = error.strerror or str(error)
    return f"{told}: run with become (-b)" if isinstance(error, PermissionError) else told


class KernelFiles:
    """Reads below ``proc`` and ``sys`` what is below /proc and /sys on a node.

    ``gaps`` is a list of ``{"what": the path on a node, "why"}``, at most one for a file, however often it is read.
    """

    def __init__(self, proc: str = "/proc", sys: str = "/sys") -> None:
        self._places = {"proc": proc, "sys": sys}
        self.gaps: list[dict[str, str]] = []

    def read(self, path: str, parse: Callable[[str], Value], unused: Collection[int] = ()) -> Optional[Value]:
        """What ``parse`` makes of a file's text, None when it cannot be told.

        ``parse`` raises ValueError for what it does not understand. Error numbers in ``unused`` mean that the kernel
        has no such thing, which is no gap.
        """
        try:
            return parse(procfs.text(self._place(path), _FILE_LIMIT).strip())
        except OSError as error:
            if error.errno not in unused:
                self.note(path, why_refused(error))
        except ValueError as error:
            self.note(path, f"not understood: {error}")
        return None

    def note(self, what: str, why: str) -> None:
        """Remember a gap, unless there is one of this name already."""
        if what not in [gap["what"] for gap in self.gaps]:
            self.gaps.append({"what": what, "why": why})

    def _place(self, path: str) -> str:
        _empty, where, rest = path.split("/", 2)
        return f"{self._places[where]}/{rest}"
