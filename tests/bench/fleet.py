# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what a diagnosis of a fleet costs, beside what can be had for less and what it replaces: docs/performance.md.

    python tests/bench/fleet.py [--rounds N] [--hosts N] [--forks N]...

Behind ssh: Ansible's own ping, diagnose.yml, and the survey of seed 003 as six tasks, taking turns (as root, with Docker).
With a stub in place of the nodes: what the controller alone spends, for 50 and for 1,000 hosts, and without its start.
Every host must have answered with all sections, none of which a budget has cut: a run that leaves something out is fast, and no measurement.
Exit status 0: every limit was kept; 1: one was missed; 2: it could not be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.kubenode.doctor.plugins.module_utils.snapshot_request import SECTIONS
from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle
from ansible_collections.kubenode.doctor.tests.bench import fleet_nodes, timing
from ansible_collections.kubenode.doctor.tests.bench.family_cost import Cost, cost
from ansible_collections.kubenode.doctor.tests.bench.fleet_nodes import FleetNodes
from ansible_collections.kubenode.doctor.tests.bench.timing import Limit

PING, DIAGNOSE, SURVEY = "ansible -m ping", "diagnose.yml", "six tasks"
OF_PING, OF_SURVEY = 1.6, 0.4
FORKS = 50  # for which there are limits
START, FEW, MANY = 2, 50, 1000  # hosts; those of the first are too few to cost more than Ansible's start
# Runs of the first two, whose median counts: a difference of small figures is no better than they are. One is before that of many, the others after it.
STARTS = 3
OF_FEW = 1.0  # what a host of many may cost, of what one of few costs, both with their part of the start
GROWS_KIB = (
    64  # what Ansible's own process may grow with each further host: half of what it does when it keeps their answers
)
# Linear: CPU time of a host among many, to that of one among few, the start left out of both. Where a host among many costs Ansible's own ping more too,
# since each is a fork of a process that has grown, it is this of what it is for ping.
GROWTH = 1.15
_TOLD = 3  # of what is wrong
# How a section says that it had no time for all that it wanted to see.
_CUT = re.compile(r"budget|no time|in time|time ended|within [\d.]+ s\b|raise (timeout|the time limit)")
_LONGEST = 1800.0  # seconds after which a run has failed
_CHECKOUT = Path(__file__).resolve().parents[2]
_PROGRAMS = Path(sys.executable).parent
# What the notes of seed 003 did by hand on each node, with its own commands; vmstat, which looked on for a minute, is left out.
_TASKS = {
    "Count TCP states": "ss -na | awk '/^tcp/ {++S[$2]} END {for(a in S) print a, S[a]}'",
    "List the listeners": "ss -nltp | awk '{print $0}'",
    "Look for full accept queues": "ss -nltp | awk '{ if ($2 > 0) print $0 }'",
    "Look for SYN-SENT": 'ss -natp | grep "SYN-SENT" || true',
    "Look for CLOSE-WAIT": 'ss -natp | grep "CLOSE-WAIT" || true',
    "Look at the CPUs": "lscpu",
}


class Measured(NamedTuple):
    """What is measured, and what looks at the end whether it has done what it is measured for."""

    command: list[str]
    check: Callable[[str], None]  # is given what was printed, and raises RuntimeError


class Audits:
    """A folder of audits, looked at after each diagnosis: one that nobody answered ends well too, and is fast."""

    def __init__(self, folder: Path, hosts: int) -> None:
        self._folder = folder
        self._hosts = hosts
        self._before = self._all()

    def _all(self) -> set[Path]:
        return {file.parent for file in self._folder.glob("*/findings.json")}

    def check(self, _printed: str = "") -> None:
        """Look into the audit that is new. Raises RuntimeError unless all hosts have answered in it, with all sections, and had the time for them."""
        new = self._all() - self._before
        if len(new) != 1:
            raise RuntimeError(f"{len(new)} audits were made, and not one")
        self._before |= new
        (audit,) = new
        states = json.loads((audit / "findings.json").read_bytes())["hosts"]
        answered = [host for host, state in states.items() if state["answered"]]
        if len(answered) != self._hosts:
            raise RuntimeError(f"{len(answered)} of {self._hosts} hosts have answered")
        wrong = [f"{host}: {why}" for host in answered for why in _lost(bundle.node_file(audit, host))]
        if wrong:
            raise RuntimeError(f"not all sections are whole: {'; '.join(wrong[:_TOLD])}")


