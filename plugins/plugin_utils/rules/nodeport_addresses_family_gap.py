# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""--nodeport-addresses restricts one IP family and leaves the other wide open."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.module_utils.known_ports import ALL_IN_ONE
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


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    proxy = node["nodeport_conflict"]["proxy"]
    if proxy["nodeport_addresses"] is None:
        why = missing(proxy, "kube-proxy configuration", "kube-proxy mode") or "kube-proxy's configuration was not seen"
        here = proxy["program"] == "kube-proxy" or proxy["program"] in ALL_IN_ONE
        yield Unknown(why) if here else NotApplicable("no kube-proxy was seen on this host")
        return
    listed = [entry for entry in proxy["nodeport_addresses"] if entry != "primary"]
    if not listed or len(listed) < len(proxy["nodeport_addresses"]):
        return
    versions = {ipaddress.ip_network(entry, strict=False).version for entry in listed}
    for version in {4, 6} - versions:
        yield from _judge_family(node, context, version, listed)


def _judge_family(node: NodeView, context: Context, version: int, listed: list[str]) -> Iterator[Answer]:
    if node["host"]["addresses"] is None:
        yield Unknown(missing(node["host"], "local addresses"))
        return
    addresses = [entry["address"] for entry in node["host"]["addresses"] if _is_reachable(entry["address"], version)]
    if not addresses:
        return
    why = context.why_no_services()
    if why:
        yield Unknown(f"whether a Service has NodePorts on IPv{version} is not known ({why})")
    elif any(f"IPv{version}" in port["ip_families"] for port in context.node_ports or ()):
        yield _fail(version, listed, addresses)


def _is_reachable(text: str, version: int) -> bool:
    address = ipaddress.ip_address(text)
    return address.version == version and not (address.is_loopback or address.is_link_local)


def _fail(version: int, listed: list[str], open_addresses: list[str]) -> Fail:
    return Fail(
        subject=f"IPv{version} NodePorts",
        title=f"NodePorts are restricted to {', '.join(listed)}, but on IPv{version} every address of the node takes them",
        explanation="kube-proxy restricts only the families that the list names; for the other one it matches every local address and only logs so.",
        evidence=(
            f"kube-proxy's nodePortAddresses: {', '.join(listed)}",
            f"IPv{version} addresses of this node: {', '.join(open_addresses[:5])}",
        ),
        remedies=(
            Remedy(
                f"add an IPv{version} range to nodePortAddresses, or use the word primary, and restart kube-proxy",
                (),
                "NodePorts close on the other addresses",
            ),
        ),
    )


RULE = Rule(
    id="nodeport-addresses-family-gap",
    group="ports",
    severity="warning",
    claim="a restriction of NodePorts to some addresses holds for both IP families",
    why="NodePorts that were meant to be closed are open on the other family",
    sources=("Kubernetes 1.36 pkg/proxy/util/nodeport_addresses.go, NewNodePortAddresses",),
    judge=_judge,
    needs=("host", "nodeport_conflict"),
)
