# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An entry of the journal, as `journalctl --output=json` prints it on a line.

    {"__REALTIME_TIMESTAMP":"1616418333780814","_PID":"812","_SYSTEMD_UNIT":"kubelet.service","MESSAGE":"Error syncing pod …"}

A value is a string, or null where it is too large without --all, or an array of numbers, its bytes, where it is no UTF-8 or holds
control characters. A field that an entry has several times is an array of such values. Fields whose names begin with "_" were added
by journald and can be trusted as far as the journal itself can; all others are what some process said.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import kube_container
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import JOURNAL, KERNEL, POD, Origin, PodLog

# What is needed of an entry; the time is always printed.
FIELDS = (
    "MESSAGE",
    "_SYSTEMD_UNIT",
    "_SYSTEMD_INVOCATION_ID",
    "_PID",
    "UNIT",
    "INVOCATION_ID",
    "_TRANSPORT",
    "CONTAINER_NAME",
)
INIT = "init.scope"  # the unit of systemd itself, which systemd before 226 does not name
_INIT_PID = "1"
_INVOCATION = re.compile(r"[0-9a-f]{32}")
_MICROSECONDS = re.compile(r"[0-9]{1,17}")


class Entry(NamedTuple):
    """``unit`` is the one that it comes from, or that systemd tells of; ``invocation`` the run of it, 32 hex digits."""

    when: Optional[float]
    unit: Optional[str]
    invocation: Optional[str]
    message: str
    origin: Origin


def parse(line: bytes) -> Entry:
    """What a line says. Raises ValueError for what is no entry."""
    try:
        told = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(told, dict):
        raise ValueError("not an object")
    unit, invocation = _text(told, "_SYSTEMD_UNIT"), _text(told, "_SYSTEMD_INVOCATION_ID")
    if told.get("_PID") == _INIT_PID:
        unit, invocation = _text(told, "UNIT") or INIT, _text(told, "INVOCATION_ID")
    return Entry(
        when=_when(told.get("__REALTIME_TIMESTAMP")),
        unit=unit,
        invocation=invocation if invocation and _INVOCATION.fullmatch(invocation) else None,
        message=_message(told.get("MESSAGE")),
        origin=_origin(told, unit),
    )


def _text(told: dict[str, Any], name: str) -> Optional[str]:
    value = told.get(name)
    return _whole(value) if isinstance(value, str) else None


def _whole(text: str) -> str:
    """Without halves of characters, which JSON may hold and UTF-8 may not."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _when(value: Any) -> Optional[float]:
    return int(value) / 1e6 if isinstance(value, str) and _MICROSECONDS.fullmatch(value) else None


def _message(value: Any) -> str:
    """The words of an entry; of one that has several messages the first, in which alone journalctl searches; perhaps none."""
    if isinstance(value, list) and value and not _is_bytes(value):
        return _words(value[0])
    return _words(value)


def _words(value: Any) -> str:
    if isinstance(value, str):
        return _whole(value)
    return bytes(value).decode("utf-8", "replace") if isinstance(value, list) and _is_bytes(value) else ""


def _is_bytes(value: list[Any]) -> bool:
    return all(isinstance(byte, int) and 0 <= byte <= 255 for byte in value)


def _origin(told: dict[str, Any], unit: Optional[str]) -> Origin:
    """Where an entry is from.

    dockerd's log driver "journald" writes what containers say as entries of docker.service, with the container's name in
    CONTAINER_NAME: these are the words of a pod, or of nobody who matters here, but never Docker's.
    """
    if told.get("_TRANSPORT") == "kernel":
        return Origin(KERNEL)
    name = told.get("CONTAINER_NAME")
    if not isinstance(name, str):
        return Origin(JOURNAL, unit)
    whose = kube_container.parse_name(name)
    if whose is None:
        return Origin(JOURNAL)
    return Origin(POD, None, PodLog(whose.namespace, whose.pod, whose.pod_uid, whose.container, whose.attempt))
