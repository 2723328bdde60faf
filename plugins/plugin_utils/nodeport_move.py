# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fix move-nodeport: which Service's number is to be another one, what stands against that now, and what it changes. Pure.

A target is the JSON text of one meeting of a NodePort and a socket, as rules write it into a remedy and the fix reads it again::

    {"namespace", "name", "uid": of the Service, "from": the NodePort, "to": the number it gets,
     "ports": [[protocol, port] of all its ports with that NodePort], "host", "protocol", "address": the socket that the NodePort meets}

The targets of all hosts that concern one Service and number are one move. A number that a Service has for TCP and for UDP moves as a whole: the
API server gives numbers out without regard to the protocol (pkg/registry/core/service/portallocator), and clients of such a Service,
DNS above all, take it for granted that both are the same.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import fix_plan
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import AGAIN, DONE, STOPPED, TargetError
from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe, object_change, object_owners
from ansible_collections.kubenode.doctor.plugins.plugin_utils.deaf_pods import UID
from ansible_collections.kubenode.doctor.plugins.plugin_utils.kubectl import NAME, is_name
from ansible_collections.kubenode.doctor.plugins.plugin_utils.object_change import Change, Field, Plan, diagnosed_anew
from ansible_collections.kubenode.doctor.plugins.plugin_utils.object_owners import mapping
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import missing

FIX = "move-nodeport"

_TEXTS = {
    "namespace": NAME,
    "name": NAME,
    "uid": UID,
    "host": re.compile(r"[!-~]{1,253}"),  # of an inventory, in which the role looks for it
    "protocol": re.compile("tcp|udp"),
}
_TYPES = {**dict.fromkeys((*_TEXTS, "address"), (str,)), "from": (int,), "to": (int,), "ports": (list,)}
_PROTOCOLS = ("TCP", "UDP", "SCTP")
# What "kubectl apply" was given last (k8s.io/api/core/v1/annotation_key_constants.go, LastAppliedConfigAnnotation).
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SHOWN = 5  # names of Nodes in one sentence


class Meeting(NamedTuple):
    """A socket that a NodePort meets, on a host of the inventory."""

    host: str
    protocol: str
    address: str


class Move(NamedTuple):
    """One number of one Service. All values are of the form that they have to be of, so none is a template or an option."""

    namespace: str
    name: str
    uid: str
    number: int
    to: int
    ports: tuple[tuple[str, int], ...]
    meetings: tuple[Meeting, ...]
    targets: tuple[str, ...]

    @property
    def service(self) -> str:
        """``shop/front``."""
        return f"{self.namespace}/{self.name}"

    @property
    def place(self) -> dict[str, str]:
        """The Service, as kubernetes.core's modules want it."""
        return {"api_version": "v1", "kind": "Service", "namespace": self.namespace, "name": self.name}


@dataclass(frozen=True)
class Asked:
    """The hosts that have to be asked whether a number is free, the cluster's Nodes that are none of them, and its pods' hostPorts."""

    hosts: tuple[str, ...]
    others: tuple[str, ...] = ()
    host_ports: tuple[int, ...] = ()


def target_text(service: Mapping[str, Any], number: int, to: int, meeting: Meeting) -> str:
    """The target for a Service of cluster.json whose ``number`` becomes ``to``."""
    ports = [[port["protocol"], port["port"]] for port in service["ports"] if port["node_port"] == number]
    fields = {"namespace": service["namespace"], "name": service["name"], "uid": service["uid"]}
    return fix_plan.target_text(**fields, **{"from": number}, to=to, ports=ports, **meeting._asdict())


def read_targets(texts: Iterable[str]) -> tuple[list[Move], list[str]]:
    """The moves, and why others are left alone: two numbers for one, or one number for two. Raises TargetError for a target that is not sound."""
    found: dict[tuple[str, int], list[Move]] = {}
    for one in map(_read, dict.fromkeys(texts)):
        found.setdefault((one.uid, one.number), []).append(one)
    joined = [_joined(moves) for moves in found.values()]
    takers = Counter(move.to for moves in joined for move in moves)
    sound = [moves[0] for moves in joined if len(moves) == 1 and takers[moves[0].to] == 1]
    doubtful = [move for moves in joined for move in moves if move not in sound]
    words = [
        f"Service {move.service}: NodePort {move.number} is to become {move.to}, which another finding contradicts"
        for move in doubtful
    ]
    return sound, words


