# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers from which something is a finding: each with its default, its unit, and where the default comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SHARE = "share"  # of a limit or of time: above 0 and up to 1
_WHOLE = frozenset({"sockets", "hosts", "CPUs", "containers", "messages"})  # half of one makes no sense


@dataclass(frozen=True)
class Threshold:
    """One number. ``meaning`` says what it decides, ``source`` who else uses the default, or why we chose it."""

    name: str
    default: float
    unit: str
    meaning: str
    source: str


# Sources named in short below:
#   Netdata                  netdata/netdata src/health/health.d/{cpu,file_descriptors,netfilter,tcp_mem,tcp_orphans}.conf
#   node-exporter's mixin    prometheus/node_exporter docs/node-mixin/{config.libsonnet,alerts/alerts.libsonnet}
#   node-problem-detector    kubernetes/node-problem-detector config/plugin/network_problem.sh
THRESHOLDS = (
    Threshold(
        "accept_queue_share",
        0.5,
        _SHARE,
        "an accept queue that holds this share of its backlog is a finding",
        "our choice: an accept queue is nearly always empty; one that is half full has lost half of what it has for a burst",
    ),
    Threshold(
        "backlog_hosts",
        2,
        "hosts",
        "so many hosts, and most of those that run the service, must have one backlog before another's is a finding",
        "our choice: of two hosts that differ nobody can say which is the odd one",
    ),
    Threshold(
        "clock_max_error_seconds",
        16,
        "seconds",
        "a clock that the kernel calls unsynchronized and of which it no longer vouches for less than this error is a finding",
        "node-exporter's mixin, NodeClockNotSynchronising; Linux lets the error grow to 16 s (NTP_PHASE_LIMIT) while nobody corrects the clock",
    ),
    Threshold(
        "clock_settle_seconds",
        180,
        "seconds",
        "a time daemon that has run for less than this need not have found the right time yet",
        "our choice: for so long chrony's examples/chrony-wait.service lets the start of a machine wait for the right time",
    ),
    Threshold(
        "clock_step_seconds",
        1,
        "seconds",
        "a clock that was set back by more than this is a finding",
        "our choice: distributions have chronyd step beyond 1 s (makestep 1 3), and smaller steps are shorter than a container's start",
    ),
    Threshold(
        "close_wait_count",
        20,
        "sockets",
        "a program that holds so many connections in CLOSE-WAIT leaks, on whatever host",
        "our choice: a program that closes late has a few for a moment; the leak of seed 003 held 46 on its API server",
    ),
    Threshold(
        "close_wait_count_critical",
        500,
        "sockets",
        "a leak of so many connections is critical",
        "our choice: half of 1024, the usual soft limit of open files",
    ),
    Threshold(
        "close_wait_files_share",
        0.2,
        _SHARE,
        "a leak that holds this share of the files that its process may open is critical",
        "our choice: long before the limit, because a leak only grows and a restart needs a moment that suits",
    ),
    Threshold(
        "close_wait_hosts",
        3,
        "hosts",
        "fewer connections in CLOSE-WAIT than close_wait_count are a finding when so many hosts show them of the same program",
        "our choice: one host may have been seen while a program was about to close, three were not",
    ),
    Threshold(
        "close_wait_hosts_share",
        0.5,
        _SHARE,
        "and, besides close_wait_hosts, when they are this share of the hosts that answered",
        "our choice: in a large fleet some hosts always hold connections of an idle pool; on half of them it is the program",
    ),
    Threshold(
        "close_wait_seconds",
        10,
        "seconds",
        "a connection is held, not about to be closed, when it has been in CLOSE-WAIT for so long",
        "our choice: who reads the end of a stream closes at once; CLOSE-WAIT by itself never ends",
    ),
    Threshold(
        "conntrack_share",
        0.75,
        _SHARE,
        "use of nf_conntrack_max: a warning",
        "node-exporter's mixin, NodeHighNumberConntrackEntriesUsed",
    ),
    Threshold(
        "conntrack_share_critical",
        0.9,
        _SHARE,
        "use of nf_conntrack_max: critical",
        "node-problem-detector, network_problem.sh; Netdata, netfilter_conntrack_full, warns there",
    ),
    Threshold(
        "control_plane_cpus",
        2,
        "CPUs",
        "a control plane on fewer CPUs is a finding",
        "kubeadm's preflight check NumCPU: ControlPlaneNumCPU in cmd/kubeadm/app/constants/constants.go of kubernetes/kubernetes",
    ),
    Threshold(
        "cpu_busy_share",
        0.8,
        _SHARE,
        "CPU time in use during the sample from which too few CPUs count as the likely cause of a full accept queue",
        "our choice: from here on what waits for a CPU waits several times as long as it runs (1 / (1 - use), with one CPU)",
    ),
    Threshold(
        "dead_container_seconds",
        300,
        "seconds",
        "a dead container that kubelet should have removed is counted when it has been dead for so long",
        "our choice: kubelet collects every minute (ContainerGCPeriod), so five times have passed it by",
    ),
    Threshold(
        "dead_containers_per_container",
        1,
        "containers",
        "more dead instances than this of one container of a pod are a finding",
        "kubelet's --maximum-dead-containers-per-container, which keeps 1 unless it is set",
    ),
    Threshold(
        "ephemeral_share",
        0.6,
        _SHARE,
        "use of the ephemeral ports, towards one destination or altogether: a warning",
        "our choice: the fuller the range, the longer connect() searches, and connections come in bursts",
    ),
    Threshold(
        "ephemeral_share_critical",
        0.85,
        _SHARE,
        "use of the ephemeral ports, towards one destination or altogether: critical",
        "our choice: a port stays taken for the 60 s of TIME-WAIT, so one burst takes the rest",
    ),
    Threshold(
        "files_share",
        0.7,
        _SHARE,
        "use of a limit of open files, a process's or the machine's: a warning",
        "node-exporter's mixin, NodeFileDescriptorLimit, warning",
    ),
    Threshold(
        "files_share_critical",
        0.9,
        _SHARE,
        "use of a limit of open files, a process's or the machine's: critical",
        "node-exporter's mixin, NodeFileDescriptorLimit, critical; Netdata, system_file_descriptors_utilization, too",
    ),
    Threshold(
        "log_recent_seconds",
        600,
        "seconds",
        "an error that was last logged within so many seconds before the look at the log may still be going on; an older one is over, and a note",
        "our choice: kubelet tries again what failed, after five minutes at most (its longest back-off), so ten minutes show it twice",
    ),
    Threshold(
        "name_reserved_count",
        3,
        "messages",
        "containerd's or CRI-O's refusals of one container name from which it is a finding",
        "our choice: a create request that timed out is refused once or twice while the first one still works, and then is done",
    ),
    Threshold(
        "orphans_share",
        0.25,
        _SHARE,
        "use of tcp_max_orphans: a warning",
        "Netdata, tcp_orphans: the kernel counts an orphan that gets nothing through up to four times",
    ),
    Threshold(
        "orphans_share_critical",
        0.75,
        _SHARE,
        "use of tcp_max_orphans: critical",
        "our choice: at half of it, where Netdata's critical begins, the kernel resets those that count twice; from here on a burst costs all",
    ),
    Threshold(
        "run_queue_per_cpu",
        2,
        "processes per CPU",
        "so many processes that want to run, in the middle one of the samples, are a finding",
        "node-exporter's mixin, NodeSystemSaturation: systemSaturationPerCoreThreshold, there of the load average",
    ),
    Threshold(
        "service_target_start_seconds",
        60,
        "seconds",
        "a pod that does not listen where its Service sends packets is a finding when its containers run for so long",
        "our choice: a JVM may need most of a minute until it listens, and a pod without a readiness probe is ready from its first second",
    ),
    Threshold(
        "shared_count",
        3,
        "sockets",
        "fewer connections than this of a program to a port are no finding by being on many hosts (in SYN-SENT, but for one and the same peer)",
        "our choice: at any moment many programs have one or two that are about to be closed or tried again",
    ),
    Threshold(
        "steal_share",
        0.1,
        _SHARE,
        "steal in the sample, when steal_since_boot_share is reached as well, or since boot by itself: a warning; in the sample alone: a note",
        "Netdata, 20min_steal_cpu: warns above 10 %",
    ),
    Threshold(
        "steal_share_critical",
        0.3,
        _SHARE,
        "steal in the sample, when steal_since_boot_share is reached as well, or since boot by itself: critical",
        "our choice: a third of the machine is gone; the API server of seed 003 lost 41 % in its worst second, which a longer sample averages out",
    ),
    Threshold(
        "steal_since_boot_share",
        0.05,
        _SHARE,
        "steal since boot below which a sample may have caught a passing moment, and is a note",
        "Netdata, 20min_steal_cpu: below 5 % a warning is over",
    ),
    Threshold(
        "syn_sent_count",
        5,
        "sockets",
        "so many unanswered connections of a program to one port are a finding, on whatever host",
        "our choice: one or two are a peer that is being restarted",
    ),
    Threshold(
        "syn_sent_hosts",
        3,
        "hosts",
        "fewer unanswered connections than syn_sent_count are a finding when so many hosts show them of the same program",
        "our choice: one host may have been seen while its peer was away, three were not",
    ),
    Threshold(
        "syn_sent_hosts_share",
        0.5,
        _SHARE,
        "and, besides syn_sent_hosts, when they are this share of the hosts that answered, or so many dial the same peer",
        "our choice: different peers on a few hosts are as many small troubles; on half of the hosts they have one cause",
    ),
    Threshold(
        "syn_sent_router_seconds",
        30,
        "seconds",
        "few BGP peers that may be routers are a note on a single host when a connection to them has been tried for so long, in both samples",
        "our choice: Calico's template for BIRD tries anew after 5 s (connect retry) and up to 30 s after an error (error wait)",
    ),
    Threshold(
        "syn_sent_seconds",
        3,
        "seconds",
        "a connection is unanswered when it has been in SYN-SENT for so long",
        "Linux sends a SYN again after one second and within two more (TCP_TIMEOUT_INIT): by then both were in vain",
    ),
    Threshold(
        "tcp_memory_share_critical",
        0.9,
        _SHARE,
        "use of tcp_mem's high mark: critical (above its pressure mark it is a warning)",
        "Netdata, tcp_memory",
    ),
    Threshold(
        "time_wait_share",
        0.75,
        _SHARE,
        "use of tcp_max_tw_buckets: a note",
        "our choice, as for conntrack: the last quarter goes in one burst",
    ),
)
BY_NAME = {threshold.name: threshold for threshold in THRESHOLDS}


