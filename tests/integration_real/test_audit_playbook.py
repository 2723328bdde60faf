# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""audit.yml as a timer runs it: findings fail nobody, silence does, and what is new is told."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import Run, diagnose, read, variable
from ansible_collections.kubenode.doctor.tests.support.stage import CALM

# Below what any program that listens has opened.
ALARMED = {**CALM["thresholds"], "files_share": 1e-9, "files_share_critical": 1e-9}  # type: ignore[dict-item]
LOCAL = '{"all": {"hosts": {"here": {"ansible_connection": "local", "ansible_python_interpreter": "%s"}}}}'


def audit(folder: Path, interpreter: str, *words: str) -> Run:
    """Audit this machine by this Python; what is new goes into a file."""
    inventory = folder / "hosts.yml"
    inventory.write_text(LOCAL % interpreter)
    command = ["sh", "-c", f"cat >>{folder}/new"]
    more = (*variable("thresholds", ALARMED), *variable("announce_command", command))
    return diagnose("-i", inventory, *more, "-e", f"metrics_file={folder}/audit.prom", *words, name="audit")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("found")
    with socket.create_server(("127.0.0.1", 0)):
        return folder, audit(folder, "{{ ansible_playbook_python }}")


def test_findings_fail_nobody_and_are_told_once(found: tuple[Path, Run]) -> None:
    folder, run = found
    assert run.status == 0, run.printed
    (bundle,) = (run.folder / "audits").glob("2*")
    document = read(bundle / "findings.json")
    critical = {finding["fingerprint"] for finding in document["findings"] if finding["severity"] == "critical"}
    (line,) = (folder / "new").read_text().splitlines()
    assert critical
    assert {one["fingerprint"] for one in json.loads(line)["findings"]} == critical
    assert f"critical findings that no waiver accepts: {len(critical)}" in run.said
    assert "new ones were told to the command" in run.said


def test_the_report_is_written_and_not_printed(found: tuple[Path, Run]) -> None:
    folder, run = found
    (bundle,) = (run.folder / "audits").glob("2*")
    assert "RESULT:" in (bundle / "report.txt").read_text()
    assert "RESULT:" not in run.printed
    assert stat.S_IMODE((folder / "audit.prom").stat().st_mode) == 0o644


def test_it_fails_when_nobody_answered(tmp_path: Path) -> None:
    run = audit(tmp_path, "/nowhere/python")
    assert run.status == 2
    assert "No host answered: " in run.said
    assert "0 of 1 hosts answered" in run.said
    assert "kubenode_doctor_audit_success 0" in (tmp_path / "audit.prom").read_text()
    assert not (tmp_path / "new").exists()


def test_a_mistake_shows_before_anybody_is_asked(tmp_path: Path) -> None:
    run = audit(tmp_path, "/nowhere/python", "-e", f"webhook_file={tmp_path}/none")
    assert run.status == 2
    assert f"announcements: {tmp_path}/none cannot be read: No such file or directory" in run.said
    assert not (run.folder / "audits").exists()
