# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the project consists of, found by looking, so that tests cover what is added later."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.plugin_docs import read_docstring

ROOT = Path(__file__).resolve().parents[2]

MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


def load(path: str) -> Any:
    """Return what a YAML file of the project holds."""
    return yaml.safe_load((ROOT / path).read_text("utf-8"))


def module_docs(module: str) -> dict[str, Any]:
    """Return ``doc``, ``plainexamples`` and ``returndocs`` as they stand in the file, doc fragments not filled in."""
    found: dict[str, Any] = read_docstring(str(ROOT / "plugins" / "modules" / f"{module}.py"))
    return found


def tracked_files() -> list[Path]:
    """Return every file that git has or would add, relative to the root; the symlink in .collections is no file."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [Path(name) for name in listed if name and (ROOT / name).is_file()]
