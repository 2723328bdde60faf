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
            "let the ephemeral range be 40001 to 60999, which leaves the block outside",
            "20999 ports are left for outgoing connections",
            "only the NodePorts that are in use",
            "a Service created later may get one that is taken",
        ),
        absent=("run out of ports",),
        commands=(
            "printf '\\n%s\\n' 'net.ipv4.ip_local_port_range = 40001 60999' >> /etc/sysctl.d/60-port-range.conf",
            "sysctl -p /etc/sysctl.d/60-port-range.conf",
        ),
    ),
    Case(
        "a block at the end of the range",
        "fail",
        live(RESERVED, "50000-60999"),
        "node-a",
        words=("let the ephemeral range be 32768 to 49999",),
    ),
    Case(
        "too little is left on either side",
        "fail",
        live(RESERVED, "46000-48000", skew_share=0.05),
        "node-a",
        words=("only the NodePorts that are in use",),
        absent=("let the ephemeral range be",),
    ),
    Case(
        "what is left has a block of its own",
        "fail",
        live(RESERVED, "33000-38000,50000-53000"),
        "node-a",
        absent=("let the ephemeral range be",),
    ),
    Case(
        "a block at the end of the range, seen round its end",
        "fail",
        live(RESERVED, "32768-34000,50000-60999"),
        "node-a",
        words=("and 32768-34000 before it is reserved", "let the ephemeral range be 34001 to 49999"),
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
