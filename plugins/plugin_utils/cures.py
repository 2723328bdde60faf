# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cures that several rules offer, with their exact commands. Every value that is put into a command is quoted."""

from __future__ import annotations

import json
import shlex
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import nodeport_verdict, port_ranges
from ansible_collections.kubenode.doctor.plugins.plugin_utils import fixed_ports
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import (
    Context,
    local_range,
    reserved,
    unseen_ports,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy

# A fixed streaming port outside the NodePort range and the kernel's default ephemeral range; k3s and OpenShift use it.
STREAM_PORT = 10010
SYSCTL_FILE = "/etc/sysctl.d/60-nodeports.conf"

_PIN = {
    "containerd": (
        'set stream_server_address = "127.0.0.1" and stream_server_port = "{port}" in the CRI section of containerd\'s file ({where})',
        "containerd",
    ),
    "cri-o": (
        'set stream_address = "127.0.0.1" and stream_port = "{port}" under [crio.api] in a file of /etc/crio/crio.conf.d ({where})',
        "crio",
    ),
    "cri-dockerd": (
        "add --streaming-bind-addr=127.0.0.1:{port} to the command line of cri-dockerd ({where})",
        "cri-docker",
    ),
}


def move_node_port(port: dict[str, Any], sections: dict[str, Any], context: Context) -> Remedy:
    """Give the Service an explicit free NodePort of the static band. Removing the field changes nothing."""
    target = _free_in_static_band(sections, context)
    index = _port_index(port, context)
    # The API server lets no name begin with a dash; kubectl would take it for an option.
    named = not any(name.startswith("-") for name in (port["namespace"], port["service"]))
    if target is None or index is None or not named:
        return Remedy(
            "give the Service another, explicitly chosen NodePort", (), "clients that use the old number must follow"
        )
    # "test" makes the API server refuse the patch when the Service has changed since it was read.
    path = f"/spec/ports/{index}/nodePort"
    patch = json.dumps(
        [
            {"op": "test", "path": path, "value": port["node_port"]},
            {"op": "replace", "path": path, "value": target},
        ]
    )
    words = ("kubectl", "-n", port["namespace"], "patch", "service", port["service"], "--type=json", "-p", patch)
    return Remedy(
        f"move the Service from NodePort {port['node_port']} to {target}, a free number of the range's static band",
        (shlex.join(words),),
        f"clients, firewalls and load balancers that use {port['node_port']} must follow",
    )


def reserve(sections: dict[str, Any], context: Context, ports: port_ranges.Intervals = ()) -> Remedy:
    """Keep NodePorts, fixed ports of programs, and ``ports`` out of automatic selection.

    A write replaces the whole list, and so does the next finding's cure: each therefore holds what is reserved already and
    all that is worth it on this node.
    """
    unseen = unseen_ports(sections)
    if unseen:
        return Remedy(f"reserve the NodePorts; without knowing what is reserved already no command is safe ({unseen})")
    local = local_range(sections) or (1, port_ranges.HIGHEST)
    fixed = port_ranges.of_numbers(socket["port"] for socket in fixed_ports.drawable(sections))
    summary = f"reserve the NodePorts{' and the fixed ports of programs' if fixed else ''}, so that the kernel never draws them again"
    wanted = port_ranges.union(reserved(sections), ports, port_ranges.intersect(context.numbers_in_use, [local]), fixed)
    setting = f"net.ipv4.ip_local_reserved_ports = {port_ranges.format_ports(wanted)}"
    return Remedy(
        f"{summary} (the list includes what this node reserves already)",
        (
            f"printf '%s\\n' {shlex.quote(setting)} > {SYSCTL_FILE}",
            f"sysctl -p {SYSCTL_FILE}",
        ),
        "sockets that have such a port keep it until they are closed; another sysctl.d file that sets the same key overwrites this one",
    )


def pin_stream_port(component: str, where: str | None) -> Remedy | None:
    """Give the CRI streaming server a fixed port; None for dockershim, which has no such setting."""
    if component not in _PIN:
        return None
    text, unit = _PIN[component]
    return Remedy(
        text.format(port=STREAM_PORT, where=where or "its file was not seen"),
        (f"systemctl restart {unit}", f"ss -tlnp sport = :{STREAM_PORT}"),
        "running kubectl exec, attach and port-forward sessions on this node end; pods keep running",
    )


def restart_owner(socket: dict[str, Any]) -> Remedy | None:
    """Make the owner draw another port by restarting its unit; None when its unit is not known or its port is fixed."""
    unit = next((process["unit"] for process in socket["processes"] if process["unit"]), None)
    if not (socket["ephemeral"] or nodeport_verdict.is_streaming(socket)):
        return None
    names = {process["name"] for process in socket["processes"]}
    if unit is None and "kubelet" in names:
        unit = "kubelet.service"
    if unit is None:
        return None
    risk = "the new port is random again; its clients are cut off while it restarts"
    if "kubelet" in names:
        risk = "the new port is random again; the node may be NotReady for up to 40 s, exec sessions end, pods keep running"
    words = ("systemctl", "restart", "--", unit) if unit.startswith("-") else ("systemctl", "restart", unit)
    return Remedy(f"restart {unit}, so that it draws another port", (shlex.join(words),), risk)


def _port_index(port: dict[str, Any], context: Context) -> int | None:
    for service in context.cluster["services"] or ():
        if (service["namespace"], service["name"]) == (port["namespace"], port["service"]):
            for index, entry in enumerate(service["ports"]):
                if entry["node_port"] == port["node_port"] and entry["protocol"] == port["protocol"]:
                    return index
    return None


def _free_in_static_band(sections: dict[str, Any], context: Context) -> int | None:
    """The first number, in the band from which nothing is given out by itself, that no Service has and the kernel cannot draw.

    Its size is min(max(16, size/32), 128) (KEP-3668; pkg/registry/core/service/portallocator, calculateRangeOffset).
    """
    low, high = context.nodeport_range[:2]
    band = min(max(16, (high - low + 1) // 32), 128)
    local = local_range(sections)
    drawn = port_ranges.subtract([local], reserved(sections)) if local else ()
    candidates = range(low, min(low + band, high + 1))
    unfit = port_ranges.union(context.numbers_in_use, drawn)
    return next((number for number in candidates if not port_ranges.contains(unfit, number)), None)
