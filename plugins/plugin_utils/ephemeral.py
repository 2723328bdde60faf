# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Local ports that run out, and what gives more of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import port_ranges
from ansible_collections.kubenode.doctor.plugins.plugin_utils import cures
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import NotApplicable, Remedy, Unknown, missing

_DEFAULT_LOW = 32768  # net.ipv4.ip_local_port_range, net/ipv4/af_inet.c
_NEVER = "never 1024 65535, which takes NodePorts and the fixed ports of programs along"


def not_seen(section: dict[str, Any]) -> Unknown | NotApplicable | None:
    """Why it is not known how many ports there are; None when it is."""
    if section["netns"] == "pods":
        return NotApplicable("only the network namespaces of pods were looked at")
    ports = section["ephemeral"] or {}
    if ports.get("available") and ports["used"] is not None:
        return None
    files = (f"/proc/sys/net/ipv4/{name}" for name in ("ip_local_port_range", "ip_local_reserved_ports"))
    return Unknown(missing(section, "ephemeral ports", *files) or "how many ephemeral ports there are is not known")


def severity(share: float, context: Context) -> str:
    """How bad a share of the ports is; empty when it is fine."""
    if share >= context.settings.threshold("ephemeral_share_critical"):
        return "critical"
    return "warning" if share >= context.settings.threshold("ephemeral_share") else ""


def level(used: int, section: dict[str, Any], context: Context) -> str:
    """``full``, ``nearly`` or ``filling``: what may be said of so many ports in use."""
    available = section["ephemeral"]["available"]
    if used >= available:
        return "full"
    return "nearly" if severity(used / available, context) == "critical" else "filling"


def owner(entry: dict[str, Any]) -> str:
    """Whose connections to a destination are, as a part of a sentence."""
    return (
        f" of {entry['process']}" if entry["process"] else " that no process was seen to hold (in TIME-WAIT none does)"
    )


def remedies(section: dict[str, Any], context: Context) -> Iterator[Remedy]:
    """What lets a node have more connections: fewer of them first."""
    yield Remedy(
        "let the program keep connections and use them again (keep-alive, a pool), instead of dialling anew each time",
        (),
        "none",
    )
    wider = _wider(section["ephemeral"]["range"], context)
    if wider:
        low, high = wider
        yield cures.let_ephemeral_range_be(
            low, high, f"wider and still above the NodePorts ({context.nodeport_range}); {_NEVER}"
        )
    else:
        yield Remedy(
            "give the node another address to dial from, or the destination another address or port: each pair has all ports anew",
            (),
            "none",
        )


def _wider(span: list[int] | None, context: Context) -> tuple[int, int] | None:
    """A larger range that no NodePort is in; None where there is none, or where it is not known where NodePorts begin and end.

    Never from below the kernel's default: there lie the fixed ports of programs.
    """
    above = context.nodeport_range.high + 1
    if span is None or span[0] < above or context.nodeport_range.open_ended:
        return None
    low, high = span
    wider = (min(low, max(above, _DEFAULT_LOW)), port_ranges.HIGHEST)
    return wider if wider[1] - wider[0] > high - low else None
