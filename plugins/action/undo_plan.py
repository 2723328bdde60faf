# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says how a fix of the cluster is undone, and what stands against it."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.kubenode.doctor.plugins.plugin_utils import object_change
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import LocalAction
from ansible_collections.kubenode.doctor.plugins.plugin_utils.object_owners import mapping


class ActionModule(LocalAction):
    """See plugins/modules/undo_plan.py."""

    ARGUMENTS = {  # noqa: RUF012 - read only, as in every action plugin
        "record": {"type": "dict", "required": True},
        "found": {"type": "list", "elements": "dict"},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Read the record, and hold it against its object where that is given."""
        try:
            change = object_change.read(arguments["record"])
        except object_change.RecordError as error:
            raise AnsibleActionFail(f"Nothing was changed: {error}") from None
        told = {"fix": change.fix, "object": change.place, "subject": change.subject}
        if arguments["found"] is None:
            return told
        plan = object_change.taken_back(change, [one for one in arguments["found"] if _is_of(one, change)])
        return {**told, **plan.document()}


def _is_of(found: dict[str, Any], change: object_change.Change) -> bool:
    metadata = mapping(found.get("metadata"))
    return (metadata.get("namespace"), metadata.get("name")) == (change.namespace, change.name)
