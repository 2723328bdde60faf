# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of any network namespace, from /proc/PID/net, which nobody needs a right to read.

fib_trie (net/ipv4/fib_trie.c) has each local IPv4 address as a leaf of the local routing table, and the main table besides::

              |-- 10.244.0.19
                 /32 host LOCAL

if_inet6 (net/ipv6/addrconf.c if6_seq_show): address, then in hex the interface's number, prefix length, scope and flags, and its name::

    fd000000000000000000000000000013 02 40 00 80     eth0
"""

from __future__ import annotations

import contextlib
import ipaddress
import re

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs

_LEAF = re.compile(r"\|-- ([0-9.]+)$")
_LOCAL = re.compile(r"/32 host LOCAL$")
_GLOBAL = 0  # scope: IPV6_ADDR_LOOPBACK is 0x10, IPV6_ADDR_LINKLOCAL 0x20 (include/net/ipv6.h)
_DUPLICATE = 0x08  # IFA_F_DADFAILED: somebody else has it, so that the kernel does not use it
_LIMIT = 1 << 20  # a route takes some 60 bytes; a pod has a handful of them


def addresses(net: str) -> list[str]:
    """The addresses that ``net`` (/proc/PID/net) shows, but loopback and link-local ones, sorted. Raises OSError and ValueError."""
    found = {address for address in _ipv4(procfs.text(f"{net}/fib_trie", _LIMIT)) if _is_global(address)}
    with contextlib.suppress(FileNotFoundError):  # IPv6 is switched off
        found.update(_ipv6(procfs.text(f"{net}/if_inet6", _LIMIT)))
    return sorted(found)


def _ipv4(text: str) -> set[str]:
    found, leaf = set(), ""
    for line in text.splitlines():
        match = _LEAF.search(line)
        if match:
            leaf = match.group(1)
        elif leaf and _LOCAL.search(line):
            found.add(leaf)
    return found


def _is_global(address: str) -> bool:
    parsed = ipaddress.IPv4Address(address)
    return not parsed.is_loopback and not parsed.is_link_local


def _ipv6(text: str) -> set[str]:
    found = set()
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 6:
            raise ValueError(f"not a row of if_inet6: {line[:200]!r}")
        if int(fields[3], 16) == _GLOBAL and not int(fields[4], 16) & _DUPLICATE:
            found.add(str(ipaddress.IPv6Address(bytes.fromhex(fields[0]))))
    return found
