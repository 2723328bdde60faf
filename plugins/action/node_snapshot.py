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

from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import folder

_OWN_OPTIONS = ("bundle", "answer_seconds")
_DEFAULT_ANSWER_SECONDS = 120


class ActionModule(ActionBase):
    """See plugins/modules/node_snapshot.py."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Without a bundle the module's result is returned as it is."""
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        options = {key: value for key, value in self._task.args.items() if key not in _OWN_OPTIONS}
        target = self._task.args.get("bundle")
        if not target:
            return self._ask(options, task_vars)
        try:
            return self._store(str(target), task_vars["inventory_hostname"], options, task_vars)
        except bundle.BundleError as error:
            raise AnsibleActionFail(str(error)) from error

    def _ask(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="kubenode.doctor.node_snapshot", module_args=options, task_vars=task_vars
        )
        return result

    def _store(self, target: str, host: str, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        path = folder(target)
        seconds = int(self._task.args.get("answer_seconds") or _DEFAULT_ANSWER_SECONDS)
        try:
            with _alarm(seconds):
                result = self._ask(options, task_vars)
        except (AnsibleError, _LateError) as error:
            # A lost connection is an answer too: the report has to name this host.
            result = {"failed": True, "msg": str(error)}
        answer = result.get("snapshot")
        if result.get("failed") or not isinstance(answer, dict) or not isinstance(answer.get("sections"), dict):
            why = str(result.get("msg") or "the node's answer held no snapshot")
            return _summary(str(bundle.write_silence(path, host, why)), why, None)
        return _summary(str(bundle.write_answer(path, host, answer)), None, answer)


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
