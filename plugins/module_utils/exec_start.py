# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another flag for a unit's program, by a drop-in: the command line that the unit has, set anew with the flag at its end.

systemd.unit(5): drop-ins are read in the order of their file names, whatever folder they are in. systemd.service(5): an empty ExecStart=
forgets those before it. systemd.syntax(7): a backslash at the end joins lines, comments among them are passed over.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Tuple

NAME = "99-stream-port.conf"
_FOLDER = "/etc/systemd/system"
_COMMENTS = ("#", ";")


class ExecStartError(Exception):
    """There is no drop-in for this unit; the text says why, without its command line."""


def place(unit: str) -> str:
    """The path of the drop-in."""
    return f"{_FOLDER}/{unit}.d/{NAME}"


def drop_in(files: Sequence[Tuple[str, str]], flag: str, comment: str) -> str:
    """The drop-in's text, for a unit of these (path, text), its own first. Raises ExecStartError."""
    commands: list[str] = []
    for path, text in files:
        if os.path.basename(path) == NAME:  # an earlier one of ours
            continue
        found = list(_exec_starts(text))
        if found and os.path.basename(path) > NAME and path != files[0][0]:
            raise ExecStartError(f"{path} sets the command line and is read last")
        for command in found:
            commands = [*commands, command] if command else []
    if len(commands) != 1:
        raise ExecStartError(f"it has {len(commands)} command lines")
    return f"# {comment}\n[Service]\nExecStart=\nExecStart={_checked(commands[0])} {flag}\n"


def _checked(command: str) -> str:
    """One command, of which nothing is left open."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ExecStartError("its command line has an open quotation mark") from error
    if ";" in words or "--" in words:
        raise ExecStartError("its command line is more than a program and its flags")
    return command


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
    for line in lines:
        if line.strip().startswith(_COMMENTS):
            continue
        if line.endswith("\\"):
            held += line[:-1].strip() + " "
            continue
        yield (held + line.strip()).strip()
        held = ""
    if held:
        yield held.strip()
