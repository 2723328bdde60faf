# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a program and tells every listener that it opens, and the code that does: by Delve for Go programs, by strace for all others.

The program is the operator's choice, and runs as he does: it has to be named by its absolute path, and nobody else may be able to change it. It is
a run of its own, beside one that may be there already. All that comes of it is ended again, daemons too, as far as process_family knows them:
under Delve, which does not follow children, one with a session of its own, no environment and no parent goes on.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import tempfile
import threading
import time
from types import FrameType
from typing import Any, Callable, Iterator, NamedTuple, Optional, Sequence, Union

from ansible_collections.kubenode.doctor.plugins.module_utils import dlv_trace, strace_lines, trusted_programs
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline, shown
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import LIMIT
from ansible_collections.kubenode.doctor.plugins.module_utils.process_family import Family
from ansible_collections.kubenode.doctor.plugins.module_utils.program_lines import Program

AUTO, DLV, STRACE = TOOLS = ("auto", "dlv", "strace")
LONGEST_SECONDS = 3600
GRACE_SECONDS = 5.0  # for the program to end when it is asked to, with SIGTERM, and again for what is killed
_LOAD_SECONDS = 60.0  # for Delve to read the debug information; that of a kubelet (some 100 MB) takes it a few seconds
_MOST_BYTES = 64 << 20  # of a tool's output: a call has some 4 KB, most of it the stack
_LONGEST_LINE = 64 << 10  # one stack frame or one call; Delve's and strace's strings are limited
_PACKAGES = {DLV: "delve", STRACE: "strace"}
_NOT_STARTED = "it was not started"
_Reader = Union[dlv_trace.Reader, strace_lines.Reader]


class _Refused(NamedTuple):
    """A tool did not trace, and the program did not run, or was stopped at its beginning."""

    why: str


def run(
    command: Sequence[str],
    tool: str = AUTO,
    seconds: float = 30.0,
    find: Callable[[str], trusted_programs.Search] = trusted_programs.find,
) -> dict[str, Any]:
    """Trace ``command`` for at most ``seconds``. Raises ValueError for what must not be run; whatever else happens is told.

    ``tool`` of the result is None when nothing was run.
    """
    check(command, tool, seconds)
    whys: list[str] = []
    for name in (DLV, STRACE) if tool == AUTO else (tool,):
        found = find(name)
        if found.program is None:
            whys.append(_why_not_found(name, found.distrusted))
            continue
        traced = _trace_with_dlv(found.program, command, seconds) if name == DLV else None
        traced = traced or _trace_with_strace(found.program, command, seconds)
        if not isinstance(traced, _Refused):
            return _told(name, command[0], traced, whys)
        whys.append(f"{name}: {traced.why}")
    missing = [{"what": "calls", "why": f"Nothing traced {plain(command[0])}. {'; '.join(whys)}"}]
    return _result(None, command[0], _NOT_STARTED, [], missing)


def not_run(
    command: Sequence[str], why: str, find: Callable[[str], trusted_programs.Search] = trusted_programs.find
) -> dict[str, Any]:
    """What there is to tell where nothing is to be run, and whether a tool is there. Raises ValueError as ``run`` does."""
    check(command)
    missing = [{"what": "calls", "why": f"{plain(command[0])} was not traced: {why}"}]
    found = {name: find(name) for name in (DLV, STRACE)}
    if all(one.program is None for one in found.values()):
        missing += [{"what": "tool", "why": _why_not_found(name, one.distrusted)} for name, one in found.items()]
    return _result(None, command[0], _NOT_STARTED, [], missing)


