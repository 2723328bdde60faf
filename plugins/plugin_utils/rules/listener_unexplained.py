# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A listener for which nothing accounts, and that is a risk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import reach
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_words import endpoint
from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe, drift, listener_cures, undeclared
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.misshapen import MISSHAPEN
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    Remedy,
    Rule,
    Unknown,
    missing,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.undeclared import Risk, Undeclared

_SINCE = {
    drift.Change.OPENED: "did not listen",
    drift.Change.MORE: "had fewer random ports",
    drift.Change.WIDER: "listened on fewer addresses",
}


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    programs: dict[str, list[Undeclared]] = {}
    for one in undeclared.of(node, context):
        programs.setdefault(one.who, []).append(one)
    for who, found in programs.items():
        if any(one.risks for one in found):
            yield _fail(who, found, node, context)
        else:
            yield from (Unknown(why, who) for why in dict.fromkeys(one.unsure for one in found) if why)
    yield from _unseen(node, context)


def _unseen(node: NodeView, context: Context) -> Iterator[Unknown]:
    """What may hide a listener, or whose a listener is; told once."""
    sections = (node[undeclared.SECTION], node["listen_ports"])
    cut = next(filter(None, (missing(section, "listeners", "sockets") for section in sections)), "")
    if cut:
        yield Unknown(cut)
    hidden = undeclared.hidden(node, context)
    if hidden:
        why = next(filter(None, (missing(section, "processes") for section in sections)), "")
        yield Unknown(why or f"who holds {describe.listed(list(map(endpoint, hidden)), 5)} could not be seen")


def _fail(who: str, found: list[Undeclared], node: NodeView, context: Context) -> Fail:
    risky = [one for one in found if one.risks]
    risks = [risk for risk in Risk if any(risk in one.risks for one in risky)]
    shown = undeclared.facts(one.socket for one in (*risky, *found))
    shown += _since([one.socket for one in risky], node)
    if Risk.IN_RANGE in risks:
        shown.append(f"NodePort range {context.nodeport_range} ({context.nodeport_range.source})")
    if any(one.kept for one in risky):
        shown.append(
            "earlier audits saw the same port at an earlier start, so it is not drawn, although it lies in the ephemeral range"
        )
    undeclarable = undeclared.why_undeclared((one.socket for one in risky), context)
    if undeclarable:
        shown.append(undeclarable)
    return Fail(
        subject=who,
        title=_title(who, risky, risks, context),
        explanation=" ".join(_explanation(risky, risks)),
        evidence=tuple(shown),
        remedies=tuple(_remedies(risky, risks, node, context)),
        severity=_severity(risky),
    )


def _since(sockets: list[dict[str, Any]], node: NodeView) -> Iterator[str]:
    """Yield which of them were not there at the last audit: listener-appeared leaves them to this rule."""
    try:
        appeared = (
            {undeclared.key(one.socket): one.change for one in node.drift.appeared} if not node.earlier.why else {}
        )
    except MISSHAPEN:
        return  # of another form: listener-appeared says so
    for change in drift.Change:
        new = [socket for socket in sockets if appeared.get(undeclared.key(socket)) is change]
        if new:
            where = "" if len(new) == len(sockets) or change is drift.Change.MORE else f"on {undeclared.places(new)} "
            yield f"{where}it {_SINCE[change]} at the last audit that saw this host, {node.earlier.audit}"


def _title(who: str, risky: list[Undeclared], risks: list[Risk], context: Context) -> str:
    where = undeclared.places(one.socket for one in risky)
    if Risk.NOBODY in risks:
        return f"{where} is open, and no process holds it"
    if Risk.REACHED in risks:
        return f"{who} listens for other machines on {where}, and nothing accounts for it"
    return f"{who} listens on {where} inside NodePort range {context.nodeport_range}, and nothing accounts for it"


def _severity(risky: list[Undeclared]) -> str:
    """A listener on a fixed port that others reach is usual, and told for the record; whatever else is a risk is a warning."""
    harmless = all(one.risks == (Risk.REACHED,) and not one.socket["ephemeral"] for one in risky)
    return "info" if harmless else "warning"


def _explanation(risky: list[Undeclared], risks: list[Risk]) -> Iterator[str]:
    if Risk.NOBODY in risks:
        yield (
            "All processes could be seen, and none has it open: the kernel opened it itself (file systems and tunnels do), it was being closed "
            "at that moment, or something hides its process."
        )
    reached = [one.socket for one in risky if Risk.REACHED in one.risks]
    if reached:
        anywhere = any(reach.of(socket["address"]) == reach.EVERYWHERE for socket in reached)
        addresses = sorted({socket["address"] for socket in reached})
        yield (
            f"Whoever reaches {'any address of this machine' if anywhere else describe.listed(addresses, 3)} can talk to it. No table of "
            "well-known ports, no pod and no entry of expected_listeners accounts for it."
        )
    if any(socket["ephemeral"] for socket in reached):
        yield "A port in the ephemeral range was most likely drawn at random, so it is another one after each start and no firewall rule names it."
    if Risk.IN_RANGE in risks:
        yield (
            "The API server does not know what listens on nodes, so it may give a number of the NodePort range to a Service, which then takes the "
            "packets of this listener on every node."
        )


def _remedies(risky: list[Undeclared], risks: list[Risk], node: NodeView, context: Context) -> Iterator[Remedy]:
    sockets = [one.socket for one in risky]
    in_pod = any(process["pod_uid"] for socket in sockets for process in socket["processes"])
    yield listener_cures.look(node.host, sockets)
    yield listener_cures.declare(sockets, in_pod)
    if Risk.REACHED in risks:
        yield Remedy(
            "if only this machine needs it, let it listen on 127.0.0.1, in its own configuration; else let a firewall say who may reach it",
            (),
            "whoever uses it from elsewhere is cut off",
        )
    if Risk.IN_RANGE in risks:
        yield Remedy(
            f"give it a port outside NodePort range {context.nodeport_range}, in its own configuration",
            (),
            "its clients must follow",
        )


RULE = Rule(
    id="listener-unexplained",
    group="ports",
    severity="warning",
    claim=(
        "every listener that other machines reach, that no process holds, or whose port a Service may get is accounted for "
        "(UDP sockets on ports of the ephemeral range are taken for clients)"
    ),
    why="an open port that nobody knows of is nobody's to protect, and the one who opened it may not have meant to",
    sources=(
        "Linux net/ipv4/inet_connection_sock.c: a bind to port 0 is given a port of ip_local_port_range",
        "Kubernetes 1.36 pkg/registry/core/service/portallocator: numbers are given without a look at any node",
        "CIS Controls v8, 4.8: uninstall or disable unnecessary services on enterprise assets",
    ),
    judge=_judge,
    needs=("host", "listen_ports", "listener_origin"),
    reads=("nodeport_conflict", "port_settings"),
    settings=("expected_listeners", "nodeport_range", "proxy_mode"),
    see_also=("listener-appeared", "cri-stream-port-exposed", "fixed-port-in-nodeport-range"),
)
