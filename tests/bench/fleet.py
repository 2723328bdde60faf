# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what a diagnosis of a fleet costs, beside what can be had for less and what it replaces: docs/performance.md.

    python tests/bench/fleet.py [--rounds N] [--hosts N] [--forks N]...

Behind ssh: Ansible's own ping, diagnose.yml, and the survey of seed 003 as six tasks, taking turns (as root, with Docker).
With a stub in place of the nodes: what the controller alone spends, for 50 and for 1,000 hosts.
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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.kubenode.doctor.tests.bench import fleet_nodes, timing
from ansible_collections.kubenode.doctor.tests.bench.family_cost import Cost, cost
from ansible_collections.kubenode.doctor.tests.bench.fleet_nodes import FleetNodes

PING, DIAGNOSE, SURVEY = "ansible -m ping", "diagnose.yml", "six tasks"
OF_PING, OF_SURVEY = 1.6, 0.4
FORKS = 50  # for which there are limits
FEW, MANY = 50, 1000
OF_FEW = 1.0  # what a host of many may cost, of what one of few costs
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


class Limit(NamedTuple):
    """A figure, and what it may be at most."""

    what: str
    figure: float
    at_most: float

    @property
    def kept(self) -> bool:
        """Whether it is within its limit."""
        return self.figure <= self.at_most


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


def commands(inventory: Path, forks: int, folder: Path) -> dict[str, list[str]]:
    """What is measured beside each other."""
    return {
        PING: [str(_PROGRAMS / "ansible"), "all", "-i", str(inventory), "-f", str(forks), "-m", "ping"],
        DIAGNOSE: diagnosis(inventory, forks, folder),
        SURVEY: playbook(str(survey(folder)), inventory, forks),
    }


def beside(nodes: FleetNodes, programs: Mapping[str, Sequence[str]], rounds: int) -> dict[str, timing.Runs]:
    """Run each once in each round; the first round counts for nothing."""
    runs: dict[str, list[timing.Run]] = {name: [] for name in programs}
    for number in range(rounds + 1):
        for name, command in programs.items():
            nodes.hang_up()
            run = timing.run(command, _LONGEST)
            sys.stderr.write(f"bench: round {number}, {name}: {run.seconds:.1f} s\n")
            if number:
                runs[name].append(run)
    return {name: timing.Runs(kept) for name, kept in runs.items()}


def on_the_wire(nodes: FleetNodes, command: Sequence[str], hosts: int, folder: Path) -> Wire:
    """Run it once more, with an ssh that counts; each command has a connection of its own then. Raises RuntimeError when it counts none."""
    nodes.hang_up()
    logs = Path(tempfile.mkdtemp(dir=folder))
    counting = {"KUBENODE_SSH_LOGS": str(logs), "ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o ControlPath=none"}
    cost(command, {**os.environ, **counting}, folder)
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
    audits = ("-e", f"collect_audits={folder / 'here'}")
    cost(playbook(str(_CHECKOUT / "playbooks" / "audit.yml"), inventory, 1, *audits), os.environ, folder)
    (file,) = (folder / "here").glob("*/nodes/here.json")
    text = json.dumps({"changed": False, "snapshot": json.loads(file.read_bytes())["snapshot"]})
    answer = folder / "answer.json"
    answer.write_text(text.replace(json.dumps(socket.gethostname()), '"@host@"'), "utf-8")
    return answer


def of_the_controller(hosts: int, answer: Path, folder: Path) -> Cost:
    """Diagnose so many hosts that answer at once. Raises RuntimeError unless all of them did."""
    sys.stderr.write(f"bench: {hosts:,} hosts that answer at once\n")
    place = folder / str(hosts)
    place.mkdir()
    stub = {"ansible_connection": "kubenode_answer", "ansible_python_interpreter": "/usr/bin/python3"}
    names = [f"node-{number:04}" for number in range(hosts)]
    inventory = place / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": dict.fromkeys(names), "vars": stub}}), "utf-8")
    # The play ends well whatever is wrong on the machine that has answered: it is accepted as of today.
    waivers = [{"rule": rule, "reason": "a bench", "until": "2999-01-01"} for rule in _critical(folder / "here")]
    words = ("-e", json.dumps({"waivers": waivers}))
    plugins = _CHECKOUT / "tests" / "bench" / "connection_plugins"
    environment = {**os.environ, "ANSIBLE_CONNECTION_PLUGINS": str(plugins), "KUBENODE_ANSWER": str(answer)}
    found = cost([*diagnosis(inventory, FORKS, place), *words], environment, place)
    (file,) = place.glob("audits/*/findings.json")
    answered = sum(state["answered"] for state in json.loads(file.read_bytes())["hosts"].values())
    if answered != hosts:
        raise RuntimeError(f"{answered} of {hosts} hosts have answered")
    return found


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
            programs = commands(inventory, number, folder)
            runs = beside(nodes, programs, rounds)
            _tell("", f"{hosts} nodes behind ssh, {number} forks, medians of {rounds} rounds:", *_table(runs))
            if number == FORKS:
                took = runs[DIAGNOSE].median
                yield Limit(f"{DIAGNOSE}, of the time of {PING}", took / runs[PING].median, OF_PING)
                yield Limit(f"{DIAGNOSE}, of the time of the {SURVEY}", took / runs[SURVEY].median, OF_SURVEY)
        programs = commands(inventory, FORKS, folder)
        wires = {name: on_the_wire(nodes, command, hosts, folder) for name, command in programs.items()}
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
    few, many = (of_the_controller(hosts, answer, folder) for hosts in (FEW, MANY))
    size = answer.stat().st_size / 1024
    _tell("", f"The controller's part of {DIAGNOSE}: hosts answer at once, {size:.0f} KiB each, {FORKS} forks:")
    _tell(f"{'hosts':>7}{'seconds':>9}{'CPU s':>8}{'CPU ms a host':>15}{'peak MiB':>10}{'KiB a host':>12}")
    for hosts, found in ((FEW, few), (MANY, many)):
        each = f"{found.cpu_seconds * 1000 / hosts:15.0f}{found.peak_bytes / 2**20:10.0f}"
        _tell(f"{hosts:7,}{found.seconds:9.1f}{found.cpu_seconds:8.1f}{each}{found.peak_bytes / 1024 / hosts:12.0f}")
    what = f"of {MANY:,}, of that of one of {FEW}"
    yield Limit(f"CPU of a host {what}", many.cpu_seconds / MANY / (few.cpu_seconds / FEW), OF_FEW)
    yield Limit(f"memory of a host {what}", many.peak_bytes / MANY / (few.peak_bytes / FEW), OF_FEW)


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
