# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name and stores what it returns in a bundle."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_api, cluster_asked, cluster_store
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import folder

# With these alone, and no API server named, the module has nothing to look at but whether they are in their ranges.
_PLAIN_OPTIONS = {"kubeconfig", "context", "hosts", *cluster_asked.LIMITS}


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
        target = self._task.args.get("bundle")
        try:
            if given and isinstance(given, str):
                options["kubeconfig"] = _from_here(given)
            path = str(folder(str(target))) if target else ""
        except BundleError as error:
            raise AnsibleActionFail(str(error)) from None
        if path and self._is_here():
            if _asks_nobody(options) and not any(self._task.environment or ()):
                return _stored(path, _unasked())
            options["bundle"] = path
        result: dict[str, Any] = self._execute_module(
            module_name="kubenode.doctor.cluster_snapshot", module_args=options, task_vars=task_vars
        )
        return result if not path or result.get("failed") or "bundle" in options else _stored(path, result)

    def _is_here(self) -> bool:
        """Whether the module runs on the controller as the operator, so that it can write the bundle itself."""
        return self._connection.transport == "local" and self._connection.become is None


def _asks_nobody(options: dict[str, Any]) -> bool:
    """Whether the module would say that no API server is named. Whatever could be wrong with the options is left to it."""
    if cluster_asked.names_cluster(options) or not options.keys() <= _PLAIN_OPTIONS:
        return False
    try:
        return all(
            smallest <= int(options.get(name, default)) <= largest
            for name, (default, smallest, largest) in cluster_asked.LIMITS.items()
        )
    except (TypeError, ValueError):
        return False


def _unasked() -> dict[str, Any]:
    """What the module returns then, without the second that it takes to run it."""
    cluster = {**cluster_api.unread(cluster_asked.NO_KUBECONFIG), "server": None}
    return {"cluster": cluster, "node_ports": None, "complete": cluster["complete"], "missing": cluster["missing"]}


def _stored(path: str, result: dict[str, Any]) -> dict[str, Any]:
    try:
        return cluster_store.summary(result, cluster_store.store(path, result["cluster"]))
    except OSError as error:
        raise AnsibleActionFail(cluster_store.unwritten(path, error)) from None


def _from_here(paths: str) -> str:
    """Kubeconfig paths as the operator means them, from where the playbook was started; Ansible runs modules elsewhere."""
    return os.pathsep.join(str(folder(path)) for path in paths.split(os.pathsep) if path)