def _lost(file: Path) -> Iterator[str]:
    """Which sections of a snapshot are not there, broke, or were cut by a budget. What is missing for want of a tool or a right is as it should be."""
    snapshot = json.loads(file.read_bytes())["snapshot"]
    for name in SECTIONS:
        section = snapshot["sections"].get(name, {})
        if not set(section) - {"complete", "missing"}:
            yield f"{name} holds nothing: {section.get('missing')}"
    yield from (f"{gap['what']}: {gap['why']}" for gap in snapshot["missing"] if _CUT.search(gap["why"]))


def counted(pattern: str, times: int) -> Callable[[str], None]:
    """A look at what was printed: so many lines begin like this."""

    def check(printed: str) -> None:
        found = len(re.findall(pattern, printed, re.MULTILINE))
        if found != times:
            raise RuntimeError(f"{found} lines like {pattern} were printed, and not {times}")

    return check


class Wire(NamedTuple):
    """Bytes of one run, of one node: what ssh has sent and received, encryption and its handshake included."""

    sent: float
    received: float


def playbook(name: str, inventory: Path, forks: int, *words: str) -> list[str]:
    """The command that runs a playbook."""
    return [str(_PROGRAMS / "ansible-playbook"), name, "-i", str(inventory), "-f", str(forks), *words]


def diagnosis(inventory: Path, forks: int, folder: Path) -> list[str]:
    """The command of a whole diagnosis; each finds the audits of those before."""
    audits = f"collect_audits={folder / 'audits'}"
    return playbook(str(_CHECKOUT / "playbooks" / "diagnose.yml"), inventory, forks, "-e", audits)


def survey(folder: Path) -> Path:
    """Write the six tasks."""
    tasks = [{"name": name, "ansible.builtin.shell": text, "register": "seen"} for name, text in _TASKS.items()]
    path = folder / "survey.json"
    path.write_text(json.dumps([{"name": "Survey", "hosts": "all", "gather_facts": False, "tasks": tasks}]), "utf-8")
    return path


def commands(inventory: Path, hosts: int, forks: int, folder: Path) -> dict[str, Measured]:
    """What is measured beside each other."""
    ping = [str(_PROGRAMS / "ansible"), "all", "-i", str(inventory), "-f", str(forks), "-m", "ping"]
    return {
        PING: Measured(ping, counted(r"^ +ping: pong$", hosts)),
        DIAGNOSE: Measured(diagnosis(inventory, forks, folder), Audits(folder / "audits", hosts).check),
        SURVEY: Measured(
            playbook(str(survey(folder)), inventory, forks), counted(r"^changed: \[", hosts * len(_TASKS))
        ),
    }


def beside(nodes: FleetNodes, programs: Mapping[str, Measured], rounds: int, folder: Path) -> dict[str, timing.Runs]:
    """Run each once in each round; the first round counts for nothing. Raises RuntimeError when one has not done all of its work."""
    runs: dict[str, list[timing.Run]] = {name: [] for name in programs}
    printed = folder / "printed"
    for number in range(rounds + 1):
        for name, measured in programs.items():
            nodes.hang_up()
            # The shell gives way to the program: it is in the time with a millisecond, and with the same for each.
            run = timing.run(["sh", "-c", 'exec "$@" >"$0"', str(printed), *measured.command], _LONGEST)
            _look(name, measured, printed)
            sys.stderr.write(f"bench: round {number}, {name}: {run.seconds:.1f} s\n")
            if number:
                runs[name].append(run)
    return {name: timing.Runs(kept) for name, kept in runs.items()}


def _look(name: str, measured: Measured, printed: Path) -> None:
    """When it has been timed, not while it is."""
    try:
        measured.check(printed.read_text("utf-8", "replace"))
    except RuntimeError as error:
        raise RuntimeError(f"{name}: {error}") from None


