# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd says of a unit (systemctl(1), show; properties of org.freedesktop.systemd1(5))::

Id=kubelet.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
MainPID=712
ControlGroup=/system.slice/kubelet.service
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import trusted_programs
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.program_lines import Program

# systemd.unit(5): ASCII letters, digits, ":", "-", "_", ".", "@" and backslashes; 255 characters at most.
_SERVICE = re.compile(r"(?!-)[A-Za-z0-9:_.\\@-]{1,247}\.service")
_UNIT = re.compile(r"(?!-)[A-Za-z0-9:_.\\@-]{1,255}")
_PROPERTIES = ("Id", "LoadState", "ActiveState", "UnitFileState", "MainPID", "ControlGroup")
_MOST_BYTES = 16 << 10
_LONGEST_LINE = 8 << 10


class UnitError(Exception):
    """systemd does not tell; the text says why."""


class UnitState(NamedTuple):
    """``id`` is its own name where it was asked by another. ``main_pid`` is 0 where there is none, ``control_group`` then "" mostly."""

    id: str
    load: str
    active: str
    enabled: str
    main_pid: int
    control_group: str


def is_service(name: str) -> bool:
    """Whether systemd could have a service of this name."""
    return _SERVICE.fullmatch(name) is not None


def read(unit: str, deadline: Deadline, root: str = "/") -> UnitState:
    """Ask systemd. Raises UnitError, also for a unit that it does not know."""
    if not is_service(unit):
        raise UnitError(f"{unit[:100]!r} is no name of a service of systemd")
    (told,) = show([unit], _PROPERTIES, deadline, root)
    if told["LoadState"] != "loaded":
        raise UnitError(f"systemd has no unit {unit} (LoadState {told['LoadState'] or 'not told'})")
    pid = told["MainPID"]
    return UnitState(
        told["Id"],
        told["LoadState"],
        told["ActiveState"],
        told["UnitFileState"],
        int(pid) if pid.isdecimal() and len(pid) < 10 else 0,
        told["ControlGroup"],
    )


def show(units: Sequence[str], names: Sequence[str], deadline: Deadline, root: str = "/") -> list[dict[str, str]]:
    """These properties of some units of any kind, "" for what was not told. Raises UnitError."""
    wrong = [unit for unit in units if not _UNIT.fullmatch(unit)]
    if wrong:
        raise UnitError(f"{wrong[0][:100]!r} is no name of a unit of systemd")
    about = units[0] if len(units) == 1 else f"{len(units)} units"
    found = trusted_programs.find("systemctl", root)
    if found.program is None:
        why = f"others may change {found.distrusted[0]}" if found.distrusted else "this machine has no systemctl"
        raise UnitError(f"systemd cannot be asked about {about}: {why}")
    command = (found.program, "show", "--no-pager", f"--property={','.join(names)}", "--", *units)
    blocks = _run(command, about, deadline).split("\n\n")
    if len(blocks) != len(units):
        raise UnitError(f"systemctl has told of {len(blocks)} units when it was asked about {about}")
    return [_properties(block, names) for block in blocks]


def _run(command: Sequence[str], about: str, deadline: Deadline) -> str:
    """Raises UnitError."""
    try:
        with Program(command, deadline, _MOST_BYTES, _LONGEST_LINE) as asked:
            lines = [line.decode("utf-8", "replace") for line in asked.lines()]
    except OSError as error:
        raise UnitError(f"{command[0]} cannot be run: {error.strerror}") from error
    if asked.stopped is not None:
        raise UnitError(f"systemctl did not tell about {about} within its limit of time or bytes")
    if asked.status != 0:
        said = "; ".join(asked.errors())[:300] or f"exit status {asked.status}"
        raise UnitError(f"systemctl does not tell about {about}: {said}")
    return "\n".join(lines).strip("\n")


def _properties(text: str, names: Sequence[str]) -> dict[str, str]:
    """All that were asked for, "" for what was not told."""
    told = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {name: told.get(name, "").strip() for name in names}
