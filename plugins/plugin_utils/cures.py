# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cures that several rules offer, with their exact commands. Every value that is put into a command is quoted."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    fix_redraw_random_port,
    fix_reserve_nodeports,
    known_ports,
    nodeport_verdict,
    port_ranges,
    restart_limits,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import TargetError
from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    describe,
    fixed_ports,
    kubectl,
    nodeport_move,
    restarts,
    sysctl,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import (
    Context,
    drawable,
    local_range,
    reserved,
    unseen_ports,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.nodeport_move import Meeting
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy

SYSCTL_FILE = "/etc/sysctl.d/60-nodeports.conf"
RANGE_FILE = "/etc/sysctl.d/60-port-range.conf"
# What is left of an ephemeral range must still serve outgoing connections: half of the kernel's default 28232 ports.
LEAST_PORTS = 14116
# Why no fix reserves ports that nobody uses.
_NO_BLOCK = {
    "by_hand": "a block of ports that no Service has yet is not worth its price by itself: where one has, fix=reserve-nodeports with reserve=overlap takes all"
}


def move_node_port(port: dict[str, Any], context: Context, meeting: Meeting | None = None) -> Remedy:
    """Give the Service an explicit free NodePort of the static band. Removing the field changes nothing.

    ``meeting`` is the socket that the NodePort meets; None on a host that may belong to another cluster, where no fix is offered.
    """
    target, service = _target(port, context), _service(port, context)
    if target is None or service is None or not kubectl.is_name(port["namespace"], port["service"]):
        return Remedy(
            "give the Service another, explicitly chosen NodePort", (), "clients that use the old number must follow"
        )
    number = port["node_port"]
    # A number that it has for several protocols moves as a whole (nodeport_move).
    paths = [f"/spec/ports/{at}/nodePort" for at, entry in enumerate(service["ports"]) if entry["node_port"] == number]
    # "test" makes the API server refuse the patch when the Service has changed since it was read.
    patch = json.dumps(
        [
            *({"op": "test", "path": path, "value": number} for path in paths),
            *({"op": "replace", "path": path, "value": target} for path in paths),
        ]
    )
    words = ("patch", "service", port["service"], "--type=json", "-p", patch)
    whole = ", for all protocols that it has it for" if len(paths) > 1 else ""
    targets = _move_targets(service, number, target, meeting)
    return Remedy(
        f"move the Service from NodePort {number} to {target}, a free number of the range's static band{whole}",
        (kubectl.command(port["namespace"], *words),),
        f"clients, firewalls and load balancers that use {number} must follow",
        fix=nodeport_move.FIX if targets else "",
        targets=targets,
        by_hand="" if targets else "whether the Service is one of this host's cluster is not known",
    )


def remove_service(port: dict[str, Any], context: Context) -> Remedy | None:
    """Delete a Service whose NodePorts all lead nowhere; None for one that has endpoints, or of which that is not known."""
    own = [
        other
        for other in context.opened_ports
        if (other["namespace"], other["service"]) == (port["namespace"], port["service"])
    ]
    if (
        not own
        or any(other["has_endpoints"] is not False for other in own)
        or not kubectl.is_name(port["namespace"], port["service"])
    ):
        return None
    label = f"kubernetes.io/service-name={port['service']}"
    return Remedy(
        "the Service has no endpoints: look whether it is stale, then delete it; correct its selector if it is not, "
        "which gives it endpoints but leaves the NodePort where it is",
        (
            kubectl.command(port["namespace"], "get", "endpointslices", "-l", label),
            kubectl.command(port["namespace"], "delete", "service", port["service"]),
        ),
        "its name, cluster IP and NodePorts are gone for good; a Service whose pods are only scaled to zero is not stale",
        by_hand="whether nobody needs the Service any more, nothing in the cluster tells, and what is deleted has other addresses when it comes back",
    )


def to_reserve(sections: dict[str, Any], context: Context, ports: port_ranges.Intervals = ()) -> port_ranges.Intervals:
    """The list that ``reserve`` writes: what is reserved already, ``ports``, and all that is worth it on this node."""
    fixed = port_ranges.of_numbers(socket["port"] for socket in fixed_ports.drawable(sections))
    return port_ranges.union(reserved(sections), ports, _drawable_in_use(sections, context), fixed)


def reserve(sections: dict[str, Any], context: Context, ports: port_ranges.Intervals = ()) -> Remedy | None:
    """Keep NodePorts, fixed ports of programs, and ``ports`` out of automatic selection; None when all of them are.

    A write replaces the whole list, and so does the next finding's cure: each therefore holds what is reserved already and
    all that is worth it on this node.
    """
    unseen = unseen_ports(sections)
    if unseen:
        return Remedy(f"reserve the NodePorts; without knowing what is reserved already no command is safe ({unseen})")
    wanted = to_reserve(sections, context, ports)
    if wanted == reserved(sections):
        return None
    in_use = _drawable_in_use(sections, context)
    offer = _NO_BLOCK if ports else _fix_of_reserve(sections, context)
    later = f"{sysctl.LATER_BUT_FOR_FIX}, and takes in what other files reserve" if "fix" in offer else sysctl.LATER
    what = ["the NodePorts"] if in_use or ports else []
    what += ["the fixed ports of programs"] if fixed_ports.drawable(sections) else []
    return Remedy(
        f"reserve {' and '.join(what)}, so that the kernel never draws them again (the list includes what this node "
        f"reserves already){_what_stays_open(sections, context, in_use, wanted)}",
        sysctl.commands(fix_reserve_nodeports.KEY, port_ranges.format_ports(wanted), SYSCTL_FILE),
        f"sockets that have such a port keep it until they are closed; {later}",
        **offer,
    )


def _fix_of_reserve(sections: dict[str, Any], context: Context) -> dict[str, Any]:
    """The fix of what is worth it by itself. It is told the NodePort range, too, for who asks for all of that."""
    local, span = local_range(sections), context.nodeport_range
    ports = port_ranges.subtract(to_reserve(sections, context), reserved(sections))
    if local is None:
        return {}
    target = fix_reserve_nodeports.target(ports, None if span.open_ended else span[:2], local)
    return {"fix": fix_reserve_nodeports.FIX, "targets": (target,)}


def let_ephemeral_range_be(low: int, high: int, why: str) -> Remedy:
    """Set net.ipv4.ip_local_port_range."""
    return Remedy(
        f"let the ephemeral range be {low} to {high}, {why}",
        sysctl.commands("net.ipv4.ip_local_port_range", f"{low} {high}", RANGE_FILE),
        f"{high - low + 1} ports are left for outgoing connections to one destination; pods have network namespaces of their own; {sysctl.LATER}",
        by_hand="how many ports the machine's own connections need, and which ones firewalls expect them to come from, its owner knows",
    )


@functools.lru_cache(maxsize=100)  # the nodes of a fleet have few settings between them
def worst_skew(local: port_ranges.Interval, kept: port_ranges.Intervals) -> dict[str, Any] | None:
    """The port that gets the largest share of automatic selection (port_ranges.selection_skew); None where none does."""
    return next(iter(port_ranges.selection_skew(local, kept)), None)


def is_skewed(local: port_ranges.Interval, kept: port_ranges.Intervals, context: Context) -> bool:
    """True where reserved-ports-skew speaks up, so that no cure may lead there."""
    worst = worst_skew(local, kept)
    return worst is not None and worst["share"] >= context.settings.skew_share


def restart_owner(socket: dict[str, Any], sections: dict[str, Any], context: Context) -> Remedy | None:
    """Make the owner draw another port by restarting its unit; None when its unit is not known or its port is fixed."""
    if fixed_ports.is_fixed(sections, socket) or not (socket["ephemeral"] or nodeport_verdict.is_streaming(socket)):
        return None
    why, names = "so that it draws another port", {process["name"] for process in socket["processes"]}
    unit = restarts.own_unit(socket["processes"])
    if "kubelet" in names:
        unit = unit or "kubelet.service"
        risk = "the new port is random again; the node may be NotReady for up to 40 s, exec sessions end, pods keep running"
        remedy = Remedy(f"restart {unit}, {why}", (restarts.command(unit),), risk)
    elif unit is None:
        return None
    else:
        risk = "the new port is random again; its clients are cut off while it restarts"
        remedy = restarts.remedy(describe.owner_name(socket), socket["processes"], why, risk)
    if not remedy.commands:
        return remedy
    by_hand = _why_not_redrawn(socket)
    if by_hand:
        return replace(remedy, by_hand=by_hand)
    return replace(
        remedy, fix=fix_redraw_random_port.FIX, targets=(_redraw(socket, unit, sections, context),), by_hand=""
    )


def _why_not_redrawn(socket: dict[str, Any]) -> str:
    """Why no fix restarts the owner of a port; empty where one does."""
    names = [process["name"] for process in socket["processes"]]
    unit = restarts.own_unit(socket["processes"])
    if unit is None:
        return "in which unit the program runs was not seen"
    component = (socket["known_as"] or {}).get("component")
    if socket["state"] != "listen" or not (
        nodeport_verdict.is_streaming(socket) or component in known_ports.RANDOM_PROGRAMS
    ):
        return "whether the kernel draws the port of this program, or it was told its number, is not known for certain"
    return restart_limits.why_not(names, unit)


def _redraw(socket: dict[str, Any], unit: str, sections: dict[str, Any], context: Context) -> str:
    program = next(process["name"] for process in socket["processes"] if process["unit"] == unit)
    node_ports = port_ranges.format_ports(_drawable_in_use(sections, context))
    return fix_redraw_random_port.target(str(program), unit, socket["address"], socket["port"], node_ports)


def _service(port: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """The Service of a NodePort, as long as it has that."""
    for service in context.cluster["services"] or ():
        if (service["namespace"], service["name"]) == (port["namespace"], port["service"]):
            numbers = {(entry["protocol"], entry["node_port"]) for entry in service["ports"]}
            return service if (port["protocol"], port["node_port"]) in numbers else None
    return None


def _move_targets(service: dict[str, Any], number: int, target: int, meeting: Meeting | None) -> tuple[str, ...]:
    """What the automatic fix is to act on; nothing where it would refuse that, as for a Service without a uid."""
    if meeting is None:
        return ()
    targets = (nodeport_move.target_text(service, number, target, meeting),)
    try:
        nodeport_move.read_targets(targets)
    except TargetError:
        return ()
    return targets


def _drawable_in_use(sections: dict[str, Any], context: Context) -> port_ranges.Intervals:
    """The NodePorts in use that lie in this node's ephemeral range, reserved or not."""
    return port_ranges.intersect(context.numbers_in_use, [local_range(sections) or (1, port_ranges.HIGHEST)])


def _what_stays_open(
    sections: dict[str, Any], context: Context, in_use: port_ranges.Intervals, wanted: port_ranges.Intervals
) -> str:
    """What reserving single NodePorts does not protect, as the end of a sentence."""
    left = port_ranges.subtract(port_ranges.intersect([context.nodeport_range[:2]], drawable(sections)), wanted)
    if not in_use or not left:
        return ""
    count = port_ranges.count(in_use)
    those = "the NodePort that is" if count == 1 else f"the {count} NodePorts that are"
    return f"; this protects {those} in use today, a Service created later may get another number that the kernel draws"


def _target(port: dict[str, Any], context: Context) -> int | None:
    """The number a Service port moves to: one and the same on every host, and nobody else's in this judgement."""
    key = (port["namespace"], port["service"], nodeport_verdict.number(port))
    context.asked_targets[key] = target_of(key, context)
    return context.asked_targets[key]


def target_of(key: tuple[str, str, int], context: Context) -> int | None:
    """The number that a Service port has been given, or is given now, since somebody asks for it; None where none is left."""
    if key not in context.targets:
        free = _free_in_static_band(context)
        if free is None:
            return None
        context.targets[key] = free
    return context.targets[key]


def _free_in_static_band(context: Context) -> int | None:
    """The first number, in the band from which nothing is given out by itself, that nobody has and no kernel can draw.

    Its size is min(max(16, size/32), 128) (KEP-3668; pkg/registry/core/service/portallocator, calculateRangeOffset).
    """
    if context.nodeport_range.open_ended:
        return None
    low, high = context.nodeport_range[:2]
    band = min(max(16, (high - low + 1) // 32), 128)
    unfit = port_ranges.union(context.numbers_in_use, context.drawn)
    had = context.listened.union(context.targets.values(), context.host_ports)
    candidates = (number for number in range(low, min(low + band, high + 1)) if number not in had)
    return next((number for number in candidates if not port_ranges.contains(unfit, number)), None)
