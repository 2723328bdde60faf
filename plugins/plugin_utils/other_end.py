# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other end of a node's connections: whose it is, and what that host's own snapshot shows of it."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe, encounters, fleet, peers, tcp_words
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.peers import Peer
from ansible_collections.kubenode.doctor.plugins.plugin_utils.stuck_groups import Gathered

_SHOWN = 6  # names in a line of evidence
_NOT_LOOKED_AT = "the connections there were not looked at"


class Surroundings:
    """Who is around some connections of one node, asked by address."""

    def __init__(self, node: NodeView, context: Context, gathered: Gathered | None = None) -> None:
        self._host = node.host
        self._context = context
        self._in_pod = gathered is not None and gathered.in_pod
        self._own = frozenset(fleet.own_addresses(node.sections))
        # The addresses under which the other end knows this one: a pod's own, or, where it is translated, its node's.
        seen = {peers.plain(sample["address"]) for sample in gathered.samples} if gathered and self._in_pod else set()
        self._known_as = self._own | seen
        # A host that the cluster does not list may be another cluster's, in which the same address is somebody else's.
        self._stranger = encounters.is_stranger(node, context)

    def whose(self, address: str, port: int | None = None, between_nodes: bool = False) -> Peer:
        """Who has an address; ``port`` is the one that is dialled there.

        ``between_nodes``: by a protocol that only nodes speak, so that nobody but a node is looked for in earnest.
        """
        if self._in_pod and peers.is_loopback(address):
            return Peer(peers.HERE, "the pod itself")
        address = peers.plain(address)
        if peers.is_loopback(address) or address in self._own:
            return Peer(peers.HERE, "this host itself", self._host)
        found = None if self._stranger else self._context.directory.find(address, port)
        host = self._context.fleet.host_of(address)
        if found is not None:
            return found._replace(host=host) if found.kind == peers.NODE else found
        if host is not None:
            return Peer(peers.NODE, f"host {host}", host)
        if self._context.fleet.has_address(address):
            return Peer(peers.NODE, "several hosts, which all have this address")
        return self._nobody(between_nodes)

    def _nobody(self, between_nodes: bool) -> Peer:
        if self._stranger:
            return Peer(peers.UNKNOWN, why=encounters.STRANGER)
        nodes_known = self._context.cluster["nodes"] is not None
        unseen = self._context.directory.unseen()
        if between_nodes and nodes_known:
            return Peer(peers.NO_NODE)
        if not unseen:
            return Peer(peers.UNNAMED)
        return Peer(peers.UNKNOWN, "no Node's address" if nodes_known else "", why=unseen)

    def ends(self, peer: Peer) -> fleet.Ends | None:
        """What a peer's own snapshot shows of its connections; None where there is none."""
        return self._context.fleet.ends(peer.host) if peer.host is not None else None

    def drops(self, peer: Peer, port: int) -> bool:
        """True where the peer's own snapshot shows that its accept queue is full."""
        ends = self.ends(peer)
        queue = ends.queues.get(port) if ends else None
        return queue is not None and queue.drops

    def dialled(self, peer: Peer, port: int) -> str:
        """What a host shows of a port on which it does not answer."""
        ends = self.ends(peer)
        if ends is None:
            return _NOT_LOOKED_AT
        queue, listener = ends.queues.get(port), ends.listener(port)
        if queue is not None and queue.drops:
            return (
                f"the accept queue of {_names(listener)} is full there ({queue.length} connections, backlog {queue.backlog}), so its kernel "
                "drops them"
            )
        if listener is None:
            return self._nobody_listens(ends, port)
        where = "on loopback addresses only" if listener.only_loopback else "and its accept queue has room"
        return f"{_names(listener)} listens there {where}: the packets are dropped on their way"

    def closed(self, peer: Peer, address: str, came_in: bool, port: int) -> str:
        """What a host shows of connections that it has closed and this node has not; ``came_in`` as seen from this node."""
        ends = self.ends(peer)
        if ends is None:
            return _NOT_LOOKED_AT
        who = "" if came_in else f"{self._who_listens(ends, port)}; "
        return who + self._seen_there(ends, peers.plain(address), came_in, port)

    def _seen_there(self, ends: fleet.Ends, address: str, came_in: bool, port: int) -> str:
        local = peers.is_loopback(address)
        own = self._known_as | {address} if local else self._known_as
        left, kept_open = ends.still_closing(not came_in, port, own), ends.still_open(not came_in, port, own)
        if left:
            return f"{tcp_words.count(left, 'connection')} with this node and port in FIN-WAIT there, closed within the last minute, or only half"
        if kept_open:
            return (
                f"{tcp_words.count(kept_open, 'connection')} with this node and port ESTABLISHED there: these are others, or something between "
                "the two has closed the ones here"
            )
        if self._in_pod:
            return "whether these connections are still there is not known, because a pod's address may have been translated"
        if ends.closing_untold:
            return "whether these connections are still there is not known, because more are in FIN-WAIT than were told"
        if local:
            return "none of these connections are in FIN-WAIT there: that end has closed and forgotten them"
        return (
            "none of these connections are in FIN-WAIT in the own network there: that end has forgotten them, or they are a pod's there, behind "
            "the node's address (SNAT, NodePort)"
        )

    def _who_listens(self, ends: fleet.Ends, port: int) -> str:
        listener = ends.listener(port)
        return f"{_names(listener)} listens there" if listener else self._nobody_listens(ends, port)

    def _nobody_listens(self, ends: fleet.Ends, port: int) -> str:
        service = self.node_port(port)
        if service:
            return f"port {port} is no program's there but that of {service}, so one of its endpoints should answer"
        if not ends.all_listeners:
            return f"who listens on port {port} there was not told"
        return f"nobody listens on port {port} there, which is refused at once, unless a packet filter takes the port"

    def node_port(self, port: int) -> str | None:
        """The Service whose NodePort (TCP) a port is; None where it is none, or not known."""
        if self._stranger:
            return None
        found = (
            entry for entry in self._context.opened_ports if entry["node_port"] == port and entry["protocol"] == "TCP"
        )
        entry = next(found, None)
        return describe.service(entry) if entry else None


def grouped(lines: Iterable[tuple[str, str]]) -> list[str]:
    """Lines of evidence from (who, what it shows): those of whom the same is true together."""
    by_statement: dict[str, list[str]] = {}
    for who, statement in lines:
        names = by_statement.setdefault(statement, [])
        if who not in names:
            names.append(who)
    return [f"{describe.listed(names, _SHOWN)}: {statement}" for statement, names in by_statement.items()]


def _names(listener: fleet.Listener | None) -> str:
    return describe.listed(listener.names) if listener and listener.names else tcp_words.UNSEEN
