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
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils.display_door import Said

_WHEN = re.compile(
    r"""(["']?\b(?:start|end)["']?: ["'])\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+|(["']?\bdelta["']?: ["'])\d+:\d\d:\d\d\.\d+"""
)


# What the default callback prints below a failure that is ignored (plugins/callback/default.py). Of a loop it is all that comes after the items.
_IGNORED = "...ignoring"


class _Group(NamedTuple):
    """Equal failures. Between ``before`` and ``after`` the hosts are named that are not ``first``, the one whose failure was told."""

    first: Said
    before: str
    after: str
    others: list[str]


class SameFailures:
    """Those of one task."""

    def __init__(self, tell: Callable[[Said], None]) -> None:
        self._tell = tell
        self._groups: dict[Any, _Group] = {}

    def add(self, label: str, said: Sequence[Said], item: str | None = None) -> None:
        """What Ansible would print of a failure of the host with this label, or of one ``item`` of its loop.

        All of it is told, but for what was told of another host.
        """
        word = "fatal" if item is None else "failed"
        start = f"{word}: [{label}]"
        place = next((number for number, line in enumerate(said) if line.text.startswith(start)), len(said))
        failure = said[place:]
        # Above it stand the task's banner and warnings, which are told once as they are.
        for line in said[:place]:
            if failure or line.text != _IGNORED:
                self._tell(line)
            else:
                self._add(label, "", [line], _Group(line, f"{_IGNORED}: ", "", []))
        if failure:
            verdict = failure[0].text.removeprefix(start).partition(" => ")[0] if item is None else f" (item={item})"
            group = _Group(failure[0], f"{word}: ", f"{verdict} => the same as [{label}]", [])
            self._add(label, start, failure, group)

    def flush(self) -> None:
        """Name the others."""
        for group in self._groups.values():
            if group.others:
                names = ", ".join(f"[{label}]" for label in group.others)
                self._tell(group.first._replace(text=f"{group.before}{names}{group.after}"))

    def _add(self, label: str, start: str, lines: Sequence[Said], group: _Group) -> None:
        key = tuple((_WHEN.sub(r"\1\2", line.text.removeprefix(start)), *line[1:]) for line in lines)
        if key in self._groups:
            self._groups[key].others.append(label)
            return
        self._groups[key] = group
        for line in lines:
            self._tell(line)
