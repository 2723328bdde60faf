# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes old audits."""

from __future__ import annotations

import datetime
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import history
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import LocalAction, folder
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import SettingsError

_TOLD = 5
_DAYS = 36500  # a hundred years; more is a slip, and beyond what dates can be reckoned with


class ActionModule(LocalAction):
    """See plugins/modules/history.py."""

    ARGUMENTS = {  # noqa: RUF012 - read only, as in every action plugin
        "bundle": {"type": "path", "required": True},
        "keep_count": {"type": "int", "default": 0},
        "keep_days": {"type": "int", "default": 0},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Remove them; in check mode only say which."""
        for name in ("keep_count", "keep_days"):
            if not 0 <= arguments[name] <= _DAYS:
                raise SettingsError(f"{name}: {arguments[name]} is no number from 0 (keep all) to {_DAYS}")
        now = datetime.datetime.now(datetime.timezone.utc)
        bundle, dry = folder(arguments["bundle"]), bool(self._task.check_mode)
        pruned = history.prune(bundle, arguments["keep_count"], arguments["keep_days"], now, dry)
        result = {"changed": bool(pruned.removed), "removed": pruned.removed, "kept_because": pruned.kept}
        return {**result, "warnings": _warnings(pruned.kept)} if pruned.kept else result


def _warnings(kept: dict[str, str]) -> list[str]:
    """What is kept for ever unless somebody looks, the first few."""
    told = [f"{clean(name)} is kept beside the audits: {clean(why)}" for name, why in sorted(kept.items())]
    more = [f"{len(told) - _TOLD} more are kept: see kept_because"] if len(told) > _TOLD else []
    return told[:_TOLD] + more
