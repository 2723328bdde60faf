# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners for which nothing accounts: no table of well-known ports, no pod that declares them, no entry of expected_listeners. And which are a risk."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    cgroup,
    expected_listeners,
    known_ports,
    port_ranges,
    reach,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils import cluster_gaps, describe, encounters, section_gaps
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context, local_range, reserved
from ansible_collections.kubenode.doctor.plugins.plugin_utils.misshapen import MISSHAPEN
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView

SECTION = "listener_origin"
_PORTS_SHOWN = 5
_SOCKETS_SHOWN = 10
_FACTS_SHOWN = 6

Key = tuple[str, str, int, int]


class Risk(enum.Enum):
    """Why a listener that nobody declared is more than a curiosity."""

    NOBODY = "no process holds it"
    REACHED = "other machines reach it"
    IN_RANGE = "its port may become a Service's NodePort"


class Undeclared(NamedTuple):
    """A listener (of the section listener_origin), whose it is in words that stay the same, and its risks; ``unsure`` says what was not known.

    ``kept`` is True for one whose port lies in the ephemeral range and was not drawn: its ``ephemeral`` is then False.
    """

    socket: dict[str, Any]
    who: str
    risks: tuple[Risk, ...]
    unsure: str = ""
    kept: bool = False


def of(node: NodeView, context: Context) -> list[Undeclared]:
    """The listeners of a node for which nothing accounts; without those whose owner is hidden (``hidden``)."""
    found = []
    for socket in _open(node, context):
        if not is_hidden(socket):
            risks, unsure = _risks(socket, node, context)
            kept = bool(risks and socket["ephemeral"]) and node.kept_ports.holds(socket)
            told = _as_fixed(socket) if kept else socket
            found.append(Undeclared(told, who(told, context), risks, unsure, kept))
    return found


def _as_fixed(socket: dict[str, Any]) -> dict[str, Any]:
    """The listener as earlier audits show it; the node, which knew only the range, took its port for a random one."""
    clauses = str(socket.get("answer") or "").split("; ")
    answer = "; ".join(clause for clause in clauses if "drawn at random" not in clause)
    return {**socket, "ephemeral": False, "answer": answer}


def hidden(node: NodeView, context: Context) -> list[dict[str, Any]]:
    """The listeners that no table knows and whose owner could not be seen, so that nothing can be said of them."""
    return [socket for socket in _open(node, context) if is_hidden(socket)]


def risky(node: NodeView, context: Context) -> frozenset[Key]:
    """What listener-unexplained tells of as a risk; nothing where it cannot look."""
    if section_gaps.gap(node.sections, SECTION):
        return frozenset()
    try:
        return frozenset(key(one.socket) for one in of(node, context) if one.risks)
    except MISSHAPEN:
        return frozenset()  # of another form: that rule says so


def key(socket: dict[str, Any]) -> Key:
    """The same in all sections of a snapshot that show a socket."""
    return socket["protocol"], socket["address"], socket["port"], socket["inode"]


def is_hidden(socket: dict[str, Any]) -> bool:
    """True where a process may hold a socket that was not seen, or had ended by then, and no cgroup tells whose it is either."""
    if socket["processes"]:
        return not any(_is_seen(process) for process in socket["processes"])
    return is_nobodys(socket) and socket["hidden"] is not False


def _is_seen(process: dict[str, Any]) -> bool:
    return any(process[part] is not None for part in ("name", "unit", "pod_uid", "container_id"))


def is_nobodys(socket: dict[str, Any]) -> bool:
    """True for a socket that no process holds, as far as anybody sees: the kernel's own, if all could be seen."""
    return not socket["processes"] and not cgroup.tells(socket["cgroup"])


def _open(node: NodeView, context: Context) -> list[dict[str, Any]]:
    found = [socket for socket in node[SECTION]["listeners"] if _is_unaccounted(socket, node, context)]
    if not any(port_ranges.contains(context.numbers_in_use, socket["port"]) for socket in found):
        return found
    told = frozenset(_told_with_services(node, context))
    return [socket for socket in found if key(socket) not in told]


