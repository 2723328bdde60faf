# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads tables of nf_tables from the kernel: names of tables, the rules of one chain, the elements of one set or map. Changes nothing.

Every request is a dump (include/uapi/linux/netfilter/nfnetlink.h, nf_tables.h; numbers in attributes are big-endian)::

    nlmsghdr type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GET…   nfgenmsg  family u8 | version u8 | res_id be16   attributes: table, chain or set

A rule is a list of expressions; those that are understood here::

    immediate  a register is given a value, or the verdict: drop, goto a chain
    lookup     what is in a register is looked up in a set, or in a map whose data go to another register or are the verdict
    nat        the packet's address and port become what is in these registers

It needs CAP_NET_ADMIN. The program nft is not asked for this: to show one table of kube-proxy it reads the whole of it, and wants 500 MB
for 32,000 endpoints.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink
from ansible_collections.kubenode.doctor.plugins.module_utils.netlink import NetlinkError

NETLINK_NETFILTER = 12
FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}  # NFPROTO_IPV4 and NFPROTO_IPV6 are the same numbers
_SUBSYSTEM = 10 << 8
_GET_TABLE, _GET_CHAIN, _GET_RULE, _GET_ELEMENTS = 1, 4, 7, 13
_ALL_FAMILIES = 0  # NFPROTO_UNSPEC
_HEADER = struct.Struct(">BBH")
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct(">i")
_COUNT = struct.Struct(">I")
# Attributes, by the message or expression they belong to.
_TABLE_NAME = 1
_CHAIN_HOOK, _CHAIN_USE, _CHAIN_TYPE, _HOOK_NUMBER = 4, 6, 7, 1
_RULE_TABLE, _RULE_CHAIN, _RULE_EXPRESSIONS = 1, 2, 4
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2
_ELEMENTS_TABLE, _ELEMENTS_SET, _ELEMENTS = 1, 2, 3
_ELEMENT_KEY, _ELEMENT_DATA, _ELEMENT_USERDATA = 1, 2, 6
_DATA_VALUE, _DATA_VERDICT = 1, 2
_VERDICT_CODE, _VERDICT_CHAIN = 1, 2
_COMMENT = 0  # NFTNL_UDATA_SET_ELEM_COMMENT of libnftnl: type u8 | length u8 | text
DROP, JUMP, GOTO = 0, -3, -4
_TRIES = 3  # a table that is written to breaks a dump off
# What says that there is no nf_tables: no netlink protocol, no such subsystem (net/netfilter/nfnetlink.c), no such family.
_NOT_THERE = frozenset({errno.EPROTONOSUPPORT, errno.EINVAL, errno.EAFNOSUPPORT, errno.EOPNOTSUPP})


class Verdict(NamedTuple):
    """What becomes of a packet; ``chain`` is where a GOTO or JUMP leads."""

    code: int
    chain: Optional[str]


class Expression(NamedTuple):
    """``values`` are the attributes of its kind, by number."""

    name: str
    values: dict[int, bytes]

    def number(self, attribute: int) -> Optional[int]:
        """An attribute that is a number; None without it."""
        raw = self.values.get(attribute, b"")
        return _NUMBER.unpack(raw)[0] if len(raw) == _NUMBER.size else None

    def text(self, attribute: int) -> Optional[str]:
        """An attribute that is a name; None without it."""
        return _text(self.values[attribute]) if attribute in self.values else None

    def verdict(self, attribute: int) -> Optional[Verdict]:
        """An attribute that is data and a verdict."""
        return _data(self.values.get(attribute, b""))[1]

    def value(self, attribute: int) -> Optional[bytes]:
        """An attribute that is data and a value."""
        return _data(self.values.get(attribute, b""))[0]


class Element(NamedTuple):
    """One element of a set or map: its key, and what a map has for it."""

    key: bytes
    value: Optional[bytes]
    verdict: Optional[Verdict]
    comment: str


class Chain(NamedTuple):
    """A chain. ``kind`` ("nat", "filter") and ``hook`` (NF_INET_…) are those of one that packets come through; "" and None for others.

    ``uses`` is how many rules it has, None where that is not told.
    """

    kind: str
    hook: Optional[int]
    uses: Optional[int]


