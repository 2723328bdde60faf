# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts for a page: safe to show, each kept once, and found again by its number."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

LIMIT = 2000


class Texts:
    """Cleans texts, and numbers equal ones with the same number: those of a thousand hosts are few."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """The place of a text in ``all``, where it stands cleaned."""
        found = self._numbers.get(text)
        if found is None:
            found = self._numbers[text] = len(self.all)
            self.all.append(clean(text, LIMIT))
        return found


class Shapes:
    """The same for lists and mappings."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self._numbers: dict[str, int] = {}

    def number(self, shape: Any) -> int:
        """The place of a shape in ``all``."""
        key = json.dumps(shape, sort_keys=True)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.all)
            self.all.append(shape)
        return found
