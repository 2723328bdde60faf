# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tcp_limits: what Linux prints about TCP, what older and odder kernels print, and what nobody should."""

from __future__ import annotations

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs, tcp_limits
from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import KernelFiles

# Linux 6.18, shortened: three of its 130 counters are not ours, one of them is printed signed.
NETSTAT = """\
TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPAbortOnMemory TCPTimeWaitOverflow TCPReqQFullDoCookies TCPReqQFullDrop TCPZeroWindowDrop
TcpExt: 0 12 15 1 2 3 4 -1
IpExt: InNoRoutes InTruncatedPkts
IpExt: 4 0
MPTcpExt: MPCapableSYNRX
MPTcpExt: 0
"""
SOCKSTAT = """\
sockets: used 298
TCP: inuse 26 orphan 1 tw 2 alloc 29 mem 3
UDP: inuse 1 mem 0
"""
COUNTERS = {
    "ListenOverflows": 12,
    "ListenDrops": 15,
    "TCPAbortOnMemory": 1,
    "TCPTimeWaitOverflow": 2,
    "TCPReqQFullDrop": 4,
    "TCPReqQFullDoCookies": 3,
    "orphans": 1,
    "time_wait": 2,
    "memory_pages": 3,
    "allocated": 29,
}
SYSCTLS = {
    "net/core/somaxconn": "4096\n",
    "net/ipv4/tcp_max_syn_backlog": "1024\n",
    "net/ipv4/tcp_max_orphans": "65536\n",
    "net/ipv4/tcp_max_tw_buckets": "65537\n",
    "net/ipv4/tcp_fin_timeout": "60\n",
    "net/ipv4/tcp_tw_reuse": "2\n",
    "net/ipv4/tcp_syn_retries": "6\n",
    "net/ipv4/tcp_mem": "282417\t376559\t564834\n",
    "net/ipv4/ip_local_port_range": "32768\t60999\n",
    "net/ipv4/ip_local_reserved_ports": "\n",
    "fs/file-nr": "521\t0\t2466170\n",
    "net/netfilter/nf_conntrack_count": "8125\n",
    "net/netfilter/nf_conntrack_max": "262144\n",
}
LIMITS = {
    "somaxconn": 4096,
    "tcp_max_syn_backlog": 1024,
    "tcp_max_orphans": 65536,
    "tcp_max_tw_buckets": 65537,
    "tcp_fin_timeout": 60,
    "tcp_tw_reuse": 2,
    "tcp_syn_retries": 6,
    "tcp_mem": [282417, 376559, 564834],
    "ip_local_port_range": [32768, 60999],
    "ip_local_reserved_ports": "",
    "files": {"open": 521, "max": 2466170},
    "conntrack": {"count": 8125, "max": 262144},
}


@pytest.fixture
def machine(node):
    """A node with all of these files."""
    (node.proc / "net").mkdir()
    write(node, "net/netstat", NETSTAT)
    write(node, "net/sockstat", SOCKSTAT)
    for path, text in SYSCTLS.items():
        write(node, f"sys/{path}", text)
    return node


def write(node, path, content):
    place = node.proc / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content if isinstance(content, bytes) else content.encode())


def files(node):
    return KernelFiles(str(node.proc))


def gaps(found):
    return [gap["what"] for gap in found.gaps]


def test_counters(machine):
    found = files(machine)
    assert tcp_limits.counters(found) == COUNTERS
    assert found.gaps == []


def test_counters_of_another_namespace(machine):
    write(machine, "7/net/netstat", NETSTAT.replace(" 12 15 ", " 0 0 "))
    # What sockstat tells is, for the greater part, of the whole machine.
    told = tcp_limits.growing(files(machine), "/proc/7/net")
    assert told == {**{name: COUNTERS[name] for name in tcp_limits.GROWING}, "ListenOverflows": 0, "ListenDrops": 0}


