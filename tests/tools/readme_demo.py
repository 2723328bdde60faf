# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the README's example true: it is the report of a real run of tests/support/seed_000.py.

    python tests/tools/readme_demo.py            write it into README.md
    python tests/tools/readme_demo.py --check    exit 1 when a new run says something else

What differs from run to run (times, pids, the kernel's version, folders) is compared as placeholders.
"""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
_BLOCK = re.compile(r"(?<=```text\n).*?(?=\n```\n)", re.DOTALL)
_VARIES = (
    (re.compile(r"pid \d+"), "pid N"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:+]+"), "TIME"),
    (re.compile(r"Linux [\w.+-]+"), "Linux VERSION"),
    (re.compile(r"bundle: .*"), "bundle: FOLDER"),
    (re.compile(r"TIME-WAIT \d+, "), ""),  # what others asked these nodes a moment ago
    (re.compile(r"36527, \d+"), "36527, PORT"),  # the one that the healthy node's kubelet drew
    (re.compile(r"https?://127\.0\.0\.1:\d+(?=:)"), "SERVER"),
)


def report() -> str:
    """Stage the story and return the report, without Ansible's lines around it."""
    command = [sys.executable, str(ROOT / "tests" / "support" / "seed_000.py")]
    printed = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    _before, _first, rest = printed.partition("─" * 110 + "\n")
    text, found, _after = rest.partition("\n" + "─" * 110)
    if not found:
        raise SystemExit(f"no report was printed:\n{printed}")
    return re.sub(r"bundle: .*", "bundle:       audits/20261121T080000Z", text)


def comparable(text: str) -> str:
    """The text with all that varies replaced; line breaks too, since a pid's length may move them."""
    for pattern, word in _VARIES:
        text = pattern.sub(word, text)
    return re.sub(r"\s+", "\n", text)


def differences(wanted: str) -> str:
    """What README.md says otherwise; empty when it says the same."""
    found = _BLOCK.search(README.read_text("utf-8"))
    told = found.group() if found else ""
    return "\n".join(
        difflib.unified_diff(
            comparable(told).splitlines(), comparable(wanted).splitlines(), "README.md", "a run", lineterm=""
        )
    )


def main() -> None:
    wanted = report()
    if sys.argv[1:] == ["--check"]:
        sys.exit(differences(wanted) or 0)
    README.write_text(_BLOCK.sub(lambda _match: wanted, README.read_text("utf-8"), count=1), "utf-8")


if __name__ == "__main__":
    main()
