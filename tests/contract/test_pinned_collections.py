# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role scheduled_audit installs collections of one release, and refuses all others."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.kubenode.doctor.tests.contract.plays import run_tasks
from ansible_collections.kubenode.doctor.tests.contract.project import load

GIT = {"name": "https://git.example.com/doctor.git", "type": "git"}
PINNED = (
    {"name": "kubenode.doctor", "version": "0.1.0"},
    {"name": "kubenode.doctor", "version": "0.1.0-rc.1", "type": "galaxy"},
    {"name": "/srv/kubenode-doctor-0.1.0.tar.gz", "type": "file"},
    {**GIT, "version": "v0.1.0"},
    {**GIT, "version": "59de20a9bc6252c44f9fb20597a4c6254e7822b0"},
)
OTHERS = (
    {"version": "0.1.0"},
    {"name": "kubenode.doctor"},
    {"name": "kubenode.doctor", "version": ">=0.1.0"},
    {"name": "kubenode.doctor", "version": "0.1"},
    {"name": "https://git.example.com/doctor.git", "version": "0.1.0"},
    GIT,
    {**GIT, "version": "stable"},
    {**GIT, "version": "59de20a"},
    {**GIT, "version": "1.x"},
    {"name": "https://example.com/doctor.tar.gz", "type": "url"},
    {"name": "https://example.com/doctor.tar.gz", "type": "url", "version": "0.1.0"},
    {"name": "/srv/doctor", "type": "dir"},
)


def test_only_collections_of_one_release_are_installed(tmp_path: Path) -> None:
    (block,) = (task for task in load("roles/scheduled_audit/tasks/check.yml") if "block" in task)
    (check,) = (task for task in block["block"] if "not pinned" in task["name"])
    tasks = [
        {**check, "vars": {**check["vars"], "scheduled_audit_collections": [one]}, "ignore_errors": True}
        for one in (*PINNED, *OTHERS)
    ]
    refused = [result.get("failed", False) for result in run_tasks(tasks, {}, tmp_path)]
    assert refused == [False] * len(PINNED) + [True] * len(OTHERS)
