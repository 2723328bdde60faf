# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What listens on a host that did not before, and what does no more: two sections listen_ports, compared by what stays the same of a listener. Pure.

A listener is held by a program of a name in a unit, a container or a pod. Its port is compared too, unless the kernel draws it: of such ports it is
counted how many a program has. On fewer addresses than before is no news, on more is: each reach includes the ones below it.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import cgroup, reach
from ansible_collections.kubenode.doctor.plugins.plugin_utils import fixed_ports, section_gaps
from ansible_collections.kubenode.doctor.plugins.plugin_utils.misshapen import MISSHAPEN
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import missing

Socket = dict[str, Any]
Sections = Mapping[str, Any]

_WIDTH = {reach.LOOPBACK: 0, reach.ADDRESS: 1, reach.EVERYWHERE: 2}


class Change(enum.Enum):
    """What is new of a listener."""

    OPENED = "its program did not have this port, nor one like it"
    MORE = "its program has more random ports than it had"
    WIDER = "the port was open on fewer addresses"


class Appeared(NamedTuple):
    """A listener that was not there before; its ``ephemeral`` is False too where the port lies in the ephemeral range and is set."""

    socket: Socket
    change: Change


class Drift(NamedTuple):
    """``appeared`` was not there before; of ``unsure`` that cannot be told, because then or now something was hidden or cut off.

    ``closed`` was there before and certainly is not now.
    """

    appeared: list[Appeared]
    unsure: list[Socket]
    closed: list[Socket]


class _Owner(NamedTuple):
    """Who holds a socket. Without ``programs`` none was seen; ``groups`` are then what its cgroup tells, if anything.

    A known component is a program too, and keeps its name when its program gets another.
    """

    programs: frozenset[tuple[str, str]]
    groups: frozenset[str]

    @property
    def is_seen(self) -> bool:
        return bool(self.programs or self.groups)

    def keys(self) -> Iterator[tuple[str, ...]]:
        """Under what a listener of this owner is kept."""
        yield from (("program", *program) for program in self.programs)
        for group in self.groups:
            yield ("group", group)
            if not self.programs:
                yield ("only group", group)

    def wanted(self) -> Iterator[tuple[str, ...]]:
        """Under what listeners of the same owner are found."""
        yield from (("program", *program) for program in self.programs)
        yield from (("only group" if self.programs else "group", group) for group in self.groups)

    def is_same(self, other: _Owner) -> bool:
        return not set(self.wanted()).isdisjoint(other.keys())


_KERNEL = _Owner(frozenset({("", "the kernel")}), frozenset())


@dataclass
class _Port:
    """A port that somebody listened on before, by one of the sockets; ``width`` is that of the widest of them."""

    socket: Socket
    owner: _Owner
    width: int
    drawn: bool
    is_there: bool = False  # still, or again on another number


class _Group(NamedTuple):
    """Listeners on drawn ports between which nothing tells apart but the number."""

    protocol: str
    owner: _Owner
    width: int


def between(before: Sections, now: Sections) -> Drift:
    """Compare what listened ``before`` with what does ``now``."""
    known = _Known(before)
    changes: dict[int, Change | None] = {}  # by the socket's id(); None where it cannot be told
    drawn: dict[tuple[str, _Owner, int], list[Socket]] = {}
    sockets = list(_waiting(now))
    for socket in sockets:
        owner = _owner(socket)
        change = known.change_at(socket, owner)
        if change is Change.OPENED and socket["ephemeral"] is None:
            changes[id(socket)] = None
        elif change is Change.OPENED and _is_drawn(socket, now):
            drawn.setdefault((socket["protocol"], owner, socket["port"]), []).append(socket)
        elif change:
            changes[id(socket)] = change
    groups: dict[_Group, list[list[Socket]]] = {}
    for (protocol, owner, _number), port in drawn.items():
        groups.setdefault(_Group(protocol, owner, max(map(_width, port))), []).append(port)
    for group, change in known.changes_among({group: len(ports) for group, ports in groups.items()}):
        changes.update((id(socket), change) for port in groups[group] for socket in port)
    found = Drift([], [], known.closed(now))
    for socket in sockets:
        if id(socket) not in changes:
            continue
        told, change = {**socket, "ephemeral": _is_drawn(socket, now)}, changes[id(socket)]
        if change is None or known.is_cut:
            found.unsure.append(told)
        else:
            found.appeared.append(Appeared(told, change))
    return found


def why_unreadable(sections: Sections) -> str:
    """Why nothing can be compared with these sections; empty where it can."""
    try:
        _Known(sections)
    except MISSHAPEN as error:
        return (
            f"the section listen_ports is not of the form that node_snapshot returns ({type(error).__name__}: {error})"
        )
    return ""


