# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the rules: every file of plugins/plugin_utils/rules holds exactly one, as ``RULE``."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path

from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Rule

_PACKAGE = "ansible_collections.kubenode.doctor.plugins.plugin_utils.rules"


@functools.cache
def rules() -> tuple[Rule, ...]:
    """All rules, sorted by group and id. Raises LookupError when two have one id."""
    names = sorted(path.stem for path in (Path(__file__).parent / "rules").glob("*.py") if path.stem != "__init__")
    found = [importlib.import_module(f"{_PACKAGE}.{name}").RULE for name in names]
    if len({rule.id for rule in found}) != len(found):
        raise LookupError("two rules have the same id")
    return tuple(sorted(found, key=lambda rule: (rule.group, rule.id)))
