# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program keeps connections that the other end has closed: it pays a socket and a descriptor for each, for ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    close_wait,
    describe,
    held_connections,
    listening,
    other_end,
    peers,
    stuck_groups,
    tcp_words,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.held_connections import Held
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.other_end import Surroundings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Rule, Unknown
from ansible_collections.kubenode.doctor.plugins.plugin_utils.stuck_groups import Gathered

_STATE = "close_wait"
_PEERS = 50  # as many are joined with their other end
_SAMPLES = 3
_SHOWN = 6


class _Files(NamedTuple):
    """A process and its limit of open files."""

    open: int
    limit: int


class _Leak(NamedTuple):
    """Connections that are held, how many of them for certain, and what they are of the process's open files."""

    gathered: Gathered
    held: int
    files: _Files | None
    files_share: float


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    section = node["tcp_states"]
    threshold = context.settings.threshold
    for gathered in stuck_groups.gather(section, _STATE):
        aged = _is_aged(gathered, threshold("close_wait_seconds"))
        if aged is None:
            if gathered.count >= threshold("close_wait_count"):
                yield _ageless(gathered)
        elif aged:
            leak = _leak(gathered)
            if leak.held >= threshold("close_wait_count") or _is_critical(leak, context):
                yield _fail(leak, node, context)
            elif leak.held >= threshold("shared_count"):
                # The pools of many clients hold one or two that the other end has closed, and close them when they are next used.
                share, hosts = threshold("close_wait_hosts_share"), int(threshold("close_wait_hosts"))
                yield replace(_fail(leak, node, context), least_hosts=hosts, least_share=share)
    yield from stuck_groups.unseen(section, _STATE, context.settings.threshold("close_wait_count"), "whose they are")


def _is_aged(gathered: Gathered, seconds: float) -> bool | None:
    """True where some have been held for long; None where nothing tells."""
    if gathered.oldest is not None:
        return gathered.oldest >= seconds and gathered.persisted != 0
    return None if gathered.persisted is None else gathered.persisted > 0


def _ageless(gathered: Gathered) -> Unknown:
    return Unknown(
        f"{gathered.who} has {tcp_words.count(gathered.count, 'connection')} in CLOSE-WAIT; whether it holds them or is about to close them is not "
        f"known, because their age is not shown and there was no second sample: {tcp_words.SECOND_SAMPLE}",
        _subject(gathered),
    )


def _leak(gathered: Gathered) -> _Leak:
    """What one process holds: of a program that runs several times, in pods, the one with the most."""
    held = max(group["count"] if group["persisted"] is None else group["persisted"] for group in gathered.groups)
    files = _files(gathered)
    unaccepted = (close_wait.causes(gathered) or {}).get(close_wait.NEVER_ACCEPTED, 0)
    share = max(held - unaccepted, 0) / files.limit if files and files.limit else 0.0
    return _Leak(gathered, held, files, share)


def _files(gathered: Gathered) -> _Files | None:
    """The limit of open files of the process, the one nearest to it where there are several of the name."""
    pids = {sample["pid"] for sample in gathered.samples} - {None}
    found = [
        _Files(entry["open"], entry["limit"])
        for entry in gathered.section["limits"]["processes"]
        if entry["limit"] and (entry["pid"] in pids if pids else entry["name"] == gathered.process)
    ]
    return max(found, key=lambda files: files.open / files.limit, default=None)


def _is_critical(leak: _Leak, context: Context) -> bool:
    threshold = context.settings.threshold
    return leak.held >= threshold("close_wait_count_critical") or leak.files_share >= threshold(
        "close_wait_files_share"
    )


def _subject(gathered: Gathered) -> str:
    found = close_wait.listener(gathered)
    if found is not None:
        # The words by which accept-queue-overflow names the listener, so that one explains the other.
        return listening.name(found)
    return f"{gathered.who} {'on' if gathered.came_in else 'to'} port {gathered.port}"


def _fail(leak: _Leak, node: NodeView, context: Context) -> Fail:
    gathered = leak.gathered
    return Fail(
        subject=_subject(gathered),
        title=_title(gathered),
        explanation=" ".join(_explanation(gathered)),
        evidence=tuple(_evidence(leak, held_connections.of(gathered, node), Surroundings(node, context, gathered))),
        remedies=tuple(close_wait.remedies(gathered, node)),
        severity="critical" if _is_critical(leak, context) else "warning",
        caused_by=_causes(gathered, context),
    )


def _title(gathered: Gathered) -> str:
    place = _place(gathered)
    by_cause = {
        close_wait.LEAKED: f"{gathered.who} leaks connections {place}: the other end has closed them, and it does not",
        close_wait.NEVER_READ: f"{gathered.who} does not notice that connections {place} were closed at the other end",
        close_wait.NEVER_ACCEPTED: f"{gathered.who} never accepted connections {place}, which the other end has closed since",
    }
    cause = close_wait.main_cause(gathered)
    return by_cause[cause] if cause else f"{gathered.who} holds connections {place} that the other end has closed"


def _place(gathered: Gathered) -> str:
    if not gathered.came_in:
        return f"to {gathered.port_words}"
    found = close_wait.listener(gathered)
    if found is not None and not listening.has_fixed_port(found):
        return "that came in on a random port"
    return f"that came in on {gathered.port_words}"