def _told_with_services(node: NodeView, context: Context) -> Iterator[Key]:
    """Yield the sockets that meet a Service's NodePort: nodeport-shadows-listener and its kin tell what becomes of them."""
    lost = any(section_gaps.gap(node.sections, name) for name in ("nodeport_conflict", "port_settings"))
    if lost or encounters.no_ground(node, context):
        return
    # Of a stranger only nodeport-shadows-listener tells.
    stranger = encounters.is_stranger(node, context)
    harmed = {"listener", "unknown"} if stranger else {"listener", "service", "unknown"}
    for health_checks in (False,) if stranger else (False, True):
        for meeting in encounters.of(node, context, health_checks):
            if not meeting.harmed.isdisjoint(harmed):
                yield key(meeting.socket)


def _is_unaccounted(socket: dict[str, Any], node: NodeView, context: Context) -> bool:
    return (
        socket["known_as"] is None
        and not is_expected(socket, node, context)
        and not _is_declared(socket, context)
        # Whoever holds a component's own port on a node is component-port-taken's to judge.
        and not (known_ports.rightful_owners(socket["protocol"], socket["port"]) and encounters.is_node(node, context))
    )


def is_expected(socket: dict[str, Any], node: NodeView, context: Context) -> bool:
    """True for a listener that the operator named."""
    return expected_listeners.matches(context.settings.expected_listeners, socket, node.host)


def pod_of(socket: dict[str, Any], context: Context) -> tuple[str, str] | None:
    """Namespace and name of the pod that holds a socket; None where no pod does, or its name was not seen."""
    named = (socket.get("owner") or {}).get("pod")
    if named:
        namespace, _slash, name = named.partition("/")
        return namespace, name
    for process in socket["processes"]:
        seen = context.pods.find(process["pod_uid"], None, None) if process["pod_uid"] else None
        if seen and seen.namespace and seen.name:
            return seen.namespace, seen.name
    return None


def why_undeclared(sockets: Iterable[dict[str, Any]], context: Context) -> str:
    """Why nobody can say whether pods declare their ports; empty where it is known, and where no pod holds them."""
    for socket in sockets:
        if any(process["pod_uid"] for process in socket["processes"]):
            pod = pod_of(socket, context)
            if pod is None or context.pod(*pod) is None:
                why = cluster_gaps.gap(context.cluster, "pods") or "the API does not have it"
                return f"whether its pod declares the port is not known ({why})"
    return ""


def _is_declared(socket: dict[str, Any], context: Context) -> bool:
    """True where the pod that holds a socket lists its port, which the scheduler then keeps free for it on the node."""
    pod = pod_of(socket, context)
    found = context.pod(*pod) if pod else None
    if found is None or not found["host_network"]:
        return False
    ports = (port for container in found["containers"] for port in container["ports"])
    return any((port["port"], port["protocol"].lower()) == (socket["port"], socket["protocol"]) for port in ports)


def _risks(socket: dict[str, Any], node: NodeView, context: Context) -> tuple[tuple[Risk, ...], str]:
    in_range, unsure = _in_range(socket, node, context)
    found = (
        (Risk.NOBODY, is_nobodys(socket)),
        (Risk.REACHED, reach.of(socket["address"]) != reach.LOOPBACK),
        (Risk.IN_RANGE, in_range),
    )
    return tuple(risk for risk, holds in found if holds), unsure


def _in_range(socket: dict[str, Any], node: NodeView, context: Context) -> tuple[bool, str]:
    """Whether a Service that is yet to come may take a fixed port's packets; and why that is not known.

    Of a number that a Service has already, nodeport-shadows-listener and nodeport-cannot-open tell; of one that the kernel draws,
    nodeport-range-overlaps-ephemeral.
    """
    span = context.nodeport_range
    if not span.low <= socket["port"] <= span.high or port_ranges.contains(context.numbers_in_use, socket["port"]):
        return False, ""
    if not encounters.is_node(node, context) or encounters.is_stranger(node, context) or _is_drawable(socket, node):
        return False, ""
    if span.assumed:
        return False, f"the NodePort range is not known ({span.source})"
    if section_gaps.gap(node.sections, "nodeport_conflict"):
        return True, ""
    # Whoever holds it: a service proxy's own sockets would be harmed by no NodePort.
    return not encounters.out_of_reach(node, context, {**socket, "processes": []}), ""


