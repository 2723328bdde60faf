# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that nobody can reach: each runs the program of roles/scheduled_audit that pulls its playbook from git; their bundles are judged as one audit.

The role's templates are rendered as it renders them, into folders of their own, with this checkout's programs. What systemd makes of the unit, and how
a node is named by itself, is in test_scheduled_audit.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.tests.contract.plays import run_tasks
from ansible_collections.kubenode.doctor.tests.contract.project import load
from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import Run, diagnose, read, variable
from ansible_collections.kubenode.doctor.tests.support.stage import CALM, PROJECT

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("git", "unshare", "ssh-keygen"))),
    reason="nodes with a network of their own need root, unshare (util-linux), git and ssh-keygen",
)

ROLE = PROJECT / "roles" / "scheduled_audit"
NODES = ("node-a", "node-b")


def git(folder: Path, *words: str) -> str:
    author = ["-c", "user.name=ops", "-c", "user.email=ops@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *author, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass
class Fleet:
    """Two nodes, and the repository from which they pull."""

    folder: Path
    repository: Path

    def render(self, name: str, version: str, **more: str) -> Path:
        """What the role writes on a node, as its program; the role's own variables are those of the node's folders."""
        at = self.folder / name
        there = {
            **load("roles/scheduled_audit/defaults/main.yml"),
            **load("roles/scheduled_audit/vars/main.yml"),
            "_scheduled_audit_etc": f"{at}/etc",
            "_scheduled_audit_var": f"{at}/var",
            "_scheduled_audit_environment": f"{self.folder}/programs",
            "scheduled_audit_mode": "pull",
            "scheduled_audit_become": False,
            "scheduled_audit_name": name,
            "scheduled_audit_repository": f"file://{self.repository}",
            "scheduled_audit_repository_version": version,
            **more,
        }
        for folder in ("etc/inventory", "var/metrics"):
            (at / folder).mkdir(parents=True, exist_ok=True)
        (at / "etc" / "vars.yml").write_text(json.dumps({**CALM, "collect_audits": f"{at}/var/audits"}))
        templates = {"ansible.cfg.j2": at / "etc" / "ansible.cfg", "pull.sh.j2": at / "pull"}
        tasks = [
            {"ansible.builtin.template": {"src": str(ROLE / "templates" / source), "dest": str(target), "mode": "0755"}}
            for source, target in templates.items()
        ]
        results = run_tasks(tasks, there, self.folder)
        assert not [result for result in results if result.get("failed")], results[-1]
        return at / "pull"

    def pull(self, program: Path) -> subprocess.CompletedProcess[str]:
        """Let a node run its program, in a network of its own."""
        words = ["unshare", "--net", "sh", "-ec", 'ip link set lo up; exec "$0"', str(program)]
        return subprocess.run(words, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    folder = tmp_path_factory.mktemp("pull")
    (folder / "programs" / "venv").mkdir(parents=True)
    (folder / "programs" / "venv" / "bin").symlink_to(Path(sys.executable).parent)
    (folder / "programs" / "collections").symlink_to(PROJECT / ".collections")
    repository = folder / "repository"
    shutil.copytree(PROJECT / "playbooks", repository / "playbooks")
    git(folder, "init", "--quiet", str(repository))
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "the playbooks")
    return Fleet(folder, repository)


@pytest.fixture(scope="module")
def judged(fleet: Fleet) -> Run:
    """Both have pulled, something has moved their bundles, and they are judged."""
    commit = git(fleet.repository, "rev-parse", "HEAD")
    moved = fleet.folder / "moved"
    for name in NODES:
        done = fleet.pull(fleet.render(name, commit))
        assert done.returncode == 0, done.stdout + done.stderr
        (bundle,) = (fleet.folder / name / "var" / "audits").iterdir()
        shutil.copytree(bundle, moved / name / bundle.name)
    everybody = variable("expected_hosts", [*NODES, "node-c"])
    return diagnose("-e", f"bundles={moved}/{{host}}/*", *everybody, name="judge")


def test_bundles_of_nodes_that_nobody_reaches_are_judged_as_one(judged: Run):
    hosts = judged.document["hosts"]
    assert [hosts[name]["answered"] for name in (*NODES, "node-c")] == [True, True, False]
    assert hosts["node-c"]["why"] == "it is in none of the bundles that were joined"
    assert judged.document["damaged"] == []
    audits = [read(path) for path in judged.folder.glob("audits/*/audit.json")]
    assert [one["answers"] for one in audits[0]["joined"]["bundles"]] == [1, 1]
    # A network of its own has listeners of its own.
    assert all(judged.node(name)["snapshot"]["sections"]["listen_ports"]["listeners"] == [] for name in NODES)


def test_what_is_not_signed_is_never_run(fleet: Fleet):
    key = fleet.folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    program = fleet.render("signed", "trunk", scheduled_audit_signers="named")
    (fleet.folder / "signed" / "etc" / "allowed_signers").write_text(
        f"ops@example.com {key.with_suffix('.pub').read_text()}"
    )
    git(fleet.repository, "switch", "--quiet", "--create", "trunk")
    ran = fleet.folder / "ran"
    (fleet.repository / "playbooks" / "audit.yml").write_text(
        f"- hosts: all\n  gather_facts: false\n  tasks: [ansible.builtin.copy: {{dest: {ran}, content: x}}]\n"
    )
    git(fleet.repository, "commit", "--quiet", "--all", "--message", "anybody's")
    for _twice in range(2):  # the second time must not take what the first has fetched
        done = fleet.pull(program)
        assert done.returncode != 0
        assert "Failed to verify GPG signature of commit/tag" in done.stdout + done.stderr
    assert not ran.exists()
    sign = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={key}", "commit", "-S")
    git(fleet.repository, *sign, "--quiet", "--allow-empty", "--message", "ours")
    assert fleet.pull(program).returncode == 0
    assert ran.exists()
