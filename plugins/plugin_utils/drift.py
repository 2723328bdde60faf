# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What listens on a host that did not before: two sections listen_ports, compared by what stays the same of a listener. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import reach
from ansible_collections.kubenode.doctor.plugins.plugin_utils import fixed_ports, section_gaps
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import missing

Socket = dict[str, Any]
Sections = Mapping[str, Any]


class Drift(NamedTuple):
    """``appeared`` was not there before; of ``unsure`` that cannot be told, because then or now something was hidden or cut off.

    ``ephemeral`` of these is False too for a listener whose port lies in the ephemeral range and is set.
    """

    appeared: list[Socket]
    unsure: list[Socket]


class _Identity(NamedTuple):
    """What a listener is: an address of this kind, held by programs of these names; ``port`` is None for one that is drawn anew."""

    protocol: str
    reach: str
    port: int | None


def between(before: Sections, now: Sections) -> Drift:
    """Compare what listened ``before`` with what does ``now``."""
    known: dict[_Identity, list[frozenset[str]]] = {}
    for socket in _waiting(before):
        # By its number too: when the ephemeral range was changed, the same port has become a drawn one, or a fixed one.
        for identity in (_identity(socket, before), _place(socket)):
            known.setdefault(identity, []).append(_names(socket))
    cut = bool(missing(before["listen_ports"], "listeners", "sockets"))
    found = Drift([], [])
    for socket in _waiting(now):
        names, there = _names(socket), known.get(_place(socket), [])
        same = known.get(_identity(socket, now), [])
        if any(names & others for others in (*same, *there)):
            continue
        if there and (not names or frozenset() in there):
            continue  # the very port is still open, and then or now nobody could see whose it is
        nameless = not names or frozenset() in same
        unsure = cut or (nameless and same) or socket["ephemeral"] is None
        (found.unsure if unsure else found.appeared).append({**socket, "ephemeral": _is_drawn(socket, now)})
    return found


def _waiting(sections: Sections) -> Iterator[Socket]:
    """Yield what waits for others: no socket that is only bound, and no client's UDP socket on a random port."""
    for socket in sections["listen_ports"]["listeners"]:
        if socket["state"] == "listen" or (socket["state"] == "unconnected" and not socket["ephemeral"]):
            yield socket


def _identity(socket: Socket, sections: Sections) -> _Identity:
    return _place(socket)._replace(port=None if _is_drawn(socket, sections) else socket["port"])


def _place(socket: Socket) -> _Identity:
    return _Identity(socket["protocol"], reach.of(socket["address"]), socket["port"])


def _is_drawn(socket: Socket, sections: Sections) -> bool:
    readable = not section_gaps.gap(sections, "port_settings")
    return bool(socket["ephemeral"]) and not fixed_ports.is_fixed(dict(sections) if readable else {}, socket)


def _names(socket: Socket) -> frozenset[str]:
    """Whose it is; empty where that was not seen. A known component keeps its name when its program gets another."""
    names = {process["name"] for process in socket["processes"] if process["name"]}
    return frozenset(names | ({socket["known_as"]["component"]} if socket["known_as"] else set()))
