# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line of a log as it may be shown: short, without control characters, without secrets."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Pattern, Tuple

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

# Also as it is in the query of an address: %22 is a quote, %5C a backslash, %3D and %3A are = and :.
_QUOTES = r"(?:[\"'\\]|%22|%27|%5[Cc]){0,16}"
_SEPARATOR = rf"{_QUOTES}\s{{0,3}}(?:[=:]|%3[AaDd])\s{{0,3}}"
# A list or an object, and what is in lists and objects inside it.
_LIST = r"\[[^\[\]]{0,2048}(?:\[[^\[\]]{0,2048}\][^\[\]]{0,2048}){0,16}\]?"
_OBJECT = r"\{[^{}]{0,2048}(?:\{[^{}]{0,2048}\}[^{}]{0,2048}){0,16}\}?"
_WORD = r"[^\s\"'\\,;&)}\]]{1,4096}"
_VALUE = rf"(?:\\{{0,15}}[\"'][^\"'\\]{{0,4096}}|{_LIST}|{_OBJECT}|{_WORD})"
_TELLTALE = (
    r"(?:passw(?:or)?d|passphrase|(?<!by)pass(?![A-Za-z])|(?<![A-Za-z])psk(?![A-Za-z])|pwd|secret|token|credentials?|"
    r"(?:api|access|private|signing)[_-]?key)"
)
# Words that follow "password" where that is not one: password authentication failed, password is required
_NOT_ONE = (
    r"(?!(?:authentication|auth|and|are|as|at|by|can|cannot|change|expired|expires|failed|fails|file|for|from|has|have|in|incorrect|"
    r"invalid|is|mismatch|missing|must|no|not|of|on|or|policy|prompt|provided|required|reset|set|should|to|too|verification|was|will|"
    r"with|wrong)\b)"
)


@lru_cache(maxsize=None)
def _secrets() -> Tuple[Tuple[Pattern[str], str], ...]:
    """What hides a secret, and what takes its place; compiled for the first sample, since most nodes have none."""
    return (
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
        # password hunter2, password is "hunter2"
        (
            re.compile(
                rf"(?i)\b(pass(?:word|wd|phrase)[\"'\\]{{0,16}}\s{{1,3}}(?:(?:is|was)\s{{1,3}})?){_NOT_ONE}{_VALUE}",
            ),
            rf"\1{REDACTED}",
        ),
        # -e NAME=..., --env NAME=...
        (
            re.compile(rf"(?<![\w-])((?:-e|--env)[\s=]{{1,3}}[\"']?[A-Za-z_][A-Za-z0-9_]{{0,128}}=){_VALUE}"),
            rf"\1{REDACTED}",
        ),
        # Cookie: name=...; name=..., "Set-Cookie": "..."
        (
            re.compile(
                rf"(?i)\b(cookies?{_SEPARATOR}[\"'\\\[]{{0,16}})[^\s\"'\\,;\]]{{1,4096}}(?:;\s?[^\s\"'\\,;\]]{{1,4096}}){{0,64}}"
            ),
            rf"\1{REDACTED}",
        ),
        # ?sig=..., &X-Amz-Signature=...
        (
            re.compile(
                r"(?i)(?<![a-z])((?:sig|signature|x-(?:amz|goog)-[a-z-]{1,40})(?:=|%3d))[^\s\"'\\,;&)}\]]{1,4096}"
            ),
            rf"\1{REDACTED}",
        ),
        # what docker login leaves: "auth": "..."
        (re.compile(r"(\"auth\\{0,15}\"\s?:\s?\\{0,15}\")[^\"\\]{1,4096}"), rf"\1{REDACTED}"),
        # tokens of GitHub, GitLab, Slack, and the ids of keys of AWS
        (
            re.compile(
                r"(?<![A-Za-z0-9])(?:gh[opsur]_[A-Za-z0-9]{16,255}|github_pat_[A-Za-z0-9_]{16,255}|glpat-[A-Za-z0-9_-]{16,255}|"
                r"xox[a-z]-[A-Za-z0-9-]{8,255}|(?:AKIA|ASIA)[A-Z0-9]{16})(?![A-Za-z0-9])"
            ),
            REDACTED,
        ),
        # JSON web tokens, kubeadm's bootstrap tokens, long base64; the ids of containers and images are hexadecimal
        (
            re.compile(
                r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{5,4096}\.[A-Za-z0-9_-]{5,4096}(?:\.[A-Za-z0-9_-]{0,4096})?"
            ),
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
    for secret, replacement in _secrets():
        text = secret.sub(replacement, text)
    return text
