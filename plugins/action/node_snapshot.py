# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name and stores what it returns in a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.utils.display import Display

from ansible_collections.kubenode.doctor.plugins.module_utils import snapshot_request
from ansible_collections.kubenode.doctor.plugins.plugin_utils import answer_bounds, bundle, payload
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import folder
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_action import (
    OTHER_SECONDS,
    NodeAction,
    seconds_of,
    why_failed,
)

_OWN_OPTIONS = ("bundle", "answer_seconds")
_GAPS = 200  # eleven sections have a few each
_GAP_CHARACTERS = 2000
_SCHEMA_CHARACTERS = 200


class ActionModule(NodeAction):
    """See plugins/modules/node_snapshot.py."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Without a bundle what the module returns."""
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _valid, arguments = self.validate_argument_spec(argument_spec=snapshot_request.ARGUMENTS)
        _check(arguments)
        options = {key: value for key, value in arguments.items() if key not in _OWN_OPTIONS}
        if not arguments["bundle"]:
            return self.asked("node_snapshot", options, task_vars, OTHER_SECONDS + seconds_of(options))
        try:
            return self._store(arguments, task_vars["inventory_hostname"], options, task_vars)
        except bundle.BundleError as error:
            raise AnsibleActionFail(str(error)) from None

    def _configure_module(self, *args: Any, **kwargs: Any) -> Any:
        """What is sent to the node. Fewer hosts fit into a second without what payload does to it, and nothing else changes."""
        configured = super()._configure_module(*args, **kwargs)
        try:
            return payload.lighter(configured, Path(constants.DEFAULT_LOCAL_TMP))
        except payload.PayloadError as error:
            Display().vvv(f"kubenode.doctor sends the module as Ansible made it: {error}")
            return configured

    def _store(
        self, arguments: dict[str, Any], host: str, options: dict[str, Any], task_vars: dict[str, Any]
    ) -> dict[str, Any]:
        path = folder(arguments["bundle"])
        try:
            result = self.execute("node_snapshot", options, task_vars, arguments["answer_seconds"])
        except (AnsibleError, answer_bounds.BoundsError) as error:
            # A lost connection is an answer too: the report has to name this host.
            result = {"failed": True, "msg": str(error)}
        except Exception as error:  # what Ansible does not expect of a node
            result = {"failed": True, "msg": f"its answer could not be read: {type(error).__name__}: {error}"}
        answer: Any = result.get("snapshot")
        why = _why_useless(result, answer)
        if why is None:
            try:
                return _summary(str(bundle.write_answer(path, host, answer)), None, answer)
            except bundle.BundleError as error:  # what says why may still fit on a full disk
                why = str(error)
        return _summary(str(bundle.write_silence(path, host, why)), why, None)


def _check(arguments: dict[str, Any]) -> None:
    """What would fail in the same words on every node is the operator's mistake, not a node's silence."""
    try:
        snapshot_request.wanted_ports(arguments)
    except ValueError as error:
        raise AnsibleActionFail(str(error)) from None
    if arguments["answer_seconds"] < 1:
        raise AnsibleActionFail(f"answer_seconds: {arguments['answer_seconds']} is less than 1")
    if arguments["bundle"] and arguments["sample_seconds"] >= arguments["answer_seconds"]:
        words = "sample_seconds: {sample_seconds:g} is not less than answer_seconds, {answer_seconds}: no node could answer in time"
        raise AnsibleActionFail(words.format(**arguments))


def _why_useless(result: dict[str, Any], answer: Any) -> str | None:
    """Why an answer cannot be used; None when it can."""
    if result.get("failed") or not isinstance(answer, dict) or not isinstance(answer.get("sections"), dict):
        return why_failed(result, "the node's answer held no snapshot")
    schema = answer.get("schema")
    if not bundle.is_schema(schema, snapshot_request.SCHEMA):
        theirs = f"schema {str(answer['schema'])[:_SCHEMA_CHARACTERS]}" if "schema" in answer else "no schema"
        return f"its snapshot has {theirs}, this collection reads {snapshot_request.SCHEMA}: another version of node_snapshot ran there, or none"
    return None


def _summary(file: str, why: str | None, answer: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "changed": False,
        "answered": answer is not None,
        "why": why,
        "file": file,
        "complete": answer is not None and answer.get("complete") is True,
        "missing": _gaps(answer.get("missing")) if answer else [{"what": "the node", "why": why}],
    }


def _gaps(missing: Any) -> list[dict[str, str]]:
    """What a play may want to print; all of it is in the file."""
    gaps = missing if isinstance(missing, list) else []
    told = [gap for gap in gaps[:_GAPS] if isinstance(gap, dict)]
    return [{key: str(gap.get(key))[:_GAP_CHARACTERS] for key in ("what", "why")} for gap in told]
