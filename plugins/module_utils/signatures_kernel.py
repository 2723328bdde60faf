# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says when its tables for the network are full."""

from __future__ import annotations

from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import KERNEL
from ansible_collections.kubenode.doctor.plugins.module_utils.signature import Signature, Wording

_LINUX = "https://github.com/torvalds/linux/blob/master"

CONNTRACK_TABLE_FULL = Signature(
    id="conntrack-table-full",
    level="critical",
    title="The table of tracked connections is full: packets of new connections are dropped",
    meaning=(
        "The kernel has no room to track another connection and drops its packets: new connections, also to Services,"
        " time out by chance, while old ones go on."
    ),
    cure=(
        "Raise conntrack.min or conntrack.maxPerCore of kube-proxy, which sets net.netfilter.nf_conntrack_max at its"
        " start, and find out who opens so many connections. What pods send passes through the node's table as well."
    ),
    sources=(KERNEL,),
    wordings=(
        Wording(
            anchor="_conntrack: table full",
            pattern=r"(?:nf|ip)_conntrack: table full(?: in netns [0-9]{1,20})?, dropping packet",
            versions="Linux; with the network namespace since late 2025; ip_conntrack before 2.6.20",
            link=f"{_LINUX}/net/netfilter/nf_conntrack_core.c",
        ),
    ),
)

SYN_FLOODING = Signature(
    id="syn-flooding",
    level="warning",
    title="A listening port gets more new connections than its queue holds",
    meaning=(
        "The queue of half-open connections of a port was full. Mostly that is no attack: the program accepts too"
        " slowly, or its backlog is too small. The kernel says it once for each socket, so that it is not said again"
        " does not mean that it is over."
    ),
    cure=(
        "See which process listens on the port, how long its accept queue is and what its backlog is; give it CPU, or"
        " a larger backlog (net.core.somaxconn, then restart the program)."
    ),
    sources=(KERNEL,),
    wordings=(
        Wording(
            anchor="ossible SYN flooding on port",
            pattern=r"[Pp]ossible SYN flooding on port (?P<port>[0-9]{1,5})\.(?: |$)",
            versions="Linux before 6.2",
            link=f"{_LINUX}/net/ipv4/tcp_input.c",
        ),
        Wording(
            anchor="ossible SYN flooding on port",
            pattern=r"Possible SYN flooding on port (?:[0-9.]{7,15}|\[[0-9a-f:.]{2,45}\]):(?P<port>[0-9]{1,5})\.",
            versions="Linux 6.2 and newer",
            link=f"{_LINUX}/net/ipv4/tcp_input.c",
        ),
    ),
)

NEIGHBOUR_TABLE_OVERFLOW = Signature(
    id="neighbour-table-overflow",
    level="critical",
    title="The table of neighbours is full: packets to other hosts and pods are dropped",
    meaning=(
        "The kernel has no room for another address of the local networks (arp_cache: IPv4, ndisc_cache: IPv6), and"
        " drops packets to those that it does not know yet. It comes with more than about a thousand nodes and pods"
        " in one flat network."
    ),
    cure=(
        "Raise net.ipv4.neigh.default.gc_thresh1, gc_thresh2 and gc_thresh3 (or those of net.ipv6) well above the"
        " number of neighbours, on every node."
    ),
    sources=(KERNEL,),
    wordings=(
        Wording(
            anchor="neighbor table overflow",
            pattern=r"(?P<table>[a-z][a-z0-9_]{1,31}): neighbor table overflow",
            versions="Linux 3.10 and newer",
            link=f"{_LINUX}/net/core/neighbour.c",
        ),
        Wording(
            anchor="Neighbour table overflow",
            pattern=r"\bNeighbour table overflow",
            versions="Linux before 3.10, for IPv4 and IPv6",
            link="https://github.com/torvalds/linux/blob/v2.6.32/net/ipv4/route.c",
        ),
    ),
)

TCP_OUT_OF_MEMORY = Signature(
    id="tcp-out-of-memory",
    level="critical",
    title="TCP has used up the memory that it may have: connections are dropped",
    meaning=(
        "All sockets together hold more memory than net.ipv4.tcp_mem allows, and the kernel closes connections to get"
        " some back. Mostly there are very many connections, or data that a program does not read."
    ),
    cure=(
        "See which process has the most sockets and whose receive queues are full, and cure that. Raise"
        " net.ipv4.tcp_mem (in pages) when the load is as it should be."
    ),
    sources=(KERNEL,),
    wordings=(
        Wording(
            anchor="out of memory -- consider tuning tcp_mem",
            pattern=r"out of memory -- consider tuning tcp_mem",
            versions="Linux 3.4 or so and newer",
            link=f"{_LINUX}/net/ipv4/tcp.c",
        ),
    ),
)

TOO_MANY_ORPHANS = Signature(
    id="too-many-orphans",
    level="warning",
    title="Too many connections that no process has any more: the kernel resets some",
    meaning=(
        "Programs closed connections faster than their peers let go of them, and there are more of these than"
        " net.ipv4.tcp_max_orphans allows, or than memory allows. The kernel resets them, and what was not yet sent"
        " is lost."
    ),
    cure=(
        "See to which peers they go: peers that are gone and programs that end with many open connections leave them."
        " Each takes up to 64 KiB, so raise net.ipv4.tcp_max_orphans with care."
    ),
    sources=(KERNEL,),
    wordings=(
        Wording(
            anchor="too many orphaned sockets",
            pattern=r"too many orphaned sockets",
            versions="Linux 3.4 or so and newer",
            link=f"{_LINUX}/net/ipv4/tcp.c",
        ),
    ),
)

TIME_WAIT_OVERFLOW = Signature(
    id="time-wait-overflow",
    level="info",
    title="More connections in TIME-WAIT than the kernel keeps",
    meaning=(
        "Connections are closed faster than TIME-WAIT ends, and the kernel forgets the wait of some of them. That is"
        " nearly always harmless, and shows that something opens a connection for each request."
    ),
    cure=(
        "Let the client keep its connections and reuse them. Raise net.ipv4.tcp_max_tw_buckets when the load is as it"
        " should be."
    ),
    sources=(KERNEL,),
    wordings=(
        Wording(
            anchor="time wait bucket table overflow",
            pattern=r"time wait bucket table overflow",
            versions="Linux before 2.6.38 or so, such as that of RHEL 6; newer ones only count it (TCPTimeWaitOverflow)",
            link="https://github.com/torvalds/linux/blob/v2.6.32/net/ipv4/tcp_minisocks.c",
        ),
    ),
)

SIGNATURES = (
    CONNTRACK_TABLE_FULL,
    SYN_FLOODING,
    NEIGHBOUR_TABLE_OVERFLOW,
    TCP_OUT_OF_MEMORY,
    TOO_MANY_ORPHANS,
    TIME_WAIT_OVERFLOW,
)
