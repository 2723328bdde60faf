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
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError, is_there
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
        found = [pair for text in arguments["bundles"] for pair in _folders(text)]
        joined = join.join(
            [path for path, _host in found],
            folder(arguments["audits"]),
            arguments["hosts"],
            datetime.timedelta(hours=hours) if hours else None,
            {path: host for path, host in found if host is not None},
        )
        return {"path": str(joined.path), "bundles": joined.slices, "told": joined.told, "damaged": joined.damaged}


_MOST_HOURS = 24 * 366
_HOST = "{host}"


def _folders(text: str) -> list[tuple[Path, str | None]]:
    """The folders that a text names, and whose each is; one that is not there as it stands may be a pattern."""
    path = folder(text.strip())
    if is_there(path):
        return [(path, None)]
    at = path.parts.index(_HOST) if _HOST in path.parts else None
    pattern = str(Path(*("*" if part == _HOST else part for part in path.parts)))
    found = sorted(Path(name) for name in glob.glob(pattern))
    if not found:
        raise BundleError(f"{path}: there is no such folder, and no folder fits it as a pattern")
    return [(name, None if at is None else name.parts[at]) for name in found]
