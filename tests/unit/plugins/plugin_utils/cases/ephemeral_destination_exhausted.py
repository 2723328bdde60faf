# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    changed,
    gap,
    live,
    unknowns,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.tcp_scene import (
    alone,
    group,
    held,
    quiet,
    sick,
    two_nodes,
)

PORTS = "tcp_states.ephemeral"
RANGE = f"{PORTS}.range"
AVAILABLE = f"{PORTS}.available"
API_RANGE = "port_settings.api_server.range"


def destination(count, process="java", address="10.96.146.107", port=80, source="192.0.2.2"):
    return {"source": source, "destination": address, "port": port, "count": count, "process": process}


def uses(*destinations, groups=(), changes=(), **options):
    """node-a, quiet but for what is dialled from it, with 1000 ports for it."""
    snapshot = quiet(*groups, changes=(AVAILABLE, 1000, f"{PORTS}.destinations", list(destinations), *changes))
    return alone(snapshot, **options)


def by_state(state, count, address="10.96.146.107"):
    return group(state, None if state == "time_wait" else "java", {address: count}, peer_port=80)


CASES = [
    Case(
        "until no port was left, as captured",
        "fail",
        alone(sick("tcp-exhausted")),
        "node-a",
        "critical",
        words=(
            "pool has used up the local ports towards 192.0.2.3:5432 (node node-b)",
            "1000 connections of pool from 192.0.2.2 to 192.0.2.3:5432: 100 % of 1000 ports",
            "of all connections to 192.0.2.3:5432: 1000 ESTABLISHED",
            '"cannot assign requested address"',
            "Other destinations still have all ports.",
            "keep-alive, a pool",
        ),
        causes=(),
    ),
    Case(
        "six tenths, of a Service",
        "fail",
        uses(destination(600)),
        "node-a",
        "warning",
        words=("java has most of the local ports towards 10.96.146.107:80 (Service shop/front)", "60 % of 1000 ports"),
    ),
    Case("nearly six tenths", "pass", uses(destination(599)), "node-a"),
    Case("85 of 100", "fail", uses(destination(850)), "node-a", "critical", words=("java has nearly used up",)),
    Case("all, of nobody", "fail", uses(destination(1000, None)), "node-a", "critical", words=("are used up",)),
    Case(
        "six tenths, of nobody",
        "fail",
        uses(destination(600, None)),
        "node-a",
        "warning",
        words=("most local ports towards 10.96.146.107:80 (Service shop/front) are in use",),
        absent=("used up",),
    ),
    Case("another share", "fail", uses(destination(300), thresholds={"ephemeral_share": 0.3}), "node-a", "warning"),
    Case(
        "another critical share",
        "fail",
        uses(destination(700), thresholds={"ephemeral_share_critical": 0.7}),
        "node-a",
        "critical",
    ),
    Case("two destinations with half each", "pass", uses(destination(500), destination(500, port=81)), "node-a"),
    Case(
        "all in TIME-WAIT, which no process has",
        "fail",
        uses(destination(900, None), groups=[by_state("time_wait", 900)]),
        "node-a",
        words=(
            "the local ports towards 10.96.146.107:80 (Service shop/front) are nearly used up",
            "Most are in TIME-WAIT, 60 s each: the program dials, closes first, and dials again",
            "900 connections that no process was seen to hold (in TIME-WAIT none does) from 192.0.2.2",
            "900 TIME-WAIT",
        ),
    ),
    Case(
        "most in SYN-SENT",
        "fail",
        uses(destination(900), groups=[{**by_state("syn_sent", 451), "oldest_seconds": 1.0}]),
        "node-a",
        words=("Most are in SYN-SENT: the other end does not answer.",),
    ),
    Case(
        "half in SYN-SENT",
        "fail",
        uses(destination(900), groups=[{**by_state("syn_sent", 450), "oldest_seconds": 1.0}]),
        "node-a",
        words=("450 SYN-SENT",),
        absent=("Most are in",),
    ),
    Case(
        "most in CLOSE-WAIT: the leak is the cause",
        "fail",
        uses(
            destination(900),
            groups=[held("java", 800, peer="10.96.146.107", peer_port=80), by_state("established", 100)],
        ),
        "node-a",
        "critical",
        words=("Most are in CLOSE-WAIT", "of all connections to 10.96.146.107:80: 800 CLOSE-WAIT, 100 ESTABLISHED"),
        causes=("close-wait-leak",),
    ),
    Case(
        "the leak of another destination is not",
        "fail",
        uses(destination(900), groups=[held("java", 800, peer="192.0.2.9", peer_port=80)]),
        "node-a",
        absent=("CLOSE-WAIT",),
        causes=(),
    ),
    Case(
        "two addresses of the node, one destination",
        "fail",
        uses(destination(700), destination(900, source="192.0.2.12")),
        "node-a",
        "critical",
        words=("from 192.0.2.2 to", "from 192.0.2.12 to"),
    ),
    Case(
        "a narrow range can be widened above the NodePorts",
        "fail",
        uses(destination(900), changes=(API_RANGE, [30000, 32767], RANGE, [40000, 40999])),
        "node-a",
        words=("let the ephemeral range be 32768 to 65535", "never 1024 65535"),
        commands=(
            "printf '\\n%s\\n' 'net.ipv4.ip_local_port_range = 32768 65535' >> /etc/sysctl.d/60-port-range.conf",
        ),
    ),
    Case(
        "NodePorts from far below do not draw it below the kernel's default",
        "fail",
        uses(destination(900), changes=(API_RANGE, [20000, 22767])),
        "node-a",
        words=("let the ephemeral range be 32768 to 65535",),
    ),
    Case(
        "a range among the NodePorts is not widened",
        "fail",
        uses(destination(900)),
        "node-a",
        words=("give the node another address to dial from",),
        absent=("let the ephemeral range be",),
    ),
    Case(
        "a range that ends where ports end",
        "fail",
        uses(destination(900), changes=(API_RANGE, [30000, 32767], RANGE, [32768, 65535])),
        "node-a",
        absent=("let the ephemeral range be",),
    ),
    Case("IPv6", "fail", uses(destination(900, address="2001:db8::9")), "node-a", words=("towards [2001:db8::9]:80",)),
    Case("a hostile name", "fail", uses(destination(900, "\x1b[2J\u202e")), "node-a"),
    Case("as quiet as captured", "pass", live(), "node-a"),
    Case(
        "only pods were asked",
        "not_applicable",
        live("tcp_states.netns", "pods", PORTS, None),
        "node-a",
    ),
    Case(
        "the reserved ports could not be read",
        "unknown",
        alone(
            gap(
                changed(captured("node-a"), AVAILABLE, None),
                "tcp_states",
                "/proc/sys/net/ipv4/ip_local_reserved_ports",
                "Permission denied",
            ),
            two_nodes(),
        ),
        "node-a",
        words=("/proc/sys/net/ipv4/ip_local_reserved_ports: Permission denied",),
    ),
    Case(
        "nothing tells why",
        "unknown",
        live(PORTS, None),
        "node-a",
        words=("how many ephemeral ports there are is not known",),
    ),
    *unknowns(("host", "tcp_states")),
]
