# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    captured_section,
    changed,
    gap,
    live,
    unknowns,
)

NOW = "tcp_states.counters.time_wait"
MOST = "tcp_states.limits.tcp_max_tw_buckets"
OVERFLOWS = "tcp_states.counters.TCPTimeWaitOverflow"
GROWN = "tcp_states.growth.counters.TCPTimeWaitOverflow"


def ended(port="peer_port", number=443, count=90000, peers=1):
    """A group of ended connections, made from one of open ones."""
    group = {**captured_section("tcp-quiet")["groups"][0], "state": "time_wait", "process": None}
    return {**group, "local_port": None, "peer_port": None, port: number, "count": count, "peers": peers}


def waiting(*changes, groups=(), **options):
    quiet = captured("node-a")
    more = [*quiet["sections"]["tcp_states"]["groups"], *groups]
    return live(*changes, snapshot=changed(quiet, "tcp_states.groups", more), **options)


CASES = [
    Case(
        "three quarters",
        "fail",
        waiting(
            NOW,
            98304,
            groups=[
                ended(),
                ended("local_port", 8080, 5000, 12),
                ended(number=53, count=20),
                ended(number=80, count=9),
            ],
        ),
        "node-a",
        "info",
        words=(
            "connections end faster than TIME-WAIT holds them",
            "sockets in TIME-WAIT: 98304 of 131072 (75 %)",
            "in TIME-WAIT, to port 443, to 1 address: 90000",
            "in TIME-WAIT, on local port 8080, from 12 addresses: 5000",
            "to port 53, to 1 address: 20",
            "keep connections open",
            "it cures no shortage of ports",
        ),
        absent=("to port 80", "TCPTimeWaitOverflow"),
        commands=(
            "ss -Htn state time-wait",
            "printf '\\n%s\\n' 'net.ipv4.tcp_max_tw_buckets = 262144' >> /etc/sysctl.d/60-time-wait.conf",
            "sysctl -p /etc/sysctl.d/60-time-wait.conf",
        ),
    ),
    Case(
        "the kernel drops some",
        "fail",
        waiting(NOW, 131072, OVERFLOWS, 5000, GROWN, 400),
        "node-a",
        "warning",
        words=(
            "the table of TIME-WAIT sockets is full",
            "TCPTimeWaitOverflow grew by 400 in 2 s",
            "131072 of 131072 (100 %)",
        ),
    ),
    Case(
        "the kernel drops some, and keeps none",
        "fail",
        waiting(NOW, 0, MOST, 0, OVERFLOWS, 5000, GROWN, 400),
        "node-a",
        "warning",
        words=("sockets in TIME-WAIT: 0 of 0",),
        absent=("let the kernel keep",),
    ),
    Case(
        "the kernel drops some, how many there are was not seen",
        "fail",
        waiting(NOW, None, OVERFLOWS, 5000, GROWN, 400),
        "node-a",
        "warning",
        absent=("sockets in TIME-WAIT:",),
    ),
    Case(
        "a lower limit was chosen", "fail", waiting(NOW, 1400, thresholds={"time_wait_share": 0.01}), "node-a", "info"
    ),
    Case("none", "pass", live(), "node-a"),
    Case("just below", "pass", live(NOW, 98303), "node-a"),
    Case("some were dropped once", "pass", live(OVERFLOWS, 5000), "node-a"),
    Case("none were ever dropped, and there is no second sample", "pass", live("tcp_states.growth", None), "node-a"),
    Case(
        "some were dropped, and there is no second sample",
        "unknown",
        live(OVERFLOWS, 5000, "tcp_states.growth", None),
        "node-a",
        words=(
            "TCPTimeWaitOverflow stands at 5000; whether it still grows takes a second sample: set collect_sample_seconds above 0",
        ),
    ),
    Case(
        "what is dropped was not seen",
        "unknown",
        live(
            OVERFLOWS,
            None,
            GROWN,
            None,
            snapshot=gap(captured("node-a"), "tcp_states", "/proc/net/netstat", "Permission denied"),
        ),
        "node-a",
        words=("/proc/net/netstat: Permission denied",),
    ),
    Case(
        "how many there are was not seen",
        "unknown",
        live(NOW, None),
        "node-a",
        words=("the number of TIME-WAIT sockets was not seen",),
    ),
    Case(
        "how many there may be was not seen",
        "unknown",
        live(
            MOST,
            None,
            snapshot=gap(
                captured("node-a"), "tcp_states", "/proc/sys/net/ipv4/tcp_max_tw_buckets", "Permission denied"
            ),
        ),
        "node-a",
        words=("tcp_max_tw_buckets: Permission denied",),
    ),
    *unknowns(("tcp_states",)),
]
