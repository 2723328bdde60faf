# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents that are written from what they tell of."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def write_or_check(words: Sequence[str], usage: str, target: Path, text: str, outdated: str) -> int:
    """Write the text; with --check as the only word, say whether it is there already. Returns the exit status."""
    if list(words) == ["--check"]:
        if target.exists() and target.read_text(encoding="utf-8") == text:
            return 0
        sys.stderr.write(f"{outdated}\n")
        return 1
    if words:
        sys.stderr.write(usage)
        return 2
    target.write_text(text, encoding="utf-8")
    return 0
