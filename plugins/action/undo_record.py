# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes and reads by what a fix is undone, and notes how it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.kubenode.doctor.plugins.plugin_utils import undo_record
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import LocalAction, folder


class ActionModule(LocalAction):
    """See plugins/modules/undo_record.py."""

    ARGUMENTS = {  # noqa: RUF012 - read only, as in every action plugin
        "file": {"type": "path"},
        "hosts": {"type": "list", "elements": "str"},
        "state": {"type": "str", "choices": ["applied", "failed", "unchanged", "undone"]},
        "bundle": {"type": "path"},
        "subject": {"type": "str"},
        "document": {"type": "dict"},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Begin a record, end it, or return it."""
        if (arguments["file"] is None) == (arguments["bundle"] is None):
            raise AnsibleActionFail("either file or bundle is required")
        if arguments["bundle"] is not None:
            file = undo_record.begin(folder(arguments["bundle"]), arguments["document"] or {}, arguments["subject"])
        else:
            file = folder(arguments["file"])
        if arguments["state"] is not None:
            undo_record.end(
                file, None if arguments["state"] == "unchanged" else arguments["state"], arguments["document"]
            )
        if arguments["state"] == "unchanged":
            return {"record": None, "file": None}
        record = undo_record.read(file)
        if arguments["bundle"] is None and arguments["state"] is None:
            _refuse(file, record, arguments["hosts"])
        return {"record": record, "file": str(file)}


def _refuse(file: Path, record: dict[str, Any], hosts: list[str] | None) -> None:
    """Refuse what nobody can undo, and what is of a host that is not among ``hosts``."""
    host, why = record["host"], undo_record.why_not(record)
    if why:
        raise AnsibleActionFail(f"{file}: {why}")
    if hosts is not None and host is not None and host not in hosts:
        raise AnsibleActionFail(f"{file} is of host {host}, which is not among the hosts of this run")
    if host is not None and not all(isinstance(record.get(name), str) for name in ("change", "store")):
        raise AnsibleActionFail(
            f"{file} is no record of a node's change: it does not say where the node keeps what was before"
        )
