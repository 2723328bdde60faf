# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last line of a terminal, drawn over and over in its place.

It is written to the file descriptor, past Python's buffers, and never wraps. It is not drawn while the process is in the background of its
terminal, where a shell has the line.
"""

from __future__ import annotations

import os

from ansible_collections.kubenode.doctor.plugins.plugin_utils.progress import fitting

# ECMA-48: carriage return, then EL (erase to the end of the line).
_ERASE = b"\r\x1b[K"
_COLUMNS = 80  # of a terminal that does not say


def can_draw(descriptor: int) -> bool:
    """Whether something that understands the erasing is at the other end."""
    return os.isatty(descriptor) and os.environ.get("TERM", "") not in ("", "dumb")


class StatusLine:
    """Whoever uses it holds one lock over all that is written to the terminal."""

    def __init__(self, descriptor: int, encoding: str) -> None:
        self._descriptor = descriptor
        self._encoding = encoding
        self._drawn = ""

    def columns(self) -> int:
        """How long a line may be: one less than the terminal has, since the last column may wrap."""
        try:
            return (os.get_terminal_size(self._descriptor).columns or _COLUMNS) - 1
        except OSError:
            return _COLUMNS - 1

    def draw(self, text: str) -> None:
        """Show this line in place of the last one."""
        if text != self._drawn and self._in_front():
            fits = fitting(text, self.columns())
            self._write(_ERASE + fits.encode(self._encoding, "replace"))
            self._drawn = text

    def erase(self) -> None:
        """Leave an empty line, with the cursor at its beginning."""
        if self._drawn:
            self._write(_ERASE)
            self._drawn = ""

    def _in_front(self) -> bool:
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:  # it is nobody's controlling terminal: no shell waits there
            return True

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:  # the terminal is gone: Ansible meets that itself when it prints
            return