def _joined(moves: Sequence[Move]) -> list[Move]:
    """The targets of one Service and number as one move; as several where they contradict each other."""
    kinds: dict[Move, list[Move]] = {}
    for move in moves:
        kinds.setdefault(move._replace(meetings=(), targets=()), []).append(move)
    return [
        kind._replace(
            meetings=tuple(meeting for move in same for meeting in move.meetings),
            targets=tuple(text for move in same for text in move.targets),
        )
        for kind, same in kinds.items()
    ]


def _read(text: str) -> Move:
    found = fix_plan.read_target(text, _TYPES)
    for key, pattern in _TEXTS.items():
        if not pattern.fullmatch(found[key]):
            raise TargetError(f"what is to be moved has no usable {key!r}")
    if not (_is_port(found["from"]) and _is_port(found["to"])) or found["from"] == found["to"]:
        raise TargetError("what is to be moved has no two numbers")
    try:
        ports = tuple((protocol, port) for protocol, port in found["ports"])
        ipaddress.ip_address(found["address"])
    except (TypeError, ValueError) as error:
        raise TargetError("what is to be moved has no usable 'ports' or 'address'") from error
    if not ports or not all(protocol in _PROTOCOLS and _is_port(port) for protocol, port in ports):
        raise TargetError("what is to be moved has no usable 'ports'")
    meeting = Meeting(found["host"], found["protocol"], found["address"])
    names = found["namespace"], found["name"], found["uid"]
    return Move(*names, found["from"], found["to"], tuple(sorted(set(ports))), (meeting,), (text,))


