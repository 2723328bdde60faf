# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much TOML as daemon configurations need, for Pythons without tomllib; what it does not understand it passes over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import List, NamedTuple, Tuple, Union

Path = Tuple[str, ...]
Value = Union[str, List[str]]

_BASIC = r'"(?:[^"\\\n]|\\.)*"'
_LITERAL = r"'[^'\n]*'"
_PART = rf"(?:[A-Za-z0-9_-]+|{_BASIC}|{_LITERAL})"
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
# Up to two quotation marks may stand before those that end it, as part of it.
_MULTILINE = r'"""(?:[^\\]|\\.)*?"""(?:"{1,2})?|' + r"'''.*?'''(?:'{1,2})?"
_BARE = r"[^\s,\]\[{}#\"'=]+"
_SCALAR = rf"{_MULTILINE}|{_BASIC}|{_LITERAL}|{_BARE}"
SCALAR = re.compile(_SCALAR, re.DOTALL)
_COMMENT = r"#[^\n]*"

_OPEN = ('"""', "'''")
_STRING = re.compile(_MULTILINE, re.DOTALL)
_HEADER = re.compile(rf"\[\[?[ \t]*({_KEY})[ \t]*\]\]?")
_ASSIGNMENT = re.compile(rf"({_KEY})[ \t]*=[ \t]*")
_TOKEN = re.compile(rf"{_SCALAR}|{_COMMENT}|[\[\]{{}},]|\s+", re.DOTALL)
_PAIR = re.compile(rf"({_KEY})[ \t]*=[ \t]*({_SCALAR})", re.DOTALL)
_LINE_GOES_ON = r"[ \t]*\r?\n\s*"  # behind a backslash, in several lines
_ESCAPE = re.compile(
    rf"\\(?:u([0-9A-Fa-f]{{4}})|U(00(?:0[0-9A-Fa-f]|10)[0-9A-Fa-f]{{4}})|({_LINE_GOES_ON})|(.))", re.DOTALL
)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}
_SURROGATES = range(0xD800, 0xE000)


class Line(NamedTuple):
    """Where one line of a text is, or several that make one value.

    ``kind`` is HEADER, ASSIGNMENT or OTHER (no TOML that is understood); ``path`` is that of the header's table, or the full one of what is
    assigned, ``section`` the table that the line is in, its own for a header. The line's first sign is at ``start``, what follows the
    header or the "=" at ``rest``, its newline, or the text's end, at ``end``.
    """

    kind: str
    path: Path
    section: Path
    start: int
    rest: int
    end: int


HEADER, ASSIGNMENT, OTHER = "header", "assignment", "other"


def read(text: str) -> dict[Path, Value]:
    """Every value by its full path: {("crio", "api", "stream_port"): "0"}.

    Scalars are text without their quotes, whatever their type; arrays are lists of their scalars. Tables in one line
    ({a = "b"}) are followed one level deep, arrays of tables keep the last of each value. Never raises: a line that is no
    TOML is passed over, so a broken file gives what can be read of it. No value holds what a path cannot (NUL, surrogates).
    """
    text = text.replace("\0", "\ufffd")
    found: dict[Path, Value] = {}
    for line in lines(text):
        if line.kind == ASSIGNMENT:
            found.update(_assigned(line.path, text[line.rest : line.end]))
    return found


def lines(text: str) -> Iterator[Line]:
    """The lines of a text, without those that are empty or a comment."""
    section: Path = ()
    position = 0
    while position < len(text):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        start = _skip_blanks(text, position, end)
        header = _HEADER.match(text, start, end)
        assignment = _ASSIGNMENT.match(text, start, end)
        if header:
            section = _path(header[1])
            yield Line(HEADER, section, section, start, header.end(), end)
        elif assignment:
            end = _value_end(text, assignment.end())
            yield Line(ASSIGNMENT, (*section, *_path(assignment[1])), section, start, assignment.end(), end)
        elif text[start:end].strip() and text[start] != "#":
            yield Line(OTHER, (), section, start, start, end)
        position = end + 1


def is_whole(value: str) -> bool:
    """Whether what is assigned is one value that is understood, with nothing left open."""
    depth, position, values = 0, 0, 0
    while position < len(value):
        token = _TOKEN.match(value, position)
        if token is None and (not depth or value[position] != "="):  # as in {a = 1}
            return False
        whole = token[0] if token else "="
        values += depth == 0 and not whole.isspace() and not whole.startswith("#")
        depth += (whole in ("[", "{")) - (whole in ("]", "}"))
        position += len(whole)
    return depth == 0 and values == 1


def _skip_blanks(text: str, position: int, end: int) -> int:
    while position < end and text[position] in " \t":
        position += 1
    return position


def _value_end(text: str, start: int) -> int:
    """Where the value that starts here ends: at the end of its line, or of the line that closes its brackets."""
    depth, position = 0, start
    while position < len(text):
        if depth <= 0 and text[position] == "\n":
            return position
        token = _TOKEN.match(text, position)
        whole = token[0] if token else text[position]
        if whole.isspace() and depth <= 0 and "\n" in whole:
            return position + whole.index("\n")
        depth += (whole in ("[", "{")) - (whole in ("]", "}"))
        position += len(whole)
    return position


def _assigned(path: Path, text: str) -> Iterator[tuple[Path, Value]]:
    """The values that one assignment sets."""
    text = text.strip()
    if text.startswith(_OPEN) and not _STRING.match(text):
        return
    if text.startswith("["):
        yield path, [_scalar(token) for token in _tokens(text)]
    elif text.startswith("{"):
        for pair in _PAIR.finditer(text):
            yield (*path, *_path(pair[1])), _scalar(pair[2])
    else:
        for token in list(_tokens(text))[:1]:
            yield path, _scalar(token)


def _tokens(text: str) -> Iterator[str]:
    """The scalars of a value, without comments, brackets and blanks."""
    for token in _TOKEN.finditer(text):
        if not token[0].isspace() and token[0][0] not in "#[]{},":
            yield token[0]


def _path(text: str) -> Path:
    return tuple(_scalar(part) for part in re.findall(_PART, text))


def _scalar(token: str) -> str:
    quotes = 3 if token.startswith(_OPEN) else 1
    if token[0] not in "\"'":
        return token
    text = token[quotes:-quotes]
    if quotes > 1:
        text = re.sub(r"\A\r?\n", "", text)
    return _ESCAPE.sub(_unescaped, text) if token[0] == '"' else text


def _unescaped(found: re.Match[str]) -> str:
    code, line_goes_on, sign = found[1] or found[2], found[3], found[4]
    if code:
        number = int(code, 16)
        return chr(number) if number and number not in _SURROGATES else "\ufffd"
    return "" if line_goes_on else _ESCAPED.get(sign, sign)
