# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a module on a node, which may hang, flood the controller, or say what a terminal should not be told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.kubenode.doctor.plugins.plugin_utils import answer_bounds
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

ANSWER_SECONDS = 120  # beyond what a module may take itself: to reach the node, to start there, and to be read
LONGEST_SECONDS = 3600  # docker_stale_names removes one container after the other, and sets itself no time
_QUOTED_CHARACTERS = 200  # of what a node printed in place of an answer
_REASON_CHARACTERS = 2000  # Ansible's own reasons have a few hundred, with ssh's words; a node may send any
_LOOKED_AT = 100_000  # with -vvv
# What Ansible prints as it is; with_last_words tells what is worth it.
_PRINTED = frozenset({"exception", "warnings", "deprecations", "module_stdout", "module_stderr"})
# What Ansible does with a result, or leaves undone.
_HEEDED = frozenset({"ansible_facts", "skipped", "unreachable"})
_DISCOVERED = "discovered_interpreter_"  # ansible/executor/interpreter_discovery.py
# The nodes' Python is too old for these: what it says of our sources then (Python 3.6 and 3.7).
_TOO_OLD = (
    "future feature annotations is not defined",
    "cannot import name 'Protocol' from 'typing'",
    "import_controller_module(",  # ansible-core's own, since 2.19
)


class NodeAction(ActionBase):
    """An action plugin of a module that runs on nodes."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def asked(self, module: str, options: dict[str, Any], task_vars: dict[str, Any], seconds: float) -> dict[str, Any]:
        """What a module says that may take ``seconds`` itself. Raises AnsibleActionFail where the node keeps no bounds (answer_bounds)."""
        try:
            with safe_warnings(), answer_bounds.bounded(self._connection, int(seconds) + ANSWER_SECONDS):
                result = self._execute_module(
                    module_name=f"kubenode.doctor.{module}",
                    module_args=options,
                    task_vars=task_vars,
                    wrap_async=bool(self._task.async_val),
                )
        except answer_bounds.BoundsError as error:
            raise AnsibleActionFail(f"the node's answer was not waited for: {error}") from None
        except AnsibleError:
            raise
        except Exception as error:  # what Ansible does not expect of a node
            why = f"the node's answer could not be read: {type(error).__name__}: {error}"
            raise AnsibleActionFail(clean(why, _REASON_CHARACTERS)) from None
        told = {key: value for key, value in result.items() if key not in _PRINTED | _HEEDED}
        found = _discovered(result.get("ansible_facts"))
        if found:
            told["ansible_facts"] = found
        if result.get("failed"):
            for name in sorted(_PRINTED & result.keys()):
                Display().vvv(f"{module}, {name}: {clean(str(result[name]), _LOOKED_AT)}")
            told["msg"] = clean(why_failed(result), 2 * _REASON_CHARACTERS)
        return told


class OnNode(NodeAction):
    """The action plugin of a module of the same name that needs nothing of the controller."""

    _supports_async = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the module returns."""
        super().run(tmp, task_vars)
        module = type(self).__module__.rpartition(".")[2]
        try:
            return self.asked(module, self._task.args, task_vars or {}, LONGEST_SECONDS)
        except AnsibleActionFail as error:  # as a result, for which a task's failed_when holds with each ansible-core
            return {"failed": True, "msg": str(error)}


@contextmanager
def safe_warnings() -> Iterator[None]:
    """Ansible warns of an answer that is odd, in the node's own words."""
    display = Display()
    warning = display.warning
    display.warning = lambda msg, *rest, **named: warning(clean(str(msg), _REASON_CHARACTERS), *rest, **named)
    try:
        yield
    finally:
        del display.warning


def _discovered(facts: Any) -> dict[str, Any]:
    """The interpreter that Ansible itself has found, so that it is not looked for again. What a module says of it Ansible has taken away."""
    if not isinstance(facts, dict):
        return {}
    return {key: value for key, value in facts.items() if key.startswith(_DISCOVERED)}


def why_failed(result: dict[str, Any], otherwise: str = "the module failed, and did not say why") -> str:
    """Why a module failed, with what the node printed instead of an answer: the end of its errors, else the beginning. It is not safe to print."""
    why = str(result.get("msg") or otherwise)
    why = why if len(why) <= _REASON_CHARACTERS else f"{why[:_REASON_CHARACTERS]}…"
    errors, printed = (str(result.get(name) or "").strip() for name in ("module_stderr", "module_stdout"))
    if any(words in errors or words in printed for words in _TOO_OLD):
        why = f"its Python is too old, 3.8 or newer is needed (ansible_python_interpreter says which is used): {why}"
    if errors:  # its end tells, its beginning may be ssh's
        return f"{why}; the node's last words: {errors[-_QUOTED_CHARACTERS:]}"
    if printed:
        return f"{why}; the node printed: {printed[:_QUOTED_CHARACTERS]}"
    return f"{why}; the node printed nothing" if "module_stdout" in result else why
