# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program dials, and nothing comes back: who should answer, and what is known of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    describe,
    forget_peers,
    node_protocols,
    other_end,
    peers,
    stuck_groups,
    tcp_words,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_protocols import Protocol
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.other_end import Surroundings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.peers import Peer
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    Remedy,
    Rule,
    Unknown,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.stuck_groups import Gathered

_STATE = "syn_sent"
_MAIN_SHARE = 0.2  # of the connections, from which a kind of peers is named in the title: one stray peer is not
_SHOWN = 10
_SAMPLES = 3

_PLACES = {
    peers.NO_NODE: "addresses that no Node names",
    peers.UNNAMED: "addresses that no Node, Service or EndpointSlice names",
    peers.NODE: "nodes",
    peers.POD: "pods",
    peers.SERVICE: "Services",
    peers.HERE: "its own machine",
    peers.UNKNOWN: "addresses of which it is not known whose they are",
}


class _Dialled(NamedTuple):
    """An address that does not answer: whose it is, and how many connections wait for it."""

    address: str
    peer: Peer
    connections: int


class _Case(NamedTuple):
    """All that one program dials in vain on one port; ``kinds`` are the peers by kind (peers.NODE...), those untold left out.

    ``unanswered`` are the connections that were surely tried long enough: a program that dials a lot has some that have just begun.
    """

    gathered: Gathered
    kinds: dict[str, list[_Dialled]]
    protocol: Protocol | None
    unanswered: int

    @property
    def subject(self) -> str:
        return f"{self.gathered.who} to port {self.gathered.port}"

    def has_dead(self, least: float) -> bool:
        """True where so many addresses that no Node names were dialled for long."""
        return min(len(self.kinds.get(peers.NO_NODE, ())), self.unanswered) >= least

    @property
    def only_routers(self) -> bool:
        """True where nothing but peers that may be routers does not answer."""
        return self.protocol is not None and self.protocol.routers and self.kinds.keys() == {peers.NO_NODE}


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    section = node["tcp_states"]
    seconds = context.settings.threshold("syn_sent_seconds")
    aged = [group for group in section["groups"] if group["state"] == _STATE and _is_aged(group, seconds)]
    for gathered in stuck_groups.gather(section, _STATE, aged):
        around = Surroundings(node, context, gathered)
        yield from _judge_one(_case(gathered, around, seconds), around, node, context)
    yield from stuck_groups.unseen(section, _STATE, context.settings.threshold("syn_sent_count"), "whom they dial")


def _is_aged(group: dict[str, Any], seconds: float) -> bool:
    if group["oldest_seconds"] is not None:
        return bool(group["oldest_seconds"] >= seconds)
    return bool(group["persisted"] != 0)


def _case(gathered: Gathered, around: Surroundings, seconds: float) -> _Case:
    protocol = node_protocols.of(gathered.process, gathered.port)
    kinds: dict[str, list[_Dialled]] = {kind: [] for kind in _PLACES}
    for address, count in gathered.peers:
        peer = around.whose(address, gathered.port, protocol is not None)
        kinds[peer.kind].append(_Dialled(address, peer, count))
    told = {kind: entries for kind, entries in kinds.items() if entries}
    return _Case(gathered, told, protocol, gathered.older_than(seconds))


def _judge_one(case: _Case, around: Surroundings, node: NodeView, context: Context) -> Iterator[Answer]:
    threshold = context.settings.threshold
    # A peer that only nodes have and no Node names is dead by itself; a router that restarts is not.
    dead = case.protocol is not None and case.has_dead(threshold("syn_sent_count") if case.protocol.routers else 1)
    enough = dead or case.unanswered >= threshold("syn_sent_count")
    fail = _fail(case, around, dead, node, context)
    if case.only_routers and not dead:
        fail = replace(fail, severity="info")
        enough = bool(case.gathered.persisted) and (case.gathered.oldest or 0.0) >= threshold("syn_sent_router_seconds")
    yield fail if enough else _shared(fail, case, context)
    unplaced = case.kinds.get(peers.UNKNOWN)
    if case.protocol and unplaced and not enough:
        yield Unknown(
            f"whether {describe.listed([entry.address for entry in unplaced], _SHOWN)}, which {case.gathered.who} dials in vain on "
            f"{case.gathered.port_words}, still belongs to the cluster is not known: {unplaced[0].peer.why}",
            case.subject,
        )


def _shared(fail: Fail, case: _Case, context: Context) -> Fail:
    """A fault only where hosts share it: the same peer on several, or not just one or two connections on most."""
    threshold = context.settings.threshold
    few = case.unanswered < threshold("shared_count")
    others = (entry for kind, entries in case.kinds.items() if kind != peers.HERE for entry in entries)
    return replace(
        fail,
        least_hosts=int(threshold("syn_sent_hosts")),
        least_share=math.inf if few else threshold("syn_sent_hosts_share"),
        marks=frozenset(peers.plain(entry.address) for entry in others),
    )


