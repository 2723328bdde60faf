# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a listener exists: a ladder of methods, the quiet ones first, and what each of them saw.

``owner`` and ``configuration`` only read files, ``signature`` asks the listener one harmless question, ``goroutines`` asks kubelet for its stacks, and
``stack_dump`` makes a container runtime write its own to a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional, Protocol, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    expected_listeners,
    http_signature,
    kernel_settings,
    known_ports,
    listen_settings,
    listeners,
    nodeport_range,
    origin_kinds,
    origin_match,
    origin_words,
    owner,
    reach,
    socket_words,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.origin_request import (
    CONFIGURATION,
    GOROUTINES,
    OWNER,
    SIGNATURE,
    STACK_DUMP,
    Request,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.origin_words import Ground
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders

_QUIET = (OWNER, CONFIGURATION)  # what a diagnosis uses: it sends nothing to programs that it does not know
_MOST = 200  # listeners that one answer explains


class Stacks(Protocol):
    """origin_stacks.Stacks. A diagnosis has no use for it, so the node of a snapshot is not sent what it needs."""

    def of(self, listener: dict[str, Any], siblings: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """What the program behind a listener told of its goroutines."""


class Way(NamedTuple):
    """How to look: the ``methods``, in what time; ``node_ports`` is the inclusive (low, high) of the NodePort range."""

    methods: Sequence[str]
    deadline: Deadline
    node_ports: Tuple[int, int]
    stacks: Optional[Stacks] = None


def needs_explanation(listener: dict[str, Any]) -> bool:
    """True for what waits for others and is not well known on a fixed port."""
    known = listener["known_as"]
    if listener["state"] == "bound" or (listener["protocol"] == "udp" and listener["ephemeral"]):
        return False  # nobody can connect to the first; the second are clients that wait for answers
    if known is None:
        return True
    return known["component"] in known_ports.RANDOM_PROGRAMS or (
        known["role"] == known_ports.STREAMING and bool(listener["ephemeral"])
    )


def section(seen: dict[str, Any], deadline: Deadline) -> dict[str, Any]:
    """The section ``listener_origin`` of a snapshot: all of what listeners.collect has ``seen`` that needs an explanation.

    What was not seen there is told by that section, listen_ports.
    """
    chosen = [listener for listener in seen["listeners"] if needs_explanation(listener)]
    return _explained({**seen, "missing": []}, chosen, Way(_QUIET, deadline, nodeport_range.DEFAULT))


def collect(request: Request, deadline: Deadline, stacks: Stacks) -> dict[str, Any]:
    """Return ``{listeners, ephemeral_range, complete, missing}``. Raises sockets.SocketsError when no sockets can be read."""
    seen = listeners.collect(SocketHolders(deadline))
    wanted = [listener for listener in seen["listeners"] if _is_wanted(request, listener)]
    asks_programs = GOROUTINES in request.methods or STACK_DUMP in request.methods
    return _explained(
        seen, wanted, Way(request.methods, deadline, request.node_ports, stacks if asks_programs else None)
    )


def _is_wanted(request: Request, listener: dict[str, Any]) -> bool:
    if request.port is None and request.pid is None:
        return needs_explanation(listener) and not expected_listeners.matches(request.expected, listener)
    return request.port in (None, listener["port"]) and (request.pid is None or request.pid in _pids(listener))


def _explained(seen: dict[str, Any], chosen: Sequence[dict[str, Any]], way: Way) -> dict[str, Any]:
    missing = list(seen["missing"])
    if len(chosen) > _MOST:
        why = f"{len(chosen)} need an explanation, the first {_MOST} have one: name a port or a pid"
        missing.append({"what": "listeners", "why": why})
    ephemeral = kernel_settings.ephemeral_range()
    look = _Look(seen["listeners"], way)
    found = look.at(chosen[:_MOST])
    ground = Ground(way.node_ports, ephemeral)
    missing += [*look.missing, *_lost_stacks(found)]
    return {
        "listeners": [{**listener, **origin_words.tell(listener, ground)} for listener in found],
        "ephemeral_range": list(ephemeral) if ephemeral else None,
        "complete": not missing,
        "missing": missing,
    }


def _lost_stacks(found: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Why programs that were asked for their stacks gave none, or not all; that one cannot be asked is its step's to tell."""
    stacks = [listener["goroutines"] for listener in found if listener["goroutines"]]
    whys = dict.fromkeys(f"{one['source']}: {one['why']}" for one in stacks if one["source"] and one["why"])
    return [{"what": "goroutines", "why": why} for why in whys]


class _Look:
    """One look at some of the listeners; ``missing`` is what could not be seen."""

    def __init__(self, everybody: Sequence[dict[str, Any]], way: Way) -> None:
        self._everybody = everybody
        self._way = way
        # A package is looked for in thousands of lists: for what somebody asks about, not for all listeners of a fleet.
        self._describer = owner.Describer(packages=set(way.methods) != set(_QUIET), deadline=way.deadline)
        self._settings: list[dict[str, Any]] = []
        self._tcp = [(one, frozenset(_pids(one))) for one in everybody if one["protocol"] == "tcp"]
        self._kinds: dict[int, Optional[str]] = {}
        self.missing: list[dict[str, str]] = []
        if CONFIGURATION in way.methods:
            answer = listen_settings.collect()
            self._settings = answer["settings"]
            self.missing += answer["missing"]

    def at(self, chosen: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """What all methods saw of these listeners; the words are still to be found."""
        signatures: Sequence[Optional[dict[str, Any]]] = [None] * len(chosen)
        if SIGNATURE in self._way.methods:
            signatures = http_signature.ask_all(chosen, self._way.deadline, self._everybody)
        return [self._seen(listener, signature) for listener, signature in zip(chosen, signatures)]

    def _seen(self, listener: dict[str, Any], signature: Optional[dict[str, Any]]) -> dict[str, Any]:
        holder = origin_kinds.holder(listener) if OWNER in self._way.methods else None
        return {
            **self._configured(listener),
            "endpoint": socket_words.endpoint(listener),
            "reach": reach.of(listener["address"]),
            "owner": self._describer.owner(holder) if holder else None,
            "signature": signature,
            "goroutines": self._goroutines(listener),
            "history": None,
        }

    def _configured(self, listener: dict[str, Any]) -> dict[str, Any]:
        return {**listener, "configuration": listen_settings.deciding(listener, self._settings, self._everybody)}

    def _goroutines(self, listener: dict[str, Any]) -> Optional[dict[str, Any]]:
        if self._way.stacks is None or listener["protocol"] != "tcp":
            return None
        mine = _pids(listener)
        siblings = [other for other, pids in self._tcp if other is not listener and not pids.isdisjoint(mine)]
        others = sorted({kind for kind in map(self._kind, siblings) if kind})
        seen = self._way.stacks.of(listener, siblings)
        candidates = origin_match.candidates(self._kind(listener), others, seen["accepting"])
        return {**seen, "others": others, "candidates": candidates}

    def _kind(self, listener: dict[str, Any]) -> Optional[str]:
        """What one of the node's listeners is taken for; told once, since one program may have thousands of them."""
        key = id(listener)
        if key not in self._kinds:
            self._kinds[key] = origin_words.taken_for(self._configured(listener))
        return self._kinds[key]


def _pids(listener: dict[str, Any]) -> list[int]:
    return [process["pid"] for process in listener["processes"]]
