# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kube-proxy has programmed for one NodePort, in one form for all of its modes. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple, Optional

MOST_ENDPOINTS = 20  # that are named
_SERVICE = re.compile(r"([a-z0-9][-a-z0-9.]*/[a-z0-9][-a-z0-9.]*)(?::([-a-z0-9]*))?")
_PLACE = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15})):([0-9]{1,5})")


class Way(NamedTuple):
    """Where the rules of a NodePort lead: ``endpoints`` are all they name, ``hidden`` how many more there are that are not told.

    ``local`` is what becomes of packets from outside where that is something else than of the node's and its pods' own, as it is
    with externalTrafficPolicy Local: "endpoints", "drop", "reject"; else None.
    """

    endpoints: Collection[str]
    hidden: int
    local: Optional[str]


def entry(
    protocol: str,
    port: int,
    family: str,
    addresses: Optional[Iterable[str]],
    action: str,
    service: Optional[str],
    way: Way,
) -> dict[str, Any]:
    """One entry of the section's ``node_ports``."""
    return {
        "protocol": protocol,
        "port": port,
        "family": family,
        "addresses": None if addresses is None else sorted(addresses),
        "action": action,
        "service": service,
        "endpoints": sorted(way.endpoints)[:MOST_ENDPOINTS],
        "endpoint_count": len(way.endpoints) + way.hidden,
        "local": way.local,
    }


def nowhere(local: Optional[str] = None) -> Way:
    """The way of a port without endpoints."""
    return Way((), 0, local)


def service_name(text: str) -> Optional[str]:
    """``namespace/name:port`` of what a comment says, without the colon where the port has no name; None for anything else."""
    found = _SERVICE.fullmatch(text)
    if found is None:
        return None
    return f"{found[1]}:{found[2]}" if found[2] else found[1]


def place(text: str) -> Optional[str]:
    """``10.244.0.19:9292`` or ``[fd00::7]:80`` as it is written in a rule; None for anything else."""
    found = _PLACE.fullmatch(text)
    return None if found is None else at(found[1] or found[2], int(found[3]))


def at(address: str, port: int) -> Optional[str]:
    """The same of its two parts."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return None
    if not 0 < port < 1 << 16:
        return None
    return f"[{known}]:{port}" if known.version == 6 else f"{known}:{port}"
