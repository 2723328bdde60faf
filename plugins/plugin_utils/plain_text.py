# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes any text safe to print: what comes from a node must not move the cursor, change colours or reorder a line."""

from __future__ import annotations

import unicodedata

# Cc: control, Cf: format (bidirectional marks, zero-width), Cs: surrogates, Co/Cn: private or unassigned, Zl/Zp: separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_LIMIT = 500


def clean(text: str, limit: int = _LIMIT) -> str:
    """Return the text with every unsafe character written as an escape, and cut to ``limit`` characters."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isprintable():  # nearly every text: none of these categories is
        return cut
    return "".join(_escape(character) if unicodedata.category(character) in _UNSAFE else character for character in cut)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