def read(value: Any) -> dict[str, float]:
    """Check what an operator sets, ``{name: number}``; returns only what was set. Raises ValueError naming what is wrong."""
    if not isinstance(value, Mapping):
        raise ValueError("thresholds: a mapping of names to numbers is expected")
    unknown = sorted(str(name) for name in value if name not in BY_NAME)
    if unknown:
        raise ValueError(f"thresholds: none is named {', '.join(unknown)}; there are {', '.join(BY_NAME)}")
    given = {name: _number(BY_NAME[name], number) for name, number in value.items()}
    for name in given:
        _check_order(name.removesuffix("_critical"), given)
    return given


def _number(threshold: Threshold, value: Any) -> float:
    """The number, also from a text: ``-e`` passes texts on."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    most = 1 if threshold.unit == _SHARE else math.inf
    if not 0 < number <= most or math.isinf(number):
        expected = "share above 0 and up to 1" if threshold.unit == _SHARE else "number above 0"
        raise ValueError(f"thresholds: {threshold.name}: {value!r} is no {expected}")
    if threshold.unit in _WHOLE and number != int(number):
        raise ValueError(f"thresholds: {threshold.name}: {value!r} is no whole number of {threshold.unit}")
    return number


def _check_order(name: str, given: Mapping[str, float]) -> None:
    # A critical level below the first one would make every finding critical, which nobody means.
    pair = (name, f"{name}_critical")
    if all(member in BY_NAME for member in pair):
        first, critical = (given.get(member, BY_NAME[member].default) for member in pair)
        if critical < first:
            raise ValueError(f"thresholds: {pair[1]} is {critical:g}, below {name}, which is {first:g}: set both")
