# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a port of the ephemeral range was drawn: earlier audits tell when its program had the same one at another start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import origin_words
from ansible_collections.kubenode.doctor.plugins.plugin_utils import section_gaps
from ansible_collections.kubenode.doctor.plugins.plugin_utils.misshapen import MISSHAPEN

_SECTION = "listener_origin"
_MOST = 5  # audits that are looked back at: each costs a tenth of what judging a host costs

Socket = Mapping[str, Any]
Sections = Mapping[str, Any]
Ports = dict[tuple[str, str], set[tuple[int, str]]]


class KeptPorts:
    """The earlier audits of one host, the latest first; each is read when a listener needs it, and little of it is kept."""

    def __init__(self, now: Sections, before: Iterator[Sections]) -> None:
        self._boot = _boot(now)
        self._before = islice(before, _MOST)
        self._read: list[Ports] = []

    def holds(self, socket: Socket) -> bool:
        """True for a listener (listener_origin's) whose program had this port before its last start: it was not drawn.

        The last start but one decides: whoever had another port then draws it.
        """
        life = _life(socket, self._boot)
        if not life:
            return False
        for ports in self._audits():
            others = {port for port, other in ports.get(_program(socket), ()) if not _is_same(other, life)}
            if others:
                return socket["port"] in others
        return False

    def _audits(self) -> Iterator[Ports]:
        yield from self._read
        for sections in self._before:
            self._read.append(_ports(sections))
            yield self._read[-1]


def _ports(sections: Sections) -> Ports:
    """Which ports the programs had, and when each was started; nothing where an audit cannot tell."""
    found: Ports = {}
    if section_gaps.gap(sections, _SECTION):
        return found
    boot = _boot(sections)
    try:
        for socket in sections[_SECTION]["listeners"]:
            life = _life(socket, boot)
            if life:
                found.setdefault(_program(socket), set()).add((socket["port"], life))
    except MISSHAPEN:
        return {}
    return found


def _program(socket: Socket) -> tuple[str, str]:
    return socket["protocol"], str((socket["owner"] or {}).get("name") or "")


def _life(socket: Socket, boot: str) -> str:
    """What is another one after each start; empty where it was not seen. The kernel's own sockets last as long as it."""
    if not socket["processes"]:
        return boot if socket["hidden"] is False else ""
    return str((socket["owner"] or {}).get("started") or "")


def _is_same(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return origin_words.same_start(one, other)
    except (TypeError, ValueError):  # boots, and what is no time at all
        return False


def _boot(sections: Sections) -> str:
    host = sections.get("host")
    return str((host.get("boot_id") if isinstance(host, dict) else None) or "")
