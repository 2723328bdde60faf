# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the findings of a bundle in the forms that are wanted, stores them beside the findings and shows the text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.utils.display import Display

from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle, judge
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import LocalAction, folder
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_forms import FORMS, TEXT

_COLOURS = {"CRITICAL": "red", "WARNING": "yellow", "INFO": "cyan"}


class ActionModule(LocalAction):
    """See plugins/modules/report.py."""

    ARGUMENTS = {  # noqa: RUF012 - read only, as in every action plugin
        "bundle": {"type": "path", "required": True},
        "forms": {"type": "list", "elements": "str", "choices": list(FORMS), "default": []},
        "show": {"type": "bool", "default": True},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Write the files; print the text line by line, so that it reads as text and not as a task's result."""
        path = folder(arguments["bundle"])
        document = _findings(path / "findings.json")
        files = {}
        for name in dict.fromkeys([TEXT, *arguments["forms"]]):
            text = FORMS[name].render(document, str(path))
            files[name] = str(path / FORMS[name].file)
            bundle.write_text(path / FORMS[name].file, text)
            if name == TEXT and arguments["show"]:
                _show(text)
        return {"file": files[TEXT], "files": files}


def _findings(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise bundle.BundleError(f"{path} cannot be read, judge the bundle first: {error}") from error
    if not isinstance(document, dict) or document.get("schema") != judge.SCHEMA:
        raise bundle.BundleError(f"{path} holds no findings of this version: judge the bundle again")
    return document


def _show(text: str) -> None:
    display = Display()
    for line in text.splitlines():
        colour = next((colour for word, colour in _COLOURS.items() if f"{word}:" in line), None)
        display.display(line, color=colour)
