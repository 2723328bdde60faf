# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds every parser of what nodes and engines send with inputs made of real ones; tells those that it cannot take, and how to make them again.

    python -m ansible_collections.kubenode.doctor.tests.fuzz.run --inputs 1000000 --seed 1 [--only "sock_diag"]

Dear inputs are made less often. An input that takes longer than a second of CPU, or more than 200 MiB, is a fault too. Ends with 1 when there was one.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
import traceback
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from ansible_collections.kubenode.doctor.tests.fuzz import targets

_SECONDS = 1.0  # of CPU: the largest input is 64 KiB, and the slowest parser reads a megabyte in less
_GROWTH_KIB = 200 << 10
_SHOWN = 3  # faults of one parser


class Fault(NamedTuple):
    """What went wrong with input ``number`` of a target."""

    number: int
    what: str
    data: bytes


def faults(name: str, target: targets.Target, seed: int, numbers: range) -> Iterator[Fault]:
    """Those of one target, each kind once."""
    seen = set()
    for number in numbers:
        data = targets.made(random.Random(f"{seed} {name} {number}"), target)  # noqa: S311 - to be made again, not to be secret
        what = _fault(target, data)
        if what and what not in seen:
            seen.add(what)
            yield Fault(number, what, data)


def _fault(target: targets.Target, data: bytes) -> str:
    began, most = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        target.run(data)
    except target.allowed:
        pass
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {place.filename.rpartition('/')[2]}:{place.lineno}: {str(error)[:200]}"
    if time.process_time() - began > _SECONDS:
        return "it takes too long"
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most > _GROWTH_KIB:
        return "it takes too much memory"
    return ""


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
    for number, fault in enumerate(faults(name, target, seed, range(inputs)), 1):
        if number <= _SHOWN:
            sys.stdout.write(
                f"FAULT  {name}, seed {seed}, input {fault.number}: {fault.what}\n       {fault.data[:300]!r}\n"
            )
    sys.stdout.write(f"{inputs:9,d} inputs  {number:3d} faults  {time.monotonic() - began:7.1f} s  {name}\n")
    sys.stdout.flush()
    return int(number > 0)


if __name__ == "__main__":
    sys.exit(main())
