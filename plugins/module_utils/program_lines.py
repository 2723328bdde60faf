# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines that a program writes, read while it runs, within limits of time, of bytes and of what one line may hold.

The program is run without a shell, with nothing on its standard input and a group of its own, of which no process is left when
this is over.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Optional, Type

from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import BUDGET, LIMIT

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BLOCK = 1 << 18
_ERRORS = 16 << 10  # bytes of standard error that are kept
_REAP_SECONDS = 2.0  # for a killed process to end; one that hangs in the kernel is left to init


class Program:
    """One run; use it with ``with``, read ``lines()`` once, then the attributes.

    ``stopped`` is LIMIT or BUDGET when the run was cut short, else None; ``status`` is the exit status, None when it was cut
    short; ``bytes`` counts what was read, ``long_lines`` those that were left out because they are longer than ``longest_line``.

    It gets the PATH and no locale, or the ``environment`` that is given, and starts in ``folder``, or where this process is.
    """

    def __init__(
        self,
        command: Sequence[str],
        deadline: Deadline,
        max_bytes: int,
        longest_line: int,
        environment: Optional[Mapping[str, str]] = None,
        folder: Optional[str] = None,
    ) -> None:
        self._command = command
        self._environment = environment
        self._folder = folder
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._longest_line = longest_line
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._errors = b""
        self.bytes = 0
        self.long_lines = 0
        self.stopped: Optional[str] = None
        self.status: Optional[int] = None

    def __enter__(self) -> Program:
        """Start it. Raises OSError when that fails."""
        bare = {"LC_ALL": "C", "PATH": os.environ.get("PATH") or PATH}
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._folder,
            env=bare if self._environment is None else self._environment,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        process = self._running()
        if self.status is None:
            self._end(process)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()

    def lines(self) -> Iterator[bytes]:
        """Each line without its end, as it comes. The last one of a run that was cut short is dropped: it is not whole."""
        begun: list[bytes] = []
        held = 0
        skipping = False
        for block in self._blocks():
            head, *more = block.split(b"\n")
            if not skipping:
                begun.append(head)
                held += len(head)
            if more:
                if not skipping:
                    yield b"".join(begun)
                yield from more[:-1]
                skipping, begun, held = False, more[-1:], len(more[-1])
            if held > self._longest_line:
                self.long_lines += 1
                skipping, begun, held = True, [], 0
        if held and self.stopped is None:
            yield b"".join(begun)

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its group and session."""
        return self._running().pid

    def errors(self) -> list[str]:
        """What it wrote to standard error, line by line; empty lines are left out."""
        text = self._errors.decode("utf-8", "replace")
        return [line.strip() for line in text.splitlines() if line.strip()]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("a program is read before it was started")
        return self._process

    def _blocks(self) -> Iterator[bytes]:
        """Blocks of standard output, until the program has closed it and ended, or a limit is reached."""
        process = self._running()
        with selectors.DefaultSelector() as selector:
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(self._deadline.left())
                if not ready:
                    self.stopped = BUDGET
                    return
                for key, _events in ready:
                    block = os.read(key.fd, _BLOCK)
                    if not block:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is process.stderr:
                        self._errors = (self._errors + block)[:_ERRORS]
                    else:
                        self.bytes += len(block)
                        yield block
                if self.bytes >= self._max_bytes or self._deadline.passed():
                    self.stopped = LIMIT if self.bytes >= self._max_bytes else BUDGET
                    return
        try:
            self.status = process.wait(self._deadline.left())
        except subprocess.TimeoutExpired:
            self.stopped = BUDGET

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the whole group. Nobody has waited for its leader yet, so that the number is still this group's."""
        with contextlib.suppress(OSError):  # all of it has ended
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_REAP_SECONDS)
