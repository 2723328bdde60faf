# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name and stores what it returns in a bundle."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.kubenode.doctor.plugins.module_utils import nodeport_verdict
from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import folder


class ActionModule(ActionBase):
    """See plugins/modules/cluster_snapshot.py."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Without a bundle the module's result is returned as it is; with one, a summary."""
        super().run(tmp, task_vars)
        options = {key: value for key, value in self._task.args.items() if key != "bundle"}
        given = options.get("kubeconfig") or os.environ.get("K8S_AUTH_KUBECONFIG")
        if given and isinstance(given, str):
            options["kubeconfig"] = _from_here(given)
        result: dict[str, Any] = self._execute_module(
            module_name="kubenode.doctor.cluster_snapshot", module_args=options, task_vars=task_vars
        )
        target = self._task.args.get("bundle")
        if not target or result.get("failed"):
            return result
        path = folder(str(target)) / "cluster.json"
        try:
            bundle.write(path, result["cluster"])
        except bundle.BundleError as error:
            raise AnsibleActionFail(str(error)) from None
        return {
            "changed": False,
            "file": str(path),
            "ports": _numbers(result),
            "complete": result["complete"],
            "missing": result["missing"],
        }


def _from_here(paths: str) -> str:
    """Kubeconfig paths as the operator means them, from where the playbook was started; Ansible runs modules elsewhere."""
    return os.pathsep.join(str(folder(path)) for path in paths.split(os.pathsep) if path)


def _numbers(result: dict[str, Any]) -> list[int] | None:
    """The port numbers that Services claim on every node; None when the Services could not be read."""
    if result["cluster"]["services"] is None:
        return None
    return sorted({nodeport_verdict.number(port) for port in result["node_ports"]})
