# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures that differ in nothing but the host: the first is told as Ansible tells it, of the others the names, when the task is over.

Equal is what would be printed alike, letter by letter, so a message that names its host is never taken for another's. Only when a command began and
ended (ansible.builtin.command returns start, end and delta) makes no difference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils.display_door import Said

_WHEN = re.compile(
    r"""(["']?\b(?:start|end)["']?: ["'])\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+|(["']?\bdelta["']?: ["'])\d+:\d\d:\d\d\.\d+"""
)


class SameFailures:
    """Those of one task."""

    def __init__(self, tell: Callable[[Said], None]) -> None:
        self._tell = tell
        self._first: dict[Any, tuple[str, Said]] = {}
        self._others: dict[Any, list[str]] = {}

    def add(self, label: str, said: Sequence[Said]) -> None:
        """What Ansible would print of a failure of the host with this label; all of it is told, but for what was told of another host."""
        start = f"fatal: [{label}]: "
        place = next((number for number, line in enumerate(said) if line.text.startswith(start)), len(said))
        failure = said[place:]
        # Above it stand the task's banner and warnings, which are told once as they are.
        for line in said[:place]:
            self._tell(line)
        if not failure:  # of a loop, whose items were told
            return
        key = tuple((_WHEN.sub(r"\1\2", line.text.removeprefix(start)), *line[1:]) for line in failure)
        if key in self._first:
            self._others.setdefault(key, []).append(label)
            return
        self._first[key] = (label, failure[0])
        for line in failure:
            self._tell(line)

    def flush(self) -> None:
        """Name the others."""
        for key, labels in self._others.items():
            first, line = self._first[key]
            verdict = line.text.removeprefix(f"fatal: [{first}]: ").partition(" => ")[0]
            names = ", ".join(f"[{label}]" for label in labels)
            self._tell(line._replace(text=f"fatal: {names}: {verdict} => the same as [{first}]"))
        self._first.clear()
        self._others.clear()
