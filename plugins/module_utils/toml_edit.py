# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set strings in one table of a TOML text and leave every other byte of it as it is: comments, order, indentation, ends of lines.

What is not wholly understood is not edited: the new text must read as the old one but for these values (https://toml.io/en/v1.0.0).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import toml_lines
from ansible_collections.kubenode.doctor.plugins.module_utils.toml_lines import ASSIGNMENT, HEADER, OTHER, Line, Path

_UNREADABLE = (
    "\0",
    "\ufffd",
    "\ufeff",
)  # a path's end; what bounded_read makes of bytes that are no UTF-8; a byte order mark
_LONE_RETURN = re.compile(r"\r(?!\n)")
_NOTHING = re.compile(r"[ \t]*(?:#[^\n]*)?\r?\Z")
_PLAIN = re.compile(r"[A-Za-z0-9.:_-]*\Z")
_INDENT = "  "


class EditError(Exception):
    """The text is not edited; this says why, in words that hold nothing of it."""


class _Change(NamedTuple):
    """What stands from ``start`` to ``end`` becomes ``text``."""

    start: int
    end: int
    text: str


def with_strings(text: str, section: Path, header: str, values: Mapping[str, str]) -> str:
    """The text in which the table ``section`` has these strings; where it has no such table, one with ``header`` at its end.

    Raises EditError.
    """
    if not all(map(_PLAIN.match, values.values())):
        raise ValueError("only plain words are written")
    _check_signs(text)
    lines = list(toml_lines.lines(text))
    _check_lines(text, lines)
    _check_table(text, lines, section, values)
    tables = [line for line in lines if line.kind == HEADER and line.path == section]
    if len(tables) > 1:
        raise EditError(f"it has {header} {len(tables)} times")
    changes = _in_table(text, lines, tables[0], values) if tables else [_appended(text, header, values)]
    changed = _applied(text, changes)
    before = toml_lines.read(text)
    if toml_lines.read(changed) != {**before, **{(*section, key): value for key, value in values.items()}}:
        raise EditError("more than the two settings would change")
    return changed


def _check_signs(text: str) -> None:
    if any(sign in text for sign in _UNREADABLE) or _LONE_RETURN.search(text):
        raise EditError("it holds bytes that are no text")


def _check_lines(text: str, lines: Iterable[Line]) -> None:
    """Every line is one that is understood to its end."""
    for line in lines:
        rest = text[line.rest : line.end]
        whole = {HEADER: _NOTHING.match(rest), ASSIGNMENT: toml_lines.is_whole(rest), OTHER: False}
        if not whole[line.kind]:
            raise EditError(f"its line {text.count(chr(10), 0, line.start) + 1} is not understood")


def _check_table(text: str, lines: Iterable[Line], section: Path, keys: Iterable[str]) -> None:
    """The table is written under its own header, if at all, and what is to be set in it is no table."""
    for line in lines:
        inside = line.path[: len(section)] == section
        around = section[: len(line.path)] == line.path
        if line.kind == HEADER:
            if (inside or around) and text.startswith("[[", line.start):
                raise EditError("its tables are arrays of tables")
        elif around or (inside and line.section[: len(section)] != section):
            raise EditError("the section is written in one line or with dotted keys, not under a header of its own")
        if inside and line.path[len(section) : len(section) + 1] and line.path[len(section)] in keys:
            _check_setting(line, len(section) + 1)


def _check_setting(line: Line, depth: int) -> None:
    if line.kind == HEADER or len(line.path) != depth:
        raise EditError("a setting in it is a table")


def _in_table(text: str, lines: Sequence[Line], table: Line, values: Mapping[str, str]) -> list[_Change]:
    body = [line for line in lines if line.kind == ASSIGNMENT and line.section == table.path]
    changes, new = [], []
    for key, value in values.items():
        set_here = [line for line in body if line.path == (*table.path, key)]
        if len(set_here) > 1:
            raise EditError(f"it sets {key} more than once")
        if set_here:
            changes.append(_replaced(text, set_here[0], value))
        else:
            new.append(f'{key} = "{value}"')
    if new:
        indent = _indent(text, body[0]) if body else _indent(text, table) + _INDENT
        changes.append(_inserted(text, table, [indent + line for line in new]))
    return changes


def _replaced(text: str, line: Line, value: str) -> _Change:
    old = toml_lines.SCALAR.match(text, line.rest, line.end)
    if not old:
        raise EditError("a setting in it is no plain value")
    return _Change(old.start(), old.end(), f'"{value}"')


def _inserted(text: str, table: Line, new: Sequence[str]) -> _Change:
    """Lines behind the header's."""
    if table.end == len(text):
        newline = _newline(text)
        return _Change(table.end, table.end, "".join(newline + line for line in new))
    newline = "\r\n" if text[table.end - 1] == "\r" else "\n"
    return _Change(table.end + 1, table.end + 1, "".join(line + newline for line in new))


def _appended(text: str, header: str, values: Mapping[str, str]) -> _Change:
    """The table at the end of the text, which ends with a newline if it did so before, or was empty."""
    newline = _newline(text)
    block = newline.join([header, *(f'{_INDENT}{key} = "{value}"' for key, value in values.items())])
    if not text:
        return _Change(0, 0, block + newline)
    if text.endswith("\n"):
        return _Change(len(text), len(text), newline + block + newline)
    return _Change(len(text), len(text), newline * 2 + block)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _indent(text: str, line: Line) -> str:
    return text[text.rfind("\n", 0, line.start) + 1 : line.start]


def _applied(text: str, changes: Iterable[_Change]) -> str:
    for change in sorted(changes, reverse=True):
        text = text[: change.start] + change.text + text[change.end :]
    return text
