# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one function for several values at once.

The kernel needs most of the time of a large dump, and Python's lock is free meanwhile: one family's sockets are counted while the
other's are fetched.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Callable, TypeVar

Value = TypeVar("Value")
Result = TypeVar("Result")


def in_parallel(work: Callable[[Value], Result], values: Iterable[Value]) -> list[Result]:
    """Return what ``work`` returns for each value, in their order; the first exception is raised when all have ended."""
    done: dict[int, Result] = {}
    failed: dict[int, Exception] = {}

    def run(number: int, value: Value) -> None:
        try:
            done[number] = work(value)
        except Exception as error:
            failed[number] = error

    threads = []
    for number, value in enumerate(values):
        thread = threading.Thread(target=run, args=(number, value))
        try:
            thread.start()
            threads.append(thread)
        except RuntimeError:  # no room for another thread on this machine: one after the other, then
            run(number, value)
    for thread in threads:
        thread.join()
    if failed:
        raise failed[min(failed)]
    return [done[number] for number in sorted(done)]
