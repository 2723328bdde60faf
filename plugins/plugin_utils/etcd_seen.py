# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd as a static pod of a node, and who listens at an address that somebody dialled."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe, section_gaps
from ansible_collections.kubenode.doctor.plugins.plugin_utils.containers_seen import Containers, Group
from ansible_collections.kubenode.doctor.plugins.plugin_utils.fleet import own_addresses
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import missing

CONTAINER = "etcd"
CLIENT_PORT = 2379  # etcd's --listen-client-urls, with kubeadm, OpenShift and RKE2 as by default
# Where kubeadm and RKE2, and OpenShift, run it. An etcd that is an application's, or Cilium's, is another matter.
_NAMESPACES = frozenset({"kube-system", "openshift-etcd"})


class Place(NamedTuple):
    """Where somebody dialled; an empty host is any address of this host."""

    host: str
    port: int


class Answer(NamedTuple):
    """Who listens at a place now: ``text`` for people, ``listens`` None where it could not be seen, or is not ``here``, on this host."""

    listens: bool | None
    text: str
    gap: str = ""
    here: bool = True


def groups(containers: Containers) -> list[Group]:
    """The etcd containers of this node's static pods."""
    return [group for group in containers.static(CONTAINER) if group["namespace"] in _NAMESPACES]


def is_etcd_of_node(pod: Mapping[str, Any]) -> bool:
    """The same by the folder of a pod's log."""
    return pod["container"] == CONTAINER and pod["namespace"] in _NAMESPACES


def place(address: str) -> Place | None:
    """``127.0.0.1:2379``, ``[::1]:2379`` or ``localhost:2379``; None for what is no such thing."""
    host, _colon, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 1 <= int(port[:6]) <= 65535:
        return None
    return Place(host.strip("[]"), int(port))


def listens(node: NodeView, where: Place) -> Answer:
    """Whether a program of this host listens at a place of this host."""
    own = _own(node, where.host)
    if own is False:
        return Answer(None, f"{where.host} is no address of this host: look there", here=False)
    gap = section_gaps.gap(node.sections, "listen_ports")
    if gap:
        return Answer(None, f"whether something listens there now could not be seen ({gap})", gap)
    for socket in node["listen_ports"]["listeners"]:
        if socket["protocol"] == "tcp" and socket["state"] == "listen" and _accepts(socket, where):
            return Answer(True, f"something listens there now: {describe.line(socket)}")
    hidden = missing(node["listen_ports"], "listeners")
    if hidden:
        return Answer(None, f"whether something listens there now could not be seen ({hidden})", hidden)
    return Answer(False, "nothing listens there now")


def _own(node: NodeView, host: str) -> bool | None:
    """Whether an address is of this host; None where nobody knows."""
    if host in ("", "localhost"):
        return True
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return False
    if parsed.is_loopback:
        return True
    addresses = (node.sections.get("host") or {}).get("addresses")
    return None if addresses is None else str(parsed) in own_addresses(node.sections)


def _accepts(socket: Mapping[str, Any], where: Place) -> bool:
    if socket["port"] != where.port:
        return False
    if not where.host:
        return True
    bound = ipaddress.ip_address(socket["address"].partition("%")[0])
    if where.host == "localhost":
        return bound.is_unspecified or bound.is_loopback
    dialled = ipaddress.ip_address(where.host)
    if bound.version != dialled.version:
        return (
            bound.is_unspecified and bound.version == 6 and not socket["v6only"]
        )  # [::] takes both, unless told not to
    return bound.is_unspecified or bound == dialled
