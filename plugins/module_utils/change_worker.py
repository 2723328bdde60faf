# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that does what must not stop half-way: not with the connection that started it, nor when the module is killed.

It is in a session of its own, has nothing of the module's standard streams (sshd waits for those, and a write to one that is closed would end it), and
takes no notice of hang-ups and polite ends. It inherits the lock. All that it needs was imported before: the archive that Ansible runs a module from
goes with the module.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import traceback
from typing import Any, Callable, Dict, List, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

_DEAF_TO = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_BLOCK = 1 << 16
_REAP_SECONDS = 5.0  # for a killed process to end; one that hangs in the kernel is left to init
BROKEN = "broken"  # the answer's key for a fault of the program itself


class HangingError(Exception):
    """Something waits in the kernel for what does not come."""


def run(act: Callable[[], Dict[str, Any]], seconds: float) -> Optional[Dict[str, Any]]:
    """What ``act`` returned, as JSON has it; ``{BROKEN: why}`` when it raised; None when the process was killed, or after ``seconds`` had to be.

    Raises OSError when there can be no other process, HangingError when it cannot be killed.
    """
    reader, writer = os.pipe()
    worker = os.fork()
    if worker == 0:
        _work(act, writer)
    os.close(writer)
    try:
        text = _read(reader, Deadline(seconds))
        if text is None:
            os.kill(worker, signal.SIGKILL)
            if _read(reader, Deadline(_REAP_SECONDS)) is None:
                raise HangingError(
                    f"process {worker}, which changes this node, hangs in the kernel and cannot be ended"
                )
    finally:
        os.close(reader)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(worker, 0)
    return _answer(text)


def _answer(text: Optional[bytes]) -> Optional[Dict[str, Any]]:
    try:
        answer = json.loads(text or b"")
    except ValueError:  # it was killed before, or while, it answered
        return None
    return dict(answer)


def _work(act: Callable[[], Dict[str, Any]], writer: int) -> None:
    """Never returns."""
    try:
        for number in _DEAF_TO:
            signal.signal(number, signal.SIG_IGN)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        try:
            answer = act()
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            answer = {BROKEN: f"{type(error).__name__} in {place.name}, line {place.lineno}: {error}"}
        left = memoryview(json.dumps(answer).encode("ascii"))
        while left:  # nobody may be left to read it
            left = left[os.write(writer, left) :]
    finally:
        os._exit(0)


def _read(reader: int, deadline: Deadline) -> Optional[bytes]:
    """All that it writes until it has ended; None when it has not in time."""
    blocks: List[bytes] = []
    while True:
        ready, _writing, _odd = select.select([reader], [], [], deadline.left())
        if not ready:
            return None
        block = os.read(reader, _BLOCK)
        if not block:
            return b"".join(blocks)
        blocks.append(block)