@dataclass
class _Known:
    """What listened before."""

    sections: Sections
    is_cut: bool = field(init=False)
    _ports: dict[tuple[str, int], dict[_Owner, _Port]] = field(default_factory=dict, init=False)
    _drawn: dict[tuple[str, int, tuple[str, ...]], list[_Port]] = field(default_factory=dict, init=False)
    _is_vague: bool = False  # it was not known which ports are drawn

    def __post_init__(self) -> None:
        self.is_cut = bool(missing(self.sections["listen_ports"], "listeners", "sockets"))
        for socket in _waiting(self.sections):
            self._is_vague = self._is_vague or socket["ephemeral"] is None
            owner, width = _owner(socket), _width(socket)
            place = self._ports.setdefault((socket["protocol"], socket["port"]), {})
            port = place.setdefault(owner, _Port(socket, owner, width, _is_drawn(socket, self.sections)))
            port.width = max(port.width, width)
        for (protocol, _number), place in self._ports.items():
            for port in place.values():
                for key in port.owner.keys() if port.drawn else ():
                    self._drawn.setdefault((protocol, port.width, key), []).append(port)

    def change_at(self, socket: Socket, owner: _Owner) -> Change | None:
        """What is new of a listener by its number: None for nothing, OPENED where its owner did not have this number."""
        there = self._ports.get((socket["protocol"], socket["port"]), {})
        # Where nobody saw whose it is, then or now, it is the same: the very port is still open.
        same = [
            port for port in there.values() if port.owner.is_same(owner) or not (port.owner.is_seen and owner.is_seen)
        ]
        for port in same:
            port.is_there = True
        if any(port.width >= _width(socket) for port in same):
            return None
        return Change.WIDER if same else Change.OPENED

    def changes_among(self, groups: Mapping[_Group, int]) -> list[tuple[_Group, Change | None]]:
        """What is new of so many drawn ports each, which nobody had; without the groups of which nothing is.

        The widest choose first from what their owner has left, since all that is as wide could have become narrower.
        """
        widest_first = sorted(groups, key=lambda group: -group.width)
        more = [group for group in widest_first if not all(self._take(group) for _port in range(groups[group]))]
        left = self._left()
        return [(group, None if self._is_unsure(group, left) else self._why(group)) for group in more]

    def _take(self, group: _Group) -> bool:
        """True where the owner had one more drawn port, which is then gone from here."""
        for ports in self._like(group):
            while ports:
                port = ports.pop()
                if not port.is_there:
                    port.is_there = True
                    return True
        return False

    def _like(self, group: _Group) -> Iterator[list[_Port]]:
        for width in range(group.width, max(_WIDTH.values()) + 1):
            for key in group.owner.wanted():
                if (group.protocol, width, key) in self._drawn:
                    yield self._drawn[group.protocol, width, key]

    def _left(self) -> dict[tuple[str, bool], int]:
        """How wide the drawn ports were that are gone, by protocol and whether it was seen whose they were."""
        left: dict[tuple[str, bool], int] = {}
        for (protocol, _number), place in self._ports.items():
            for port in place.values():
                if port.drawn and not port.is_there:
                    key = protocol, port.owner.is_seen
                    left[key] = max(left.get(key, -1), port.width)
        return left

    def closed(self, now: Sections) -> list[Socket]:
        """What nobody has any more. Nothing where listeners may be left out, then or now; a drawn port may be that of one whose owner is not seen."""
        waiting = now["listen_ports"]
        if self.is_cut or missing(waiting, "listeners", "sockets"):
            return []
        numbers = {(socket["protocol"], socket["port"]) for socket in waiting["listeners"]}
        hidden = {socket["protocol"] for socket in _waiting(now) if socket["ephemeral"] and not _owner(socket).is_seen}
        return [
            {**port.socket, "ephemeral": port.drawn}
            for (protocol, number), place in self._ports.items()
            for port in place.values()
            if not port.is_there
            and port.owner.is_seen
            # What is a listener by another range of drawn ports, or not by this one, is still there.
            and not (protocol == "udp" and (protocol, number) in numbers)
            and not (port.drawn and (self._is_vague or protocol in hidden))
        ]

    def _is_unsure(self, group: _Group, left: Mapping[tuple[str, bool], int]) -> bool:
        """True where one of the drawn ports that are gone may have been this owner's."""
        others = (False,) if group.owner.is_seen else (False, True)
        return self._is_vague or any(left.get((group.protocol, seen), -1) >= group.width for seen in others)

    def _why(self, group: _Group) -> Change:
        return Change.MORE if any(True for _ports in self._like(group)) else Change.OPENED


def _waiting(sections: Sections) -> Iterator[Socket]:
    """Yield what waits for others: no socket that is only bound, and no client's UDP socket on a random port."""
    for socket in sections["listen_ports"]["listeners"]:
        if socket["state"] == "listen" or (socket["state"] == "unconnected" and not socket["ephemeral"]):
            yield socket


def _width(socket: Socket) -> int:
    return _width_of(socket["address"])


@functools.lru_cache(maxsize=1024)
def _width_of(address: str) -> int:
    return _WIDTH[reach.of(address)]


def _is_drawn(socket: Socket, sections: Sections) -> bool:
    if not socket["ephemeral"]:
        return False
    readable = not section_gaps.gap(sections, "port_settings")
    return not fixed_ports.is_fixed(dict(sections) if readable else {}, socket)


def _owner(socket: Socket) -> _Owner:
    if not socket["processes"]:
        if cgroup.tells(socket["cgroup"]):
            return _Owner(frozenset(), frozenset(filter(None, [_group(cgroup.owner(socket["cgroup"])._asdict())])))
        return _KERNEL if socket["hidden"] is False else _Owner(frozenset(), frozenset())
    component = (socket["known_as"] or {}).get("component")
    pairs = [
        (name, _group(process))
        for process in socket["processes"]
        for name in (process["name"], component)
        if name is not None
    ]
    return _Owner(frozenset(pairs), frozenset(filter(None, map(_group, socket["processes"]))))


def _group(process: Mapping[str, Any]) -> str:
    """In what a program runs, by what stays the same: uids and ids are others after each roll-out."""
    if process["pod_uid"]:
        return "a pod"
    return str(process["unit"] or ("a container" if process["container_id"] else ""))
