# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Service's external IP is an address of this node, and a program listens on the Service's port."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils.bind_overlap import Address, Certainty, overlaps
from ansible_collections.kubenode.doctor.plugins.module_utils.service_proxy import is_kube_proxy
from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe, encounters
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule, Unknown, missing


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    refusal = encounters.refusal(node, context)
    if refusal:
        yield refusal
        return
    if node["host"]["addresses"] is None:
        yield Unknown(missing(node["host"], "local addresses"))
        return
    local = {entry["address"] for entry in node["host"]["addresses"] if entry["interface"] != "kube-ipvs0"}
    for service in context.outside_services:
        for address in sorted(local.intersection(_taken_addresses(service))):
            yield from _meetings(node, context, service, address, local)
    unseen = missing(node["listen_ports"], "listeners")
    if unseen:
        yield Unknown(unseen)


def _taken_addresses(service: dict[str, Any]) -> list[str]:
    """The addresses, besides the cluster IP, on which kube-proxy takes the Service's own ports."""
    if service["proxy_name"] is not None or service["headless_label"]:
        return []
    ingress = [entry["ip"] for entry in service["load_balancer_ips"] if entry["ip_mode"] != "Proxy"]
    return [address for address in [*service["external_ips"], *ingress] if address]


def _meetings(
    node: NodeView, context: Context, service: dict[str, Any], address: str, local: Collection[str]
) -> Iterator[Answer]:
    wanted = Address(f"ipv{ipaddress.ip_address(address).version}", address)
    slices = context.slices_of(service["namespace"], service["name"])
    for port in service["ports"]:
        if encounters.has_endpoint_at(slices, local, port["port"]):
            continue  # a hostNetwork pod of this very Service
        for socket in node["listen_ports"]["listeners"]:
            same = (socket["protocol"], socket["port"]) == (port["protocol"].lower(), port["port"])
            if (
                not same
                or socket["state"] == "bound"
                or is_kube_proxy(socket, node["nodeport_conflict"]["proxy"]["program"])
                or not _covers(socket, wanted)
            ):
                continue  # kube-proxy up to 1.23 opens the port itself
            finding = _fail(service, port, address, socket)
            if socket["hidden"]:
                yield Unknown(
                    f"{finding.title}, unless kube-proxy holds it, which needs root to be seen", finding.subject
                )
            else:
                yield finding


def _covers(socket: dict[str, Any], wanted: Address) -> bool:
    return overlaps(Address(socket["family"], socket["address"], socket["v6only"]), wanted) is Certainty.YES


def _fail(service: dict[str, Any], port: dict[str, Any], address: str, socket: dict[str, Any]) -> Fail:
    name = f"Service {service['namespace']}/{service['name']}"
    return Fail(
        subject=f"{name} port {port['port']}/{port['protocol']} against {describe.owner_name(socket)}",
        title=f"{describe.owner_name(socket)} is not reached on {address} port {port['port']}: {name} has that address as an external one",
        explanation=(
            f"kube-proxy takes packets for {address} port {port['port']} to the Service's pods, and refuses them while there are none, "
            "before the kernel looks for a listener. "
            "The program still answers on the node's other addresses, if it listens there."
        ),
        evidence=(
            describe.line(socket),
            f"{name} takes port {port['port']}/{port['protocol']} on {address} (externalIPs or load balancer)",
        ),
        remedies=(Remedy("give the Service another port or address, or move the program", (), "clients must follow"),),
        severity="critical" if socket["address"] == address else "warning",
    )


RULE = Rule(
    id="external-ip-shadows-listener",
    group="ports",
    severity="warning",
    claim="no Service takes the port of a program that listens on this node through an external address",
    why="the program is alive and nobody reaches it on that address",
    sources=(
        "Kubernetes 1.36 pkg/proxy/iptables/proxier.go, externalIPs and load balancer IPs",
        "https://github.com/k3s-io/k3s/issues/4984",
    ),
    judge=_judge,
    needs=("host", "listen_ports", "nodeport_conflict"),
)
