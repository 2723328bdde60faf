# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The findings of a judged bundle, of this version's form or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle, judge
from ansible_collections.kubenode.doctor.plugins.plugin_utils.equal_parts import EqualParts


def read(folder: Path) -> dict[str, Any]:
    """Raises BundleError, which says what to do."""
    path = folder / "findings.json"
    try:
        document = bundle.Bundle(folder).findings(EqualParts().share)
    except bundle.BundleError as error:
        raise bundle.BundleError(f"{path} cannot be read, judge the bundle first: {error}") from error
    if document.get("schema") != judge.SCHEMA:
        raise bundle.BundleError(f"{path} holds no findings of this version: judge the bundle again")
    return document
