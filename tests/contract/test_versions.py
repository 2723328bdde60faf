# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions that are written in several places agree."""

from __future__ import annotations

import re
import sys
from importlib import metadata

from ansible_test._util.target.common import constants

from ansible_collections.kubenode.doctor.tests.contract.project import ROOT, load
from ansible_collections.kubenode.doctor.tests.support import pythons

MIDDLE = ("2.19", "3.11")  # an ansible-core on a Python, neither the oldest nor the newest
NEWEST_PYTHON = "3.13"


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


def text(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def said(pattern: str, path: str) -> tuple[str, ...]:
    """The groups of a pattern in a file that has to hold it."""
    found = re.search(pattern, text(path), re.MULTILINE)
    assert found, f"{path} holds nothing like {pattern}"
    return found.groups()


def tried() -> list[list[str]]:
    """The versions of ansible-core that CI installs the collection for, each with its Python, oldest first."""
    (pairs,) = said(r"^tests/tools/installed\.sh ((?:\d+\.\d+:\d+\.\d+ ?)+)", ".ci/run")
    return [pair.split(":") for pair in pairs.split()]


def test_oldest_ansible_core_is_the_one_that_is_tried_and_promised() -> None:
    required = load("meta/runtime.yml")["requires_ansible"]
    oldest = re.fullmatch(r">=(\d+\.\d+)\.0", required)
    assert oldest, required
    promised = said(r"ansible-core[` ]*(?:>=)? ?(\d+\.\d+)", "README.md")
    assert promised == (tried()[0][0],) == oldest.groups()


def test_newest_ansible_core_is_the_one_that_is_tried() -> None:
    """tests/tools/installed.sh asks the registry whether it is the newest that there is."""
    assert [core for core, _python in tried()] == sorted((core for core, _python in tried()), key=version_key)
    assert said(r"ansible-core (\d+\.\d+) to (\d+\.\d+)", "docs/callback.md") == (tried()[0][0], tried()[-1][0])


def made_with() -> list[str]:
    """The Pythons of which tests/tools/venv.sh takes the first that there is, for .venv."""
    (choices,) = said(r'find-python\.sh"((?: \d+\.\d+)+)$', "tests/tools/venv.sh")
    return choices.split()


def made_of() -> str:
    """The ansible-core that make installs."""
    return ".".join(metadata.version("ansible-core").split(".")[:2])


def test_pythons_of_controllers_are_those_that_are_meant() -> None:
    """The oldest ansible-core and 2.19 on Python 3.11, the newest on 3.13. The whole of the tests runs in .venv, with the second."""
    assert [python for _core, python in tried()] == [MIDDLE[1], NEWEST_PYTHON]
    assert (made_of(), made_with()[0]) == MIDDLE
    assert pythons.versions()[-1] == NEWEST_PYTHON
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert running in made_with()
    if pythons.find(MIDDLE[1]):  # a machine without it may test with another one
        assert running == MIDDLE[1]


def test_what_make_installs_is_what_is_promised_and_shipped() -> None:
    ansible = metadata.version("ansible").split(".", 1)[0]
    assert said(r"^ansible>=(\d+),", "requirements.txt") == (ansible,)
    assert said(r"`make` installs ansible (\d+)", "README.md") == (ansible,)
    core = made_of()
    package = load("execution-environment.yml")["dependencies"]["ansible_core"]["package_pip"]
    assert re.fullmatch(rf"ansible-core>={re.escape(core)},<[\d.]+", package), package
    assert said(r"ansible-core (\d+\.\d+) supports on its targets", "tests/tools/pythons.sh") == (core,)
    assert said(r"that ansible-test of ansible-core (\d+\.\d+) asks for", "tests/tools/ansible-test.sh") == (core,)
    assert said(r"ansible-core==(\d+\.\d+)\.\*", "roles/scheduled_audit/files/requirements.txt") == (core,)


def test_bounds_of_what_controllers_need_agree() -> None:
    (oldest,) = said(r"^(kubernetes[<>=]=?[\d.,<>=]+)$", "requirements.txt")
    files = ("tests/tools/installed.sh", "meta/ee-requirements.txt", "roles/scheduled_audit/files/requirements.txt")
    assert {file: said(r"(?<![\w.])(kubernetes[<>=]=?[\d.,<>=]+)", file) for file in files} == dict.fromkeys(
        files, (oldest,)
    )
    # What an execution environment gets with pip is in the collection's own file.
    assert load("meta/execution-environment.yml")["dependencies"]["python"] == "meta/ee-requirements.txt"
    assert "python" not in load("execution-environment.yml")["dependencies"]
    (core,) = said(r"`kubernetes\.core` (\d+)", "README.md")
    assert load("galaxy.yml")["dependencies"]["kubernetes.core"] == f">={core}.0.0"


def test_pythons_of_nodes_are_those_of_ansible_core() -> None:
    """All that the ansible-core of this checkout supports on a node are tested, and the oldest is promised."""
    supported = [*constants.REMOTE_ONLY_PYTHON_VERSIONS, *constants.CONTROLLER_PYTHON_VERSIONS]
    assert pythons.versions() == supported
    assert said(r"^Nodes: Linux, Python (\d+\.\d+) or newer", "README.md") == (supported[0],)
    assert said(r"Python (\d+\.\d+) or newer is all a node needs", "README.md") == (supported[0],)
    assert said(r'^target-version = "py(\d+)"', "pyproject.toml") == (supported[0].replace(".", ""),)


def test_what_newer_versions_of_ansible_core_refuse_is_said() -> None:
    """The ansible-core of this checkout is the last that takes the oldest Python; tests/tools/installed.sh asks the newest itself."""
    (python, core), newest = said(r"\((\d+\.\d+) with ansible-core (\d+\.\d+) and newer", "README.md"), tried()[-1][0]
    major, minor = version_key(made_of())
    assert core == f"{major}.{minor + 1}"
    assert version_key(core) <= version_key(newest)
    assert python == pythons.versions()[1]
