# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which findings explain a message of a log: those about the very thing that it names, or about the one kernel that said it.

A message that names a port is not explained by what befell another. Candidates are given as ``(rule, object)``; the judge knows which
of them there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import known_ports, nodeport_verdict
from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    describe,
    etcd_seen,
    listening,
    peers,
    section_gaps,
    stuck_groups,
    tcp_words,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logged import Entry
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView

Cause = str | tuple[str, str]
Finder = Callable[[Sequence[Entry], NodeView, Context], Iterable[Cause]]

# What a kernel says of itself has one cause in it, and one finding.
_OF_THE_KERNEL: Mapping[str, str] = {
    "conntrack-table-full": "conntrack-near-limit",
    "tcp-out-of-memory": "tcp-memory-pressure",
    "time-wait-overflow": "time-wait-near-limit",
    "too-many-orphans": "orphans-near-limit",
}
_CLOCK = ("clock-set-back", "clock-unsynchronized")
_BGP = 179
_DOCKER = {"docker": "dockerd"}  # units whose program has another name


def of(signature: str, entries: Sequence[Entry], node: NodeView, context: Context) -> tuple[Cause, ...]:
    """What may explain these messages of a signature."""
    if signature in _OF_THE_KERNEL:
        return (_OF_THE_KERNEL[signature],)
    finder = _FINDERS.get(signature)
    return tuple(dict.fromkeys(finder(entries, node, context))) if finder else ()


def _told(entries: Iterable[Entry], field: str) -> set[str]:
    return {entry["fields"][field] for entry in entries if entry["fields"].get(field)}


def _certificate(entries: Sequence[Entry], _node: NodeView, _context: Context) -> Iterable[Cause]:
    """A clock that is behind makes a certificate not yet valid; it makes none expire."""
    return _CLOCK if all(_is_not_yet_valid(entry["sample"]) for entry in entries) else ()


def _is_not_yet_valid(sample: str) -> bool:
    # x509: certificate has expired or is not yet valid: current time 2021-03-12T… is before 2026-11-21T…
    return " is before " in sample or "not yet valid" in sample.replace("expired or is not yet valid", "")


def _meetings(entries: Sequence[Entry], node: NodeView, context: Context, protocols: frozenset[str]) -> Iterator[str]:
    """The objects of findings on a NodePort and a socket of the very number that was logged."""
    if section_gaps.gap(node.sections, "nodeport_conflict"):
        return
    numbers = _told(entries, "port")
    for port in (*context.opened_ports, *context.health_check_ports):
        number = nodeport_verdict.number(port)
        if str(number) in numbers:
            for socket in node["nodeport_conflict"]["sockets"]:
                if socket["port"] == number and socket["protocol"] in protocols:
                    yield f"{describe.service(port)} against {describe.owner_name(socket)}"


def _exec(entries: Sequence[Entry], node: NodeView, context: Context) -> Iterator[Cause]:
    for subject in _meetings(entries, node, context, frozenset({"tcp"})):
        yield "nodeport-shadows-listener", subject


def _node_port(entries: Sequence[Entry], node: NodeView, context: Context) -> Iterator[Cause]:
    for subject in _meetings(entries, node, context, frozenset({"tcp", "udp", "sctp"})):
        yield "nodeport-cannot-open", subject
        yield "health-check-nodeport-cannot-open", subject


def _metrics(entries: Sequence[Entry], _node: NodeView, _context: Context) -> Iterator[Cause]:
    places = filter(None, map(etcd_seen.place, _told(entries, "address")))
    for port in sorted({place.port for place in places}):
        if known_ports.rightful_owners("tcp", port):
            yield "component-port-taken", f"{known_ports.component('tcp', port)} port {port}"


def _destination(entries: Sequence[Entry], _node: NodeView, _context: Context) -> Iterator[Cause]:
    for place in filter(None, map(etcd_seen.place, sorted(_told(entries, "destination")))):
        yield "ephemeral-destination-exhausted", f"connections to {tcp_words.endpoint(place.host, place.port)}"


def _queue(entries: Sequence[Entry], node: NodeView, _context: Context) -> Iterator[Cause]:
    section, numbers = _tcp_states(node), _told(entries, "port")
    for entry in section.get("accept_queues", ()):
        if str(entry["port"]) in numbers:
            yield "accept-queue-overflow", listening.name(listening.as_socket(entry, section))


def _bgp(entries: Sequence[Entry], node: NodeView, _context: Context) -> Iterator[Cause]:
    """Who dials a peer that was named, on BGP's port, and gets no answer."""
    section = _tcp_states(node)
    named = {peers.plain(peer) for told in _told(entries, "peers") for peer in told.split(",")}
    dialling = [
        group
        for group in section.get("groups", ())
        if group["peer_port"] == _BGP and named & {peers.plain(peer["address"]) for peer in group["top_peers"]}
    ]
    for gathered in stuck_groups.gather(section, "syn_sent", dialling):
        yield "syn-sent-unanswered", f"{gathered.who} to port {gathered.port}"


def _tcp_states(node: NodeView) -> dict[str, Any]:
    return {} if section_gaps.gap(node.sections, "tcp_states") else node["tcp_states"]


def _files(entries: Sequence[Entry], _node: NodeView, _context: Context) -> Iterator[Cause]:
    """Of the machine where the kernel's word says so (ENFILE), else of the program that said it."""
    for entry in entries:
        if "too many open files in system" in entry["sample"].lower():
            yield "file-handles-near-limit", "open files of the machine"
        else:
            unit = (entry["unit"] or "").rpartition(".service")[0]
            name = entry["pod"]["container"] if entry["pod"] else _DOCKER.get(unit, unit)
            yield "file-handles-near-limit", f"open files of {name}"


_FINDERS: Mapping[str, Finder] = {
    "bgp-not-established": _bgp,
    "cannot-assign-address": _destination,
    "certificate-expired": _certificate,
    "exec-dial-refused": _exec,
    "kube-proxy-metrics-bind-failed": _metrics,
    "nodeport-bind-failed": _node_port,
    "syn-flooding": _queue,
    "too-many-open-files": _files,
}
EXPLAINED = frozenset({*_OF_THE_KERNEL, *_FINDERS})  # the signatures that other findings may explain
