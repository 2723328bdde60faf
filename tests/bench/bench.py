# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the collector of tcp_states beside ss, and tells whether it keeps its limits: docs/performance.md.

    python tests/bench/bench.py [--python PATH] [--rounds N]      (as root; needs iproute2)

Exit status 0: every limit was kept; 1: one was missed; 2: it could not be measured.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.kubenode.doctor.tests.bench.load import Load
from ansible_collections.kubenode.doctor.tests.bench.timing import Limit, Runs, once, side_by_side

SIZES = (1_000, 10_000, 92_000)  # established sockets
# The limits. Those of time are ratios, so that they mean the same on every machine.
STATES_RATIO = 1.0  # of ss -tan
PROCESSES_RATIO = 0.3  # of ss -tanp
PEAK_MIB = 60
OUTPUT_KIB = 256
GROWTH = 1.5  # linear: what each socket from the second to the last size takes, of what each from the first to the second takes
SECONDS_FOR_OTHERS = 60

# What node_snapshot does for its section tcp_states; processes are looked for when it is handed the holders of sockets.
_COLLECT = """
import json, sys
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_states import Survey
deadline = Deadline(60)
holders = SocketHolders(deadline) if "processes" in sys.argv else None
print(json.dumps(Survey(deadline).finish(holders)))
"""
_LISTEN_PORTS_FACTS = ("-m", "ansible_collections.community.general.plugins.modules.listen_ports_facts")

START, SS, STATES = "python -c pass", "ss -tan", "tcp_states without processes"
SS_PROCESSES, PROCESSES = "ss -tanp", "tcp_states with processes"
PSUTIL, FACTS = "psutil.net_connections('tcp')", "listen_ports_facts"
FACTS_ALL = "listen_ports_facts, include_non_listening"


class Sample(NamedTuple):
    """What was measured under one load: the runs by program, and the length of the collector's longest answer."""

    sockets: int
    runs: Mapping[str, Runs]
    output_bytes: int


def programs(python: str) -> dict[str, Sequence[str]]:
    """The command line of each program; ``python`` runs the collector as the node's interpreter would."""
    facts = [
        # It would take netstat, where there is one; every node has ss.
        json.dumps({"ANSIBLE_MODULE_ARGS": {"command": "ss", "include_non_listening": every}})
        for every in (False, True)
    ]
    return {
        START: (python, "-c", "pass"),
        SS: ("ss", "-tan"),
        STATES: (python, "-c", _COLLECT),
        SS_PROCESSES: ("ss", "-tanp"),
        PROCESSES: (python, "-c", _COLLECT, "processes"),
        PSUTIL: (sys.executable, "-c", "import psutil; psutil.net_connections('tcp')"),
        FACTS: (sys.executable, *_LISTEN_PORTS_FACTS, facts[0]),
        FACTS_ALL: (sys.executable, *_LISTEN_PORTS_FACTS, facts[1]),
    }


