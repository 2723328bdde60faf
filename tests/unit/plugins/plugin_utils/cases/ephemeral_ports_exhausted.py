# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Case, live, unknowns
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.tcp_scene import alone, sick

PORTS = "tcp_states.ephemeral"


def used(count, *changes, **options):
    """node-a, on which so many of 1000 ports are in use."""
    return live(f"{PORTS}.available", 1000, f"{PORTS}.used", count, *changes, **options)


CASES = [
    Case(
        "all, by one destination, as captured",
        "fail",
        alone(sick("tcp-exhausted")),
        "node-a",
        "critical",
        words=(
            "all ports of the ephemeral range are in use, and programs that ask for any free port get none",
            "1000 local TCP ports between 40000 and 40999 are in use: 100 % of 1000",
            "1000 connections of pool to 192.0.2.3:5432",
            '"address already in use"',
            "Plain connections can still share a port",
        ),
        causes=("ephemeral-destination-exhausted",),
    ),
    Case(
        "six tenths",
        "fail",
        used(600),
        "node-a",
        "warning",
        words=("most ports of the ephemeral range are in use\n", "60 % of 1000"),
        causes=(),
    ),
    Case("nearly six tenths", "pass", used(599), "node-a"),
    Case("85 of 100", "fail", used(850), "node-a", "critical", words=("are nearly exhausted",)),
    Case("another share", "fail", used(300, thresholds={"ephemeral_share": 0.3}), "node-a", "warning"),
    Case(
        "nobody is known to dial",
        "fail",
        used(900, f"{PORTS}.destinations", []),
        "node-a",
        words=("90 % of 1000",),
        absent=("connection of", "connections of"),
    ),
    Case(
        "dialled by an unseen process",
        "fail",
        used(
            900,
            *(f"{PORTS}.destinations.0.process", None),
        ),
        "node-a",
        words=("70 connections that no process was seen to hold (in TIME-WAIT none does) to 192.0.2.10:6443",),
    ),
    Case("as quiet as captured", "pass", live(), "node-a"),
    Case("only pods were asked", "not_applicable", live("tcp_states.netns", "pods", PORTS, None), "node-a"),
    Case(
        "the range could not be read",
        "unknown",
        live(
            *(PORTS, {"range": None, "available": None, "used": None, "destinations": []}),
            *("tcp_states.missing", [{"what": "/proc/sys/net/ipv4/ip_local_port_range", "why": "not understood"}]),
        ),
        "node-a",
        words=("/proc/sys/net/ipv4/ip_local_port_range: not understood",),
    ),
    *unknowns(("tcp_states",)),
]
