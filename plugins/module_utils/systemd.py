# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemctl, asked and told within a limit of time; systemd's own properties say how a unit does, not the exit status alone.

Sources: systemctl(1), org.freedesktop.systemd1(5) (ActiveState, UnitFileState, InvocationID since 232, Job), sd_booted(3).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from typing import Any, Dict, List, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import program_lines, trusted_programs
from ansible_collections.kubenode.doctor.plugins.module_utils.change_part import ChangeError
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain
from ansible_collections.kubenode.doctor.plugins.module_utils.program_lines import Program

ACTIVE = "active"
# Those that are restarted, started or enabled; systemd.unit(5) on the characters of a name.
_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]{1,240}\.(service|socket|timer)")
_ALSO = re.compile(r"\s*Also\s*=\s*\S")
_BYTES, _LINE = 256 << 10, 64 << 10
_SETTLED = frozenset({ACTIVE, "failed", "inactive"})
_POLL_SECONDS = 0.2
# A unit of Type=simple is active as soon as its process is forked, also when that ends at once.
_STAYS_SECONDS = 1.0
_WORDS, _WORD = 5, 200  # lines of a unit's log in a message, characters of a line
_ASK_SECONDS = 10.0  # for what systemd answers at once


class Unit(NamedTuple):
    """``invocation`` is another one after each start; ``job``: systemd has something to do with it still."""

    loaded: bool
    active: str
    enabled: str
    invocation: str
    job: bool

    def document(self) -> Dict[str, Any]:
        """What is kept of it."""
        return {"active": self.active, "enabled": self.enabled, "invocation": self.invocation}


class Systemd:
    """systemd of this machine. All methods raise ChangeError and OSError."""

    def __init__(self, root: str) -> None:
        self._root = root

    def unit(self, name: str, otherwise: str = "") -> Unit:
        """How a unit does; ``otherwise`` says what to do by hand where there is no systemd."""
        otherwise = otherwise or f"look after {plain(name, _WORD)} by hand"
        if not _NAME.fullmatch(name):
            raise ChangeError(f"no name of a unit that can be restarted: {plain(name, _WORD)}")
        properties = "LoadState,ActiveState,UnitFileState,InvocationID,ActiveEnterTimestampMonotonic,Job"
        lines = self._lines(("show", f"--property={properties}", "--", name), Deadline(_ASK_SECONDS), otherwise)
        found = dict(line.partition("=")[::2] for line in lines)
        return Unit(
            found.get("LoadState") == "loaded",
            found.get("ActiveState", ""),
            found.get("UnitFileState", ""),
            found.get("InvocationID") or found.get("ActiveEnterTimestampMonotonic", ""),
            found.get("Job", "") not in ("", "0"),
        )

    def loaded(self, name: str, otherwise: str) -> Unit:
        """As ``unit``; raises ChangeError for one that systemd does not know."""
        unit = self.unit(name, otherwise)
        if not unit.loaded:
            raise ChangeError(f"systemd has no usable unit {name}")
        return unit

    def has_others(self, name: str) -> bool:
        """Whether its installation is that of other units too, which enable and disable follow: systemd.unit(5), Also=."""
        lines = self._lines(("cat", "--", name), Deadline(_ASK_SECONDS), f"look after {name} by hand")
        return any(_ALSO.match(line) for line in lines)

    def reload(self, deadline: Deadline) -> None:
        """Have it read its units anew."""
        self._lines(("daemon-reload",), deadline, "have the units read anew by hand")

    def command(self, verb: str, name: str, deadline: Deadline) -> None:
        """``enable``, ``disable``, ``stop``."""
        self._lines((verb, "--", name), deadline, f"{verb} {name} by hand")

    def run(self, verb: str, name: str, deadline: Deadline) -> Unit:
        """``start`` or ``restart``, and wait until it is active and stays so."""
        why = ""
        try:
            self.command(verb, name, deadline)
        except ChangeError as error:
            why = str(error)
        unit = self._settled(name, deadline)
        if unit.active == ACTIVE and not why:
            time.sleep(min(_STAYS_SECONDS, deadline.left()))
            begun, unit = unit.invocation, self._settled(name, deadline)
            why = "" if unit.invocation == begun else f"{name} started again just after systemctl {verb}"
        if why or unit.active != ACTIVE:
            state = f"{name} is {unit.active or 'gone'}{self._last_words(name)}"
            raise ChangeError(f"{why}; {state}" if why else f"systemctl {verb} was no help: {state}")
        return unit

    def _settled(self, name: str, deadline: Deadline) -> Unit:
        while True:
            unit = self.unit(name)
            if (unit.active in _SETTLED and not unit.job) or deadline.passed():
                return unit
            time.sleep(min(_POLL_SECONDS, deadline.left()))

    def _last_words(self, name: str) -> str:
        """The end of its log, which says why, as samples of logs do in a report. What stands above it are command lines, which may hold secrets."""
        command = [self._program("look by hand"), "status", "--no-pager", "--full", f"--lines={_WORDS}", "--", name]
        with Program(command, Deadline(_ASK_SECONDS), _BYTES, _LINE, _ENVIRONMENT) as program:
            lines = [line.decode("utf-8", "replace") for line in program.lines()]
        log = lines[lines.index("") + 1 :] if "" in lines else []
        words = [plain(line, _WORD) for line in log if line.strip()][-_WORDS:]
        return f": {' / '.join(words)}" if words else ""

    def _lines(self, words: Sequence[str], deadline: Deadline, otherwise: str) -> List[str]:
        with Program([self._program(otherwise), *words], deadline, _BYTES, _LINE, _ENVIRONMENT) as program:
            lines = [line.decode("utf-8", "replace") for line in program.lines()]
            if program.status is None:
                raise ChangeError(f"systemctl {words[0]} took more than {deadline.seconds:g} s")
            if program.status != 0:
                said = " / ".join(plain(line, _WORD) for line in program.errors()[:_WORDS])
                raise ChangeError(f"systemctl {words[0]} failed: {said or f'status {program.status}'}")
        return lines

    def _program(self, otherwise: str) -> str:
        # sd_booted(3)
        if not os.path.isdir(os.path.join(self._root, "run/systemd/system")):
            raise ChangeError(f"no systemd here: {otherwise}")
        search = trusted_programs.find("systemctl", self._root)
        if search.program is None:
            distrusted = f" (not root's alone: {', '.join(search.distrusted)})" if search.distrusted else ""
            raise ChangeError(f"there is no systemctl that may be run{distrusted}: {otherwise}")
        return search.program


_ENVIRONMENT = {"LC_ALL": "C", "PATH": program_lines.PATH, "SYSTEMD_COLORS": "0"}
