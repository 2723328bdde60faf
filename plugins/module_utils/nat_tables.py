# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a network namespace redirects packets, as service meshes do in each pod: a connection to a port then ends at another one.

NAT rules do that, and TPROXY: rules in PREROUTING of the table mangle, or the expression "tproxy" in a chain of nf_tables.

iptables' own tables are listed for root in /proc/PID/net/ip_tables_names and ip6_tables_names once somebody has used them there (with
Linux 4.5 and older, everywhere). How many entries a table has tells getsockopt (include/uapi/linux/netfilter_ipv4/ip_tables.h)::

    ipt_getinfo  name 32 | valid_hooks u32 | hook_entry 5 x u32 | underflow 5 x u32 | num_entries u32 | size u32      (84 bytes)

A table without rules has an entry for the policy of each hook, and one for its end; a hook without rules has its policy, the "underflow",
where it begins. A table is asked only for tables that are listed: asking
for another one would make it.

All that nft and iptables-nft make are chains of nf_tables, and NFT_MSG_GETCHAIN tells them (include/uapi/linux/netfilter/nf_tables.h).
A chain that packets come through has a type and a hook; NFTA_CHAIN_USE counts its rules. What iptables-nft makes of TPROXY is an expression
"target" of this name (net/netfilter/nft_compat.c). NFT_MSG_GETRULE is only asked where a chain of type filter is at PREROUTING.
Nothing is asked where the kernel would load a module to answer.
"""

from __future__ import annotations

import errno
import functools
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import kernel_modules, netlink, nf_tables, procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.net_namespaces import Namespace
from ansible_collections.kubenode.doctor.plugins.module_utils.nf_tables import Ruleset

_NAT, _MANGLE = "nat", "mangle"
FILES = {
    "ip_tables_names": (socket.AF_INET, socket.SOL_IP),
    "ip6_tables_names": (socket.AF_INET6, socket.IPPROTO_IPV6),
}
_GET_INFO = 64  # IPT_SO_GET_INFO, and IP6T_SO_GET_INFO
_INFO = struct.Struct("=32sI5I5III")
_HOOKS, _FIRST, _POLICY, _ENTRIES = 1, 2, 7, 12  # among the fields of _INFO; the second and third of PREROUTING
_PREROUTING = 0  # NF_INET_PRE_ROUTING

_TARGET_NAME = 1


def has_rules(namespace: Namespace) -> Optional[bool]:
    """Whether there are rules that redirect; None when that could not be seen, which takes root."""
    try:
        if any(_iptables(namespace, *where) for where in FILES.items()):
            return True
        return nftables_is_here() and _nf_tables(namespace)
    except (OSError, netlink.NetlinkError):
        return None


@functools.lru_cache(maxsize=1)  # asked for each pod
def nftables_is_here(root: str = "/") -> bool:
    """Whether the kernel has nf_tables, or would at least load nothing when it is asked for them, as far as that can be told."""
    return kernel_modules.may_be_asked("nf_tables", root) is not False


def _iptables(namespace: Namespace, file: str, where: tuple[int, int]) -> bool:
    """Whether iptables' own tables of one family have such rules. Raises OSError and NetlinkError."""
    try:
        names = procfs.text(f"{namespace.net}/{file}").split()
    except FileNotFoundError:
        os.stat(f"{namespace.net}/dev")  # gone with the process?
        return False
    tables = [table for table in (_NAT, _MANGLE) if table in names]
    if not tables:
        return False
    family, level = where
    with namespace.open(lambda: socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as link:
        return any(_redirects(table, _INFO.unpack(_ask(link, level, _question(table)))) for table in tables)


def _question(table: str) -> bytes:
    return _INFO.pack(table.encode(), *[0] * 13)


def _redirects(table: str, fields: Sequence[Any]) -> bool:
    """Whether a table of iptables has rules, and mangle at PREROUTING: elsewhere it cannot redirect."""
    if table == _MANGLE:
        return bool(fields[_FIRST] != fields[_POLICY])
    return bool(fields[_ENTRIES] > bin(fields[_HOOKS]).count("1") + 1)


def _ask(link: socket.socket, level: int, question: bytes) -> bytes:
    """getsockopt with a question in the place of the answer, which Python's own cannot send. Raises OSError."""
    try:
        import ctypes  # noqa: PLC0415 - Debian's python3-minimal has none; who could enter the namespace has it

        libc = ctypes.CDLL(None, use_errno=True)
        room = ctypes.create_string_buffer(question, len(question))
        length = ctypes.c_uint32(len(question))
        failed = libc.getsockopt(link.fileno(), level, _GET_INFO, room, ctypes.byref(length)) != 0
    except (ImportError, AttributeError, MemoryError) as error:
        raise OSError(errno.ENOSYS, str(error)) from error
    if failed or length.value != len(question):
        number = ctypes.get_errno() or errno.EINVAL
        raise OSError(number, os.strerror(number))
    return room.raw


def _nf_tables(namespace: Namespace) -> bool:
    """Whether chains of nf_tables redirect. Raises OSError and NetlinkError."""
    with namespace.connect(nf_tables.NETLINK_NETFILTER) as link:
        try:
            return _ruleset_redirects(Ruleset(None, lambda _protocol: link.dup()))
        except netlink.NetlinkError as error:
            if error.errno == errno.EINVAL:  # a kernel without nf_tables (nfnetlink_rcv_msg)
                return False
            raise


def _ruleset_redirects(ruleset: Ruleset) -> bool:
    used = [chain for chain in ruleset.chains() if chain.uses != 0]
    if any(chain.kind == _NAT for chain in used):
        return True
    # What comes through a chain at PREROUTING may be led to others, so that all rules are looked at.
    if not any(chain.hook == _PREROUTING for chain in used):
        return False
    return any(_is_tproxy(one) for rule in ruleset.all_rules() for one in rule)


def _is_tproxy(one: nf_tables.Expression) -> bool:
    return one.name == "tproxy" or (one.name == "target" and one.text(_TARGET_NAME) == "TPROXY")
