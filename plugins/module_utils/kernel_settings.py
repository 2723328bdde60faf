# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel settings that decide which ports are drawn at random, and what listens to them."""

from __future__ import annotations

from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs

# Per network namespace; the net.ipv4 ones hold for IPv6 too (Documentation/networking/ip-sysctl.rst).
_SYSCTLS = {
    "ip_local_port_range": "net/ipv4/ip_local_port_range",
    "ip_local_reserved_ports": "net/ipv4/ip_local_reserved_ports",
    "route_localnet": "net/ipv4/conf/all/route_localnet",
    "bindv6only": "net/ipv6/bindv6only",
}
_OPTIONAL = frozenset({"bindv6only"})  # not there when IPv6 is off


def collect(root: str = "/proc/sys") -> dict[str, Any]:
    """Return ``{sysctl: {name: text or None}, complete, missing}``, the texts as the kernel prints them, stripped."""
    values: dict[str, Optional[str]] = {}
    missing = []
    for name, path in _SYSCTLS.items():
        try:
            # A reserved list can hold thousands of ports: the kernel prints it in full only to a large read.
            values[name] = procfs.text(f"{root}/{path}", 1 << 20).strip()
        except OSError as error:
            values[name] = None
            if name not in _OPTIONAL:
                missing.append({"what": path.replace("/", "."), "why": str(error)})
    return {"sysctl": values, "complete": not missing, "missing": missing}


def ephemeral_range(root: str = "/proc/sys") -> Optional[tuple[int, int]]:
    """The inclusive port range of automatic selection, None when it cannot be read."""
    try:
        low, high = procfs.text(f"{root}/{_SYSCTLS['ip_local_port_range']}").split()
        return int(low), int(high)
    except (OSError, ValueError):
        return None
