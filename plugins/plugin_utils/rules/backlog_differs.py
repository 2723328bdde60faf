# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same service has another backlog here than on most other nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import backlog_words, describe, listening, tcp_words
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
    """A listener whose backlog is none of the ``usual`` ones, which ``hosts`` of ``of_hosts`` have for the same service."""

    socket: dict[str, Any]
    usual: tuple[int, ...]
    hosts: int
    of_hosts: int

    @property
    def is_lower(self) -> bool:
        """True where fewer connections may wait here."""
        return bool(self.socket["backlog"] < max(self.usual))


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    section = node["tcp_states"]
    unseen = missing(section, "backlog")
    if unseen:
        yield Unknown(unseen)
        return
    services = listening.by_service(section)
    left_out = section["truncated"]["accept_queues"]
    if left_out:
        yield Unknown(f"{tcp_words.count(left_out, 'more listener')} were not told: their backlogs were not compared")
    elif not any(context.fleet.serving[key] > 1 for key in services):
        yield NotApplicable("no other host was seen to run a service that runs here")
        return
    odd: dict[str, list[_Odd]] = {}
    for key, sockets in services.items():
        for found in _compare(key, sockets, context):
            odd.setdefault(listening.program(found.socket), []).append(found)
    for program, found_here in sorted(odd.items()):
        yield _fail(program, found_here, section["limits"]["somaxconn"])


def _compare(key: listening.Key, sockets: list[dict[str, Any]], context: Context) -> Iterator[_Odd]:
    """The listeners of a service, on one address family, that have a backlog which most hosts have on none of theirs."""
    of_hosts = context.fleet.serving[key]
    if of_hosts < 2:
        return
    usual, hosts = context.fleet.backlogs[key].most_common(1)[0]
    if hosts < context.settings.threshold("backlog_hosts") or 2 * hosts <= of_hosts:
        return
    yield from (_Odd(socket, usual, hosts, of_hosts) for socket in sockets if socket["backlog"] not in usual)


def _fail(program: str, odd: list[_Odd], somaxconn: int | None) -> Fail:
    odd = sorted(odd, key=lambda entry: not entry.is_lower)
    lower = odd[0].is_lower
    usual = sorted({backlog for entry in odd for backlog in entry.usual})
    return Fail(
        subject=f"backlog of {program}",
        title=f"{program} has a {'smaller' if lower else 'larger'} backlog here than on most nodes "
        f"({describe.listed(sorted({entry.socket['backlog'] for entry in odd}))} against {describe.listed(usual)})",
        explanation=(
            f"{_reason(odd[0], somaxconn)} "
            + (
                "Where fewer connections may wait to be accepted, a burst that other nodes take is cut off here."
                if lower
                else "A larger backlog does no harm by itself; it tells that the nodes are not set up alike."
            )
        ),
        evidence=tuple(
            f"{describe.line(entry.socket)}; {entry.hosts} of {entry.of_hosts} hosts have {describe.listed(entry.usual)}"
            for entry in odd
        ),
        remedies=tuple(_remedies(odd, somaxconn)),
        severity="warning" if lower else "info",
    )


def _reason(odd: _Odd, somaxconn: int | None) -> str:
    """What may be the reason, by what this node's somaxconn is today."""
    backlog = odd.socket["backlog"]
    if somaxconn is None:
        return "Why is not known, because somaxconn could not be read."
    if backlog > somaxconn:
        return (
            f"net.core.somaxconn is {somaxconn} here: it was lowered after the program began to listen, and the backlog would be no more "
            "than that after a restart."
        )
    if backlog == somaxconn:
        return f"This node's net.core.somaxconn is {somaxconn} as well, so most likely that is what limits the backlog here."
    if somaxconn >= max(odd.usual):
        return (
            f"net.core.somaxconn is {somaxconn} here today, which leaves room for what most nodes have: either it was raised after the program "
            "began to listen, or the program asks for less here, because its version or its configuration differs."
        )
    return (
        f"net.core.somaxconn is {somaxconn} here and explains neither number: the program's version or configuration differs, or somaxconn was "
        "another when it began to listen."
    )


def _remedies(odd: list[_Odd], somaxconn: int | None) -> Iterator[Remedy]:
    """``odd``: the listeners of one program, those with a smaller backlog first."""
    socket, most = odd[0].socket, max(odd[0].usual)
    yield Remedy(
        "compare somaxconn, and the program's version and configuration, with a node that has the usual backlog",
        ("sysctl net.core.somaxconn", f"ss -tln sport = :{socket['port']}"),
        "none",
    )
    if somaxconn is None or not odd[0].is_lower:
        return
    if somaxconn >= most:
        yield backlog_words.restart(
            socket,
            "only where the configuration is the same: this cures a somaxconn that was raised since, and nothing where the program asks for less",
            somaxconn,
        )
    elif socket["backlog"] >= somaxconn:
        limited = [entry.socket for entry in odd if entry.is_lower and entry.socket["backlog"] >= somaxconn]
        yield backlog_words.raise_somaxconn(most, limited, somaxconn)


RULE = Rule(
    id="backlog-differs",
    group="tcp",
    severity="warning",
    claim="a service has the same backlog on all nodes, in the hosts' own network",
    why="nodes that were set up alike take the same load; where one has less room for waiting connections, a change did not reach it",
    sources=(
        "Linux net/socket.c, __sys_listen: the backlog is min(listen()'s, net.core.somaxconn)",
        "Go src/net/sock_linux.go, maxListenerBacklog",
    ),
    judge=_judge,
    needs=("tcp_states",),
    thresholds=("backlog_hosts",),
)