def measure(sockets: int, python: str, rounds: int) -> Sample:
    """Measure under a load of so many established sockets; under the largest, what else there is beside them."""
    sys.stderr.write(f"bench: measuring with {sockets:,} established sockets\n")
    commands = programs(python)
    names = [START, SS, STATES, SS_PROCESSES, PROCESSES]
    with Load(sockets):
        output = max(_output_bytes(commands[name], sockets) for name in (STATES, PROCESSES))
        runs = _beside(commands, names, rounds)
        if sockets == max(SIZES):
            # They have no limit to keep, and take the longest.
            runs |= _beside(commands, [PSUTIL, FACTS], max(rounds // 3, 1))
            runs[FACTS_ALL] = once(commands[FACTS_ALL], SECONDS_FOR_OTHERS)
    return Sample(sockets, runs, output)


def _beside(commands: Mapping[str, Sequence[str]], names: Sequence[str], rounds: int) -> dict[str, Runs]:
    return dict(zip(names, side_by_side([commands[name] for name in names], rounds), strict=True))


def _output_bytes(command: Sequence[str], sockets: int) -> int:
    """The length of the collector's answer. Raises RuntimeError when it did not see every socket: then it is no measure."""
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL).stdout
    answer = json.loads(output)
    if answer["backend"] != "sock_diag" or answer["states"]["established"] != sockets:
        raise RuntimeError(f"{answer['backend']} told {answer['states']}, of {sockets} established sockets")
    return len(output)


def limits(samples: Sequence[Sample]) -> list[Limit]:
    """Every limit with its figure; ``samples`` are three, of ascending size."""
    first, second, last = samples
    found = [
        Limit(f"{STATES}, of the time of {SS}", _ratio(last, STATES, SS), STATES_RATIO),
        Limit(f"{PROCESSES}, of the time of {SS_PROCESSES}", _ratio(last, PROCESSES, SS_PROCESSES), PROCESSES_RATIO),
        Limit("peak memory of both, MiB", max(_peak(last, name) for name in (STATES, PROCESSES)), PEAK_MIB),
        Limit("output under any load, KiB", max(sample.output_bytes for sample in samples) / 1024, OUTPUT_KIB),
    ]
    for name in (STATES, PROCESSES):
        what = f"{name}, a socket above {second.sockets:,} to one above {first.sockets:,}"
        found.append(Limit(what, _each(second, last, name) / _each(first, second, name), GROWTH))
    return found


def _ratio(sample: Sample, name: str, other: str) -> float:
    return sample.runs[name].seconds / sample.runs[other].seconds


def _peak(sample: Sample, name: str) -> float:
    return sample.runs[name].peak_bytes / (1 << 20)


def _each(fewer: Sample, more: Sample, name: str) -> float:
    """Microseconds for each of the sockets that ``more`` has beyond ``fewer``. Raises RuntimeError where noise hides them."""
    added = more.runs[name].seconds - fewer.runs[name].seconds
    if added <= 0:
        raise RuntimeError(
            f"{name} took no longer with {more.sockets:,} sockets than with {fewer.sockets:,}: too much noise"
        )
    return added / (more.sockets - fewer.sockets) * 1e6


def beside(sample: Sample) -> Iterator[str]:
    """The table of one load: every program, its ratio to the ss that tells as much, and its memory."""
    yield f"{'':42}{'seconds':>9}{'median':>9}   {'ratio':21}{'peak MiB':>8}"
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name, runs in sample.runs.items():
        if not runs.answered:
            yield f"{name:42}no answer in {SECONDS_FOR_OTHERS} s"
            continue
        reference = SS if name in (SS, STATES) else SS_PROCESSES
        ratio = "" if name == START else f"{_ratio(sample, name, reference):.2f} of {reference}"
        # A child inherits the peak of the process that forks it: see timing.run.
        peak = f"{_peak(sample, name):.0f}" if _peak(sample, name) > own else f"< {own:.0f}"
        yield f"{name:42}{runs.seconds:9.3f}{runs.median:9.3f}   {ratio:21}{peak:>8}"


def growth(samples: Sequence[Sample]) -> Iterator[str]:
    """The table of all loads: seconds, and microseconds for each socket beyond those of the column before."""
    yield f"{'':30}" + "".join(f"{sample.sockets:>10,}{'':11}" for sample in samples).rstrip()
    for name in (SS, STATES, SS_PROCESSES, PROCESSES):
        cells = [f"{samples[0].runs[name].seconds:10.3f}{'':11}"]
        for fewer, more in itertools.pairwise(samples):
            cells.append(f"{more.runs[name].seconds:10.3f}{f'  +{_each(fewer, more, name):.1f} us':11}")
        yield f"{name:30}" + "".join(cells).rstrip()
    sizes = "".join(f"{sample.output_bytes / 1024:10.1f}{'':11}" for sample in samples)
    yield f"{'output, KiB':30}" + sizes.rstrip()


def verdicts(found: Sequence[Limit]) -> Iterator[str]:
    """Every limit, what was measured, and whether it was kept."""
    for limit in found:
        yield f"{'ok' if limit.kept else 'MISSED':7}{limit.figure:7.2f}, limit {limit.at_most:<5g} {limit.what}"


def _tell(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _unable() -> str:
    """Why nothing can be measured here; empty when it can."""
    missing = [name for name in ("ss", "ip") if not shutil.which(name)]
    if missing:
        return f"{' and '.join(missing)} of iproute2 not found"
    return "" if os.geteuid() == 0 else "a network namespace of its own needs root"


def main() -> int:
    """Measure, print the tables, and return the exit status."""
    parser = argparse.ArgumentParser(description="Measures the collector of tcp_states beside ss: docs/performance.md.")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs the collector")
    parser.add_argument("--rounds", type=int, default=15, help="how often each program runs (default 15)")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds is at least 1")
    why = _unable()
    if not why:
        os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[2] / ".collections")
        try:
            return _bench(arguments.python, arguments.rounds)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:  # TimeoutError is an OSError
            why = str(error)
    sys.stderr.write(f"bench: {why}\n")
    return 2


def _bench(python: str, rounds: int) -> int:
    _tell(
        f"Linux {platform.release()}, {os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f} before the start,",
        f"{_version(python, '-V')}, {_version('ss', '-V')}.",
        f"Seconds are those of the shortest of {rounds} rounds in which the programs took turns, their start included.",
    )
    samples = [measure(sockets, python, rounds) for sockets in SIZES]
    _tell("", f"{SIZES[-1]:,} established sockets:", *beside(samples[-1]))
    found = limits(samples)
    _tell(
        "",
        "Seconds by the number of sockets, and what each further socket adds:",
        *growth(samples),
        "",
        *verdicts(found),
    )
    return 0 if all(limit.kept for limit in found) else 1


def _version(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
