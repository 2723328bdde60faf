# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cure of a CRI streaming server's port: which number, in which file and section, what to restart, and whether a fix does all that."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    containerd_config,
    fix_pin_stream_port,
    port_ranges,
    restart_limits,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.nodeport_verdict import is_streaming
from ansible_collections.kubenode.doctor.plugins.plugin_utils import fixed_ports, restarts
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context, drawable, unseen_ports
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy

# The first choice is what k3s and OpenShift use; the kubelet's own ports begin at 10248.
_CHOICES = range(10010, 10240)


class _Runtime(NamedTuple):
    """How a runtime is told: ``lines`` for a file of which this is the section, and the flag for a command line."""

    lines: str
    section: str
    flag: str


_RUNTIMES = {
    "containerd": _Runtime(
        'stream_server_address = "127.0.0.1" and stream_server_port = "{port}"',
        "the CRI plugin's section",
        "",
    ),
    "cri-o": _Runtime(
        'stream_address = "127.0.0.1" and stream_port = "{port}"',
        "[crio.api]",
        "--stream-address=127.0.0.1 --stream-port={port}",
    ),
    "cri-dockerd": _Runtime("", "", "--streaming-bind-addr=127.0.0.1:{port}"),
}
# Folders whose configuration is written anew at each start, and what it is written from (docs.k3s.io/advanced,
# docs.rke2.io/advanced, microk8s.io/docs/configuring-services, docs.k0sproject.io/stable/runtime).
_RANCHER = "a copy of it beside it, config.toml.tmpl (with containerd 2: config-v3.toml.tmpl), from which {name} writes it anew at each start"
_GENERATED = {
    "/var/lib/rancher/k3s/": _RANCHER.format(name="k3s"),
    "/var/lib/rancher/rke2/": _RANCHER.format(name="rke2"),
    "/var/snap/microk8s/": "containerd-template.toml beside it, from which MicroK8s writes it anew at each start",
    "/etc/k0s/": "a file in /etc/k0s/containerd.d, which k0s merges into it",
    "/run/k0s/": "a file in /etc/k0s/containerd.d, which k0s merges into it",
}


def pin(socket: dict[str, Any], sections: dict[str, Any], context: Context) -> Remedy | None:
    """Give a CRI streaming server a fixed port on loopback that nothing else may get.

    None where there is no such setting: dockershim, and the cri-dockerd inside k3s.
    """
    component = socket["known_as"]["component"]
    names = {process["name"] for process in socket["processes"]}
    if component not in _RUNTIMES or (component == "cri-dockerd" and names and "cri-dockerd" not in names):
        return None
    settings = fixed_ports.stream_settings(sections, component)
    setting = settings[0] if len(settings) == 1 else None  # of several it is not known which one is this server's
    port = _free_port(socket, setting, sections, context)
    if port is None:
        return Remedy(
            f"give {component}'s streaming server a fixed port on 127.0.0.1, outside the NodePort range and the ephemeral range",
            (),
            "none of the usual numbers is known to be free on this node; a reserved port of the ephemeral range will do",
        )
    edit = (setting or {}).get("edit") or {}
    told = _already_set(socket, setting, port)
    remedy = Remedy(
        told or f"{_instruction(component, setting, edit, port)}, then restart {_restarted(socket, component)}",
        _commands(socket, port, told != ""),
        "running kubectl exec, attach and port-forward sessions on this node end; pods keep running",
    )
    by_hand = _why_by_hand(socket, setting, edit, told != "")
    if by_hand:
        return replace(remedy, by_hand=by_hand)
    return replace(remedy, fix=fix_pin_stream_port.FIX, targets=(_target(socket, edit, port, context),))


def _why_by_hand(socket: dict[str, Any], setting: dict[str, Any] | None, edit: dict[str, Any], is_set: bool) -> str:
    """Why the fix is not offered; empty where all is known that it needs."""
    component, unit = socket["known_as"]["component"], restarts.own_unit(socket["processes"])
    if unit is None:
        return "the unit that the server belongs to is not known"
    limit = restart_limits.why_not([process["name"] for process in socket["processes"]], unit)
    if limit:
        return limit
    if setting is None or not edit:
        return f"which file {component} is configured by is not known, or there are several"
    if is_set or component == "cri-dockerd":
        return ""
    if edit["file"] is None:
        return f"{component} has its port from its command line, and each distribution writes that in another place"
    template = _generated(edit["file"])
    return f"the file is generated from a template: {template}" if template else ""


