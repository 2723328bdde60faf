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

PAGES = "tcp_states.counters.memory_pages"
MARKS = "tcp_states.limits.tcp_mem"
ABORTS = "tcp_states.counters.TCPAbortOnMemory"
GROWN = "tcp_states.growth.counters.TCPAbortOnMemory"


def used(pages, *changes, **options):
    return live(PAGES, pages, MARKS, [300, 400, 600], *changes, **options)


CASES = [
    Case(
        "above the second mark",
        "fail",
        used(401),
        "node-a",
        "warning",
        words=(
            "it shrinks the buffers of all connections",
            "memory of TCP, in pages: 401",
            "net.ipv4.tcp_mem, in pages: low 300, pressure 400, high 600",
        ),
        absent=("TCPAbortOnMemory grew",),
        commands=(
            "ss -Htnmp",
            "printf '\\n%s\\n' 'net.ipv4.tcp_mem = 600 800 1200' >> /etc/sysctl.d/60-tcp-memory.conf",
            "sysctl -p /etc/sysctl.d/60-tcp-memory.conf",
        ),
    ),
    Case(
        "near the third mark",
        "fail",
        used(540),
        "node-a",
        "critical",
        words=("TCP has used nearly all memory that it may",),
    ),
    Case(
        "another limit was chosen",
        "fail",
        used(540, thresholds={"tcp_memory_share_critical": 0.95}),
        "node-a",
        "warning",
    ),
    Case(
        "the kernel resets connections",
        "fail",
        live(ABORTS, 12, GROWN, 3),
        "node-a",
        "critical",
        words=(
            "the kernel resets connections for want of TCP memory",
            "TCPAbortOnMemory grew by 3 in 2 s",
            "memory of TCP, in pages: 173",
        ),
        causes=(),
    ),
    Case(
        "the kernel resets connections, and there are too many orphans",
        "fail",
        live(ABORTS, 12, GROWN, 3, "tcp_states.counters.orphans", 131072),
        "node-a",
        causes=("orphans-near-limit",),
    ),
    Case(
        "the kernel resets connections of a container",
        "fail",
        live(ABORTS, 12, GROWN, 3, MARKS, None, PAGES, None),
        "node-a",
        "critical",
        absent=("in pages:", "double the marks"),
    ),
    Case("hardly any", "pass", live(), "node-a"),
    Case("at the second mark", "pass", used(400), "node-a"),
    Case("connections were reset once", "pass", live(ABORTS, 12), "node-a"),
    Case("none were ever reset, and there is no second sample", "pass", live("tcp_states.growth", None), "node-a"),
    Case("a container, in which the kernel tells no marks", "not_applicable", live(MARKS, None), "node-a"),
    Case(
        "some were reset, and there is no second sample",
        "unknown",
        live(ABORTS, 12, "tcp_states.growth", None),
        "node-a",
        words=(
            "TCPAbortOnMemory stands at 12; whether it still grows takes a second sample: set collect_sample_seconds above 0",
        ),
    ),
    Case(
        "the marks could not be read",
        "unknown",
        live(
            MARKS,
            None,
            snapshot=gap(captured("node-a"), "tcp_states", "/proc/sys/net/ipv4/tcp_mem", "Permission denied"),
        ),
        "node-a",
        words=("tcp_mem: Permission denied",),
    ),
    Case(
        "how much it is was not seen",
        "unknown",
        live(PAGES, None),
        "node-a",
        words=("the memory that TCP uses was not seen",),
    ),
    *unknowns(("tcp_states",)),
]