def _explanation(gathered: Gathered) -> Iterator[str]:
    yield (
        "A connection in CLOSE-WAIT waits for its own program, never times out, and costs a socket, a descriptor and, on the side that dialled, "
        "a local port."
    )
    told = close_wait.causes(gathered)
    if told is None:
        yield "Which of the possible causes it is, the backend does not show."
    else:
        for cause in sorted(told, key=lambda name: -told[name]):
            if told[cause]:
                yield f"Of {'these' if told[cause] == gathered.count else 'some'}, {close_wait.MEANING[cause]}."
    background = close_wait.background(gathered)
    if background:
        yield background


def _causes(gathered: Gathered, context: Context) -> tuple[str, ...]:
    """A listener that accepts too slowly is the cause of connections that it never accepted."""
    found = close_wait.listener(gathered)
    if found is None or close_wait.main_cause(gathered) != close_wait.NEVER_ACCEPTED or found["backlog"] is None:
        return ()
    over = found["queue"] and found["queue"] >= context.settings.threshold("accept_queue_share") * found["backlog"]
    return ("accept-queue-overflow",) if over else ()


def _evidence(leak: _Leak, held: Held | None, around: Surroundings) -> Iterator[str]:
    gathered = leak.gathered
    direction = "that came in on" if gathered.came_in else "to"
    yield (
        f"{tcp_words.count(gathered.count, 'connection')} of {gathered.who} {direction} {gathered.port_words} in CLOSE-WAIT, "
        f"{stuck_groups.age_words(gathered)}"
    )
    yield from stuck_groups.why_unseen(gathered)
    if held is not None:
        yield held.words(gathered.count)
    yield from _cause_line(gathered)
    if leak.files:
        share = f", {tcp_words.share(leak.files_share)} of the limit" if leak.files_share >= 0.01 else ""
        yield f"{gathered.who} has {leak.files.open} of {leak.files.limit} possible open files; these connections are {leak.held}{share}"
    yield from _joined(gathered, around)
    for sample in gathered.samples[:_SAMPLES]:
        yield _sample(sample)


def _cause_line(gathered: Gathered) -> Iterator[str]:
    told = close_wait.causes(gathered)
    if told:
        words = {
            close_wait.NEVER_READ: "whose end was never read",
            close_wait.LEAKED: "read to the end and leaked",
            close_wait.NEVER_ACCEPTED: "never accepted",
        }
        yield "of these " + ", ".join(f"{told[cause]} {words[cause]}" for cause in close_wait.CAUSES)


def _joined(gathered: Gathered, around: Surroundings) -> Iterator[str]:
    """The other end, by what its own snapshot shows; by name only where it is no host of the bundle."""
    port = None if gathered.came_in else gathered.port
    found = [(around.whose(address, port), address, count) for address, count in gathered.peers[:_PEERS]]
    hosts = [(peer, address) for peer, address, _count in found if peer.kind in (peers.NODE, peers.HERE)]
    lines = [(peer.name, around.closed(peer, address, gathered.came_in, gathered.port)) for peer, address in hosts]
    for line in other_end.grouped(lines):
        yield f"the other end, {line}"
    others = [(peer, address, count) for peer, address, count in found if peer.kind not in (peers.NODE, peers.HERE)]
    if others:
        named = [f"{address} ({_whose(peer)}): {count}" for peer, address, count in others]
        yield f"other ends that are no host of this audit, with their connections: {describe.listed(named, _SHOWN)}"
    untold = gathered.peers_untold + max(len(gathered.peers) - _PEERS, 0)
    if untold:
        yield f"{untold} more peers were not looked at"


def _whose(peer: peers.Peer) -> str:
    if peer.name:
        return peer.name
    return "named by no Node, Service or EndpointSlice" if peer.kind == peers.UNNAMED else "not known whose"


def _sample(sample: dict[str, Any]) -> str:
    ends = f"{tcp_words.endpoint(sample['address'], sample['port'])} with {tcp_words.endpoint(sample['peer'], sample['peer_port'])}"
    age = f", {tcp_words.age(sample['age_seconds'])} without a word" if sample["age_seconds"] is not None else ""
    unread = f", {tcp_words.count(sample['unread'], 'byte')} unread" if sample["unread"] else ""
    return f"for example {ends}{age}{unread}"


RULE = Rule(
    id="close-wait-leak",
    group="tcp",
    severity="warning",
    claim="programs close the connections that their other end has closed",
    why="what is never closed adds up until the program has no descriptors, or this node no ports, left",
    sources=(
        "https://github.com/kubernetes/kubernetes/issues/67913",
        "https://github.com/kubernetes/kubernetes/issues/67659",
        "https://github.com/kubernetes/kubernetes/issues/106713",
        "Linux net/ipv4/tcp_diag.c, tcp_diag_get_info",
    ),
    judge=_judge,
    needs=("host", "tcp_states"),
    thresholds=(
        "close_wait_count",
        "close_wait_count_critical",
        "close_wait_seconds",
        "close_wait_files_share",
        "close_wait_hosts",
        "close_wait_hosts_share",
        "shared_count",
        "accept_queue_share",
    ),
    by_network=True,
)
