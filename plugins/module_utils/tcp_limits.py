# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel counts about TCP in a network namespace, and the limits that it and processes have.

What cannot be read is None and a gap in ``files.gaps``; what the kernel does not have is None alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import kernel_gauges, port_ranges, procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import ABSENT, KernelFiles, whole

# Documentation/networking/snmp_counter.rst; ListenDrops counts every overflow too.
GROWING = (
    "ListenOverflows",
    "ListenDrops",
    "TCPAbortOnMemory",
    "TCPTimeWaitOverflow",
    "TCPReqQFullDrop",
    "TCPReqQFullDoCookies",
)
# /proc/net/sockstat's words (net/ipv4/proc.c, sockstat_seq_show). "mem" is in pages; all but "tw" are of the whole machine.
_GAUGES = {"orphans": "orphan", "time_wait": "tw", "memory_pages": "mem", "allocated": "alloc"}
# Documentation/networking/ip-sysctl.rst
_NUMBERS = {
    "somaxconn": "net/core/somaxconn",
    "tcp_max_syn_backlog": "net/ipv4/tcp_max_syn_backlog",
    "tcp_max_orphans": "net/ipv4/tcp_max_orphans",
    "tcp_max_tw_buckets": "net/ipv4/tcp_max_tw_buckets",
    "tcp_fin_timeout": "net/ipv4/tcp_fin_timeout",
    "tcp_tw_reuse": "net/ipv4/tcp_tw_reuse",
    "tcp_syn_retries": "net/ipv4/tcp_syn_retries",
}
_RESERVED = "/proc/sys/net/ipv4/ip_local_reserved_ports"
_RESERVED_CHARACTERS = 4096  # of the list of reserved ports; more tells a reader nothing


def counters(files: KernelFiles) -> dict[str, Optional[int]]:
    """``{name: number or None}`` of our own namespace: what ``growing`` tells, and what is in use now."""
    gauges = files.read("/proc/net/sockstat", _sockstat) or {}
    return {**growing(files), **{name: gauges.get(word) for name, word in _GAUGES.items()}}


def growing(files: KernelFiles, net: str = "/proc/net") -> dict[str, Optional[int]]:
    """``{name: number or None}`` by the names of GROWING: what a namespace has counted since it began."""
    counted = files.read(f"{net}/netstat", _netstat) or {}
    return {name: counted.get(name) for name in GROWING}


def limits(files: KernelFiles) -> dict[str, Any]:
    """The limits of this namespace and machine, by name (shape: tcp_states' RETURN)."""
    # A container or pod has no tcp_max_orphans and no tcp_mem: both hold for the machine.
    values: dict[str, Any] = {name: files.read(f"/proc/sys/{path}", whole, ABSENT) for name, path in _NUMBERS.items()}
    values["tcp_mem"] = files.read("/proc/sys/net/ipv4/tcp_mem", _three, ABSENT)
    values["ip_local_port_range"] = files.read("/proc/sys/net/ipv4/ip_local_port_range", _range)
    reserved = files.read(_RESERVED, str)
    values["ip_local_reserved_ports"] = None if reserved is None else reserved[:_RESERVED_CHARACTERS]
    values["files"] = files.read("/proc/sys/fs/file-nr", kernel_gauges.files)
    values["conntrack"] = conntrack(files)
    return values


def conntrack(files: KernelFiles) -> Optional[dict[str, int]]:
    """``{count, max}`` of this namespace's connection tracking table; None where nobody's connections are tracked."""
    count = files.read("/proc/sys/net/netfilter/nf_conntrack_count", whole, ABSENT)
    most = files.read("/proc/sys/net/netfilter/nf_conntrack_max", whole, ABSENT)
    return None if count is None or most is None else {"count": count, "max": most}


def available_ports(files: KernelFiles, span: Optional[list[int]]) -> Optional[int]:
    """How many ports of the range ``span`` automatic selection may give: those that are not reserved; None when unknown."""
    reserved = files.read(_RESERVED, port_ranges.parse_reserved)
    if span is None or reserved is None:
        return None
    return sum(high - low + 1 for low, high in port_ranges.subtract([(span[0], span[1])], reserved))


def open_file_limit(pid: int, proc: str = "/proc") -> Optional[int]:
    """The soft limit of a process's open files; None when it is gone, hidden or unlimited."""
    try:
        for line in procfs.text(f"{proc}/{pid}/limits").splitlines():
            if line.startswith("Max open files"):
                return int(line.split()[3])
    except (OSError, ValueError, IndexError):
        return None
    return None


def growth(before: Mapping[str, Optional[int]], after: Mapping[str, Optional[int]]) -> dict[str, int]:
    """By how much each counter grew, of those that were seen both times."""
    grown = {}
    for name in GROWING:
        first, second = before.get(name), after.get(name)
        if first is not None and second is not None:
            grown[name] = second - first
    return grown


# TcpExt: SyncookiesSent SyncookiesRecv ... ListenOverflows ListenDrops ...
# TcpExt: 0 0 ... 12 12 ...
def _netstat(text: str) -> dict[str, int]:
    lines = [line.split()[1:] for line in text.splitlines() if line.startswith("TcpExt:")]
    if len(lines) != 2 or len(lines[0]) != len(lines[1]):
        raise ValueError("no pair of lines 'TcpExt:'")
    # Counters of errors that cannot happen are printed signed and may be negative; none of ours is.
    wanted = [(name, value) for name, value in zip(*lines) if name in GROWING]
    return {name: whole(value) for name, value in wanted}


# TCP: inuse 26 orphan 0 tw 2 alloc 29 mem 3
def _sockstat(text: str) -> dict[str, int]:
    words = next((line.split()[1:] for line in text.splitlines() if line.startswith("TCP:")), None)
    if not words or len(words) % 2:
        raise ValueError("no line 'TCP:' of pairs")
    return {name: whole(value) for name, value in zip(words[::2], words[1::2]) if name in _GAUGES.values()}


def _three(text: str) -> list[int]:
    numbers = [whole(word) for word in text.split()]
    if len(numbers) != 3:
        raise ValueError(f"{len(numbers)} numbers, three expected")
    return numbers


def _range(text: str) -> list[int]:
    return list(port_ranges.parse_local_range(text))
