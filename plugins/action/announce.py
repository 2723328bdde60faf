# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells a webhook, a command or both of the critical findings that they were not told of."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import announcement, bundle, delivery, findings_file
from ansible_collections.kubenode.doctor.plugins.plugin_utils.delivery import DeliveryError
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import LocalAction, folder
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import SettingsError

Send = Callable[[Mapping[str, Any]], None]


class ActionModule(LocalAction):
    """See plugins/modules/announce.py."""

    ARGUMENTS = {  # noqa: RUF012 - read only, as in every action plugin
        "bundle": {"type": "path"},
        "webhook_file": {"type": "path"},
        "command": {"type": "list", "elements": "str", "default": []},
        "seconds": {"type": "float", "default": 20},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Tell each way of its own; what one of them cannot deliver is no reason not to use the other. Without a bundle, only look at the ways."""
        _check(arguments)
        if arguments["bundle"] is None:
            return {}
        audit = folder(arguments["bundle"])
        document = findings_file.read(audit)
        now = datetime.datetime.now(datetime.timezone.utc)
        file = audit.parent / announcement.FILE
        told, problems = _read(file)
        ways = _ways(arguments)
        announced: dict[str, int] = {}
        for way, send in ways.items():
            known = announcement.still(told.get(way, {}), document, now)
            new = announcement.untold(document, known)
            announced[way] = 0
            try:
                if new and not self._task.check_mode:
                    send(announcement.message(document, new, str(audit)))
                    announced[way], known = len(new), announcement.with_told(known, new, now.isoformat("T", "seconds"))
            except DeliveryError as error:
                problems.append(f"{len(new)} critical findings could not be announced ({way}): {error}")
            told[way] = known
        if ways and not self._task.check_mode:
            bundle.write(file, {"schema": announcement.SCHEMA, "told": {way: told[way] for way in ways}})
        return {
            "critical": len(announcement.critical(document)),
            "announced": announced,
            "problems": problems,
            "file": str(file) if ways else None,
        }


def _check(arguments: Mapping[str, Any]) -> None:
    try:
        delivery.check_seconds(arguments["seconds"])
        # With a bundle, what is wrong with one way is a problem of that one alone.
        if arguments["webhook_file"] and arguments["bundle"] is None:
            delivery.read_webhook(folder(arguments["webhook_file"]))
        if arguments["command"] and arguments["bundle"] is None:
            delivery.check_command(arguments["command"])
    except DeliveryError as error:
        raise SettingsError(f"announcements: {error}") from error


def _ways(arguments: Mapping[str, Any]) -> dict[str, Send]:
    ways: dict[str, Send] = {}
    seconds = arguments["seconds"]
    if arguments["webhook_file"]:
        file = folder(arguments["webhook_file"])
        ways["webhook"] = lambda message: delivery.post(delivery.read_webhook(file), message, seconds)
    if arguments["command"]:
        ways["command"] = lambda message: delivery.run(arguments["command"], message, seconds)
    return ways


def _read(file: Path) -> tuple[dict[str, announcement.Told], list[str]]:
    """What was told until now, and why it is not known. Telling twice is better than not telling."""
    if not file.exists():
        return {}, []
    try:
        return announcement.read_told(json.loads(file.read_bytes())), []
    except (OSError, ValueError, RecursionError, AttributeError) as error:
        return {}, [
            f"{file} cannot be used ({type(error).__name__}: {error}): it is written anew, and all is told again"
        ]
