# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins several bundles into one."""

from __future__ import annotations

import datetime
import glob
from pathlib import Path
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import join
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import LocalAction, folder


class ActionModule(LocalAction):
    """See plugins/modules/join.py."""

    ARGUMENTS = {  # noqa: RUF012 - read only, as in every action plugin
        "audits": {"type": "path", "required": True},
        "bundles": {"type": "list", "elements": "str", "required": True},
        "hosts": {"type": "list", "elements": "str", "default": []},
        "max_age_hours": {"type": "float", "default": 24},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Find the bundles, and join them."""
        hours = arguments["max_age_hours"]
        if not 0 <= hours <= _MOST_HOURS:
            raise BundleError(f"max_age_hours: {hours:g}: a number from 0 (for any age) to {_MOST_HOURS} is expected")
        joined = join.join(
            [path for text in arguments["bundles"] for path in _folders(text)],
            folder(arguments["audits"]),
            arguments["hosts"],
            datetime.timedelta(hours=hours) if hours else None,
        )
        return {"path": str(joined.path), "bundles": joined.slices, "told": joined.told, "damaged": joined.damaged}


_MOST_HOURS = 24 * 366


def _folders(text: str) -> list[Path]:
    """The folders that a text names; one that is not there as it stands may be a pattern."""
    path = folder(text.strip())
    if path.exists():
        return [path]
    found = sorted(Path(name) for name in glob.glob(str(path)))
    if not found:
        raise BundleError(f"{path}: there is no such folder, and no folder fits it as a pattern")
    return found
