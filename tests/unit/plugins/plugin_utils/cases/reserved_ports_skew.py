# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    BARE,
    Case,
    live,
    unknowns,
)

LOCAL = "port_settings.kernel.sysctl.ip_local_port_range"
RESERVED = "port_settings.kernel.sysctl.ip_local_reserved_ports"

CASES = [
    Case(
        "all NodePorts above 32768 as one block",
        "fail",
        live(RESERVED, "30000-40000"),
        "node-a",
        "warning",
        words=(
            "port 40001 gets",
            "ip_local_reserved_ports holds 32768-40000",
            "because 32768-40000 before it is reserved",
        ),
    ),
    Case(
        "a block at the end of the range, seen round its end",
        "fail",
        live(RESERVED, "32768-34000,50000-60999"),
        "node-a",
        words=("and 32768-34000 before it is reserved",),
    ),
    Case("a lower limit was chosen", "fail", live(RESERVED, "33000-33300", skew_share=0.001), "node-a"),
    Case("nothing is reserved", "pass", live(), "node-a"),
    Case("single NodePorts", "pass", live(RESERVED, "30080-30081,31999,32530,35776"), "node-a"),
    Case("a host that is no node", "pass", BARE, "bare"),
    Case(
        "the reserved ports could not be read",
        "unknown",
        live(RESERVED, None),
        "node-a",
        words=("ip_local_reserved_ports was not seen",),
    ),
    Case("junk is reserved", "unknown", live(RESERVED, "all"), "node-a", words=("the data could not be judged", "all")),
    *unknowns(("port_settings",)),
]
