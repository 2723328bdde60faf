# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something listens that did not at the last audit of this host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import port_ranges, reach
from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    describe,
    drift,
    listener_cures,
    section_gaps,
    undeclared,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.earlier_audits import Earlier
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    NotApplicable,
    Rule,
    Unknown,
    missing,
)


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    before = node.earlier
    if before.why:
        yield Unknown(before.why) if before.asked else NotApplicable(before.why)
        return
    found = drift.between(before.sections, node.sections)
    for socket in found.unsure:
        if not undeclared.is_expected(socket, node, context):
            yield Unknown(_why_unsure(before, node))
            break
    programs: dict[str, list[dict[str, Any]]] = {}
    for socket in found.appeared:
        if not undeclared.is_expected(socket, node, context) and not _is_service(socket, context):
            programs.setdefault(_who(socket, context), []).append(socket)
    for who, sockets in programs.items():
        yield _fail(who, sockets, node, before)
    cut = missing(node["listen_ports"], "listeners", "sockets")
    if cut:
        yield Unknown(cut)


def _why_unsure(before: Earlier, node: NodeView) -> str:
    for words, section in ((f"audit {before.audit}: ", before.sections["listen_ports"]), ("", node["listen_ports"])):
        why = missing(section, "processes", "listeners", "sockets")
        if why:
            return f"whether all that listens did so before cannot be told: {words}{why}"
    return "whether all that listens did so before cannot be told: who holds which socket was not seen, or from which ports the kernel draws"


def _is_service(socket: dict[str, Any], context: Context) -> bool:
    """True for a NodePort that the service proxy holds (before Kubernetes 1.24), or a Service's health check: the API accounts for it."""
    known = socket["known_as"] or {}
    return known.get("component") == "kube-proxy" and port_ranges.contains(context.numbers_in_use, socket["port"])


def _who(socket: dict[str, Any], context: Context) -> str:
    return describe.owner_name(socket) if socket["known_as"] else undeclared.who(socket, context)


def _fail(who: str, sockets: list[dict[str, Any]], node: NodeView, before: Earlier) -> Fail:
    shown = undeclared.facts(_explained(sockets, node))
    shown += [f"the last audit that saw this host was {before.audit}, begun {before.started}"]
    shown += _changes(before.sections, node.sections)
    return Fail(
        subject=who,
        title=f"{who} listens on {undeclared.places(sockets)}, and did not at the last audit",
        explanation=f"{_reach(sockets)} It is told once: the next audit compares with this one.",
        evidence=tuple(shown),
        remedies=(
            listener_cures.look(node.host, sockets),
            listener_cures.declare(
                sockets, any(process["pod_uid"] for socket in sockets for process in socket["processes"])
            ),
        ),
    )


def _explained(sockets: Iterable[dict[str, Any]], node: NodeView) -> Iterator[dict[str, Any]]:
    """Yield the listeners with what listener_origin knows of them, where it does."""
    gap = section_gaps.gap(node.sections, undeclared.SECTION)
    origins = {_place(one): one for one in (() if gap else node[undeclared.SECTION]["listeners"])}
    for socket in sockets:
        yield {**origins.get(_place(socket), {}), **socket}


def _place(socket: dict[str, Any]) -> tuple[Any, ...]:
    return socket["protocol"], socket["address"], socket["port"], socket["inode"]


def _reach(sockets: Iterable[dict[str, Any]]) -> str:
    if all(reach.of(socket["address"]) == reach.LOOPBACK for socket in sockets):
        return "Only programs of this machine reach it."
    return "Other machines reach it."


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield what else happened to the machine, which may be why."""
    then, host = before.get("host") or {}, now["host"]
    if then.get("kernel") and host.get("kernel") and then["kernel"] != host["kernel"]:
        yield f"the kernel was {then['kernel']} then and is {host['kernel']} now, so the machine was booted and updated in between"
    elif then.get("boot_id") and host.get("boot_id") and then["boot_id"] != host["boot_id"]:
        yield "the machine was booted in between"


RULE = Rule(
    id="listener-appeared",
    group="ports",
    severity="info",
    claim="nothing listens that did not at the last audit of this host",
    why="a port that was opened since, by an update, a new program or a stranger, is seen by nobody who does not compare",
    sources=(
        "CIS Controls v8, 4.8 and 2.4: software and services that are not expected are found by comparing with what was there",
        "Linux net/ipv4/inet_connection_sock.c: a random port is another one after each start, so it is not compared by number",
    ),
    judge=_judge,
    needs=("host", "listen_ports"),
    reads=("listener_origin",),
    settings=("expected_listeners",),
    see_also=("listener-unexplained",),
)