def test_a_counter_that_this_kernel_does_not_have_is_unknown_and_no_gap(machine):
    # The files grew over the years, so nothing is assumed to be there.
    write(machine, "net/netstat", "TcpExt: ListenOverflows ListenDrops\nTcpExt: 7 8\n")
    write(machine, "net/sockstat", "TCP: inuse 5 orphan 0\n")
    found = files(machine)
    told = tcp_limits.counters(found)
    assert {name: value for name, value in told.items() if value is not None} == {
        "ListenOverflows": 7,
        "ListenDrops": 8,
        "orphans": 0,
    }
    assert told.keys() == COUNTERS.keys()
    assert found.gaps == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "TcpExt:\n",
        "TcpExt: ListenOverflows ListenDrops\n",
        "TcpExt: ListenOverflows ListenDrops\nTcpExt: 1\n",
        "TcpExt: ListenOverflows\nTcpExt: 1 2\n",
        "TcpExt: ListenOverflows\nTcpExt: many\n",
        "TcpExt: ListenOverflows\nTcpExt: -1\n",
        "TcpExt: ListenOverflows\nTcpExt: 1e9\n",
        "TcpExt: ListenOverflows\nTcpExt: " + "9" * 21 + "\n",
        "TcpExt: ListenOverflows\nTcpExt: 1\nTcpExt: ListenDrops\nTcpExt: 2\n",
        b"\xff\xfe\x00" * 100,
    ],
)
def test_netstat_that_is_not_understood(machine, text):
    write(machine, "net/netstat", text)
    found = files(machine)
    told = tcp_limits.counters(found)
    assert [told[name] for name in tcp_limits.GROWING] == [None] * 6
    assert told["allocated"] == 29
    assert gaps(found) == ["/proc/net/netstat"]


@pytest.mark.parametrize(
    "text",
    ["", "sockets: used 298\n", "TCP:\n", "TCP: inuse\n", "TCP: alloc many\n", "TCP: inuse 5 orphan -1\n", b"\0"],
)
def test_sockstat_that_is_not_understood(machine, text):
    write(machine, "net/sockstat", text)
    found = files(machine)
    told = tcp_limits.counters(found)
    assert (told["allocated"], told["orphans"], told["ListenDrops"]) == (None, None, 15)
    assert gaps(found) == ["/proc/net/sockstat"]


def test_limits(machine):
    found = files(machine)
    assert tcp_limits.limits(found) == LIMITS
    assert found.gaps == []


@pytest.mark.parametrize(
    ("path", "name", "gap"),
    [
        # A container has no tcp_max_orphans and no tcp_mem, a host that tracks nobody's connections no nf_conntrack_*.
        ("net/ipv4/tcp_max_orphans", "tcp_max_orphans", False),
        ("net/ipv4/tcp_mem", "tcp_mem", False),
        ("net/core/somaxconn", "somaxconn", False),
        ("net/netfilter/nf_conntrack_count", "conntrack", False),
        ("net/netfilter/nf_conntrack_max", "conntrack", False),
        # These every Linux has, so that their absence says that something is wrong with what we look at.
        ("net/ipv4/ip_local_port_range", "ip_local_port_range", True),
        ("net/ipv4/ip_local_reserved_ports", "ip_local_reserved_ports", True),
        ("fs/file-nr", "files", True),
    ],
)
def test_what_is_not_there(machine, path, name, gap):
    (machine.proc / "sys" / path).unlink()
    found = files(machine)
    assert tcp_limits.limits(found) == {**LIMITS, name: None}
    assert gaps(found) == ([f"/proc/sys/{path}"] if gap else [])


def test_nothing_is_there(node):
    found = files(node)
    assert set(tcp_limits.limits(found).values()) == {None}
    assert set(tcp_limits.counters(found).values()) == {None}
    assert tcp_limits.available_ports(found, [1, 2]) is None
    assert len(gaps(found)) == len(set(gaps(found))) == 5


@pytest.mark.parametrize(
    ("path", "name", "text"),
    [
        ("net/core/somaxconn", "somaxconn", ""),
        ("net/core/somaxconn", "somaxconn", "many"),
        ("net/core/somaxconn", "somaxconn", "-1"),
        ("net/core/somaxconn", "somaxconn", "4096 4096"),
        ("net/core/somaxconn", "somaxconn", "9" * 5000),
        ("net/ipv4/tcp_mem", "tcp_mem", "1 2"),
        ("net/ipv4/tcp_mem", "tcp_mem", "1 2 3 4"),
        ("net/ipv4/tcp_mem", "tcp_mem", "1 2 x"),
        ("net/ipv4/ip_local_port_range", "ip_local_port_range", "60999 32768"),
        ("net/ipv4/ip_local_port_range", "ip_local_port_range", "32768"),
        ("net/ipv4/ip_local_port_range", "ip_local_port_range", "0 70000"),
        ("fs/file-nr", "files", "521 0"),
        ("fs/file-nr", "files", b"\xff\xff"),
        ("net/netfilter/nf_conntrack_count", "conntrack", "?"),
    ],
)
def test_what_is_not_understood_is_a_gap(machine, path, name, text):
    write(machine, f"sys/{path}", text)
    found = files(machine)
    assert tcp_limits.limits(found) == {**LIMITS, name: None}
    (gap,) = found.gaps
    assert gap["what"] == f"/proc/sys/{path}"
    assert gap["why"].startswith("not understood: ")
    assert len(gap["why"]) < 200


