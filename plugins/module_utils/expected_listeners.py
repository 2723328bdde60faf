# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners that the operator knows and wants: which entry of ``expected_listeners`` covers a listener. Pure; used on nodes and on the controller."""

from __future__ import annotations

import fnmatch
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Optional, Union

from ansible_collections.kubenode.doctor.plugins.module_utils import cgroup, port_ranges, reach

NAME = "expected_listeners"
ANY = "any"
NOBODY = (
    "no process"  # as a process: what the kernel opened itself, such as NFS' callbacks; no process that calls itself so
)
KEYS = frozenset({"process", "port", "address", "protocol", "host", "reason"})
_PROTOCOLS = ("tcp", "udp")
_COMM = (
    15  # bytes that the kernel keeps of a process' name (include/linux/sched.h, TASK_COMM_LEN, without the final NUL)
)

_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class Expected(NamedTuple):
    """One entry. ``process`` and ``host`` are patterns; None is any port, address and protocol; ``loopback`` is any loopback address."""

    process: str = "*"
    ports: Optional[port_ranges.Interval] = None
    network: Optional[_Network] = None
    loopback: bool = False
    protocol: Optional[str] = None
    host: str = "*"
    reason: str = ""


def read(value: Any, name: str = NAME) -> tuple[Expected, ...]:
    """Check what the operator set as option ``name``. Raises ValueError that names what is wrong."""
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{name}: a list of mappings is expected")
    return tuple(_entry(f"{name}[{index}]", entry) for index, entry in enumerate(value))


def matches(entries: Iterable[Expected], listener: Mapping[str, Any], host: Optional[str] = None) -> bool:
    """True for a listener (listen_ports' shape) that an entry covers; without ``host`` an entry for some hosts counts too."""
    return any(_covers(entry, listener, host) for entry in entries)


def _covers(entry: Expected, listener: Mapping[str, Any], host: Optional[str]) -> bool:
    return (
        (host is None or fnmatch.fnmatchcase(host, entry.host))
        and entry.protocol in (None, listener["protocol"])
        and (entry.ports is None or entry.ports[0] <= listener["port"] <= entry.ports[1])
        and _is_there(entry, listener["address"])
        and _is_its_process(entry.process, listener)
    )


def _is_its_process(pattern: str, listener: Mapping[str, Any]) -> bool:
    if pattern == NOBODY:
        return is_nobodys(listener)
    return not pattern.strip("*") or any(_is_named(name, pattern) for name in _names(listener))


def is_nobodys(listener: Mapping[str, Any]) -> bool:
    """True for a socket that no process holds, where all processes could be seen."""
    return not listener["processes"] and listener["cgroup"] in (None, "", "/") and listener["hidden"] is False


def _names(listener: Mapping[str, Any]) -> list[str]:
    """The names of the processes and units that hold a listener; of hidden ones the unit that the cgroup tells."""
    names = [name for process in listener["processes"] for name in (process["name"], process["unit"]) if name]
    if names or not listener["cgroup"]:
        return names
    unit = cgroup.owner(listener["cgroup"]).unit
    return [unit] if unit else []


def _is_named(name: str, pattern: str) -> bool:
    # Whoever writes a program's whole name means the process whose name the kernel has cut.
    cut = pattern.encode("utf-8", "surrogateescape")[:_COMM].decode("utf-8", "ignore")
    return fnmatch.fnmatchcase(name, pattern) or (name == cut and not set("*?[") & set(pattern))


def _is_there(entry: Expected, address: str) -> bool:
    if entry.loopback:
        return reach.of(address) == reach.LOOPBACK
    if entry.network is None:
        return True
    try:
        return _plain(ipaddress.ip_address(address.partition("%")[0])) in entry.network
    except ValueError:
        return False


def _plain(
    address: Union[ipaddress.IPv4Address, ipaddress.IPv6Address],
) -> Union[ipaddress.IPv4Address, ipaddress.IPv6Address]:
    return getattr(address, "ipv4_mapped", None) or address


def _entry(place: str, entry: Any) -> Expected:
    if not isinstance(entry, Mapping):
        raise ValueError(f"{place}: a mapping is expected")
    unknown = set(entry) - KEYS
    if unknown:
        raise ValueError(f"{place}: unknown keys {', '.join(sorted(map(str, unknown)))}")
    given = {key: value for key, value in entry.items() if value is not None and str(value).strip()}
    read_entry = Expected(
        _pattern(place, given, "process"),
        _ports(place, given.get("port", ANY)),
        *_where(place, given.get("address", ANY)),
        _protocol(place, given.get("protocol")),
        _pattern(place, given, "host"),
        str(given.get("reason", "")),
    )
    if _covers_all(read_entry):
        raise ValueError(f"{place}: it would cover everything: at least one of process, port and address is needed")
    return read_entry


def _covers_all(entry: Expected) -> bool:
    """True for an entry that names everything, also where it does so in other words than any and ``*``."""
    anywhere = entry.network is None or entry.network.prefixlen == 0
    any_port = entry.ports in (None, (1, port_ranges.HIGHEST))
    return not entry.process.strip("*") and any_port and anywhere and not entry.loopback


def _pattern(place: str, given: Mapping[str, Any], key: str) -> str:
    value = given.get(key, "*")
    if isinstance(value, (Mapping, list, tuple)):
        raise ValueError(f"{place}: {key} {value!r} is no pattern such as node-*")
    return str(value)


def _ports(place: str, value: Any) -> Optional[port_ranges.Interval]:
    if value == ANY:
        return None
    try:
        return port_ranges.parse_range("" if isinstance(value, bool) else str(value))
    except ValueError:
        raise ValueError(f"{place}: port {value!r} is neither a port, a range like 8000-8100, nor any") from None


def _where(place: str, value: Any) -> tuple[Optional[_Network], bool]:
    """The network of an address, and whether all of loopback is meant."""
    if value in (ANY, reach.LOOPBACK):
        return None, value == reach.LOOPBACK
    text = str(value).strip().partition("%")[0]  # a listener's interface is not compared
    try:
        if "/" not in text:
            text = str(_plain(ipaddress.ip_address(text)))
        return ipaddress.ip_network(text), False
    except ValueError:
        raise ValueError(
            f"{place}: address {value!r} is neither an address, a network like 10.0.0.0/8, loopback nor any"
        ) from None


def _protocol(place: str, value: Any) -> Optional[str]:
    if value is None:
        return None
    if str(value).lower() not in _PROTOCOLS:
        raise ValueError(f"{place}: protocol {value!r} is none of {', '.join(_PROTOCOLS)}")
    return str(value).lower()
