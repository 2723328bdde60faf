# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In place of a matcher: what it was fed."""

from __future__ import annotations


class Listener:
    """A matcher that keeps what it is fed."""

    def __init__(self):
        self.lines = []

    def feed(self, line):
        self.lines.append(line)

    @property
    def texts(self):
        return [line.text for line in self.lines]
