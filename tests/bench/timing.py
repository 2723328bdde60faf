# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs programs side by side, and keeps how long each took and how much memory it had at its peak."""

from __future__ import annotations

import os
import select
import shlex
import signal
import statistics
import subprocess
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Run(NamedTuple):
    """One run: ``seconds`` from before the fork until it was reaped, ``peak_bytes`` of memory (its ru_maxrss)."""

    seconds: float
    peak_bytes: int


class Runs:
    """The runs of one program; ``answered`` is False when one was ended at its time limit."""

    def __init__(self, runs: Iterable[Run], answered: bool = True) -> None:
        self._runs = list(runs)
        self.answered = answered

    @property
    def seconds(self) -> float:
        """The shortest run: what else runs on the machine only ever makes one longer."""
        return min(run.seconds for run in self._runs)

    @property
    def median(self) -> float:
        """The run in the middle, in seconds: far from the shortest, it tells that the machine was busy."""
        return statistics.median(run.seconds for run in self._runs)

    @property
    def peak_bytes(self) -> int:
        """The largest peak of memory."""
        return max(run.peak_bytes for run in self._runs)


def side_by_side(commands: Sequence[Sequence[str]], rounds: int) -> list[Runs]:
    """Run every command once in each of ``rounds`` rounds, after a round that counts for nothing."""
    passes = [[run(command) for command in commands] for _round in range(rounds + 1)]
    return [Runs(column) for column in zip(*passes[1:], strict=True)]


def once(command: Sequence[str], limit: float) -> Runs:
    """Run a command that may not end: after ``limit`` seconds it is killed, and what it started too."""
    try:
        return Runs([run(command, limit)])
    except TimeoutError:
        return Runs([], answered=False)


def run(command: Sequence[str], limit: float = 120) -> Run:
    """Run a command and throw its output away, which for each costs the same: nothing.

    Its errors are shown. Raises TimeoutError after ``limit`` seconds, RuntimeError when it fails.
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    ended = False
    try:
        ended = _ends(process.pid, limit)
    finally:
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if not ended:
        raise TimeoutError(f"{command[0]} did not end in {limit:g} s")
    if process.returncode != 0:
        raise RuntimeError(f"exit status {process.returncode}: {shlex.join(command)}")
    # A child inherits its parent's peak over the fork, so a figure below this process's own cannot be told (getrusage counts KiB).
    return Run(seconds, usage.ru_maxrss * 1024)


def _ends(pid: int, limit: float) -> bool:
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(limit * 1000))
    finally:
        os.close(descriptor)


class Limit(NamedTuple):
    """What was measured, the figure, and what it may be at most."""

    what: str
    figure: float
    at_most: float

    @property
    def kept(self) -> bool:
        """Whether the figure is within its limit."""
        return self.figure <= self.at_most
