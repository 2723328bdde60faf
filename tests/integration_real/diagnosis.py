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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kubenode.doctor.tests.support import ansible_warnings, findings_schema
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
        """findings.json, which is what its schema says."""
        document = read(self.bundle / "findings.json")
        findings_schema.check(document)
        return document

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
        """How it ended for a host, by what the end of the run says of the group that it is in."""
        for line in self.stdout.rpartition("PLAY RECAP")[2].splitlines():
            group, _colon, names = line.rpartition(": ")
            if host in names.split(", "):
                changes = re.search(r", (\d+) changes?\b", group)
                word = group.strip().partition("  ")[0]
                return {
                    "failed": int(word == "failed"),
                    "unreachable": int(word == "unreachable"),
                    "changed": int(changes[1]) if changes else 0,
                }
        raise AssertionError(f"{host} is in no group:\n{self.stdout}")


def diagnose(
    *words: str | Path,
    environment: Mapping[str, str] | None = None,
    name: str = "diagnose",
    warnings: Sequence[str] = (),
) -> Run:
    """Run a playbook in a new folder, as an operator does, and keep what it said. ``warnings``: words of those that Ansible may give."""
    folder = Path(tempfile.mkdtemp(dir=_RUNS.name))
    done = playbook(name, *map(str, words), folder=folder, environment=environment)
    run = Run(done.returncode, done.stdout, done.stderr, folder)
    assert "Traceback" not in run.printed, run.printed
    refuse_warnings(run.printed, warnings)
    return run


def refuse_warnings(printed: str, expected: Sequence[str] = ()) -> None:
    """Fail when Ansible has warned of what nobody expected."""
    warnings = ansible_warnings.unexpected(printed, expected)
    assert not warnings, "\n".join(warnings)


def failure(printed: str, host: str) -> str:
    """What is said of the first failure of a host, which is told in another's name where both failed alike."""
    same = re.search(rf"fatal: [^:]*\[{re.escape(host)}\][^:]*: FAILED! => the same as \[([^]]+)\]", printed)
    _before, _fatal, message = printed.partition(f"fatal: [{same[1] if same else host}]: FAILED! => ")
    # What follows is another host's, or Ansible's own word on the next one, which comes before that one's.
    return re.split(r"fatal: \[|\[ERROR\]|TASK \[|PLAY", message)[0]


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
        **ansible_warnings.SETTINGS,
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, **settings}, stdin=subprocess.DEVNULL
    )
    printed = done.stdout + done.stderr
    assert "Traceback" not in printed, printed
    refuse_warnings(printed)
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
