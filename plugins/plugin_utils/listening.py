# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the listeners of the section tcp_states are called, the same from run to run and from node to node."""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import known_ports
from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe

HOST = "host"  # the host's own network namespace, as tcp_states names it


class Key(NamedTuple):
    """What is the same service on another node, and the address family that it listens on: each has a backlog of its own."""

    service: str
    family: str


_DEFAULT_RANGE = (32768, 60999)  # net.ipv4.ip_local_port_range, net/ipv4/af_inet.c


def as_socket(entry: dict[str, Any], section: dict[str, Any]) -> dict[str, Any]:
    """An entry of ``accept_queues`` in the shape of listen_ports' listeners, which ``describe`` puts into words."""
    low, high = section["limits"]["ip_local_port_range"] or _DEFAULT_RANGE
    ephemeral = low <= entry["port"] <= high
    names = [process["name"] for process in entry["processes"] if process["name"]]
    return {
        **entry,
        "protocol": "tcp",
        "state": "listen",
        "accept_queue": entry["queue"],
        "ephemeral": ephemeral,
        "known_as": known_ports.known_as("tcp", entry["address"], entry["port"], names, ephemeral),
    }


def name(socket: dict[str, Any]) -> str:
    """Names a listener (``as_socket``): ``kubelet API on port 10250``, ``containerd CRI streaming server``, ``java in a pod on port 80``."""
    pod = "" if socket["netns"] == HOST else " in a pod"
    port = f" on port {socket['port']}" if has_fixed_port(socket) else ""
    return f"{describe.owner_name(socket)}{pod}{port}"


def has_fixed_port(socket: dict[str, Any]) -> bool:
    """False for a listener whose port the kernel drew, as far as one can tell, so that its number names nothing."""
    known = socket["known_as"]
    if not socket["ephemeral"]:
        return not known or known["role"] != known_ports.STREAMING or socket["port"] in known_ports.STREAMING_PORTS
    return (
        bool(known) and known["role"] != known_ports.STREAMING and known["component"] not in known_ports.RANDOM_PROGRAMS
    )


def program(socket: dict[str, Any]) -> str:
    """Whose listener it is: the component, or the process."""
    if socket["known_as"]:
        return str(socket["known_as"]["component"])
    names = sorted({process["name"] for process in socket["processes"] if process["name"]})
    return names[0] if names else describe.owner_name(socket)


def service_key(socket: dict[str, Any]) -> str | None:
    """What is the same service on another node: the component's role, or program and port; None where neither is known."""
    if socket["netns"] != HOST:
        return None
    known = socket["known_as"]
    if known:
        return f"{known['component']} {known['role']}"
    names = sorted({process["name"] for process in socket["processes"] if process["name"]})
    return f"{names[0]} on port {socket['port']}" if names and has_fixed_port(socket) else None


def by_service(section: dict[str, Any]) -> dict[Key, list[dict[str, Any]]]:
    """The host's own listeners whose backlog was seen (``as_socket``), by what is the same service on another node."""
    found: dict[Key, list[dict[str, Any]]] = {}
    for entry in section["accept_queues"]:
        if entry["backlog"] is None:
            continue
        socket = as_socket(entry, section)
        service = service_key(socket)
        if service is not None:
            found.setdefault(Key(service, socket["family"]), []).append(socket)
    return found


def backlogs(section: dict[str, Any]) -> dict[Key, tuple[int, ...]]:
    """The backlogs of each service of ``by_service``, ascending, each once: equal hosts have equal ones."""
    return {key: distinct(sockets) for key, sockets in by_service(section).items()}


def distinct(sockets: list[dict[str, Any]]) -> tuple[int, ...]:
    """Their backlogs, ascending, each once."""
    return tuple(sorted({socket["backlog"] for socket in sockets}))
