# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds every parser of what nodes and engines send with inputs made of real ones; tells those that it cannot take, and how to make them again.

    python -m ansible_collections.kubenode.doctor.tests.fuzz.run --inputs 1000000 --seed 1 [--only "sock_diag"]

Dear inputs are made less often. An input that takes longer than a second of CPU, waits for longer than a minute, or takes more than 200 MiB, is a fault
too; one that does not come to an end is ended. Before that each target gets its real inputs as they are: something has to come of them.
Ends with 1 when there was a fault.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from ansible_collections.kubenode.doctor.tests.fuzz import targets

_SECONDS = 1.0  # of CPU: the largest input is 64 KiB, and the slowest parser reads a megabyte in less
_WAITING_SECONDS = 60.0  # of the clock: nothing has to be waited for, but a machine may be busy
_AGAIN_SECONDS = 0.1  # what swallowed the end of its time gets it again
_GROWTH_KIB = 200 << 10
_KEPT_KIB = 20 << 10  # so much of the growth may earlier inputs of the target have left
_SHOWN = 3  # faults of one parser
_MOST_ENDED = 10  # inputs of one parser: each has cost a second
_TOO_LONG, _WAITS = "it takes too long", "it waits for too long"


class Fault(NamedTuple):
    """What went wrong with an input of a target, which ``which`` names."""

    which: str
    what: str
    data: bytes


class _Outcome(NamedTuple):
    fault: str
    refused: str
    found: Any


class _TimeIsUp(BaseException):
    """No Exception: parsers catch those."""


class _Bounds:
    """``with bounds:`` around one input, which ends it when its time is up; ``exceeded`` says afterwards whether it took too much memory."""

    def __init__(self) -> None:
        self._running = False
        _forget_peak()
        self._least_kib = _peak_kib()

    def __enter__(self) -> None:
        self._running = True
        signal.setitimer(signal.ITIMER_PROF, _SECONDS, _AGAIN_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, _WAITING_SECONDS, _AGAIN_SECONDS)

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let nothing be ended any more."""
        self._running = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)

    def time_is_up(self, number: int, _frame: object) -> None:
        """What the timers' signals do."""
        if self._running:
            raise _TimeIsUp(_TOO_LONG if number == signal.SIGPROF else _WAITS)

    def exceeded(self) -> str:
        """What was too much; empty when nothing was."""
        grown = _peak_kib() - self._least_kib
        if grown > _KEPT_KIB:
            _forget_peak()
            self._least_kib = _peak_kib()
        return "it takes too much memory" if grown > _GROWTH_KIB else ""


@contextlib.contextmanager
def _bounded() -> Iterator[_Bounds]:
    bounds = _Bounds()
    before = {number: signal.signal(number, bounds.time_is_up) for number in (signal.SIGPROF, signal.SIGALRM)}
    try:
        yield bounds
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _forget_peak() -> None:
    """Let the peak begin at what is held now; else nothing could be seen below the largest input before (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def faults(name: str, target: targets.Target, seed: int, numbers: range) -> Iterator[Fault]:
    """Those of one target with inputs that were made, each kind once."""
    seen, ended = set(), 0
    with _bounded() as bounds:
        for number in numbers:
            data = targets.made(random.Random(f"{seed} {name} {number}"), target)  # noqa: S311 - to be made again, not to be secret
            what = _tried(target, data, bounds).fault
            if what and what not in seen:
                seen.add(what)
                yield Fault(f"input {number}", what, data)
            ended += what in (_TOO_LONG, _WAITS)
            if ended == _MOST_ENDED:
                yield Fault(
                    f"input {number}", f"it is the {ended}th that had to be ended: those behind it were not tried", data
                )
                return


def faults_of_real(target: targets.Target) -> Iterator[Fault]:
    """Those of one target with its real inputs as they are: refused ones, those of which nothing comes, parsers that find nothing in any."""
    parts: Dict[str, bool] = {}
    with _bounded() as bounds:
        for number, data in enumerate(target.seeds):
            outcome = _tried(target, data, bounds)
            what = outcome.fault
            if not what and number < target.understood:
                what = outcome.refused or ("" if _is_something(outcome.found) else "nothing comes of it")
            if what:
                yield Fault(f"real input {number}", what, data)
            if isinstance(outcome.found, targets.Parts):
                parts.update({part: parts.get(part, False) or bool(found) for part, found in outcome.found.items()})
    for part in sorted(part for part, found in parts.items() if not found):
        yield Fault("all real inputs", f"{part} finds nothing in any of them", b"")


def _is_something(found: Any) -> bool:
    return any(found.values()) if isinstance(found, targets.Parts) else bool(found)


def _tried(target: targets.Target, data: bytes, bounds: _Bounds) -> _Outcome:
    found, refused = None, ""
    try:
        with bounds:
            found = target.run(data)
    except target.allowed as error:
        refused = f"it is refused: {type(error).__name__}: {str(error)[:200]}"
    except _TimeIsUp as error:
        bounds.stop()  # where it came while they were being stopped
        return _Outcome(str(error), "", None)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__} at {place.filename.rpartition('/')[2]}:{place.lineno}: {str(error)[:200]}"
        return _Outcome(what, "", None)
    return _Outcome(bounds.exceeded(), refused, found)


def shares(found: Dict[str, targets.Target], inputs: int) -> Dict[str, int]:
    """How many inputs each target gets."""
    whole = sum(1 / target.costs for target in found.values())
    return {name: max(1, round(inputs / target.costs / whole)) for name, target in found.items()}


def main(arguments: Optional[List[str]] = None) -> int:
    """Run it, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="part of a target's name")
    wanted = parser.parse_args(arguments)
    scratch = targets.Scratch()
    try:
        found = {name: target for name, target in _every(scratch).items() if wanted.only in name}
        return max(
            _told(name, found[name], wanted.seed, number) for name, number in shares(found, wanted.inputs).items()
        )
    finally:
        scratch.close()


def _every(scratch: targets.Scratch) -> Dict[str, Any]:
    from ansible_collections.kubenode.doctor.tests.fuzz import bundles  # noqa: PLC0415 - needs a controller's Python

    return {**targets.every(scratch), **bundles.every(scratch)}


def _told(name: str, target: targets.Target, seed: int, inputs: int) -> int:
    began, number = time.monotonic(), 0
    found = itertools.chain(faults_of_real(target), faults(name, target, seed, range(inputs)))
    for number, fault in enumerate(found, 1):
        if number <= _SHOWN:
            sys.stdout.write(f"FAULT  {name}, seed {seed}, {fault.which}: {fault.what}\n       {fault.data[:300]!r}\n")
    sys.stdout.write(f"{inputs:9,d} inputs  {number:3d} faults  {time.monotonic() - began:7.1f} s  {name}\n")
    sys.stdout.flush()
    return int(number > 0)


if __name__ == "__main__":
    sys.exit(main())
