# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How all parts of the terminal's report are laid out: lines of 110 columns, hosts by name up to a handful."""

from __future__ import annotations

import textwrap
from collections.abc import Collection

from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

WIDTH = 110
HOSTS_SHOWN = 8


def wrap(text: str, first: str, rest: str) -> list[str]:
    """Break a text into lines; ``first`` stands before the first of them, ``rest`` before the others."""
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def host_names(hosts: Collection[str]) -> str:
    """``a, b, c and 43 more (46 in all)``."""
    names = sorted(set(hosts))
    shown = ", ".join(clean(name, 100) for name in names[:HOSTS_SHOWN])
    return shown if len(names) <= HOSTS_SHOWN else f"{shown} and {len(names) - HOSTS_SHOWN} more ({len(names)} in all)"


def count(number: int, word: str) -> str:
    """``1 warning``, ``2 warnings``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