def _is_drawable(socket: dict[str, Any], node: NodeView) -> bool:
    if section_gaps.gap(node.sections, "port_settings") or local_range(node.sections) is None:
        return bool(socket["ephemeral"])
    return bool(socket["ephemeral"]) and not port_ranges.contains(reserved(node.sections), socket["port"])


def who(socket: dict[str, Any], context: Context) -> str:
    """Whose a listener is, without pid and the random parts of names: ``java (web.service)``, ``agent (DaemonSet kube-system/agent)``."""
    names = sorted({process["name"] or "?" for process in socket["processes"]})
    if is_hidden(socket):
        return f"an unseen process, {place(socket)}"
    if not names:
        return _by_cgroup(socket) if cgroup.tells(socket["cgroup"]) else f"no process, {place(socket)}"
    whose = whose_program(socket, context)
    return f"{names[0]} ({whose})" if whose else names[0]


def program(socket: dict[str, Any], context: Context) -> str:
    """The same of any listener; a known one by its component."""
    if not socket["known_as"]:
        return who(socket, context)
    whose = whose_program(socket, context)
    return f"{describe.owner_name(socket)}, {whose}" if whose else describe.owner_name(socket)


def whose_program(socket: dict[str, Any], context: Context) -> str:
    """In what the program of a listener runs: its workload, unit or container; empty for none of them."""
    units = [entry["unit"] for entry in socket["processes"] if entry["unit"]]
    in_container = any(process["container_id"] for process in socket["processes"])
    return _pod(socket, context) or next(iter(units), "a container" if in_container else "")


def _pod(socket: dict[str, Any], context: Context) -> str:
    if not any(process["pod_uid"] for process in socket["processes"]):
        return ""
    pod = pod_of(socket, context)
    if pod is None:
        return "a pod"
    workload = context.workloads.of(context.pod(*pod))
    return workload.words if workload else f"pod {'/'.join(pod)}"


def _by_cgroup(socket: dict[str, Any]) -> str:
    told = cgroup.owner(socket["cgroup"])
    if told.pod_uid or told.container_id:
        return "a process of a pod" if told.pod_uid else "a process of a container"
    return f"a process of {told.unit or socket['cgroup']}"


def place(socket: dict[str, Any]) -> str:
    """``TCP port 9100``, ``a random UDP port``: the same after each start."""
    protocol = socket["protocol"].upper()
    return f"a random {protocol} port" if socket["ephemeral"] else f"{protocol} port {socket['port']}"


def places(sockets: Iterable[dict[str, Any]]) -> str:
    """All places of some listeners, in words, each once."""
    ordered = sorted(sockets, key=lambda socket: (bool(socket["ephemeral"]), socket["protocol"], socket["port"]))
    shown = list(dict.fromkeys(map(place, ordered)))
    more = len(shown) - _PORTS_SHOWN
    return ", ".join(shown) if more <= 0 else f"{', '.join(shown[:_PORTS_SHOWN])} and {more} more"


def facts(sockets: Iterable[dict[str, Any]]) -> list[str]:
    """What is known of some listeners, each fact once: the sockets, then their programs and the answers in words; the first of many."""
    seen = list(sockets)
    lines = list(dict.fromkeys(map(describe.line, seen)))
    more = [f"and {len(lines) - _SOCKETS_SHOWN} more sockets"] if len(lines) > _SOCKETS_SHOWN else []
    known = dict.fromkeys(fact for socket in seen for fact in _known(socket))
    return [*lines[:_SOCKETS_SHOWN], *more, *list(known)[:_FACTS_SHOWN]]


def _known(socket: dict[str, Any]) -> Iterator[str]:
    if socket.get("answer"):
        yield f"it is {socket['answer']}"
    owner = socket.get("owner") or {}
    if owner.get("started"):
        replaced = "; its program was replaced since" if owner.get("replaced") else ""
        yield f"its process was started {owner['started']}{replaced}"
