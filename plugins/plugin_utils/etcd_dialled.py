# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses at which an API server dialled etcd in vain: whose they are, who listens there now, and where to look.

One that refuses is not all of etcd: an API server knows all members, and goes on with those that answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe, etcd_seen, plain_text
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.etcd_seen import Answer, Place
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logged import Entry
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy

# kops gives events an etcd of their own (kubernetes/kops pkg/wellknownports/wellknownports.go).
_EVENTS_PORT = 4002
_SHOWN = 3


@dataclass(frozen=True)
class _One:
    """``host`` is the audited host that has the address; None for this one, and where no audited host has it."""

    address: str
    place: Place
    answer: Answer
    host: str | None


@dataclass(frozen=True)
class Dialled:
    """All addresses that one API server was refused by; those that are none are counted in ``odd``."""

    places: tuple[_One, ...]
    odd: int

    @property
    def answers(self) -> bool:
        """True where something listens at each of them by now."""
        return bool(self.places) and all(one.answer.listens for one in self.places)

    @property
    def only_events(self) -> bool:
        """True where it was etcd for events, and no other."""
        return bool(self.places) and not self.odd and all(one.place.port == _EVENTS_PORT for one in self.places)

    @property
    def is_one_elsewhere(self) -> bool:
        """True for a single address, of another machine."""
        return not self.odd and len(self.places) == 1 and not self.places[0].answer.here

    @property
    def is_etcd_of_node(self) -> bool:
        """True where this host's own etcd was dialled, as it is known by its client port."""
        return any(one.answer.here and one.place.port == etcd_seen.CLIENT_PORT for one in self.places)

    @property
    def etcd(self) -> str:
        """Which etcd it is."""
        return "the etcd for events" if self.only_events else "etcd"

    @property
    def words(self) -> str:
        """``Connections to 1 address (10.0.0.5:2379) were``: the beginning of a sentence."""
        count = len(self.places) + self.odd
        named = describe.listed([one.address for one in self.places], _SHOWN)
        return f"Connections to {count} address{'' if count == 1 else 'es'}{f' ({named})' if named else ''} were"

    @property
    def evidence(self) -> Iterator[str]:
        """Who listens there now."""
        for one in self.places[:_SHOWN]:
            has = f" (it is an address of {one.host})" if one.host else ""
            yield f"{one.address}: {one.answer.text}{has}"


def read(entries: Iterable[Entry], node: NodeView, context: Context) -> Dialled:
    """The addresses that these entries name, each once."""
    told = dict.fromkeys(entry["fields"].get("address") or "" for entry in entries)
    places = [(address, etcd_seen.place(address)) for address in told]
    known = [_one(address, place, node, context) for address, place in places if place]
    return Dialled(tuple(known), len(places) - len(known))


def _one(address: str, place: Place, node: NodeView, context: Context) -> _One:
    answer = etcd_seen.listens(node, place)
    return _One(address, place, answer, None if answer.here else context.fleet.host_of(place.host))


def remedies(dialled: Dialled, lives: bool) -> Iterator[Remedy]:
    """Where to look; ``lives``: the API server itself can be looked at."""
    if dialled.answers:
        yield Remedy("look whether it goes on; etcd that comes and goes has its reason in its own log", (), "none")
        return
    for where, port in dict.fromkeys((_where(one), one.place.port) for one in dialled.places):
        yield Remedy(
            f"look {where} who listens on port {port}, and what etcd's own log says there",
            (f"ss -tlnp sport = :{port}",),
            "none",
        )
    if lives or not dialled.places:
        yield Remedy(
            "compare --etcd-servers of kube-apiserver with --listen-client-urls of etcd, where etcd runs",
            (),
            "a static pod's manifest that is changed starts the pod anew",
        )


def _where(one: _One) -> str:
    if one.answer.here:
        return "on this host"
    return f"on {one.host}" if one.host else f"on the machine that has {plain_text.clean(one.place.host)}"
