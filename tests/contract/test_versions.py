# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions that are written in several places agree."""

from __future__ import annotations

import re

from ansible_collections.kubenode.doctor.tests.contract.project import ROOT, load


def version_key(version: str) -> list[int]:
    """Return what versions are sorted by: "0.10.0" comes after "0.9.0"."""
    return [int(part) for part in version.split(".")]


def test_galaxy_version_is_the_newest_release() -> None:
    releases = load("changelogs/changelog.yaml")["releases"]
    newest = max(releases, key=version_key)
    assert load("galaxy.yml")["version"] == newest
    assert f"\nv{newest}\n" in (ROOT / "CHANGELOG.rst").read_text("utf-8")


def test_execution_environment_installs_this_version() -> None:
    definition = load("execution-environment.yml")
    tarball = f"kubenode-doctor-{load('galaxy.yml')['version']}.tar.gz"
    assert definition["additional_build_files"] == [{"src": tarball, "dest": "collections"}]
    collections = definition["dependencies"]["galaxy"]["collections"]
    assert [entry["name"] for entry in collections if entry.get("type") == "file"] == [f"collections/{tarball}"]


def test_dependencies_agree() -> None:
    collections = load("execution-environment.yml")["dependencies"]["galaxy"]["collections"]
    listed = {entry["name"]: entry["version"] for entry in collections if "version" in entry}
    assert listed == load("galaxy.yml")["dependencies"]


def test_oldest_ansible_core_is_the_one_that_is_tried_and_promised() -> None:
    required = load("meta/runtime.yml")["requires_ansible"]
    oldest = re.fullmatch(r">=(\d+\.\d+)\.0", required)
    assert oldest, required
    tried = re.search(
        r"^tests/tools/installed\.sh (\d+\.\d+):", (ROOT / ".ci" / "run").read_text("utf-8"), re.MULTILINE
    )
    assert tried
    promised = re.search(r"ansible-core[` ]*(?:>=)? ?(\d+\.\d+)", (ROOT / "README.md").read_text("utf-8"))
    assert promised
    assert tried[1] == promised[1] == oldest[1]
