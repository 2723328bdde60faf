# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugins of this collection that work on bundles have in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import SettingsError


class LocalAction(ActionBase):
    """An action that works on the controller alone: ``work`` gets the checked arguments and returns the result."""

    ARGUMENTS: Mapping[str, Mapping[str, Any]] = {}
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True  # a bundle lies on the controller, and nothing on a node changes
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check the arguments, do the work, and turn what went wrong into one clear message."""
        super().run(tmp, task_vars)
        _valid, arguments = self.validate_argument_spec(argument_spec=self.ARGUMENTS)
        try:
            return {"changed": False, **self.work(arguments)}
        except (BundleError, SettingsError) as error:
            # Ansible would print the error that was the cause as well, with the same words.
            raise AnsibleActionFail(str(error)) from None

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do it."""
        raise NotImplementedError


def folder(text: str) -> Path:
    """A path as the operator wrote it, relative to where the playbook was started. Raises BundleError for an empty one."""
    if not text:
        raise BundleError("the folder has no name: say which, such as bundle=audits/20261121T080000Z")
    return Path(text).expanduser().absolute()