def _fail(case: _Case, around: Surroundings, many: bool, node: NodeView, context: Context) -> Fail:
    """The fault; ``many``: peers of a protocol between nodes that no Node names are more than a node has routers."""
    places = " and ".join(_PLACES[kind] for kind in _main_kinds(case.kinds))
    # A title tells what holds of all peers: those that were not told may be others.
    among = "peers, among them " if places and case.gathered.peers_untold else ""
    here = [entry for entry in case.kinds.get(peers.HERE, ()) if around.drops(entry.peer, case.gathered.port)]
    return Fail(
        subject=case.subject,
        title=f"{case.gathered.who} gets no answer on {case.gathered.port_words} from {among}{places or 'peers that were not told'}",
        explanation=" ".join(_explanation(case, around, many)),
        evidence=tuple(_evidence(case, around)),
        remedies=tuple(_remedies(case, around, node, context)),
        caused_by=("accept-queue-overflow",) if here else (),
    )


def _main_kinds(kinds: dict[str, list[_Dialled]]) -> list[str]:
    totals = {kind: sum(entry.connections for entry in entries) for kind, entries in kinds.items()}
    return [kind for kind, total in totals.items() if total >= _MAIN_SHARE * sum(totals.values())]


def _explanation(case: _Case, around: Surroundings, many: bool) -> Iterator[str]:
    begun = " Some of these have just begun." if case.unanswered < case.gathered.count else ""
    yield f"Connections stand in SYN-SENT: SYN after SYN was sent, and neither an answer nor a refusal came back.{begun}"
    for kind in case.kinds:
        if case.protocol and kind == peers.NO_NODE:
            yield _why_no_node(case.gathered, case.protocol, many)
        else:
            yield _WHY[kind](case, around)


def _why_no_node(gathered: Gathered, protocol: Protocol, many: bool) -> str:
    guess = f"Which program dials could not be seen; the port is that of {min(protocol.names)}. "
    meaning = f"No Node of the cluster names these addresses. {protocol.meaning(many)} {protocol.why}"
    return meaning if gathered.process else guess + meaning


def _why_unnamed(_case: _Case, _around: Surroundings) -> str:
    return (
        "No Node, Service or EndpointSlice names these addresses: they are machines outside of the cluster that are down, addresses of "
        "something that is gone, or a firewall on the way drops the packets. Pods are not listed, so a pod that is behind no Service would not "
        "be named either."
    )


def _why_nodes(case: _Case, around: Surroundings) -> str:
    dropping = [entry.peer.name for entry in case.kinds[peers.NODE] if around.drops(entry.peer, case.gathered.port)]
    full = list(dict.fromkeys(dropping))
    cause = ""
    if full:
        cause = (
            f" On {describe.listed(full, 3)} the accept queue is full and the kernel drops the SYNs: that is the cause there "
            "(accept-queue-overflow)."
        )
    service = around.node_port(case.gathered.port)
    if service:
        cause += f" The port is that of {service}, so its endpoints are dialled. {_why_services(case, around)}"
    return (
        "A living node refuses at once where nobody listens. Silence comes from a firewall, a security group or a NetworkPolicy, from a full "
        f"accept queue, from a way back that is lost, or from a node that is down.{cause}"
    )


def _why_pods(_case: _Case, _around: Surroundings) -> str:
    return "A pod refuses at once where nobody listens. Silence comes from a NetworkPolicy, from a lost route between nodes, or from a pod that is gone."


def _why_services(_case: _Case, _around: Surroundings) -> str:
    return (
        "A Service without endpoints refuses at once. Silence comes from a traffic policy Local without an endpoint on the node, from a "
        "NetworkPolicy or a lost route behind it, or from a service proxy that does not run."
    )


def _why_here(case: _Case, around: Surroundings) -> str:
    if any(around.drops(entry.peer, case.gathered.port) for entry in case.kinds[peers.HERE]):
        return "On the way to its own machine no packet gets lost: the accept queue of the program that should answer is full (accept-queue-overflow)."
    return "On the way to its own machine no packet gets lost in a network: a packet filter or a service proxy's rule drops it."


def _why_unknown(case: _Case, _around: Surroundings) -> str:
    reasons = describe.listed(list(dict.fromkeys(entry.peer.why for entry in case.kinds[peers.UNKNOWN])), 2)
    return (
        f"Of some addresses it is not known whether they belong to the cluster, so nothing is said of them: {reasons}."
    )


