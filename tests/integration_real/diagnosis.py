# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a playbook as its operator sees it: what was printed, the exit status, and the bundle that is left."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT, playbook

needs_stage = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="nodes in network namespaces need root and ip (iproute2)"
)
needs_iptables = pytest.mark.skipif(shutil.which("iptables") is None, reason="kube-proxy's rules need iptables")
needs_ss = pytest.mark.skipif(shutil.which("ss") is None, reason="the oracle is ss (iproute2)")
needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="a host that cannot be reached needs an ssh client")


# The folders of all runs, removed when the tests have ended.
_RUNS = tempfile.TemporaryDirectory(prefix="kubenode-doctor-runs-")


@dataclass(frozen=True)
class Run:
    """A finished run. ``folder`` is where it was started, so its bundles lie in ``folder/audits``."""

    status: int
    stdout: str
    stderr: str
    folder: Path

    @property
    def printed(self) -> str:
        """Everything that reached the terminal."""
        return self.stdout + self.stderr

    @property
    def said(self) -> str:
        """The same with every run of blanks as one space: texts can be searched wherever lines were folded."""
        return " ".join(self.printed.split())

    @property
    def bundle(self) -> Path:
        """The one bundle that it made."""
        (bundle,) = (self.folder / "audits").iterdir()
        return bundle

    @functools.cached_property
    def document(self) -> dict[str, Any]:
        """findings.json."""
        return read(self.bundle / "findings.json")

    def findings(self, host: str = "*", rule: str = "*", status: str = "fail") -> list[dict[str, Any]]:
        """The findings of a status, of one host and one rule when they are named."""
        return [
            finding
            for finding in self.document["findings"]
            if finding["status"] == status and host in ("*", finding["host"]) and rule in ("*", finding["rule"])
        ]

    def node(self, host: str) -> dict[str, Any]:
        """What a host answered, as it was stored."""
        return read(self.bundle / "nodes" / f"{host}.json")

    def recap(self, host: str) -> dict[str, int]:
        """Ansible's own counts for a host."""
        (line,) = [line for line in self.stdout.splitlines() if line.startswith(host) and "unreachable=" in line]
        return {key: int(value) for key, value in (word.split("=") for word in line.split() if "=" in word)}


def diagnose(*words: str | Path, environment: Mapping[str, str] | None = None, name: str = "diagnose") -> Run:
    """Run a playbook in a new folder, as an operator does, and keep what it said."""
    folder = Path(tempfile.mkdtemp(dir=_RUNS.name))
    done = playbook(name, *map(str, words), folder=folder, environment=environment)
    run = Run(done.returncode, done.stdout, done.stderr, folder)
    assert "Traceback" not in run.printed, run.printed
    return run


def ad_hoc(inventory: Path, host: str, module: str, **options: object) -> tuple[bool, dict[str, Any]]:
    """Run one module as ``ansible HOST -m kubenode.doctor.MODULE`` does; return whether it succeeded, and its result."""
    return ad_hoc_on_all(inventory, module, host, **options)[host]


def ad_hoc_on_all(
    inventory: Path, module: str, pattern: str = "all", **options: object
) -> dict[str, tuple[bool, dict[str, Any]]]:
    """The same on several hosts at once, by host."""
    command = [str(Path(sys.executable).parent / "ansible"), pattern, "-i", str(inventory)]
    command += ["-m", f"kubenode.doctor.{module}", "-a", json.dumps(options)]
    settings = {
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, **settings}, stdin=subprocess.DEVNULL
    )
    printed = done.stdout + done.stderr
    assert "Traceback" not in printed, printed
    # "[ERROR]: …", then "node | SUCCESS => {…}" or "node | FAILED! => {…}"
    answers = {
        found[1]: (found[2] in ("SUCCESS", "CHANGED"), json.JSONDecoder().raw_decode(done.stdout, found.end())[0])
        for found in re.finditer(r"^(\S+) \| (\S+) => (?={)", done.stdout, re.MULTILINE)
    }
    assert answers, printed
    return answers


def variable(name: str, value: object) -> tuple[str, str]:
    """``-e`` with a value of any type."""
    return "-e", json.dumps({name: value})


def read(path: Path) -> dict[str, Any]:
    """A JSON file."""
    return json.loads(path.read_bytes())
