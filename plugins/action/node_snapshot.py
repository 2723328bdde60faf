# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name and stores what it returns in a bundle."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.kubenode.doctor.plugins.module_utils import snapshot
from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import folder

_OWN_OPTIONS = ("bundle", "answer_seconds")
_QUOTED_CHARACTERS = 200  # of what a node printed in place of an answer


class ActionModule(ActionBase):
    """See plugins/modules/node_snapshot.py."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Without a bundle the module's result is returned as it is."""
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _valid, arguments = self.validate_argument_spec(argument_spec=snapshot.ARGUMENTS)
        _check(arguments)
        options = {key: value for key, value in arguments.items() if key not in _OWN_OPTIONS}
        if not arguments["bundle"]:
            return self._ask(options, task_vars)
        try:
            return self._store(arguments, task_vars["inventory_hostname"], options, task_vars)
        except bundle.BundleError as error:
            raise AnsibleActionFail(str(error)) from None

    def _ask(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="kubenode.doctor.node_snapshot", module_args=options, task_vars=task_vars
        )
        return result

    def _store(
        self, arguments: dict[str, Any], host: str, options: dict[str, Any], task_vars: dict[str, Any]
    ) -> dict[str, Any]:
        path = folder(arguments["bundle"])
        try:
            with _alarm(arguments["answer_seconds"]):
                result = self._ask(options, task_vars)
        except (AnsibleError, _LateError) as error:
            # A lost connection is an answer too: the report has to name this host.
            result = {"failed": True, "msg": str(error)}
        answer = result.get("snapshot")
        if result.get("failed") or not isinstance(answer, dict) or not isinstance(answer.get("sections"), dict):
            why = _why_useless(result)
            return _summary(str(bundle.write_silence(path, host, why)), why, None)
        return _summary(str(bundle.write_answer(path, host, answer)), None, answer)


def _check(arguments: dict[str, Any]) -> None:
    """What would fail in the same words on every node is the operator's mistake, not a node's silence."""
    try:
        snapshot.wanted_ports(arguments)
    except ValueError as error:
        raise AnsibleActionFail(str(error)) from None
    if arguments["answer_seconds"] < 1:
        raise AnsibleActionFail(f"answer_seconds: {arguments['answer_seconds']} is less than 1")
    if arguments["bundle"] and arguments["sample_seconds"] >= arguments["answer_seconds"]:
        words = "sample_seconds: {sample_seconds:g} is not less than answer_seconds, {answer_seconds}: no node could answer in time"
        raise AnsibleActionFail(words.format(**arguments))


def _why_useless(result: dict[str, Any]) -> str:
    """Why an answer cannot be used, with what the node printed instead: the end of its errors, else the beginning."""
    why = str(result.get("msg") or "the node's answer held no snapshot")
    errors, printed = (str(result.get(name) or "").strip() for name in ("module_stderr", "module_stdout"))
    if errors:  # its end tells, its beginning may be ssh's
        return f"{why}; the node's last words: {errors[-_QUOTED_CHARACTERS:]}"
    if printed:
        return f"{why}; the node printed: {printed[:_QUOTED_CHARACTERS]}"
    return f"{why}; the node printed nothing" if "module_stdout" in result else why


class _LateError(Exception):
    """The node took longer than answer_seconds."""


@contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    """Raise _LateError after so many seconds, as Ansible's own task timeout does; an outer one stays in force."""

    def ring(_number: int, _frame: Any) -> None:
        raise _LateError(f"no answer within {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    left = signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(left)
        signal.signal(signal.SIGALRM, before)


def _summary(file: str, why: str | None, answer: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "changed": False,
        "answered": answer is not None,
        "why": why,
        "file": file,
        "complete": bool(answer and answer.get("complete")),
        "missing": answer.get("missing", []) if answer else [{"what": "the node", "why": why}],
    }
