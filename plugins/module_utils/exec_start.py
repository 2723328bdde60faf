# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another flag for a unit's program, by a drop-in: the command line that the unit has, set anew with the flag at its end.

systemd.unit(5): drop-ins are read in the order of their file names, whatever folder they are in; of one name, only the first folder's is.
systemd.service(5): an empty ExecStart= forgets those before it; "-:+!" before the program; $NAME as a word is any number of words. systemd's
src/shared/conf-parser.c (config_parse): a backslash at the end that no other one escapes joins lines, comments among them are passed over.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Tuple

NAME = "99-stream-port.conf"
_FOLDER = "/etc/systemd/system"
_COMMENTS = ("#", ";")
_BEFORE_PROGRAM = "-:+!"
_ANY_WORDS = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
# What systemd puts something else for: ${NAME}, $NAME, $$, and specifiers as %i and %%.
_EXPANDED = re.compile(r"\$(?:\{[^}]*\}|[A-Za-z0-9_]+|.)?|%.?")


class ExecStartError(Exception):
    """There is no drop-in for this unit; the text says why, without its command line."""


def place(unit: str) -> str:
    """The path of the drop-in."""
    return f"{_FOLDER}/{unit}.d/{NAME}"


def drop_in(files: Sequence[Tuple[str, str]], running: Sequence[str], flag: str, comment: str) -> str:
    """The drop-in's text, for a unit of these (path, text), its own first, whose process was started as ``running``.

    Raises ExecStartError, also where that is not what the unit's files say: the flag is for a command line that is known to start it.
    """
    commands: list[str] = []
    mine = False
    for path, text in files:
        if os.path.basename(path) == NAME:
            if not _is_ours(text, flag, comment):
                raise ExecStartError(f"{path} is there, and is not ours")
            mine = True
            continue
        found = list(_exec_starts(text))
        if found and os.path.basename(path) > NAME and path != files[0][0]:
            raise ExecStartError(f"{path} sets the command line and is read last")
        for command in found:
            commands = [*commands, command] if command else []
    if len(commands) != 1:
        raise ExecStartError(f"it has {len(commands)} command lines")
    command = commands[0]
    words = _checked(command, running)
    if mine and running[-1].partition("=")[0] == _key(flag) and not _starts(words, running):
        running = running[:-1]
    if not _starts(words, running):
        raise ExecStartError("its process runs with another command line than its unit files set")
    return _text(comment, f"{command} {flag}")


def _text(comment: str, command: str) -> str:
    return f"# {comment}\n[Service]\nExecStart=\nExecStart={command}\n"


def _is_ours(text: str, flag: str, comment: str) -> bool:
    """Whether this module wrote it, and nobody added to it."""
    begin = _text(comment, "").rstrip("\n")
    rest = text[len(begin) :]
    return text.startswith(begin) and rest.find("\n") == len(rest) - 1 >= 0 and f" {_key(flag)}=" in rest


def _key(flag: str) -> str:
    return flag.partition("=")[0]


def _checked(command: str, running: Sequence[str]) -> list[str]:
    """The words of one command that starts this program, and of which nothing is left open."""
    if "\\" in command or not command.replace("\t", " ").isprintable():
        raise ExecStartError("its command line has a backslash or another character that is not followed here")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ExecStartError("its command line has an open quotation mark") from error
    if ";" in words or "--" in words:
        raise ExecStartError("its command line is more than a program and its flags")
    program, name = words[0].lstrip(_BEFORE_PROGRAM), os.path.basename(running[0])
    if not name or os.path.basename(program) != name or not (program.startswith("/") or program == name):
        raise ExecStartError("its command line begins with another program than the one that listens")
    return words


def _starts(words: Sequence[str], running: Sequence[str]) -> bool:
    """Whether a process that runs so can come of this command line, as far as that can be told: what systemd expands may be anything."""
    open_ = [at for at, word in enumerate(words) if at and _ANY_WORDS.fullmatch(word)]
    if not open_:
        return len(words) == len(running) and all(map(_can_be, words[1:], running[1:]))
    first, behind = open_[0], words[open_[-1] + 1 :]
    if len(running) < first + len(behind):
        return False
    return all(map(_can_be, words[1:first], running[1:])) and all(
        map(_can_be, behind, running[len(running) - len(behind) :])
    )


def _can_be(word: str, argument: str) -> bool:
    literal = _EXPANDED.split(word)
    if len(literal) == 1:
        return word == argument
    begin, end = literal[0], literal[-1]
    return len(argument) >= len(begin) + len(end) and argument.startswith(begin) and argument.endswith(end)


def _exec_starts(text: str) -> Iterator[str]:
    section = ""
    for line in _whole_lines(text.split("\n")):
        if line.startswith("["):
            section = line
        key, equals, value = line.partition("=")
        if section == "[Service]" and equals and key.strip() == "ExecStart":
            yield value.strip()


def _whole_lines(lines: Iterable[str]) -> Iterator[str]:
    held = ""
    for line in (line[:-1] if line.endswith("\r") else line for line in lines):
        if line.strip().startswith(_COMMENTS):
            continue
        if (len(line) - len(line.rstrip("\\"))) % 2:
            held += line[:-1].strip() + " "
            continue
        yield (held + line.strip()).strip()
        held = ""
    if held:
        yield held.strip()