_WHY = {
    peers.UNNAMED: _why_unnamed,
    peers.NODE: _why_nodes,
    peers.POD: _why_pods,
    peers.SERVICE: _why_services,
    peers.HERE: _why_here,
    peers.UNKNOWN: _why_unknown,
}


def _evidence(case: _Case, around: Surroundings) -> Iterator[str]:
    gathered = case.gathered
    total = sum(group["peers"] for group in gathered.groups)
    yield (
        f"{tcp_words.count(gathered.count, 'connection')} of {gathered.who} to {gathered.port_words} at "
        f"{'1 address' if total == 1 else f'{total} addresses'}, {stuck_groups.age_words(gathered)}"
    )
    yield from stuck_groups.why_unseen(gathered)
    for kind, entries in case.kinds.items():
        yield _kind_line(kind, entries)
    dialled = [*case.kinds.get(peers.NODE, ()), *case.kinds.get(peers.HERE, ())]
    yield from other_end.grouped((entry.peer.name, around.dialled(entry.peer, gathered.port)) for entry in dialled)
    if gathered.peers_untold:
        more = "more addresses" if gathered.peers else "addresses"
        yield f"{gathered.peers_untold} {more} were not kept, and whose they are is not known"
    for sample in gathered.samples[:_SAMPLES]:
        yield _sample(sample)


def _kind_line(kind: str, entries: list[_Dialled]) -> str:
    count = tcp_words.count(sum(entry.connections for entry in entries), "connection")
    shown = [f"{entry.address} ({entry.peer.name})" if entry.peer.name else entry.address for entry in entries]
    return f"to {_PLACES[kind]}: {count}, to {describe.listed(shown, _SHOWN)}"


def _sample(sample: dict[str, Any]) -> str:
    ends = f"{tcp_words.endpoint(sample['address'], sample['port'])} to {tcp_words.endpoint(sample['peer'], sample['peer_port'])}"
    age = f", {tcp_words.age(sample['age_seconds'])} old" if sample["age_seconds"] is not None else ""
    sent = f", its SYN repeated {tcp_words.count(sample['retransmits'], 'time')}" if sample["retransmits"] else ""
    return f"for example {ends}{age}{sent}"


def _remedies(case: _Case, around: Surroundings, node: NodeView, context: Context) -> Iterator[Remedy]:
    port, in_pod = case.gathered.port, case.gathered.in_pod
    here = (f"ss -tnpo state syn-sent dport = :{port}",) if not in_pod else ()
    if case.protocol and (not case.kinds or not {peers.NO_NODE, peers.UNKNOWN}.isdisjoint(case.kinds)):
        yield forget_peers.look(case.protocol, node, context)
        if peers.NO_NODE in case.kinds:  # of peers that are not known only looking is safe
            gone = [entry.address for entry in case.kinds[peers.NO_NODE]]
            yield from forget_peers.cures(case.protocol, gone, port, in_pod, node, context)
    elif peers.UNNAMED in case.kinds:
        yield Remedy(
            f"find out what has or had these addresses, a pod perhaps; what is gone, take out of the configuration of {case.gathered.who}",
            ("kubectl get pods --all-namespaces -o wide", *here),
            "none",
        )
    reachable = [entry for kind in (peers.NODE, peers.HERE) for entry in case.kinds.get(kind, ())]
    full = [entry for entry in reachable if around.drops(entry.peer, port)]
    if full:
        yield Remedy(
            "cure the full accept queue at the other end (accept-queue-overflow says how)",
            (f"ss -tln sport = :{port}",),
            "none",
        )
    if len(full) < len(reachable) or not {peers.POD, peers.SERVICE}.isdisjoint(case.kinds):
        yield Remedy(
            f"look whether the SYNs arrive at the other end, then for what drops them: firewall, security group, NetworkPolicy for port {port}",
            ("kubectl get networkpolicies --all-namespaces", *here),
            "none",
        )


RULE = Rule(
    id="syn-sent-unanswered",
    group="tcp",
    severity="warning",
    claim="whoever is dialled answers, if only by a refusal",
    why="each try costs its program a socket and two minutes, and a peer that is listed and dead hides one that should be found",
    sources=(
        "Linux Documentation/networking/ip-sysctl.rst, tcp_syn_retries",
        "https://docs.tigera.io/calico/latest/operations/decommissioning-a-node",
        "https://github.com/projectcalico/calicoctl/issues/830",
        "https://github.com/kubernetes/kops/issues/8296",
    ),
    judge=_judge,
    needs=("host", "tcp_states"),
    thresholds=(
        "syn_sent_count",
        "syn_sent_seconds",
        "syn_sent_router_seconds",
        "syn_sent_hosts",
        "syn_sent_hosts_share",
        "shared_count",
    ),
    by_network=True,
)
