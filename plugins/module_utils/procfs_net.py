# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets from /proc/net/{tcp,tcp6,udp,udp6}: for kernels without sock_diag and for other network namespaces.

What these files do not show: a listener's backlog, v6only, sockets that are bound without listening, cgroups, the age of
CLOSE-WAIT. A row (net/ipv4/tcp_ipv4.c, get_tcp4_sock; times in 1/100 s)::

      sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer rto ...
       2: 01004D0A:9C44 63004D0A:00B3 02 00000001:00000000 01:00000045 00000000     0        0 33500 2 00000000fae 100 ...
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Container, Iterator
from typing import Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import socket_age
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import STATES, Entry

FILES = {"tcp": ("tcp", "tcp6"), "udp": ("udp", "udp6")}


def parse(lines: Iterator[str], protocol: str, family: str, ports: Optional[Container[int]] = None) -> Iterator[Entry]:
    """Yield the sockets of one file's lines, the heading first among them.

    Raises ValueError naming the line that is no row of such a table.
    """
    next(lines, None)
    for line in lines:
        entry = _row(line, protocol, family)
        if ports is None or entry.port in ports:
            yield entry


def sockets(protocol: str, ports: Optional[Container[int]] = None, net: str = "/proc/net") -> Iterator[Entry]:
    """Yield one protocol's sockets, both families, of the namespace that ``net`` (/proc/PID/net) shows.

    Raises OSError when the IPv4 file cannot be read (IPv6 may be switched off), ValueError for a line that is no row.
    """
    for name, family in zip(FILES[protocol], ("ipv4", "ipv6")):
        try:
            with open(f"{net}/{name}", encoding="ascii", errors="replace") as lines:
                yield from parse(iter(lines), protocol, family, ports)
        except FileNotFoundError:
            if family == "ipv4":
                raise


def _row(line: str, protocol: str, family: str) -> Entry:
    fields = line.split()
    try:
        address, port = _endpoint(fields[1], family)
        peer, peer_port = _endpoint(fields[2], family)
        state = STATES[int(fields[3], 16)]
        sent, received = fields[4].split(":")
        # A listener's rx_queue is its accept queue; tx_queue is always 0 there, so its backlog stays unknown.
        wqueue = None if state == "listen" else int(sent, 16)
        entry = Entry(
            protocol,
            family,
            state,
            address,
            port,
            peer,
            peer_port,
            int(received, 16),
            wqueue,
            int(fields[7]),
            int(fields[9]),
        )
        return _dated(entry, fields) if protocol == "tcp" and state == "syn_sent" else entry
    except (IndexError, KeyError, ValueError, struct.error, OSError) as error:
        raise ValueError(f"not a row of /proc/net/{protocol}: {line[:200]!r}") from error


def _dated(entry: Entry, fields: list[str]) -> Entry:
    retransmits, expires_ms, rto_ms = int(fields[6], 16), 10 * int(fields[5].split(":")[1], 16), 10 * int(fields[12])
    age_ms = socket_age.syn_sent_ms(retransmits, socket_age.backoff_of(retransmits, rto_ms), rto_ms, expires_ms)
    return entry._replace(age_ms=age_ms, retransmits=retransmits)


def _endpoint(text: str, family: str) -> tuple[str, int]:
    # "0100007F:1F90": each 32-bit word of the address is printed in the machine's byte order, the port as a number.
    digits, port = text.split(":")
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    raw = struct.pack(f"={len(words)}I", *words)
    number = int(port, 16)
    if not 0 <= number <= 65535:
        raise ValueError(text)
    return socket.inet_ntop(socket.AF_INET if family == "ipv4" else socket.AF_INET6, raw), number
