# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Go programs of which only those bytes are there that tell how they were built (tests/fixtures/go_build)."""

from __future__ import annotations

import base64
import json
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "fixtures" / "go_build"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name):
    """One of the fixtures."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def says(name):
    """What `go version -m` prints for it: ``(release, {key: value})`` with the keys path, mod and the settings of the build."""
    release, *lines = load(name)["says"].split("\n")
    told = {}
    for line in lines:
        kind, _tab, value = line.strip("\t").partition("\t")
        if kind == "build":
            kind, _sign, value = value.partition("=")
        told[kind] = value
    return release, told


def make(name, path):
    """Write the program; its file has holes, so it takes no space."""
    fixture = load(name)
    with open(str(path), "wb") as file:
        file.truncate(fixture["size"])
        for offset, content in fixture["pieces"]:
            file.seek(offset)
            file.write(base64.b64decode(content))
    return path
