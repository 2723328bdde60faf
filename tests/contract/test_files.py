# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every file of the project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from ansible_collections.kubenode.doctor.tests.contract.project import ROOT, tracked_files

LICENCE = "SPDX-License-Identifier: GPL-3.0-or-later"
SOURCE_SUFFIXES = {".cfg", ".j2", ".py", ".sh", ".toml", ".yaml", ".yml"}
SOURCE_NAMES = {".ansible-lint", ".gitattributes", ".gitignore", ".yamllint", "Makefile", "run"}
# Captured as it was, or written by antsibull-changelog.
NOT_SOURCE = ("tests/fixtures/", "changelogs/changelog.yaml", "changelogs/fragments/")
FEWEST_SOURCES = 60
# Files of other people's machines, spelled out by accident. Written so as not to match itself.
# Weave Net's program in its own image has a place there, which everybody's commands name.
HOMES = re.compile(rb"/(?:home|Users)/(?!weave/weave\b)[a-z][\w-]*/")
# Hosts that anyone may name.
PUBLIC = {"pypi.org", "files.pythonhosted.org", "github.com", "localhost", "127.0.0.1", "deb.debian.org"}


def sources() -> list[Path]:
    """Return the files that people write."""
    return [
        path
        for path in tracked_files()
        if (path.suffix in SOURCE_SUFFIXES or path.name in SOURCE_NAMES) and not str(path).startswith(NOT_SOURCE)
    ]


def test_every_source_names_its_licence() -> None:
    found = sources()
    assert len(found) >= FEWEST_SOURCES
    without = [
        str(path) for path in found if LICENCE not in "".join((ROOT / path).open(encoding="utf-8").readlines()[:6])
    ]
    assert not without


def private_places() -> set[str]:
    """Return the hosts and folders that package installers are told to ask here, unknown to other machines."""
    pip = subprocess.run([sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True)
    settings = [value for name, value in os.environ.items() if re.search("INDEX|MIRROR|PROXY|REGISTRY", name)]
    text = "\n".join([pip.stdout, *settings])
    hosts = set(re.findall(r"https?://(?:[^/@\s]+@)?([\w.-]+)", text))
    return hosts - PUBLIC | set(re.findall(r"file://(/[\w./-]+)", text))


def test_no_file_knows_this_machine() -> None:
    files = tracked_files()
    assert files
    here = [f"{ROOT}/".encode(), *(place.encode() for place in private_places())]
    knowing = []
    for path in files:
        content = (ROOT / path).read_bytes()
        knowing += [f"{path}: {name.decode()}" for name in [*here, *HOMES.findall(content)] if name in content]
    assert not knowing