def test_what_may_not_be_read_is_a_gap(machine, monkeypatch):
    real = procfs.text

    def text(path, limit):
        if path.endswith("nf_conntrack_max"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, limit)

    monkeypatch.setattr(procfs, "text", text)
    found = files(machine)
    assert tcp_limits.limits(found)["conntrack"] is None
    assert found.gaps == [
        {
            "what": "/proc/sys/net/netfilter/nf_conntrack_max",
            "why": "Permission denied: run with become (-b)",
        }
    ]


def test_a_long_list_of_reserved_ports_is_told_in_part_and_counted_whole(machine):
    ports = ",".join(str(port) for port in range(40000, 60000, 2))
    write(machine, "sys/net/ipv4/ip_local_reserved_ports", ports + "\n")
    found = files(machine)
    told = tcp_limits.limits(found)["ip_local_reserved_ports"]
    assert told == ports[:4096]
    assert tcp_limits.available_ports(found, [32768, 60999]) == 28232 - 10_000


@pytest.mark.parametrize(
    ("span", "reserved", "expected"),
    [
        ([32768, 60999], "", 28232),
        ([32768, 60999], "8080,9148", 28232),
        ([32768, 60999], "30000-32767,40000-40009", 28222),
        ([32768, 60999], "1-65535", 0),
        ([1024, 65535], "65535", 64511),
        ([1024, 1024], "", 1),
        (None, "", None),
    ],
)
def test_available_ports(machine, span, reserved, expected):
    write(machine, "sys/net/ipv4/ip_local_reserved_ports", reserved + "\n")
    assert tcp_limits.available_ports(files(machine), span) == expected


def test_available_ports_without_a_list_that_is_understood(machine):
    write(machine, "sys/net/ipv4/ip_local_reserved_ports", "all of them\n")
    found = files(machine)
    assert tcp_limits.available_ports(found, [32768, 60999]) is None
    assert gaps(found) == ["/proc/sys/net/ipv4/ip_local_reserved_ports"]


LINES = """\
Limit                     Soft Limit           Hard Limit           Units
Max processes             96364                96364                processes
Max open files            {}                 1048576              files
Max locked memory         8388608              8388608              bytes
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LINES.format("1024"), 1024),
        (LINES.format("0"), 0),
        (LINES.format("unlimited"), None),
        (LINES.format(""), 1048576),  # no kernel prints that
        ("Max open files\n", None),
        ("Max open files many more files\n", None),
        ("", None),
        (b"\xff\xfe", None),
    ],
)
def test_open_file_limit(node, text, expected):
    write(node, "12/limits", text)
    assert tcp_limits.open_file_limit(12, str(node.proc)) == expected


def test_open_file_limit_of_nobody(node):
    assert tcp_limits.open_file_limit(12, str(node.proc)) is None


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (COUNTERS, {**COUNTERS, "ListenDrops": 18, "allocated": 99}, {"ListenDrops": 3}),
        (COUNTERS, {**COUNTERS, "ListenDrops": None}, {"ListenDrops": None}),
        ({**COUNTERS, "ListenDrops": None}, COUNTERS, {"ListenDrops": None}),
        ({}, {}, dict.fromkeys(tcp_limits.GROWING)),
    ],
)
def test_growth_is_told_of_what_was_seen_both_times(before, after, expected):
    full = {**dict.fromkeys(tcp_limits.GROWING, 0), **expected}
    assert tcp_limits.growth(before, after) == {name: value for name, value in full.items() if value is not None}


@given(st.binary(max_size=200), st.sampled_from([*sorted(SYSCTLS), "netstat", "sockstat"]))
def test_any_bytes_are_a_value_or_a_gap(content, where):
    def text(path, _limit):
        name = path[len("/proc/sys/") :] if path.startswith("/proc/sys/") else os.path.basename(path)
        known = {**SYSCTLS, "netstat": NETSTAT, "sockstat": SOCKSTAT}
        return (content if name == where else known[name].encode()).decode("utf-8", "replace")

    found = KernelFiles()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(procfs, "text", text)
        told = {**tcp_limits.counters(found), **tcp_limits.limits(found)}
        tcp_limits.available_ports(found, told["ip_local_port_range"])
    unknown = [name for name, value in told.items() if value is None]
    assert set(gaps(found)) <= {f"/proc/sys/{where}", f"/proc/net/{where}"}
    assert bool(unknown) <= bool(found.gaps) or where in ("netstat", "sockstat")
