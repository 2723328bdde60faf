# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line of a log as it may be shown: short, without control characters, without secrets."""

from __future__ import annotations

import re
from typing import NamedTuple

LIMIT = 600  # characters of a sample
REDACTED = "[redacted]"
# Of the line, around what matched: secrets are known by what is in front of them, so more is looked at than shown.
_BEFORE = 4096
_AFTER = 1024
_SHOWN_BEFORE = 160
_CUT = "..."
# Marks where the match begins while characters come and go in front of it: for private use, removed from logs first.
_MARK = "\ue000"

# CSI (colours, cursor), OSC and other strings (titles, links; ended by BEL or ST), sequences of two characters; C1 forms.
_ESCAPES = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]{0,64}[ -/]{0,16}[@-~]?"
    "|(?:\x1b[]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x9c|\x1b\\\\)?"
    "|\x1b[ -/]{0,16}[0-~]?"
)
_SPACES = re.compile(" {2,}")

_SEPARATOR = r"[\"'\\]{0,16}\s{0,3}[=:]\s{0,3}"
_VALUE = r"(?:\\{0,15}[\"'][^\"'\\]{0,4096}|[^\s\"'\\,;&)}\]]{1,4096})"
_TELLTALE = r"(?:passw(?:or)?d|passphrase|pwd|secret|token|credentials?|(?:api|access|private|signing)[_-]?key)"
_SECRETS = (
    # -----BEGIN PRIVATE KEY----- ... ; certificates as well: they are long and tell nothing
    (re.compile(r"-----BEGIN [A-Z0-9 ]{1,40}-----.*?(?:-----END [A-Z0-9 ]{1,40}-----|\Z)", re.DOTALL), REDACTED),
    # what kubelet prints of a container that it cannot start: EnvVar{Name:KEY,Value:...,ValueFrom:nil,},
    # and before 1.19 or so {Name:KEY Value:... ValueFrom:nil}
    (re.compile(r"(\bName:[^\s,{}]{1,253}[ ,]Value:).*?([ ,]ValueFrom:|\Z)", re.DOTALL), rf"\1{REDACTED}\2"),
    # user:password@ of an address
    (re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,30}://)[^\s/@\"'\\]{1,1024}@"), rf"\1{REDACTED}@"),
    (
        re.compile(
            rf"(?i)\b(authorization{_SEPARATOR}[\"'\\\[]{{0,16}})"
            r"(?:(?:basic|bearer|digest|negotiate)\s{1,3})?[^\s\"'\\,\]]{1,4096}"
        ),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"(?i)\b(bearer\s{1,3})[A-Za-z0-9._~+/=-]{8,4096}"), rf"\1{REDACTED}"),
    # password=..., "token": "...", DB_SECRET: ..., --token ...
    (
        re.compile(rf"(?i)((?:{_TELLTALE})[A-Za-z0-9_-]{{0,32}}{_SEPARATOR}){_VALUE}"),
        rf"\1{REDACTED}",
    ),
    (re.compile(rf"(?i)(--[a-z0-9-]{{0,32}}{_TELLTALE}\s{{1,3}}){_VALUE}"), rf"\1{REDACTED}"),
    # JSON web tokens, kubeadm's bootstrap tokens, long base64; the ids of containers and images are hexadecimal
    (
        re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{5,4096}\.[A-Za-z0-9_-]{5,4096}(?:\.[A-Za-z0-9_-]{0,4096})?"),
        REDACTED,
    ),
    (re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"), REDACTED),
    (re.compile(r"(?<![A-Za-z0-9+/=])(?=[a-z0-9+/]{0,60}[A-Z])[A-Za-z0-9+/]{60,8192}={0,2}"), REDACTED),
)


class Piece(NamedTuple):
    """A part of a line as it is; ``start`` is where the match begins in it, ``whole`` whether the line begins with it."""

    text: str
    start: int
    whole: bool


def cut(line: str, start: int, end: int) -> Piece:
    """What is kept of a line for a sample, at most 5 KiB and the match, which is from ``start`` to ``end``."""
    begin = max(0, start - _BEFORE)
    return Piece(line[begin : end + _AFTER], start - begin, begin == 0)


def sample(piece: Piece) -> str:
    """At most LIMIT characters around the match, on one line, without control characters, escape sequences and secrets."""
    text = piece.text.replace(_MARK, "")
    start = piece.start - piece.text.count(_MARK, 0, piece.start)
    text = clean(text[:start] + _MARK + text[start:])
    if not piece.whole:
        # The first word may be the end of a secret, whose beginning was cut off.
        text = text.partition(" ")[2] if " " in text.partition(_MARK)[0] else text[text.find(_MARK) :]
    text = redact(text)
    begin = max(0, min(text.find(_MARK) - _SHOWN_BEFORE, len(text) - len(_MARK) - LIMIT + len(_CUT)))
    shown = text[begin:].replace(_MARK, "")
    shown = (_CUT if begin or not piece.whole else "") + shown
    return shown if len(shown) <= LIMIT else shown[: LIMIT - len(_CUT)] + _CUT


def clean(text: str) -> str:
    """The text on one line: escape sequences are removed, other characters that do not print become a space or nothing."""
    text = _ESCAPES.sub("", text)
    if not text.isprintable():
        text = "".join(_printable(character) for character in text)
    return _SPACES.sub(" ", text).strip(" ")


def _printable(character: str) -> str:
    if character.isprintable() or character == _MARK:
        return character
    return " " if character.isspace() else ""


def redact(text: str) -> str:
    """The text with what looks like a secret replaced. It errs on the side of replacing too much."""
    for secret, replacement in _SECRETS:
        text = secret.sub(replacement, text)
    return text
