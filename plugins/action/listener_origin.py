# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name, and adds what only the controller can know: kubelet's stacks through the API server, and earlier audits."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.kubenode.doctor.plugins.module_utils import origin_request
from ansible_collections.kubenode.doctor.plugins.plugin_utils import origin_here
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import folder
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_action import NOT_OURS, NodeAction


class ActionModule(NodeAction):
    """See plugins/modules/listener_origin.py."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the module returns, told anew when there is more to tell."""
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _valid, arguments = self.validate_argument_spec(argument_spec=origin_request.ARGUMENTS)
        try:
            kubeconfig = arguments["kubeconfig"] or os.environ.get("K8S_AUTH_KUBECONFIG")
            request = origin_request.read({**arguments, "kubeconfig": str(folder(kubeconfig)) if kubeconfig else None})
            audits = folder(arguments["audits"]) if arguments["audits"] else None
        except (BundleError, ValueError) as error:
            raise AnsibleActionFail(str(error)) from None
        options = {
            key: value
            for key, value in arguments.items()
            if key not in origin_request.OF_THE_CONTROLLER and value is not None
        }
        seconds = arguments["budget_seconds"] + (arguments["trace"] or {}).get("seconds", 0)
        result = self.asked("listener_origin", options, task_vars, seconds)
        if result.get("failed"):
            return result
        host = task_vars["inventory_hostname"]
        names = [host, *filter(None, [task_vars.get("ansible_host")])]
        try:
            return origin_here.completed(result, request, names, audits, host)
        except (AttributeError, LookupError, TypeError, ValueError):
            raise AnsibleActionFail(NOT_OURS) from None
