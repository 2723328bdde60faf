# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays for tests, run by the real ansible-playbook on this machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.kubenode.doctor.tests.contract.project import ROOT
from ansible_collections.kubenode.doctor.tests.support import ansible_warnings


def run_tasks(
    tasks: list[dict[str, Any]],
    variables: dict[str, Any],
    directory: Path,
    defaults: dict[str, dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """Run tasks in one play on localhost, in this folder; return each task's result up to the first that failed.

    ``defaults`` are options that modules get where a task does not set them.
    """
    playbook = directory / "play.json"
    play = {"hosts": "localhost", "gather_facts": False, "vars": variables, "module_defaults": defaults or {}}
    playbook.write_text(json.dumps([{**play, "tasks": tasks}]))
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
    }
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), str(playbook)],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    warnings = ansible_warnings.unexpected(done.stdout + done.stderr)
    if warnings:
        raise AssertionError("\n".join(warnings))
    # The report is printed as well, before the JSON.
    answer = re.search(r"^\{$.*", done.stdout, re.MULTILINE | re.DOTALL)
    if answer is None:
        raise AssertionError(f"ansible-playbook did not run the play:\n{done.stdout}\n{done.stderr}")
    plays = json.loads(answer[0])["plays"]
    return [task["hosts"]["localhost"] for play in plays for task in play["tasks"]]
