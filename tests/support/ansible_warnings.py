# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every run of Ansible by a test warns of everything, and a warning that the test does not name fails it."""

from __future__ import annotations

import re
from collections.abc import Iterable

# What a run gets. Injected facts are on where nobody says otherwise (tests/contract, tests/tools/installed.sh), so both ways are tried.
SETTINGS = {
    "ANSIBLE_DEPRECATION_WARNINGS": "True",
    "ANSIBLE_SYSTEM_WARNINGS": "True",
    "ANSIBLE_INJECT_FACT_VARS": "False",
}
# Ansible begins a line with this, whatever callback prints the rest of the run.
_WARNING = re.compile(r"^\[(?:DEPRECATION )?WARNING\]: ?.*(?:\n[^\[\n].*)*", re.MULTILINE)


def unexpected(printed: str, expected: Iterable[str] = ()) -> list[str]:
    """The warnings in what a run printed that hold none of these words, blanks as one space."""
    told = [" ".join(warning.split()) for warning in _WARNING.findall(printed)]
    return [warning for warning in told if not any(words in warning for words in expected)]
