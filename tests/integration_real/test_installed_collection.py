# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a user has it: built, installed, and run by its name from a folder that has nothing to do with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import read
from ansible_collections.kubenode.doctor.tests.support import seed_000
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT

PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of collections that holds ours. kubernetes.core, which it depends on, lies where ansible brings it."""
    folder = tmp_path_factory.mktemp("installed")
    galaxy(folder, "build", str(PROJECT), "--output-path", str(folder))
    (tarball,) = folder.glob("kubenode-doctor-*.tar.gz")
    galaxy(folder, "install", str(tarball), "--no-deps", "--offline", "-p", str(folder))
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Nothing of the checkout, and no configuration."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
    return {**kept, "HOME": str(folder), "ANSIBLE_COLLECTIONS_PATH": str(folder), "ANSIBLE_NOCOLOR": "1"}


def galaxy(folder: Path, *words: str) -> None:
    command = [str(PROGRAMS / "ansible-galaxy"), "collection", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=environment(folder))
    assert done.returncode == 0, done.stdout + done.stderr


def play(installed: Path, started: Path, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    here = ("-i", "localhost,", "-e", "ansible_connection=local", "-e", f"ansible_python_interpreter={sys.executable}")
    command = [str(PROGRAMS / "ansible-playbook"), f"kubenode.doctor.{name}", *here, *words]
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=started,
        env=environment(installed),
        stdin=subprocess.DEVNULL,
    )


def test_diagnose_and_judge_by_name(installed: Path, tmp_path: Path):
    with FakeApi() as api:
        seed_000.fill(api, endpoints=False)
        kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
        done = play(installed, tmp_path, "diagnose", "-e", f"kubeconfig={kubeconfig}")
    assert "RESULT: " in done.stdout, done.stdout + done.stderr
    (bundle,) = (tmp_path / "audits").iterdir()
    document = read(bundle / "findings.json")
    assert document["hosts"]["localhost"]["answered"]
    assert document["cluster"]["services"] == 1
    assert (bundle / "report.txt").read_text() in done.stdout

    again = play(installed, tmp_path, "judge", "-e", f"bundle={bundle.relative_to(tmp_path)}")
    assert again.returncode == done.returncode
    assert [finding["fingerprint"] for finding in read(bundle / "findings.json")["findings"]] == [
        finding["fingerprint"] for finding in document["findings"]
    ]


def test_only_what_users_need_is_inside(installed: Path):
    inside = {path.name for path in (installed / "ansible_collections" / "kubenode" / "doctor").iterdir()}
    assert {"plugins", "roles", "playbooks", "meta", "README.md", "COPYING", "LICENSES"} <= inside
    assert inside.isdisjoint({"tests", "audits", "Makefile", "ansible.cfg", "inventory"})
    assert not [name for name in inside if name.startswith(".")]
