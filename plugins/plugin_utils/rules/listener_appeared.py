# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something listens that did not at the last audit of this host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import port_ranges, reach
from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    listener_cures,
    section_gaps,
    undeclared,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.drift import Appeared, Change
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
    found = node.drift
    for socket in found.unsure:
        if not undeclared.is_expected(socket, node, context):
            yield Unknown(_why_unsure(before, node))
            break
    programs: dict[str, list[Appeared]] = {}
    told = undeclared.risky(node, context) if found.appeared else frozenset()
    for one in found.appeared:
        if undeclared.key(one.socket) in told or undeclared.is_expected(one.socket, node, context):
            continue  # listener-unexplained tells of the first that they are new
        if not _is_service(one.socket, context):
            programs.setdefault(undeclared.program(one.socket, context), []).append(one)
    for who, appeared in programs.items():
        yield _fail(who, appeared, node, before)
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


def _fail(who: str, appeared: list[Appeared], node: NodeView, before: Earlier) -> Fail:
    sockets = [one.socket for one in appeared]
    shown = undeclared.facts(_explained(sockets, node))
    shown += [f"the last audit that saw this host was {before.audit}, begun {before.started}"]
    shown += _changes(before.sections, node.sections)
    return Fail(
        subject=who,
        title=_title(who, appeared),
        explanation=f"{_reach(sockets)} It is told once: the next audit compares with this one.",
        evidence=tuple(shown),
        remedies=(
            listener_cures.look(node.host, sockets),
            listener_cures.declare(
                sockets, any(process["pod_uid"] for socket in sockets for process in socket["processes"])
            ),
        ),
    )


def _title(who: str, appeared: list[Appeared]) -> str:
    """Told by what is new of the newest; each socket is in the evidence."""
    change = next(change for change in Change if any(one.change is change for one in appeared))
    sockets = [one.socket for one in appeared if one.change is change]
    where = undeclared.places(sockets)
    then = {
        Change.OPENED: "was not at the last audit",
        Change.MORE: "more of them are than at the last audit",
        Change.WIDER: "on more addresses than at the last audit",
    }[change]
    known = sockets[0]["known_as"]
    if not known and undeclared.is_hidden(sockets[0]):
        return f"{where} is open, held by a process that could not be seen, and {then}"
    if not known and undeclared.is_nobodys(sockets[0]):
        return f"{where} is open, and {then}, and no process holds it"
    return {
        Change.OPENED: f"{who} listens on {where}, and did not at the last audit",
        Change.MORE: f"{who} listens on more random ports than at the last audit",
        Change.WIDER: f"{who} listens on {where} of more addresses than at the last audit",
    }[change]


def _explained(sockets: Iterable[dict[str, Any]], node: NodeView) -> Iterator[dict[str, Any]]:
    """Yield the listeners with what listener_origin knows of them, where it does."""
    gap = section_gaps.gap(node.sections, undeclared.SECTION)
    origins = {undeclared.key(one): one for one in (() if gap else node[undeclared.SECTION]["listeners"])}
    for socket in sockets:
        yield {**origins.get(undeclared.key(socket), {}), **socket}


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
    claim="nothing listens that did not at the last audit of this host (UDP sockets on ports of the ephemeral range are taken for clients)",
    why="a port that was opened since, by an update, a new program or a stranger, is seen by nobody who does not compare",
    sources=(
        "CIS Controls v8, 4.8 and 2.4: software and services that are not expected are found by comparing with what was there",
        "Linux net/ipv4/inet_connection_sock.c: a random port is another one after each start, so such ports are counted, by program and unit",
    ),
    judge=_judge,
    needs=("host", "listen_ports"),
    reads=("listener_origin",),
    settings=("expected_listeners",),
    told_once=True,
    see_also=("listener-unexplained",),
)
