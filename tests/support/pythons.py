# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pythons that a node may have (tests/tools/pythons.sh names them once), and where this machine has them."""

from __future__ import annotations

import re
import subprocess

from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT

_TOOLS = PROJECT / "tests" / "tools"


def versions() -> list[str]:
    """Such as 3.8, oldest first."""
    named = re.search(r'^versions="([\d. ]+)"$', (_TOOLS / "pythons.sh").read_text("utf-8"), re.MULTILINE)
    assert named, "tests/tools/pythons.sh names no versions"
    return named[1].split()


def find(version: str) -> str | None:
    """The interpreter of a version; None where this machine has none."""
    done = subprocess.run([_TOOLS / "find-python.sh", version], check=False, capture_output=True, text=True)
    return done.stdout.strip() or None
