# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of functions as Go prints them: import path, receiver, name."""

from __future__ import annotations

import re

# The first elements of the import paths of Go's standard library (go list std, Go 1.26). All others have a dot or are a program's own.
_STANDARD = re.compile(
    r"(?:archive|bufio|bytes|cmp|compress|container|context|crypto|database|debug|embed|encoding|errors|expvar|flag|fmt|go|hash|html|image|index|internal"
    r"|io|iter|log|maps|math|mime|net|os|path|plugin|reflect|regexp|runtime|slices|sort|strconv|strings|structs|sync|syscall|testing|text|time|type"
    r"|unicode|unique|unsafe|vendor|weak)[/.]"
)


def is_standard(function: str) -> bool:
    """Whether it is of Go's standard library: ``net/http.(*Server).ListenAndServe`` is, ``main.serve`` and C's ``serve`` are not."""
    return _STANDARD.match(function) is not None
