# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same service has another backlog here than on most other nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import backlog_words, describe, listening
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    NotApplicable,
    Remedy,
    Rule,
    Unknown,
    missing,
)


class _Odd(NamedTuple):
    """A listener, and the backlog that ``hosts`` of ``of_hosts`` have for the same service."""

    socket: dict[str, Any]
    usual: int
    hosts: int
    of_hosts: int


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    section = node["tcp_states"]
    unseen = missing(section, "backlog")
    if unseen:
        yield Unknown(unseen)
        return
    services = listening.by_service(section)
    if not any(context.fleet.serving[key] > 1 for key in services):
        yield NotApplicable("no other host was seen to run a service that runs here")
        return
    odd: dict[str, list[_Odd]] = {}
    for key, sockets in services.items():
        for socket in sockets:
            found = _compare(key, socket, context)
            if found:
                odd.setdefault(listening.program(socket), []).append(found)
    for program, found_here in sorted(odd.items()):
        yield _fail(program, found_here, section["limits"]["somaxconn"])


def _compare(key: str, socket: dict[str, Any], context: Context) -> _Odd | None:
    """What most of all hosts with this service have, where this listener has something else; None where it has the same."""
    of_hosts = context.fleet.serving[key]
    if of_hosts < 2:
        return None
    held: Counter[int] = context.fleet.backlogs[key]
    usual, hosts = held.most_common(1)[0]
    agreed = hosts >= context.settings.threshold("backlog_hosts") and 2 * hosts > of_hosts
    return _Odd(socket, usual, hosts, of_hosts) if agreed and socket["backlog"] != usual else None


def _fail(program: str, odd: list[_Odd], somaxconn: int | None) -> Fail:
    lower = any(entry.socket["backlog"] < entry.usual for entry in odd)
    usual = sorted({entry.usual for entry in odd})
    return Fail(
        subject=f"backlog of {program}",
        title=f"{program} has a {'smaller' if lower else 'larger'} backlog here than on most nodes "
        f"({describe.listed(sorted({entry.socket['backlog'] for entry in odd}))} against {describe.listed(usual)})",
        explanation=(
            f"{_reason(odd, somaxconn)} "
            + (
                "Where fewer connections may wait to be accepted, a burst that other nodes take is cut off here."
                if lower
                else "A larger backlog does no harm by itself; it tells that the nodes are not set up alike."
            )
        ),
        evidence=tuple(
            f"{describe.line(entry.socket)}; {entry.hosts} of {entry.of_hosts} hosts have {entry.usual}"
            for entry in odd
        ),
        remedies=tuple(_remedies(odd, somaxconn)),
        severity="warning" if lower else "info",
    )


def _reason(odd: list[_Odd], somaxconn: int | None) -> str:
    """The most likely reason, by what this node's somaxconn is today."""
    first = odd[0]
    backlog, usual = first.socket["backlog"], first.usual
    if somaxconn is None:
        return "Why is not known, because somaxconn could not be read."
    if backlog == somaxconn:
        return f"This node's net.core.somaxconn is {somaxconn}, and limits the backlog to that; on most nodes it is another."
    if somaxconn == usual:
        change = "raised" if backlog < somaxconn else "lowered"
        return f"net.core.somaxconn is {somaxconn} here today, which is what most nodes have: it was {change} after the program began to listen."
    if backlog > somaxconn:
        return f"net.core.somaxconn is {somaxconn} here: it was lowered after the program began to listen, and would be less still after a restart."
    return f"net.core.somaxconn is {somaxconn} here and explains neither number: the program's version or configuration differs."


def _remedies(odd: list[_Odd], somaxconn: int | None) -> Iterator[Remedy]:
    first = odd[0]
    if somaxconn == first.usual:
        yield backlog_words.restart(first.socket, "which takes over today's somaxconn")
    elif somaxconn is not None and somaxconn < first.usual and first.socket["backlog"] >= somaxconn:
        yield backlog_words.raise_somaxconn(first.usual)
    else:
        yield Remedy(
            "compare somaxconn, and the program's version and configuration, with a node that has the usual backlog",
            ("sysctl net.core.somaxconn", f"ss -tln sport = :{first.socket['port']}"),
            "none",
        )


RULE = Rule(
    id="backlog-differs",
    group="tcp",
    severity="warning",
    claim="a service has the same backlog on all nodes",
    why="nodes that were set up alike take the same load; where one has less room for waiting connections, a change did not reach it",
    sources=(
        "Linux net/socket.c, __sys_listen: the backlog is min(listen()'s, net.core.somaxconn)",
        "Go src/net/sock_linux.go, maxListenerBacklog",
    ),
    judge=_judge,
    needs=("tcp_states",),
    thresholds=("backlog_hosts",),
)
