# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single values of a YAML or JSON document, on nodes that have no YAML parser: scalars of its top level, named by their keys.

Lines that are further in than the first key belong to the value above them, whatever they hold, so a key inside of another
value or of a text is never taken for one of the top level. What is written in a way that is not followed (anchors, merge
keys, a value on the next line, a quote over several lines) is named, instead of guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Dict, List, NamedTuple, Optional

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^']|'')*'")
_KEY_END = re.compile(r":(?=[ \t]|$)")
_COMMENT = re.compile(r"(?:^|[ \t])#.*")
_NOTHING = frozenset(("", "~", "null", "Null", "NULL"))
_INDICATORS = "&*!|>[]{}?@`%"  # begin something else than a plain scalar (yaml.org/spec/1.2.2, 5.3)
_LONGEST_VALUE = 100


class Scalars(NamedTuple):
    """``values`` by key, None for null; ``unread`` says in words what could not be read."""

    values: Dict[str, Optional[str]]
    unread: List[str]


class _LostError(ValueError):
    """From here on the document cannot be followed."""


def read(text: str, keys: Collection[str]) -> Scalars:
    """The scalars of these keys in the first document of a text; none at all where it cannot be followed. Never raises."""
    text = text.lstrip("\ufeff")
    return _json(text, keys) if text.lstrip().startswith("{") else _yaml(text, keys)


def _json(text: str, keys: Collection[str]) -> Scalars:
    try:
        document = json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return Scalars({}, ["it begins with a brace and is no JSON"])
    found = Scalars({}, [])
    for key in keys:
        value = document.get(key)
        if isinstance(value, (dict, list)):
            found.unread.append(f"{key} is no single value")
        elif key in document:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            found.values[key] = None if value is None else text[:_LONGEST_VALUE]
    return found


def _yaml(text: str, keys: Collection[str]) -> Scalars:
    found = Scalars({}, [])
    wanted = None  # the key that lines further in would belong to, if it is one of ``keys``
    try:
        for number, inner, line in _lines(text):
            if inner and wanted:
                _keep(found, wanted, "", strange=True)
            if not inner:
                key, value = _key_and_value(line, number)
                wanted = key if key in keys else None
                if key == "<<":
                    found.unread.append("a merge key (<<) brings values from elsewhere")
                if wanted:
                    _keep(found, wanted, value, strange=value.startswith(tuple(_INDICATORS)) or "\\" in value)
    except _LostError as error:
        return Scalars({}, [str(error)])
    return found


def _lines(text: str) -> Iterator[tuple[int, bool, str]]:
    """(number, is it further in than the top level, the line without its indentation) for each line of the first document."""
    top, opened = None, False
    for number, whole in enumerate(text.split("\n"), 1):
        line = whole.strip(" \r")
        indent = len(whole) - len(whole.lstrip(" "))
        if not line or line.startswith("#") or (top is None and not opened and whole.startswith("%")):
            continue
        if whole.startswith(("---", "...")) and line[3:4] in ("", " ", "\t"):
            if opened or top is not None or whole.startswith("..."):
                return
            opened = True
            if _COMMENT.sub("", line[3:]).strip():
                raise _LostError(f"line {number}: a document that begins on the line of its marker is not followed")
            continue
        top = indent if top is None else top
        if indent < top or line.startswith("\t"):
            raise _LostError(f"line {number}: its indentation is not followed")
        # A list may be as far out as its key.
        yield number, indent > top or line == "-" or line.startswith(("- ", "-\t")), line


def _key_and_value(line: str, number: int) -> tuple[str, str]:
    """What a line of the top level assigns; the value without its comment, and without its quotes."""
    quoted = _QUOTED.match(line)
    colon = _KEY_END.search(line, quoted.end() if quoted else 0)
    if not colon or line[0] in _INDICATORS or (quoted and line[quoted.end() : colon.start()].strip()):
        raise _LostError(f"line {number}: it is no plain key with a value")
    key = line[: colon.start()].strip()
    value = line[colon.end() :].strip()
    if not value.startswith(('"', "'")):
        return key.strip("\"'"), _COMMENT.sub("", value).strip()
    text = _QUOTED.match(value)
    if not text or _COMMENT.sub("", value[text.end() :]).strip():
        raise _LostError(f"line {number}: a quote that does not end on its line is not followed")
    return key.strip("\"'"), text[0][1:-1]


def _keep(found: Scalars, key: str, value: str, strange: bool) -> None:
    found.values.pop(key, None)
    if not strange:
        found.values[key] = None if value in _NOTHING else value[:_LONGEST_VALUE]
    elif f"{key} is no plain value on its own line" not in found.unread:
        found.unread.append(f"{key} is no plain value on its own line")
