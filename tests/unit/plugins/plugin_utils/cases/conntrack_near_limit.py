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

CONNTRACK = "host_pressure.conntrack"


def tracked(count, most=262144, **options):
    return live(CONNTRACK, {"count": count, "max": most}, **options)


CASES = [
    Case(
        "three quarters",
        "fail",
        tracked(196608),
        "node-a",
        "warning",
        words=(
            "the table of tracked connections is filling up",
            "connections tracked: 196608 of 262144 (75 %)",
            "let the table hold 524288 entries",
            "up to 160 MiB of kernel memory",
            "kube-proxy writes its own figure again",
            "set conntrack.min to 524288",
        ),
        commands=(
            "printf '\\n%s\\n' 'net.netfilter.nf_conntrack_max = 524288' >> /etc/sysctl.d/60-conntrack.conf",
            "sysctl -p /etc/sysctl.d/60-conntrack.conf",
            "kubectl -n kube-system edit configmap kube-proxy",
            "kubectl -n kube-system rollout restart daemonset/kube-proxy",
        ),
    ),
    Case("nine tenths", "fail", tracked(235930), "node-a", "critical", words=("is nearly full",)),
    Case("full", "fail", tracked(262144), "node-a", "critical", words=("262144 of 262144 (100 %)",)),
    Case(
        "the limit was lowered",
        "fail",
        tracked(30000, 1000),
        "node-a",
        "critical",
        words=("let the table hold 60000 entries",),
    ),
    Case(
        "kube-proxy goes no further",
        "fail",
        tracked(900000, 1000000),
        "node-a",
        words=("let the table hold 2000000 entries", "set conntrack.maxPerCore to 0"),
        absent=("conntrack.min",),
    ),
    Case(
        "a limit above what kube-proxy sets",
        "fail",
        tracked(1900000, 2097152),
        "node-a",
        words=(
            "let the table hold 4194304 entries",
            "set conntrack.maxPerCore to 0, so that it leaves the limit as it is",
        ),
        absent=("conntrack.min", "to 1048576"),
    ),
    Case(
        "just what kube-proxy sets",
        "fail",
        tracked(1000000, 1048576),
        "node-a",
        words=("let the table hold 2097152 entries", "set conntrack.maxPerCore to 0"),
    ),
    Case("a lower limit was chosen", "fail", tracked(30000, thresholds={"conntrack_share": 0.1}), "node-a", "warning"),
    Case("just below", "pass", tracked(196607), "node-a"),
    Case("nearly nothing", "pass", live(), "node-a"),
    Case("not in use", "not_applicable", live(CONNTRACK, None), "node-a"),
    Case("no limit", "not_applicable", tracked(5, 0), "node-a"),
    Case(
        "it could not be read",
        "unknown",
        live(
            CONNTRACK,
            None,
            snapshot=gap(
                captured("node-a"), "host_pressure", "/proc/sys/net/netfilter/nf_conntrack_count", "Permission denied"
            ),
        ),
        "node-a",
        words=("nf_conntrack_count: Permission denied",),
    ),
    Case("junk", "unknown", live(CONNTRACK, ["x"]), "node-a", words=("the data could not be judged",)),
    *unknowns(("host_pressure",)),
]
