# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the findings of a bundle in the forms that are wanted, stores them beside the findings and shows the text."""

from __future__ import annotations

from typing import Any

from ansible.utils.display import Display

from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle, findings_file, metrics_file, no_collector
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import LocalAction, folder
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_forms import FORMS, PROMETHEUS, TEXT

_COLOURS = {"CRITICAL": "red", "WARNING": "yellow", "INFO": "cyan"}


class ActionModule(LocalAction):
    """See plugins/modules/report.py."""

    ARGUMENTS = {  # noqa: RUF012 - read only, as in every action plugin
        "bundle": {"type": "path"},
        "forms": {"type": "list", "elements": "str", "choices": list(FORMS), "default": []},
        "metrics_file": {"type": "path"},
        "show": {"type": "bool", "default": True},
    }

    @no_collector.paused()
    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Write the files; print the text line by line, so that it reads as text and not as a task's result.

        Without a bundle, only the other options are checked.
        """
        metrics = folder(arguments["metrics_file"]) if arguments["metrics_file"] else None
        if metrics is not None:
            metrics_file.check(metrics)
        if arguments["bundle"] is None:
            return {}
        path = folder(arguments["bundle"])
        document = findings_file.read(path)
        files = {}
        for name in dict.fromkeys([TEXT, *arguments["forms"]]):
            text = FORMS[name].render(document, str(path))
            files[name] = str(path / FORMS[name].file)
            bundle.write_text(path / FORMS[name].file, text)
            if name == TEXT and arguments["show"]:
                _show(text)
        if metrics is not None:
            metrics_file.write(metrics, FORMS[PROMETHEUS].render(document, str(path)))
        others = [clean(file, 5000) for name, file in files.items() if name != TEXT]
        if others and arguments["show"]:
            Display().display("\n".join(f"written too: {file}" for file in others))
        return {"file": files[TEXT], "files": files, "metrics_file": str(metrics) if metrics else None}


def _show(text: str) -> None:
    display = Display()
    for line in text.splitlines():
        colour = next((colour for word, colour in _COLOURS.items() if f"{word}:" in line), None)
        display.display(line, color=colour)
