# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be asked of node_snapshot; it needs next to nothing of what answers it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import host_pressure, port_ranges
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_states import NETNS

SCHEMA = 1
# In the order in which they are collected. host_pressure ends before sockets are read, which would be pressure of our own making;
# tcp_states looks at all open files, so that the sections after it need not. logs may take what is left of the budget.
SECTIONS = (
    "host",
    "port_settings",
    "host_pressure",
    "tcp_states",
    "listen_ports",
    "listener_origin",
    "nodeport_conflict",
    "proxy_rules",
    "containers",
    "pod_listeners",
    "logs",
)
# Of the module node_snapshot and of its action plugin, which checks them once, before any node is asked.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "sections": {"type": "list", "elements": "str", "choices": list(SECTIONS), "default": list(SECTIONS)},
    "ports": {"type": "list", "elements": "int"},
    "port_range": {"type": "str", "default": "30000-32767"},
    "budget_seconds": {"type": "float", "default": 20},
    "sample_seconds": {"type": "float", "default": 2},
    "netns": {"type": "str", "choices": list(NETNS), "default": "host"},
    "log_seconds": {"type": "int", "default": 86400},
    "bundle": {"type": "path"},
    "answer_seconds": {"type": "int", "default": 120},
}


def wanted_ports(arguments: dict[str, Any]) -> Collection[int]:
    """The ports of which every socket is wanted. Raises ValueError naming an option (see ARGUMENTS) that cannot be right."""
    why = host_pressure.why_not(arguments["sample_seconds"])
    if why:
        raise ValueError(why)
    if arguments["log_seconds"] <= 0:
        raise ValueError(f"log_seconds: {arguments['log_seconds']}: more than 0 expected")
    try:
        return port_ranges.numbers(arguments["ports"], arguments["port_range"])
    except ValueError as error:
        raise ValueError(f"ports, port_range: {error}") from None
