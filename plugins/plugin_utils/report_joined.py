# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words on an audit that was joined of several bundles (plugin_utils/join.py)."""

from __future__ import annotations

from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_lines import count

_NAMED = 5


def told(audit: dict[str, Any]) -> list[str]:
    """Of what an audit was joined, and what there is to know of that; nothing for one that was not."""
    joined = audit.get("joined")
    if not isinstance(joined, dict):
        return []
    bundles = joined["bundles"]
    more = len(bundles) - _NAMED + joined["more"]
    names = [f"{clean(one['name'])} ({count(one['answers'], 'answer')})" for one in bundles[:_NAMED]]
    names += [f"{more} more"] if more > 0 else []
    return [f"from {', '.join(names)}", *(clean(line) for line in joined["told"])]
