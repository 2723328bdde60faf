# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name; before it acts, the way back is written into the bundle."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.kubenode.doctor.plugins.module_utils import node_fix
from ansible_collections.kubenode.doctor.plugins.plugin_utils import undo_record
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import folder
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_action import OTHER_SECONDS, NodeAction

# What the node can answer when nothing of it was changed in the end.
_AS_BEFORE = frozenset({"done", "rolled-back", "stopped"})
_LONGEST = 9  # times ``seconds``: to plan, then to act, to verify and to take back, again by a second worker, and before that what was interrupted
# What the controller alone says.
_NOTHING_TO_UNDO = {"record": None, "undo_command": None}


class ActionModule(NodeAction):
    """See plugins/modules/node_fix.py."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The module's answer; with a bundle, and when the fix is applied, also ``record`` and ``undo_command``."""
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _valid, arguments = self.validate_argument_spec(argument_spec=node_fix.ARGUMENTS)
        try:
            if arguments["state"] == node_fix.APPLIED and not self._task.check_mode:
                return self._act(arguments, task_vars)
            answer = self._ask(arguments, task_vars)
            plans = arguments["state"] in (node_fix.PLANNED, node_fix.APPLIED)
            return {**answer, **_NOTHING_TO_UNDO} if plans else answer
        except (BundleError, node_fix.ChangeError) as error:
            raise AnsibleActionFail(str(error)) from None

    def _act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if not arguments["bundle"]:
            raise AnsibleActionFail(
                "bundle: say which, such as audits/20261121T080000Z: the way back is written into it before anything is changed"
            )
        if not arguments["digest"]:
            raise AnsibleActionFail("digest: say that of the plan (state=planned) that is to be carried out")
        file = undo_record.begin(folder(arguments["bundle"]), _record(arguments, task_vars["inventory_hostname"]))
        # Without an answer (a lost connection, a traceback) the record stays as it is: nobody knows what was done.
        try:
            answer = self._ask(arguments, task_vars)
        except AnsibleActionFail as error:
            answer = {"failed": True, "msg": str(error)}
        if answer.get("state") in _AS_BEFORE:
            undo_record.end(file, None)
            return {**answer, **_NOTHING_TO_UNDO}
        can_be = answer.get("can_be_undone", True)
        if "state" in answer:
            undo_record.end(file, answer["state"], None if can_be else {"no_undo": "; ".join(answer["undo"])})
        return {**answer, "record": str(file), "undo_command": undo_record.command(file) if can_be else None}

    def _ask(self, arguments: Mapping[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        options = {key: value for key, value in arguments.items() if key != "bundle" and value is not None}
        # Taken as late as possible: the node holds its own clock against it.
        options.setdefault("controller_time", time.time())
        answer = self.asked("node_fix", options, task_vars, OTHER_SECONDS + _LONGEST * arguments["seconds"])
        return {key: value for key, value in answer.items() if key not in _NOTHING_TO_UNDO}


def _record(arguments: Mapping[str, Any], host: str) -> dict[str, Any]:
    return {
        "fix": arguments["fix"],
        "host": host,
        "change": node_fix.change_id(arguments["fix"], arguments["digest"]),
        "store": arguments["store"],
    }