class Ruleset:
    """The tables of one family, "ipv4" or "ipv6", or of all for None, in the network namespace where ``connect`` opens its sockets."""

    def __init__(self, family: Optional[str], connect: netlink.Connect = netlink.connect) -> None:
        self._family = _ALL_FAMILIES if family is None else FAMILIES[family]
        self._connect = connect

    def tables(self) -> frozenset[str]:
        """The names of all tables; none, too, where the kernel has no nf_tables. Raises NetlinkError."""
        try:
            found = self._dump(_GET_TABLE)
        except NetlinkError as error:
            if error.errno in _NOT_THERE:
                return frozenset()
            raise
        names = (_attributes(payload).get(_TABLE_NAME) for payload in found)
        return frozenset(_text(name) for name in names if name is not None)

    def chains(self) -> list[Chain]:
        """All chains. Raises NetlinkError."""
        return [_chain(_attributes(payload)) for payload in self._dump(_GET_CHAIN)]

    def all_rules(self) -> list[list[Expression]]:
        """The rules of all chains, each as its expressions. Raises NetlinkError."""
        return [_expressions(_attributes(payload)) for payload in self._dump(_GET_RULE)]

    def rules(self, table: str, chain: str) -> list[list[Expression]]:
        """The rules of a chain, each as its expressions; none, too, when there is no such chain. Raises NetlinkError."""
        found = []
        for payload in self._dump(_GET_RULE, (_RULE_TABLE, table), (_RULE_CHAIN, chain)):
            values = _attributes(payload)
            # Kernels that do not know the filter send all rules.
            if _is(values.get(_RULE_TABLE), table) and _is(values.get(_RULE_CHAIN), chain):
                found.append(_expressions(values))
        return found

    def elements(self, table: str, name: str) -> Optional[list[Element]]:
        """The elements of a set or map; None when there is none of this name. Raises NetlinkError."""
        try:
            found = self._dump(_GET_ELEMENTS, (_ELEMENTS_TABLE, table), (_ELEMENTS_SET, name))
        except NetlinkError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return [_element(raw) for payload in found for raw in _list(_attributes(payload).get(_ELEMENTS, b""))]

    def _dump(self, kind: int, *names: tuple[int, str]) -> list[bytes]:
        body = _HEADER.pack(self._family, 0, 0) + b"".join(_name(number, text) for number, text in names)
        for _again in range(_TRIES - 1):
            try:
                return self._once(kind, body)
            except NetlinkError as error:
                if error.errno != errno.EINTR:
                    raise
        return self._once(kind, body)

    def _once(self, kind: int, body: bytes) -> list[bytes]:
        answers = netlink.dump(NETLINK_NETFILTER, _SUBSYSTEM | kind, body, self._connect)
        return [bytes(payload[_HEADER.size :]) for payload in answers]


def _chain(values: dict[int, bytes]) -> Chain:
    hook = _attributes(values.get(_CHAIN_HOOK, b"")).get(_HOOK_NUMBER)
    return Chain(_text(values.get(_CHAIN_TYPE, b"")), _count(hook), _count(values.get(_CHAIN_USE)))


def _count(raw: Optional[bytes]) -> Optional[int]:
    return _COUNT.unpack(raw)[0] if raw is not None and len(raw) == _COUNT.size else None


def _expressions(rule: dict[int, bytes]) -> list[Expression]:
    return [_expression(raw) for raw in _list(rule.get(_RULE_EXPRESSIONS, b""))]


def _name(number: int, text: str) -> bytes:
    raw = text.encode("utf-8") + b"\0"
    size = _ATTRIBUTE.size + len(raw)
    return _ATTRIBUTE.pack(size, number) + raw + bytes(netlink.align(size) - size)


def _attributes(raw: bytes) -> dict[int, bytes]:
    return {number: bytes(value) for number, value in netlink.attributes(memoryview(raw))}


def _list(raw: bytes) -> Iterator[bytes]:
    return (bytes(value) for _number, value in netlink.attributes(memoryview(raw)))


def _expression(raw: bytes) -> Expression:
    values = _attributes(raw)
    return Expression(_text(values.get(_EXPRESSION_NAME, b"")), _attributes(values.get(_EXPRESSION_DATA, b"")))


def _element(raw: bytes) -> Element:
    values = _attributes(raw)
    key, _verdict = _data(values.get(_ELEMENT_KEY, b""))
    value, verdict = _data(values.get(_ELEMENT_DATA, b""))
    return Element(key or b"", value, verdict, _comment(values.get(_ELEMENT_USERDATA, b"")))


def _data(raw: bytes) -> tuple[Optional[bytes], Optional[Verdict]]:
    values = _attributes(raw)
    if _DATA_VERDICT not in values:
        return values.get(_DATA_VALUE), None
    told = Expression("verdict", _attributes(values[_DATA_VERDICT]))
    code = told.number(_VERDICT_CODE)
    return None, None if code is None else Verdict(code, told.text(_VERDICT_CHAIN))


def _comment(raw: bytes) -> str:
    while len(raw) >= 2:
        kind, length = raw[0], raw[1]
        if kind == _COMMENT:
            return _text(raw[2 : 2 + length])
        raw = raw[2 + length :]
    return ""


def _is(raw: Optional[bytes], text: str) -> bool:
    return raw is not None and _text(raw) == text


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")
