# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Begins the bundle of an audit."""

from __future__ import annotations

import datetime
from typing import Any

from ansible.release import __version__ as ansible_version

from ansible_collections.kubenode.doctor.plugins.module_utils.version import VERSION
from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle, earlier_audits
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import LocalAction, folder


class ActionModule(LocalAction):
    """See plugins/modules/bundle.py."""

    ARGUMENTS = {  # noqa: RUF012 - read only, as in every action plugin
        "audits": {"type": "path", "required": True},
        "hosts": {"type": "list", "elements": "str", "required": True},
        "limits": {"type": "dict", "default": {}},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Make the folder, named after the time."""
        now, audits = datetime.datetime.now(datetime.timezone.utc), folder(arguments["audits"])
        path = bundle.new_folder(audits, now.strftime("%Y%m%dT%H%M%SZ"))
        about = {
            "version": VERSION,
            "ansible_version": ansible_version,
            "started": now.isoformat(timespec="seconds"),
            **earlier_audits.beside(audits, now, arguments["hosts"])._asdict(),
            "limits": arguments["limits"],
        }
        bundle.create(path, arguments["hosts"], about)
        return {"path": str(path)}
