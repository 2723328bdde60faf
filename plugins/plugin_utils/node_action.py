# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a module on a node, which may hang, flood the controller, or say what a terminal should not be told."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.kubenode.doctor.plugins.plugin_utils import answer_bounds
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

ANSWER_SECONDS = 120  # beyond what a module may take itself: to reach the node, to start there, and to be read
OTHER_SECONDS = 600  # of a module, beyond what its options give it
NOT_OURS = "the node's answer is none that the module gives: something there has changed it"
_TIDY_SECONDS = 30  # to remove the folder of a module's files, if there is one
_OPTIONS_OF_TIME = ("budget_seconds", "sample_seconds", "timeout", "wait_seconds")
_QUOTED_CHARACTERS = 200  # of what a node printed in place of an answer
_REASON_CHARACTERS = 2000  # Ansible's own reasons have a few hundred, with ssh's words; a node may send any
_LOOKED_AT = 100_000  # with -vvv
# What Ansible prints as it is; why_failed tells what is worth it.
_PRINTED = ("deprecations", "exception", "module_stderr", "module_stdout", "warnings")
_IN_LINE = re.compile(r"[^\n\t]+")
_DIFF_PARTS = ("before", "before_header", "after", "after_header", "prepared")  # CallbackBase._get_diff
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

    def execute(
        self, module: str, options: Mapping[str, Any], task_vars: dict[str, Any], seconds: int
    ) -> dict[str, Any]:
        """All that a module says, waited for ``seconds`` altogether. Raises BoundsError, and whatever Ansible raises."""
        with _safe_warnings(), answer_bounds.bounded(self._connection, seconds):
            result: dict[str, Any] = self._execute_module(
                module_name=f"kubenode.doctor.{module}", module_args=dict(options), task_vars=task_vars
            )
        return result

    def asked(
        self, module: str, options: Mapping[str, Any], task_vars: dict[str, Any], seconds: float
    ) -> dict[str, Any]:
        """What a module says that may take ``seconds`` itself: what its RETURN documents, ``changed``, and ``failed`` with ``msg``.

        All else Ansible would heed or print. Raises AnsibleActionFail where the node keeps no bounds (answer_bounds), or its answer cannot be read.
        """
        try:
            result = self.execute(module, options, task_vars, int(seconds) + ANSWER_SECONDS)
        except answer_bounds.BoundsError as error:
            raise AnsibleActionFail(f"the node's answer was not waited for: {error}") from None
        except AnsibleConnectionFailure as error:  # with ssh's words
            raise AnsibleConnectionFailure(clean(str(error), _REASON_CHARACTERS)) from None
        except AnsibleError as error:
            raise AnsibleActionFail(clean(str(error), _REASON_CHARACTERS)) from None
        except Exception as error:  # what Ansible does not expect of a node
            why = f"the node's answer could not be read: {type(error).__name__}: {error}"
            raise AnsibleActionFail(clean(why, _REASON_CHARACTERS)) from None
        told = _told(module, result)
        if result.get("failed"):
            for name in _PRINTED:
                if name in result:
                    Display().vvv(f"{module}, {name}: {clean(str(result[name]), _LOOKED_AT)}")
            told.update(failed=True, msg=clean(why_failed(result), 2 * _REASON_CHARACTERS))
        return told

    def cleanup(self, force: bool = False) -> None:
        """As Ansible does when a task has ended, for so long only: the node's shell is asked again."""
        with suppress(answer_bounds.BoundsError), answer_bounds.bounded(self._connection, _TIDY_SECONDS):
            super().cleanup(force)


class OnNode(NodeAction):
    """The action plugin of a module of the same name that needs nothing of the controller."""

    seconds: float = OTHER_SECONDS

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the module returns."""
        super().run(tmp, task_vars)
        module = type(self).__module__.rpartition(".")[2]
        seconds = self.seconds + seconds_of(self._task.args)
        try:
            return self.asked(module, self._task.args, task_vars or {}, seconds)
        except AnsibleActionFail as error:  # as a result, for which a task's failed_when holds with each ansible-core
            return {"failed": True, "msg": str(error)}


@contextmanager
def _safe_warnings() -> Iterator[None]:
    """Ansible warns of an answer that is odd, in the node's own words."""
    display = Display()
    warning = display.warning
    display.warning = lambda msg, *rest, **named: warning(clean(str(msg), _REASON_CHARACTERS), *rest, **named)
    try:
        yield
    finally:
        del display.warning


def seconds_of(options: Mapping[str, Any]) -> float:
    """What the options give a module; of one that is no number the module itself will tell."""
    total = 0.0
    for name in _OPTIONS_OF_TIME:
        with suppress(TypeError, ValueError, OverflowError):
            total += int(float(options.get(name) or 0))
    return total


def _told(module: str, result: Mapping[str, Any]) -> dict[str, Any]:
    documented = importlib.import_module(f"ansible_collections.kubenode.doctor.plugins.modules.{module}").RETURN
    told = {key: result[key] for key in yaml.safe_load(documented) if key in result}
    if not told and not result.get("failed"):
        raise AnsibleActionFail(NOT_OURS)
    if "changed" in result:
        told["changed"] = result["changed"] is True
    diff = result.get("diff")
    diffs = [_safe_diff(entry) for entry in (diff if isinstance(diff, list) else [diff]) if isinstance(entry, dict)]
    if diffs:
        told["diff"] = diffs
    facts = result.get("ansible_facts")
    if isinstance(facts, dict):
        # What Ansible itself has found, so that it is not looked for again. What a module says of it Ansible has taken away.
        told["ansible_facts"] = {name: facts[name] for name in facts if name.startswith(_DISCOVERED)}
    return told


def _safe_diff(entry: Mapping[str, Any]) -> dict[str, str]:
    """Printed as it is with --diff."""
    parts = {name: entry[name] for name in _DIFF_PARTS if isinstance(entry.get(name), str)}
    return {name: _IN_LINE.sub(lambda found: clean(found[0], _LOOKED_AT), text) for name, text in parts.items()}


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
