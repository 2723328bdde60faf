# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes for tests: network namespaces with real processes in them, and an inventory that Ansible can use.

A node here has its own network, sysctls, sockets and logs; processes and other files are this machine's. Its interpreter is a small script
that enters the namespace, so the local connection does and no sshd is needed. Needs root and iproute2.
"""

from __future__ import annotations

import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import yaml

from ansible_collections.kubenode.doctor.tests.support import ansible_warnings, quiet_logs

PROJECT = Path(__file__).resolve().parents[2]
# What goes before a command to run it without any rights.
NOBODY = ("env", "--chdir=/", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
_PROGRAM = PROJECT / "tests" / "support" / "fake_program.py"
_numbers = itertools.count()
# The machine under the nodes is shared: what its CPUs, its clock and other processes do is no part of a test, and long samples only show more of that.
CALM = {
    "thresholds": {
        "steal_share": 1,
        "steal_share_critical": 1,
        "run_queue_per_cpu": 10_000,
        "control_plane_cpus": 1,
        "files_share": 1,
        "files_share_critical": 1,
        "clock_max_error_seconds": 17,  # above what the kernel ever tells (NTP_PHASE_LIMIT): nobody may keep this machine's clock
    },
    "collect_sample_seconds": 0.2,
}


class Node:
    """One network namespace with lo and an interface eth0 that leads nowhere. Ansible sees quiet logs there."""

    def __init__(self, name: str, address: str, folder: Path) -> None:
        self.name = name
        self.address = address
        self.namespace = f"kd{os.getpid()}-{next(_numbers)}"
        self.enter = ("ip", "netns", "exec", self.namespace)  # what goes before a command to run it on the node
        self._programs: list[subprocess.Popen[str]] = []
        run("ip", "netns", "add", self.namespace)
        for words in (
            ("link", "set", "lo", "up"),
            ("link", "add", "eth0", "type", "veth", "peer", "name", "eth0-peer"),
            ("addr", "add", f"{address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            run("ip", "-n", self.namespace, *words)
        self._bin = folder / f"bin-{name}"
        quiet = quiet_logs.over_this_machines(folder / f"quiet-{name}")
        self.interpreter = write_interpreter(folder / f"python-{name}", (*self.enter, *quiet))

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on the node."""
        return run(*self.enter, *words, check=check)

    def sysctl(self, name: str, value: str) -> None:
        """Set a sysctl of the node's network namespace."""
        self.run("sysctl", "-qw", f"{name}={value}")

    def start(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a fake program, and wait until it listens."""
        # kubelet's file has its name too: a program of another name is not believed to be kubelet.
        python = self._named(name) if name == "kubelet" else (sys.executable,)
        self._programs.append(start_program(self.enter, name, *arguments, python=python))
        return self._programs[-1]

    def _named(self, name: str) -> tuple[str, ...]:
        """Words that run a copy of Python under another name; it looks for its library beside its program."""
        program = self._bin / name
        if not program.exists():
            self._bin.mkdir(exist_ok=True)
            shutil.copy(Path(sys.executable).resolve(), program)
        return ("env", f"PYTHONHOME={sys.base_prefix}", str(program))

    def stop(self) -> None:
        """Kill the node's programs and remove its namespace."""
        for program in self._programs:
            program.send_signal(signal.SIGKILL)
            program.wait()
        run("ip", "netns", "delete", self.namespace)


class Stage:
    """Several nodes, removed at the end of the with block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: dict[str, Node] = {}

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.nodes.values():
            node.stop()

    def node(self, name: str, address: str) -> Node:
        """Add a node."""
        self.nodes[name] = Node(name, address, self.folder)
        return self.nodes[name]

    def inventory(
        self, groups: Mapping[str, Sequence[str]] | None = None, extra: Mapping[str, object] | None = None
    ) -> Path:
        """Write an inventory of the nodes, and of ``extra`` hosts by their variables."""
        hosts: dict[str, object] = {name: host_variables(node.interpreter) for name, node in self.nodes.items()}
        document = {"all": {"hosts": {**hosts, **(extra or {})}, "children": {}}}
        for group, members in (groups or {}).items():
            document["all"]["children"][group] = {"hosts": dict.fromkeys(members)}
        path = self.folder / "inventory.yml"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path


def write_interpreter(path: Path, enter: Sequence[str], python: str = sys.executable) -> Path:
    """Write a script that Ansible takes for Python, which is Python behind these words."""
    path.write_text(f'#!/bin/sh\nexec {shlex.join((*enter, python))} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def python_for_nobody() -> str | None:
    """An interpreter that a user without rights may run; a checkout below a private folder has none."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return None
    there = [python for python in (sys.executable, "/usr/bin/python3") if Path(python).exists()]
    return next((python for python in there if run(*NOBODY, python, "-c", "", check=False).returncode == 0), None)


def host_variables(interpreter: Path) -> dict[str, str]:
    """What an inventory says of a node that is entered by its interpreter."""
    return {"ansible_connection": "local", "ansible_python_interpreter": str(interpreter)}


def start_program(
    enter: Sequence[str], name: str, *arguments: str, python: Sequence[str] = (sys.executable,)
) -> subprocess.Popen[str]:
    """Start a fake program behind these words, run by ``python``, and wait until it listens."""
    words = [*enter, *python, str(_PROGRAM), name, *arguments]
    program = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n", f"{name} did not start"
    return program


def run(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command and keep what it prints; its errors are shown when it fails."""
    done = subprocess.run(words, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done


def playbook(
    name: str, *words: str, folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a playbook of this checkout as an operator does, with audits under ``folder``; ``words`` may overrule CALM."""
    command = [
        str(Path(sys.executable).parent / "ansible-playbook"),
        str(PROJECT / "playbooks" / f"{name}.yml"),
        "-e",
        json.dumps(CALM),
        *words,
    ]
    variables = {
        **os.environ,
        "PWD": str(folder),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        **ansible_warnings.SETTINGS,
        **(environment or {}),
    }
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=folder, env=variables, stdin=subprocess.DEVNULL
    )
