# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any text as Markdown that stays text: nothing in it is a link, an image, HTML, a list, a mention of somebody or a command to the tracker.

Backslashes are no help against what trackers do after CommonMark: GitHub and GitLab look for ``@name``, ``#12`` and ``/close`` in what is rendered, but not in
code. So a word that is more than letters, digits and plain punctuation becomes a code span, which also reads well: it is an address, a path or a name.
A code span and a fence are ended by a run of backticks as long as the one that began them (CommonMark 0.31.2, 6.1 and 4.5), so these are
longer than any in the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

# A word, or a number: without dots in words, since some linkers take example.com for an address.
_PLAIN = re.compile(r"[^\W_]+(?:[-'/][^\W_]+)*|\d+(?:\.\d+)*%?")
_PARTS = re.compile(r"(?P<before>[(\"']*)(?P<core>.*?)(?P<after>[)\"',.;:?!…]*)")


def prose(text: str, limit: int = 500) -> str:
    """A text as one line of Markdown. It must not begin a line: ``1.`` would make a list of it."""
    told: list[str] = []
    words: list[str] = []  # of one code span
    for word in clean(text, limit).split():
        before, core, after = _parts(word)
        if before and words:
            told.append(code(" ".join(words)))
            words = []
        if not core or _PLAIN.fullmatch(core):
            told += [code(" ".join(words)), word] if words else [word]
            words = []
            continue
        words.append(core)
        if before or after:
            told.append(f"{before}{code(' '.join(words))}{after}")
            words = []
    return " ".join([*told, *([code(" ".join(words))] if words else [])])


def _parts(word: str) -> tuple[str, str, str]:
    """What stands before a word, the word, and what stands after it; ``accept()`` is all word."""
    found = _PARTS.fullmatch(word)
    before, core, after = found.group("before", "core", "after") if found else ("", word, "")
    if after.startswith(")") and core.count("(") > core.count(")"):
        return before, f"{core})", after[1:]
    return before, core, after


def code(text: str, limit: int = 500) -> str:
    """A text as a code span."""
    cleaned = clean(text, limit)
    ticks = _longer_than_any(cleaned, 1)
    space = " " if cleaned[:1] in ("`", " ", "") or cleaned[-1:] in ("`", " ") else ""
    return f"{ticks}{space}{cleaned}{space}{ticks}"


def fenced(lines: Sequence[str], language: str) -> list[str]:
    """Cleaned lines as a code block."""
    fence = _longer_than_any("\n".join(lines), 3)
    return [f"{fence}{language}", *lines, fence]


def _longer_than_any(text: str, least: int) -> str:
    return "`" * max(least, *(len(run) + 1 for run in re.findall("`+", text)), 0)