def _target(socket: dict[str, Any], edit: dict[str, Any], port: int, context: Context) -> str:
    return fix_pin_stream_port.target(
        socket["known_as"]["component"],
        socket["address"],
        socket["port"],
        port,
        edit["file"],
        restarts.own_unit(socket["processes"]) or "",
        _node_ports(context),
    )


def _node_ports(context: Context) -> port_ranges.Intervals:
    """What is a NodePort, and what may become one."""
    return port_ranges.union([context.nodeport_range[:2]], context.numbers_in_use)


def _free_port(
    socket: dict[str, Any], setting: dict[str, Any] | None, sections: dict[str, Any], context: Context
) -> int | None:
    """The number that is set, else the server's own, else the first choice: what is no NodePort and cannot be drawn or taken."""
    settings = sections.get("port_settings") or {}
    if "kernel" not in settings or unseen_ports(sections):
        return None
    unfit = port_ranges.union(_node_ports(context), drawable(sections))
    listeners = (sections.get("listen_ports") or {}).get("listeners", ())
    mine = socket["known_as"]["component"]
    others = [other for other in listeners if not is_streaming(other) or other["known_as"]["component"] != mine]
    taken = {other["port"] for other in others}

    def fit(ports: Iterable[int]) -> Iterator[int]:
        return (port for port in ports if port not in taken and not port_ranges.contains(unfit, port))

    # Each of several runtimes has a choice of its own: they are to be cured at once.
    before = {other["known_as"]["component"] for other in others if is_streaming(other)}
    rank = sum(1 for name in _RUNTIMES if name in before and name < mine)
    return next(
        itertools.chain(fit((*_set_port(setting), socket["port"])), itertools.islice(fit(_CHOICES), rank, None)), None
    )


def _set_port(setting: dict[str, Any] | None) -> Iterator[int]:
    text = ((setting or {}).get("value") or "").strip()
    if text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= port_ranges.HIGHEST:
        yield int(text)


def _already_set(socket: dict[str, Any], setting: dict[str, Any] | None, port: int) -> str:
    """What to say where the configuration holds the cure and the running server does not know it yet; else empty."""
    if setting is None or port not in _set_port(setting) or not _is_loopback(setting["address"]):
        return ""
    if socket["port"] == port and _is_loopback(socket["address"]):
        return ""
    where = setting["file"] or "the command line"
    return (
        f"{where} already sets {setting['key']} to {port}: restart "
        f"{_restarted(socket, setting['runtime'])} so that it takes effect"
    )


def _is_loopback(text: str) -> bool:
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return text == "localhost"


def _instruction(component: str, setting: dict[str, Any] | None, edit: dict[str, Any], port: int) -> str:
    runtime = _RUNTIMES[component]
    lines, flag = runtime.lines.format(port=port), runtime.flag.format(port=port)
    if not lines or (setting and edit and edit["file"] is None):
        return f"add {flag} to the command line of {component}, in its unit"
    if not edit:
        return f"set {lines} in {edit.get('section') or runtime.section} of {component}'s configuration"
    template = _generated(edit["file"])
    if template:
        return f"{edit['file']} is generated: in {template}, set {lines} in {edit['section']}"
    if edit["new"]:
        first = f"the line {containerd_config.new_file(edit['file'])}, then " if component == "containerd" else ""
        return f"write the file {edit['file']}: {first}the section {edit['section']} with {lines}"
    return f"in {edit['file']}, section {edit['section']}, set {lines}"


def _generated(file: str) -> str:
    return next((template for folder, template in _GENERATED.items() if file.startswith(folder)), "")


def _restarted(socket: dict[str, Any], component: str) -> str:
    return restarts.own_unit(socket["processes"]) or component


def _commands(socket: dict[str, Any], port: int, is_set: bool) -> tuple[str, ...]:
    """Restart the server's own unit where that is all, and look. A restart without the edit ends sessions and draws another random port."""
    unit = restarts.own_unit(socket["processes"])
    if unit is None:
        return ()
    look = f"ss -tlnp sport = :{port}"
    return (restarts.command(unit), look) if is_set else (look,)