def check(command: Sequence[str], tool: str = AUTO, seconds: float = 30.0) -> None:
    """Raises ValueError, in words, for what is no program that may be run, and for options that cannot be."""
    if tool not in TOOLS:
        raise ValueError(f"trace: tool: {plain(tool)}: one of {', '.join(TOOLS)} expected")
    if not (math.isfinite(seconds) and 0 < seconds <= LONGEST_SECONDS):
        raise ValueError(f"trace: seconds: {seconds:g}: more than 0 and at most {LONGEST_SECONDS} expected")
    if not command or any("\0" in word for word in command):
        raise ValueError("trace: command: a program and its arguments expected, without NUL")
    program = plain(command[0])
    if not os.path.isabs(command[0]):
        raise ValueError(
            f"trace: command: {program}: the program's absolute path is expected: nothing is looked for on the PATH"
        )
    if not os.path.isfile(command[0]) or not os.access(command[0], os.X_OK):
        raise ValueError(f"trace: command: {program} is no program that can be run here")
    if not trusted_programs.is_trusted(command[0]):
        why = "others than its owner, root or you, may change it or its folder: copy it into a folder of your own first"
        raise ValueError(f"trace: command: {program} is not run: {why}")


class _Run:
    """One run under a tool. ``asked`` is set when the program was asked to end, ``killed`` when it had to be."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked = False
        self.killed = False
        self.left: list[int] = []
        self.lasted = 0.0
        self.program: Program
        self.reader: _Reader
        self._family = Family()
        self._over = threading.Event()
        self._begun: Optional[float] = None
        self._ender = threading.Thread(target=self._end_in_time, daemon=True)

    def read(
        self, command: Sequence[str], reader: _Reader, folder: str, extra: dict[str, str], begins: Callable[[], bool]
    ) -> None:
        """Run the tool and let ``reader`` understand what it prints. Its time counts from when ``begins`` says so. Raises OSError."""
        self.reader = reader
        environment = {**os.environ, **extra, **self._family.environment}
        deadline = Deadline(_LOAD_SECONDS + self.seconds + 3 * GRACE_SECONDS)
        self.program = Program(command, deadline, _MOST_BYTES, _LONGEST_LINE, environment, folder)
        with _signals_unwind(), self._all_ended(), self.program:
            if begins():
                self._begin()
            for line in self.program.lines():
                reader.add(line)
                if self._begun is None and begins():
                    self._begin()
                    if isinstance(reader, dlv_trace.Reader) and not reader.points:
                        break
            reader.end()
            if self._begun is not None:
                self.lasted = time.monotonic() - self._begun

    def ended(self, status: Optional[int]) -> str:
        """How it ended, in words; ``status`` is the program's."""
        after = f"after {shown(self.lasted)} s"
        if self.program.stopped == LIMIT:
            return f"it was killed {after}, when the trace had {_MOST_BYTES >> 20} MiB"
        if self.killed or self.program.stopped is not None:
            return f"it was killed: it did not end {shown(GRACE_SECONDS)} s after it was asked to, {after}"
        if self.asked:
            return f"it was ended after {shown(self.seconds)} s, as it was asked for"
        how = f"with signal {-status}" if status is not None and status < 0 else f"with status {status}"
        return f"it ended by itself {after}, {how}"

    def _begin(self) -> None:
        self._begun = time.monotonic()
        self._ender.start()

    def _end_in_time(self) -> None:
        """Ask what runs to end, then make it; the tool sees that and ends by itself, and else is made to."""
        if not self._over.wait(self.seconds):
            self.asked = True
            self._family.signal(signal.SIGTERM, spare=(self.program.pid,))
        if not self._over.wait(GRACE_SECONDS):
            self.killed = True
            self._family.signal(signal.SIGKILL, spare=(self.program.pid,))
        if not self._over.wait(GRACE_SECONDS):
            self._family.signal(signal.SIGKILL)

    @contextlib.contextmanager
    def _all_ended(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._over.set()
            self.left = self._family.end(GRACE_SECONDS)
            if self._ender.is_alive():
                self._ender.join()


@contextlib.contextmanager
def _signals_unwind() -> Iterator[None]:
    """A module that is ended, as when its connection breaks, leaves no program behind."""

    def leave(number: int, _frame: Optional[FrameType]) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _trace_with_dlv(dlv: str, command: Sequence[str], seconds: float) -> Union[_Run, _Refused]:
    """Delve keeps its settings and its history where XDG_CONFIG_HOME says, so that nothing of it stays."""
    reader = dlv_trace.Reader()
    one = _Run(seconds)
    with tempfile.TemporaryDirectory(prefix="kubenode-doctor-trace-") as folder:
        script = os.path.join(folder, "script")
        with open(script, "w", encoding="ascii") as file:
            file.write(dlv_trace.script())
        try:
            words = dlv_trace.command(dlv, script, command)
            one.read(words, reader, folder, {"XDG_CONFIG_HOME": folder}, lambda: reader.ready)
        except OSError as error:
            return _Refused(f"{dlv} could not be started: {error.strerror or error}")
    if not reader.ready:
        if one.program.stopped is not None:
            return _Refused(f"it had not read the program after {shown(_LOAD_SECONDS + seconds)} s")
        return _Refused(dlv_trace.refusal(one.program.errors()))
    if not reader.points:
        return _Refused("the program has no function of Go's package net that opens listeners")
    return one


def _trace_with_strace(strace: str, command: Sequence[str], seconds: float) -> Union[_Run, _Refused]:
    why: Optional[str] = None
    for stacks in (True, False):
        reader = strace_lines.Reader()
        one = _Run(seconds)
        try:
            one.read(strace_lines.command(strace, command, stacks), reader, "/", {}, lambda: True)
        except OSError as error:
            return _Refused(f"{strace} could not be started: {error.strerror or error}")
        errors = one.program.errors()
        if reader.calls.kept or one.program.status == 0 or one.asked:
            return one
        why = strace_lines.refusal(errors)
        if not strace_lines.lacks_stacks(errors):
            break
    return one if why is None else _Refused(why)


def _told(tool: str, path: str, one: _Run, whys: Sequence[str]) -> dict[str, Any]:
    reader, missing = one.reader, []
    calls = reader.calls
    if calls.more:
        why = f"It made {calls.more} calls more than the {len(calls.kept)} that are told: trace it for fewer seconds"
        missing.append({"what": "calls", "why": why})
    if one.program.stopped is not None:
        missing.append({"what": "calls", "why": f"The trace was cut short: {one.ended(None)}"})
    if one.program.long_lines or (isinstance(reader, strace_lines.Reader) and reader.odd):
        missing.append(
            {"what": "calls", "why": f"{tool} printed lines that are not understood: a call may be lost with them"}
        )
    if isinstance(reader, dlv_trace.Reader) and reader.unread:
        why = f"Delve could not read the result of {reader.unread} calls: the tool strace tells their ports"
        missing.append({"what": "results", "why": why})
    if any(call["opener"] is None for call in calls.kept):
        why = "Some stacks hold no name of a function: the program has no symbols, or this strace prints no stacks"
        missing.append({"what": "openers", "why": ". ".join([why, *whys])})
    if one.left:
        why = f"Processes {', '.join(map(str, one.left))} of it could not be ended: they hang in the kernel"
        missing.append({"what": "end", "why": why})
    status = reader.exited if isinstance(reader, dlv_trace.Reader) else one.program.status
    return _result(tool, path, one.ended(status), calls.kept, missing)


def _result(
    tool: Optional[str], path: str, ended: str, calls: list[dict[str, Any]], missing: list[dict[str, str]]
) -> dict[str, Any]:
    return {
        "tool": tool,
        "program": path,
        "ended": ended,
        "calls": calls,
        "complete": not missing,
        "missing": missing,
    }


def _why_not_found(name: str, distrusted: Sequence[str]) -> str:
    if distrusted:
        return f"{plain(distrusted[0])} is not run: others than its owner, root or you, may change it or its folder"
    return f"{name} is not installed (Debian package {_PACKAGES[name]})"
