# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    gap,
    live,
    unknowns,
)

NOW = "tcp_states.counters.orphans"
MOST = "tcp_states.limits.tcp_max_orphans"

CASES = [
    Case(
        "a quarter",
        "fail",
        live(NOW, 32768, "tcp_states.states.fin_wait1", 30000),
        "node-a",
        "warning",
        words=(
            "there are many orphaned TCP connections",
            "orphans: 32768 of 131072 (25 %)",
            "connections: FIN-WAIT-1 30000, FIN-WAIT-2 0, CLOSING 0, LAST-ACK 0",
            "up to 64 KiB of memory each",
        ),
        commands=(
            "ss -Htn state fin-wait-1",
            "printf '\\n%s\\n' 'net.ipv4.tcp_max_orphans = 262144' >> /etc/sysctl.d/60-tcp-orphans.conf",
            "sysctl -p /etc/sysctl.d/60-tcp-orphans.conf",
        ),
    ),
    Case(
        "three quarters",
        "fail",
        live(NOW, 98304),
        "node-a",
        "critical",
        words=("nearly as many orphaned TCP connections as the kernel keeps",),
    ),
    Case("a lower limit was chosen", "fail", live(NOW, 2000, thresholds={"orphans_share": 0.01}), "node-a", "warning"),
    Case("none may be", "fail", live(NOW, 1, MOST, 0), "node-a", "critical", words=("orphans: 1 of 0",)),
    Case("none", "pass", live(), "node-a"),
    Case("just below", "pass", live(NOW, 32767), "node-a"),
    Case("a container, in which the kernel tells no limit", "not_applicable", live(MOST, None), "node-a"),
    Case(
        "the limit could not be read",
        "unknown",
        live(
            MOST,
            None,
            snapshot=gap(captured("node-a"), "tcp_states", "/proc/sys/net/ipv4/tcp_max_orphans", "Permission denied"),
        ),
        "node-a",
        words=("tcp_max_orphans: Permission denied",),
    ),
    Case(
        "how many there are could not be read",
        "unknown",
        live(NOW, None, snapshot=gap(captured("node-a"), "tcp_states", "/proc/net/sockstat", "Permission denied")),
        "node-a",
        words=("/proc/net/sockstat: Permission denied",),
    ),
    *unknowns(("tcp_states",)),
]
