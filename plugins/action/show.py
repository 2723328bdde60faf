# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints a heading and a list, for a person who watches a fix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible.utils.display import Display

from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import LocalAction, folder
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_lines import wrap

_REPORT = "report.txt"
_LONGEST = 1500  # characters of one item: a full id, a full name and a reason with another of each


class ActionModule(LocalAction):
    """See plugins/modules/show.py."""

    ARGUMENTS = {  # noqa: RUF012 - read only, as in every action plugin
        "heading": {"type": "str", "required": True},
        "items": {"type": "list", "elements": "str", "default": []},
        "commands": {"type": "list", "elements": "str", "default": []},
        "bundle": {"type": "path"},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Print it whatever display_ok_hosts says: this is no result of a task, but what the task is for."""
        lines = laid_out(arguments["heading"], arguments["items"], arguments["commands"])
        # In one piece: hosts that are shown at the same time would mix their lines.
        Display().display("\n".join(lines))
        if arguments["bundle"]:
            _append(folder(arguments["bundle"]) / _REPORT, lines)
        return {"lines": lines}


def _append(report: Path, lines: Sequence[str]) -> None:
    """In one write, since hosts are shown at the same time. Raises BundleError."""
    try:
        with report.open("ab", buffering=0) as file:
            file.write(("\n" + "\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise BundleError(f"{report} could not be written: {error.strerror}") from error


def laid_out(heading: str, items: Sequence[str], commands: Sequence[str] = ()) -> list[str]:
    """Lines of the report's width; what comes from a node can neither break a line nor move the cursor. A command is copied, so it is one line."""
    return [
        *wrap(clean(heading), "", "  "),
        *(line for item in items for line in wrap(clean(item, _LONGEST), "  - ", "    ")),
        *(f"    # {clean(command, _LONGEST)}" for command in commands),
    ]