def on_the_wire(nodes: FleetNodes, name: str, measured: Measured, hosts: int, folder: Path) -> Wire:
    """Run it once more, with an ssh that counts; each command has a connection of its own then. Raises RuntimeError when it counts none."""
    nodes.hang_up()
    logs = Path(tempfile.mkdtemp(dir=folder))
    counting = {"KUBENODE_SSH_LOGS": str(logs), "ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o ControlPath=none"}
    cost(measured.command, {**os.environ, **counting}, folder)
    _look(name, measured, folder / "log")
    texts = [log.read_text("utf-8", "replace") for log in logs.iterdir()]
    counts = [found for text in texts if (found := re.search(r"^Transferred: sent (\d+), received (\d+)", text, re.M))]
    if len(counts) < hosts:
        raise RuntimeError(f"{len(counts)} connections to {hosts} nodes told their bytes")
    sent, received = (sum(int(found[number]) for found in counts) / hosts for number in (1, 2))
    return Wire(sent, received)


def real_answer(folder: Path) -> Path:
    """What the module node_snapshot says of this machine, as a node would print it; its name is a mark that the stub replaces."""
    inventory = folder / "here.json"
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory.write_text(json.dumps({"all": {"hosts": {"here": here}}}), "utf-8")
    # What is wrong on this machine fails nobody: hosts that fail are the exception.
    words = ("-e", f"collect_audits={folder / 'here'}")
    audits = Audits(folder / "here", 1)
    cost(playbook(str(_CHECKOUT / "playbooks" / "audit.yml"), inventory, 1, *words), os.environ, folder)
    audits.check()
    (file,) = (folder / "here").glob("*/nodes/here.json")
    text = json.dumps({"changed": False, "snapshot": json.loads(file.read_bytes())["snapshot"]})
    answer = folder / "answer.json"
    answer.write_text(text.replace(json.dumps(socket.gethostname()), '"@host@"'), "utf-8")
    return answer


class Controller(NamedTuple):
    """What so many hosts have cost the controller."""

    hosts: int
    cost: Cost

    @property
    def cpu(self) -> float:
        """CPU seconds of each, its part of the start included."""
        return self.cost.cpu_seconds / self.hosts

    @property
    def memory(self) -> float:
        """Bytes of each, likewise."""
        return self.cost.peak_bytes / self.hosts

    def more_cpu(self, fewer: Controller) -> float:
        """CPU seconds of each host that the other has not."""
        return (self.cost.cpu_seconds - fewer.cost.cpu_seconds) / (self.hosts - fewer.hosts)

    def more_memory(self, fewer: Controller) -> float:
        """Bytes by which each of these lets Ansible's own process grow: what all processes have together depends on how many run at a time."""
        return (self.cost.own_bytes - fewer.cost.own_bytes) / (self.hosts - fewer.hosts)


