# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What adding up a fleet needs so that its memory does not grow with it: hosts by number and example, tables that drop their least."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

NAMED = 20  # hosts: more than any text shows


@dataclass
class Hosts:
    """How many hosts, the first of them by name, and ``which``: a number that is the same for the same hosts, in this process only.

    Hosts have to come in order, each once.
    """

    count: int = 0
    named: list[str] = field(default_factory=list)
    which: int = 0

    def add(self, host: str) -> None:
        """Count one more."""
        self.count += 1
        self.which = hash((self.which, host))
        if len(self.named) < NAMED:
            self.named.append(host)


def pruned(table: dict[_Key, _Value], most: int, size: Callable[[_Value], int]) -> dict[_Key, _Value]:
    """The table itself while it has at most twice ``most`` entries, else a copy with the ``most`` largest.

    What is dropped and comes again starts anew. That never concerns what is among the largest on most hosts.
    """
    if len(table) <= 2 * most:
        return table
    return dict(heapq.nlargest(most, table.items(), key=lambda item: size(item[1])))
