# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of tracked connections is nearly full."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.module_utils import fix_raise_conntrack
from ansible_collections.kubenode.doctor.plugins.plugin_utils import limits, sysctl
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    NotApplicable,
    Remedy,
    Rule,
    Unknown,
)

_FILE = "/etc/sysctl.d/60-conntrack.conf"


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    section = node["host_pressure"]
    hidden = limits.gap(section, "conntrack")
    if section["conntrack"] is None:
        yield Unknown(hidden) if hidden else NotApplicable("connections are not tracked here")
        return
    use = limits.Use(section["conntrack"]["count"], section["conntrack"]["max"])
    if not use.limit:
        yield NotApplicable("nf_conntrack_max is 0: there is no limit")
        return
    level = limits.severity(use, context.settings, "conntrack_share")
    if level:
        yield _fail(use, level, context)


def _fail(use: limits.Use, level: str, context: Context) -> Fail:
    wanted = use.doubled
    worth = math.ceil(context.settings.threshold("conntrack_share") * use.limit)
    return Fail(
        subject="conntrack table",
        title=f"the table of tracked connections is {'nearly full' if level == 'critical' else 'filling up'}",
        explanation=(
            "Every connection to a Service, and every one that a firewall rule looks at, needs an entry. When the table is full, the kernel drops "
            "the first packet of each new connection (its log then says: nf_conntrack: table full, dropping packet), for all of the machine's pods. "
            "Entries of TCP connections that ended without a FIN stay for nf_conntrack_tcp_timeout_established."
        ),
        evidence=(f"connections tracked: {use}",),
        remedies=(
            Remedy(
                "look how long dead entries are kept, and who opens so many connections (conntrack -L lists them; DNS over UDP is often the answer)",
                ("sysctl net.netfilter.nf_conntrack_tcp_timeout_established net.netfilter.nf_conntrack_udp_timeout",),
                "none",
            ),
            Remedy(
                f"let the table hold {wanted} entries, now and at each boot",
                sysctl.commands(fix_raise_conntrack.KEY, wanted, _FILE),
                f"up to {fix_raise_conntrack.memory_mib(wanted)} MiB of kernel memory when it is full; kube-proxy writes its own figure again when it starts; "
                f"{sysctl.LATER_BUT_FOR_FIX}",
                fix_raise_conntrack.FIX,
                (fix_raise_conntrack.target(wanted, use.limit, worth),),
            ),
            _in_kube_proxy(wanted),
        ),
        severity=level,
    )


def _in_kube_proxy(entries: int) -> Remedy:
    change, commands = fix_raise_conntrack.in_kube_proxy(entries)
    return Remedy(
        f"where kube-proxy sets the limit: {change} in its configuration, and restart it (the names are kubeadm's)",
        commands,
        "holds for every node, also for those on which the limit above was not set; rules stay in force while kube-proxy restarts, changes to Services wait",
        by_hand="kube-proxy's configuration belongs to whatever installed the cluster, which would put its own back",
    )


RULE = Rule(
    id="conntrack-near-limit",
    group="host",
    severity="warning",
    claim="the table of tracked connections has room",
    why="a full table drops new connections of every pod and of the node, at random and without an error to the program",
    sources=(
        "Linux Documentation/networking/nf_conntrack-sysctl.rst and net/netfilter/nf_conntrack_core.c (table full, dropping packet)",
        "node-exporter docs/node-mixin, NodeHighNumberConntrackEntriesUsed; node-problem-detector config/plugin/network_problem.sh",
    ),
    judge=_judge,
    needs=("host_pressure",),
    thresholds=("conntrack_share", "conntrack_share_critical"),
)