def of_the_controller(run: Callable[[int], Cost]) -> list[Controller]:
    """What the three numbers of hosts cost; of several runs the one with the CPU time in the middle counts."""
    order = [START, FEW, MANY, *(START, FEW) * (STARTS - 1)]
    costs = sorted(((hosts, run(hosts)) for hosts in order), key=lambda pair: (pair[0], pair[1].cpu_seconds))
    return [Controller(*pair) for pair in (costs[STARTS // 2], costs[STARTS + STARTS // 2], costs[-1])]


def diagnosed(hosts: int, answer: Path, folder: Path) -> Cost:
    """Diagnose so many hosts that answer at once. Raises RuntimeError unless all of them did."""
    place, inventory, environment = _answering(hosts, answer, folder)
    # The play ends well whatever is wrong on the machine that has answered: it is accepted as of today.
    waivers = [{"rule": rule, "reason": "a bench", "until": "2999-01-01"} for rule in _critical(folder / "here")]
    audits = Audits(place / "audits", hosts)
    found = cost([*diagnosis(inventory, FORKS, place), "-e", json.dumps({"waivers": waivers})], environment, place)
    audits.check()
    return found


def pinged(hosts: int, folder: Path) -> Cost:
    """Let Ansible's own ping ask so many hosts that answer at once. Raises RuntimeError unless all of them did."""
    answer = folder / "pong.json"
    answer.write_text(json.dumps({"changed": False, "ping": "pong"}), "utf-8")
    place, inventory, environment = _answering(hosts, answer, folder)
    ping = commands(inventory, hosts, FORKS, place)[PING]
    found = cost(ping.command, environment, place)
    _look(PING, ping, place / "log")
    return found


def _answering(hosts: int, answer: Path, folder: Path) -> tuple[Path, Path, dict[str, str]]:
    """A folder for one run, its inventory, and its environment."""
    sys.stderr.write(f"bench: {hosts:,} hosts that answer at once\n")
    place = Path(tempfile.mkdtemp(dir=folder))
    stub = {"ansible_connection": "kubenode_answer", "ansible_python_interpreter": "/usr/bin/python3"}
    names = [f"node-{number:04}" for number in range(hosts)]
    inventory = place / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": dict.fromkeys(names), "vars": stub}}), "utf-8")
    plugins = _CHECKOUT / "tests" / "bench" / "connection_plugins"
    environment = {**os.environ, "ANSIBLE_CONNECTION_PLUGINS": str(plugins), "KUBENODE_ANSWER": str(answer)}
    return place, inventory, environment


def _critical(audits: Path) -> list[str]:
    (file,) = audits.glob("*/findings.json")
    findings = json.loads(file.read_bytes())["findings"]
    failing = {one["rule"] for one in findings if one["status"] == "fail" and one["severity"] == "critical"}
    return sorted(failing)


def ssh_part(hosts: int, forks: Sequence[int], rounds: int, folder: Path) -> Iterator[Limit]:
    """Measure behind ssh, and print it."""
    with FleetNodes(hosts) as nodes:
        inventory = nodes.start()
        for number in forks:
            programs = commands(inventory, hosts, number, folder)
            runs = beside(nodes, programs, rounds, folder)
            _tell("", f"{hosts} nodes behind ssh, {number} forks, medians of {rounds} rounds:", *_table(runs))
            if number == FORKS:
                took = runs[DIAGNOSE].median
                yield Limit(f"{DIAGNOSE}, of the time of {PING}", took / runs[PING].median, OF_PING)
                yield Limit(f"{DIAGNOSE}, of the time of the {SURVEY}", took / runs[SURVEY].median, OF_SURVEY)
        programs = commands(inventory, hosts, FORKS, folder)
        wires = {name: on_the_wire(nodes, name, measured, hosts, folder) for name, measured in programs.items()}
    _tell("", f"{'Of each node, KiB on the wire:':42}{'sent':>9}{'received':>10}")
    _tell(*(f"{name:42}{wire.sent / 1024:9.0f}{wire.received / 1024:10.0f}" for name, wire in wires.items()))


def _table(runs: Mapping[str, timing.Runs]) -> Iterator[str]:
    yield f"{'':42}{'seconds':>9}{'shortest':>9}   ratio"
    for name, run in runs.items():
        ratio = run.median / runs[PING].median
        yield f"{name:42}{run.median:9.1f}{run.seconds:9.1f}   {ratio:.2f} of {PING}"


def stub_part(folder: Path) -> Iterator[Limit]:
    """Measure the controller alone, and print it."""
    answer = real_answer(folder)
    diagnoses = of_the_controller(lambda hosts: diagnosed(hosts, answer, folder))
    pings = of_the_controller(lambda hosts: pinged(hosts, folder))
    size = answer.stat().st_size / 1024
    _tell("", f"The controller's part: hosts answer at once, {DIAGNOSE} with {size:.0f} KiB each, {FORKS} forks:")
    _tell(f"{'':26}{'CPU ms a host:':>31}{'MiB:':>9}{'KiB':>9}{'MiB:':>10}{'KiB a':>8}")
    _tell(
        f"{'hosts':>8}{'seconds':>10}{'CPU s':>8}{'in all':>14}{'without start':>17}{'peak':>9}{'a host':>9}{'its own':>10}{'more':>8}"
    )
    _tell(DIAGNOSE, *_controllers(*diagnoses), PING, *_controllers(*pings))
    _start, few, many = diagnoses
    what = f"of {MANY:,}, of that of one of {FEW}"
    yield Limit(f"CPU of a host {what}", many.cpu / few.cpu, OF_FEW)
    yield Limit(f"memory of a host {what}", many.memory / few.memory, OF_FEW)
    growth, of_ping = (_growth(*runs) for runs in (diagnoses, pings))
    _tell("", f"CPU of a host among {MANY:,} to that among {FEW}, without start: {growth:.2f}; {PING}: {of_ping:.2f}")
    yield Limit(f"that growth of {DIAGNOSE}, of that of {PING} if it is above 1", growth / max(1.0, of_ping), GROWTH)
    yield Limit(
        f"KiB by which a host among {MANY:,} lets Ansible's process grow", many.more_memory(few) / 1024, GROWS_KIB
    )


def _growth(start: Controller, few: Controller, many: Controller) -> float:
    return many.more_cpu(start) / few.more_cpu(start)


def _controllers(start: Controller, few: Controller, many: Controller) -> Iterator[str]:
    for one in (start, few, many):
        more = f"{one.more_cpu(start) * 1000:17.0f}" if one is not start else f"{'':17}"
        grows = f"{one.more_memory(few) / 1024:8.1f}" if one is many else ""
        yield (
            f"{one.hosts:8,}{one.cost.seconds:10.1f}{one.cost.cpu_seconds:8.1f}{one.cpu * 1000:14.0f}{more}"
            f"{one.cost.peak_bytes / 2**20:9.0f}{one.memory / 1024:9.0f}{one.cost.own_bytes / 2**20:10.0f}{grows}"
        )


def _tell(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _unable() -> str:
    """Why nothing can be measured here; empty when it can."""
    missing = [name for name in fleet_nodes.COMMANDS if not shutil.which(name)]
    if missing:
        return f"not found: {', '.join(missing)}"
    return "" if os.geteuid() == 0 else "containers of its own need root"


def main() -> int:
    """Measure, print the tables, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each runs behind ssh (default 3)")
    parser.add_argument("--hosts", type=int, default=50, help="how many nodes are behind ssh (default 50)")
    parser.add_argument(
        "--forks", type=int, action="append", help=f"forks behind ssh (default {FORKS}; limits hold for {FORKS} alone)"
    )
    parser.add_argument("--part", choices=["ssh", "stub"], action="append", help="measure this alone")
    wanted = parser.parse_args()
    if min(wanted.rounds, wanted.hosts, *(wanted.forks or [1])) < 1:
        parser.error("--rounds, --hosts and --forks are at least 1")
    why = _unable()
    if not why:
        os.environ["ANSIBLE_CONFIG"] = str(_CHECKOUT / "ansible.cfg")
        try:
            return _bench(wanted)
        except (AssertionError, OSError, RuntimeError, subprocess.CalledProcessError) as error:
            why = str(error)
    sys.stderr.write(f"bench: {why}\n")
    return 2


def _bench(wanted: argparse.Namespace) -> int:
    version = subprocess.run([_PROGRAMS / "ansible", "--version"], check=True, capture_output=True, text=True).stdout
    _tell(
        f"Linux {platform.release()}, {os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f} before the start,",
        f"Python {platform.python_version()}, {version.splitlines()[0]}.",
    )
    parts = wanted.part or ["ssh", "stub"]
    found: list[Limit] = []
    with tempfile.TemporaryDirectory(prefix="kd-bench-") as name:
        folder = Path(name)
        found += ssh_part(wanted.hosts, wanted.forks or [FORKS], wanted.rounds, folder) if "ssh" in parts else ()
        found += stub_part(folder) if "stub" in parts else ()
    _tell(
        "",
        *(f"{'ok' if one.kept else 'MISSED':7}{one.figure:7.2f}, limit {one.at_most:<5g} {one.what}" for one in found),
    )
    return 0 if all(limit.kept for limit in found) else 1


if __name__ == "__main__":
    sys.exit(main())