def _is_port(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535


def read_names(texts: Iterable[str]) -> list[str]:
    """The Services that the operator names, NAMESPACE/NAME each; raises TargetError."""
    names = list(dict.fromkeys(texts))
    for name in names:
        namespace, _slash, service = name.partition("/")
        if not is_name(namespace, service):
            raise TargetError(f"{name!r} is no NAMESPACE/NAME of a Service, such as shop/front")
    return names


def candidate(move: Move) -> str:
    """What could be done, for a person who has not named the Service."""
    return f"Service {move.service}: NodePort {move.number} could become {move.to}; to have it done, name it: -e move={move.service}"


def questions(move: Move, asked: Asked) -> list[dict[str, Any]]:
    """``[{"host", "node_ports"}]``: what nodeport_conflict is to be asked on each host: the new number, and where it met a socket the old one."""
    protocols = dict.fromkeys(protocol for protocol, _port in move.ports)
    met = {meeting.host for meeting in move.meetings}
    return [
        {
            "host": host,
            "node_ports": [
                {"namespace": move.namespace, "service": move.name, "protocol": protocol, "node_port": number}
                for number in ((move.to, move.number) if host in met else (move.to,))
                for protocol in protocols
            ],
        }
        for host in dict.fromkeys((*asked.hosts, *sorted(met)))
    ]


def plan(move: Move, found: Sequence[dict[str, Any]], asked: Asked, answers: Mapping[str, Any]) -> Plan:
    """What is to be done to a Service, as the API server shows it now; ``found`` is empty where there is none any more.

    ``answers`` are what nodeport_conflict returns now, by host.
    """
    if not found:
        return Plan(STOPPED, "there is no such Service any more")
    metadata, spec = mapping(found[0].get("metadata")), mapping(found[0].get("spec"))
    ports = list(_ports(spec))
    if metadata.get("uid") == move.uid and set(move.ports) <= {
        (protocol, port) for _at, protocol, port, number in ports if number == move.to
    }:
        return Plan(DONE, f"it has NodePort {move.to} already")
    mine = {(protocol, port): index for index, protocol, port, number in ports if number == move.number}
    why = _changed(metadata, mine, move) or _taken(move, asked, answers)
    if why:
        return Plan(STOPPED, why)
    if not any(_meets(meeting, move.number, answers[meeting.host]) for meeting in move.meetings):
        return Plan(DONE, f"no socket meets its NodePort {move.number} any more, on no host on which one did")
    change = _change(move, mine)
    return object_change.needed(change, list(_told(move, change, metadata, spec, asked)), metadata)


def _ports(spec: Mapping[str, Any]) -> Iterator[tuple[int, Any, Any, Any]]:
    """Index, protocol, port and NodePort of each of a Service's ports."""
    ports = spec.get("ports")
    for index, port in enumerate(ports if isinstance(ports, list) else ()):
        yield index, mapping(port).get("protocol", "TCP"), mapping(port).get("port"), mapping(port).get("nodePort")


def _changed(metadata: Mapping[str, Any], mine: Mapping[tuple[Any, Any], int], move: Move) -> str:
    """Why the Service is not what was diagnosed any more; empty when it is."""
    against = (
        (metadata.get("uid") != move.uid, f"it was deleted and made anew since it was diagnosed. {AGAIN}"),
        (metadata.get("deletionTimestamp"), "it is being deleted"),
        (not mine, diagnosed_anew(f"it has no NodePort {move.number} any more")),
        (mine.keys() != set(move.ports), diagnosed_anew(f"other ports of it have NodePort {move.number} by now")),
    )
    return next((why for holds, why in against if holds), "")


def _taken(move: Move, asked: Asked, answers: Mapping[str, Any]) -> str:
    """Why it is not sure that the new number is free on all hosts; empty when it is."""
    if move.to in asked.host_ports:
        return f"{move.to} is the hostPort of a pod, and a NodePort takes what comes for that, though no socket has it. {AGAIN}"
    for question in questions(move, asked):
        why = _taken_there(move, question["host"], answers.get(question["host"]))
        if why:
            return why
    return ""


def _taken_there(move: Move, host: str, answer: Any) -> str:
    again = f"whether {move.to} is free on {host} is not known"
    if not isinstance(answer, dict) or not isinstance(answer.get("sockets"), list):
        told = answer.get("msg") if isinstance(answer, dict) else None
        return f"{again}: {told or 'no answer'}. Leave the host out with -l where it is none of the cluster's nodes any more"
    try:
        holder = next((socket for socket in answer["sockets"] if socket["port"] == move.to), None)
        if holder is not None:
            return f"{move.to} is not free any more, on {host}: {describe.line(holder)}. {AGAIN}"
        _sockets(answer)
        sctp = ("sctp sockets",) if any(protocol == "SCTP" for protocol, _port in move.ports) else ()
        gap = missing(answer, "sockets", *sctp)
    except (KeyError, TypeError, AttributeError, ValueError):
        return f"{again}: it answered in another form than expected"
    return f"{again}: {gap}" if gap else ""


def _meets(meeting: Meeting, number: int, answer: Mapping[str, Any]) -> bool:
    """Whether the socket that the NodePort met is there still; who holds it may have been started anew."""
    return (meeting.protocol, meeting.address, number) in _sockets(answer)


def _sockets(answer: Mapping[str, Any]) -> list[tuple[Any, Any, Any]]:
    return [(socket["protocol"], socket["address"], socket["port"]) for socket in answer["sockets"]]


def _change(move: Move, mine: Mapping[tuple[Any, Any], int]) -> Change:
    around: dict[str, object_change.Value] = {}
    for (protocol, port), index in mine.items():
        around |= {f"/spec/ports/{index}/port": port, f"/spec/ports/{index}/protocol": protocol}
    fields = tuple(Field(f"/spec/ports/{index}/nodePort", move.number, move.to) for index in mine.values())
    return Change(FIX, move.namespace, move.name, move.uid, around, fields)


def _told(move: Move, change: Change, metadata: dict[str, Any], spec: Mapping[str, Any], asked: Asked) -> Iterator[str]:
    ports = [f"{port}/{protocol}" for protocol, port in move.ports]
    which = f"port {ports[0]} gets" if len(ports) == 1 else f"ports {' and '.join(ports)}, which share a NodePort, get"
    yield f"{which} NodePort {move.to} in place of {move.number}, on every node"
    hosts = "1 host that was" if len(asked.hosts) == 1 else f"{len(asked.hosts)} hosts that were"
    yield f"no socket has the number {move.to}, in whatever state, on the {hosts} asked just now"
    if asked.others:
        them = (
            "a Node of the cluster was" if len(asked.others) == 1 else f"{len(asked.others)} Nodes of the cluster were"
        )
        yield f"{them} not asked, so whether {move.to} is free there is not known: {describe.listed(asked.others, _SHOWN)}"
    yield (
        f"whoever uses {move.number} is not led to the Service any more: clients, firewalls and load balancers that name it "
        f"have to name {move.to}, and connections through it may end"
    )
    if spec.get("type") == "LoadBalancer":
        yield "its load balancer has to send to the new number: a cloud's controller sees to that itself, one that was set up by hand does not"
    yield from object_owners.told(metadata, "the old number")
    if _applied(metadata, move.number):
        yield f"the manifest that kubectl apply was given names {move.number}, and its next run brings that back: change it there too"
    yield f"undo: {change.undo}"


def _applied(metadata: Mapping[str, Any], number: int) -> bool:
    """Whether the number stands in the manifest that "kubectl apply" was given last."""
    text = mapping(metadata.get("annotations")).get(_APPLIED)
    try:
        manifest = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return False
    return any(
        node_port == number for _at, _protocol, _port, node_port in _ports(mapping(mapping(manifest).get("spec")))
    )
