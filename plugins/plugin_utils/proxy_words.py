# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's section ``proxy_rules`` says of one NodePort, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe

SECTION = "proxy_rules"
_NOT_SEEN = "service rules"  # begins the name of each gap that may hide an entry; a family in parentheses limits it
_ENDS = {
    "reject": "refused, as if the Service had no endpoints",
    "drop": "dropped, as if this node had no endpoint of the Service",
    "none": "rules that lead nowhere",
}
Key = tuple[str, int, str]


def by_port(section: dict[str, Any]) -> dict[Key, list[dict[str, Any]]]:
    """What is programmed, by (protocol, port, family); one entry for each place where rules are."""
    found: dict[Key, list[dict[str, Any]]] = {}
    for entry in section["node_ports"]:
        found.setdefault((entry["protocol"], entry["port"], entry["family"]), []).append(entry)
    return found


def unseen(section: dict[str, Any], family: str) -> str:
    """Why rules of a family ("ipv4" or "ipv6") may be there that were not seen; empty when all were."""
    for gap in section["missing"]:
        if gap["what"] in (_NOT_SEEN, f"{_NOT_SEEN} ({family})"):
            return f"{gap['what']}: {gap['why']}"
    return f"{section['truncated']} NodePorts were left out" if section["truncated"] else ""


def remarks(section: dict[str, Any]) -> list[str]:
    """What else is odd about the rules: those of two kinds of iptables, or of two modes."""
    return [f"{gap['what']}: {gap['why']}" for gap in section["missing"] if not gap["what"].startswith(_NOT_SEEN)]


def line(entry: dict[str, Any]) -> str:
    """``32530/tcp -> 10.244.0.19:9292, 10.244.0.21:9292``."""
    where = f"{entry['port']}/{entry['protocol']}"
    if entry["addresses"] is not None:
        where += f" on {describe.listed(entry['addresses'], 3)}" if entry["addresses"] else " on no address"
    if entry["action"] != "endpoints":
        return f"{where}: {_ENDS.get(entry['action'], entry['action'])}"
    text = f"{where} -> {_listed(entry['endpoints'], entry['endpoint_count'])}"
    if entry["local"] in _ENDS:
        text += f", for the node and its pods only: what comes from outside is {_ENDS[entry['local']]}"
    return text


def source(section: dict[str, Any]) -> str:
    """``there are rules for 7 NodePorts, by iptables-nft-save``: what the evidence of what is not there rests on."""
    count = len({(entry["protocol"], entry["port"]) for entry in section["node_ports"]}) + section["truncated"]
    by = f", by {', '.join(section['programs'])}" if section["programs"] else ", by what the kernel says"
    if not count:
        return f"there are no rules for any NodePort{by}"
    return f"there are rules for {count} NodePort{'s' if count > 1 else ''}{by}"


def _listed(endpoints: Sequence[str], count: int) -> str:
    shown = ", ".join(endpoints[:5])
    if count <= len(endpoints[:5]):
        return shown
    return f"{shown} and {count - len(endpoints[:5])} more" if shown else f"{count} endpoints"
