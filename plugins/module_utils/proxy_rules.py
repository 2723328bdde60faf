# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``proxy_rules``: which NodePorts kube-proxy has really programmed on this node, and where they lead. Changes nothing.

The kernel is asked first what it holds, and only then the program that can tell its rules is started::

    nftables mode    tables "kube-proxy" of nf_tables, read from the kernel
    iptables mode    iptables-nft-save, when nf_tables holds a chain of kube-proxy; iptables-legacy-save, when the kernel has a nat or
                     filter table of the old kind in this network namespace (/proc/net/ip_tables_names)
    ipvs mode        /proc/net/ip_vs

That loads no module and makes no table: nf_tables is asked only where it is there already. Without a table's name, iptables-legacy-save
walks /proc/net/ip_tables_names and opens no table but those (iptables/iptables-save.c, for_each_table); iptables-nft-save sends NFT_MSG_GET…
and asks for the revisions of the extensions that rules use (NFNL_MSG_COMPAT_GET), which these rules have loaded; neither takes a lock.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Container, Iterator
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    addresses,
    iptables_rules,
    ipvs_table,
    kernel_modules,
    nft_rules,
    procfs,
    rights,
    trusted_programs,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline, shown
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain
from ansible_collections.kubenode.doctor.plugins.module_utils.iptables_rules import Tables
from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import why_refused
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import BUDGET
from ansible_collections.kubenode.doctor.plugins.module_utils.netlink import NetlinkError
from ansible_collections.kubenode.doctor.plugins.module_utils.nf_tables import Ruleset
from ansible_collections.kubenode.doctor.plugins.module_utils.program_lines import Program

WHAT = "service rules"
FAMILIES = ("ipv4", "ipv6")
NETLINK = "nf_tables (netlink)"
LEGACY, NF_TABLES, BOTH = "legacy", "nf_tables", "both"  # the two kinds of iptables
_SHARE = 0.5  # of what is left of the time for the whole node
_MOST_ENTRIES = 3000
_MOST_BYTES = 64 << 20
_LONGEST_LINE = 1 << 16  # of iptables-save: a comment has 256 bytes at most
_NAMES_LIMIT = 4096  # bytes of /proc/net/ip_tables_names, which has five names
# What only kube-proxy has, by table. An empty chain holds nothing to be shown.
_CHAINS = (
    ("nat", iptables_rules.SERVICES),
    ("nat", iptables_rules.NODEPORTS),
    ("filter", iptables_rules.EXTERNAL),
    ("filter", iptables_rules.SERVICES),
)
_SHOWN = 200  # characters of what a program complains of


def collect(deadline: Deadline, ports: Container[int], mode: Optional[str] = None, root: str = "/") -> dict[str, Any]:
    """Return ``{programs, mode, backend, now, node_ports, truncated, complete, missing}``.

    ``programs`` are the tools and files that answered. ``mode`` is "iptables", "nftables" or "ipvs", whose rules were found; None for
    none. ``backend`` says which iptables holds them: "legacy", "nf_tables" or "both"; None in other modes. ``now`` is the node's clock,
    in epoch seconds. ``node_ports`` has at most 3,000 entries (see proxy_entry), those on ``ports`` first; ``truncated`` counts the others.

    ``mode`` is what service_proxy found, a hint. ``root`` is the folder that stands for the node's /.
    """
    look = _Look(Deadline(deadline.left() * _SHARE), root)
    if os.geteuid() == 0 or rights.has(rights.NETWORK):
        look.at_everything(mode)
    else:
        look.miss(f"only root can see them: {rights.cure(rights.NETWORK)}")
    return look.section(ports, mode)


class _Look:
    """One look at a node: what was found, by mode, and what kept something from being seen."""

    def __init__(self, deadline: Deadline, root: str) -> None:
        self._deadline = deadline
        self._root = root
        self._bytes_left = _MOST_BYTES
        self._programs: list[str] = []
        self._found: dict[str, list[dict[str, Any]]] = {}
        self._backends: set[str] = set()
        self._missing: list[dict[str, str]] = []

    def at_everything(self, mode: Optional[str]) -> None:
        """Look for the rules of every mode."""
        for family in FAMILIES:
            self._legacy(family)
        # A kube-proxy in nftables mode has loaded it.
        may_ask = True if mode == "nftables" else kernel_modules.may_be_asked("nf_tables", self._root)
        if may_ask is None:
            self.miss(
                "whether the kernel has nf_tables cannot be told without loading it: there is no list of its modules"
            )
        if may_ask:
            for family in FAMILIES:
                self._nf_tables(family)
        # Other programs have virtual servers as well (keepalived).
        if mode == "ipvs" or os.path.exists(self._place("/sys/class/net/kube-ipvs0")):
            self._ipvs()

    def miss(self, why: str, family: Optional[str] = None, what: str = WHAT) -> None:
        """Remember what was not seen; of one family, or of all."""
        gap = {"what": f"{what} ({family})" if family else what, "why": why}
        if gap not in self._missing:
            self._missing.append(gap)

    def section(self, ports: Container[int], hint: Optional[str]) -> dict[str, Any]:
        """The section, with the entries that are wanted most."""
        modes = sorted(self._found)
        if len(modes) > 1:
            self.miss(
                f"there are rules of more than one mode ({', '.join(modes)}): leftovers among them", what="proxy mode"
            )
        if len(self._backends) > 1:
            why = (
                "kube-proxy's rules are in iptables-legacy and in iptables-nft: leftovers among them, which the kernel applies as well; "
                "compare iptables-legacy-save with iptables-nft-save"
            )
            self.miss(why, what="iptables backend")
        # What two kinds of rules have in common is told once.
        entries = list({repr(entry): entry for mode in modes for entry in self._found[mode]}.values())
        entries.sort(key=lambda entry: (entry["port"] not in ports, entry["port"], entry["protocol"], entry["family"]))
        return {
            "programs": self._programs,
            "mode": hint if hint in modes else next(iter(modes), None),
            "backend": BOTH if len(self._backends) > 1 else next(iter(self._backends), None),
            "now": round(time.time(), 3),
            "node_ports": entries[:_MOST_ENTRIES],
            "truncated": max(0, len(entries) - _MOST_ENTRIES),
            "complete": not self._missing,
            "missing": self._missing,
        }

    def _legacy(self, family: str) -> None:
        path = f"/proc/net/{'ip' if family == 'ipv4' else 'ip6'}_tables_names"
        try:
            names = procfs.text(self._place(path), _NAMES_LIMIT).split()
        except FileNotFoundError:  # the kernel has no iptables of the old kind, or not loaded
            return
        except OSError as error:
            self.miss(f"{path}: {why_refused(error)}", family)
            return
        if {"nat", "filter"} & set(names):
            self._iptables(family, LEGACY)

    def _nf_tables(self, family: str) -> None:
        ruleset = Ruleset(family)
        try:
            tables = ruleset.tables()
            if nft_rules.TABLE in tables:
                self._add("nftables", nft_rules.read(ruleset, family, self._deadline), NETLINK)
            holds = any(table in tables and ruleset.rules(table, chain) for table, chain in _CHAINS)
        except NetlinkError as error:
            cure = f": {rights.cure(rights.NETWORK)}" if error.errno == errno.EPERM else ""
            self.miss(f"nf_tables: {error}{cure}", family)
            return
        if holds:
            self._iptables(family, NF_TABLES)

    def _ipvs(self) -> None:
        path = "/proc/net/ip_vs"
        try:
            with open(self._place(path), encoding="ascii", errors="replace") as file:
                lines = iter(file.readline, "")
                found = ipvs_table.node_ports(ipvs_table.servers(self._within(lines, path)), _node_addresses())
                self._add("ipvs", found, path)
        except FileNotFoundError:
            return
        except OSError as error:
            self.miss(f"{path}: {why_refused(error)}")
        except NetlinkError as error:
            self.miss(f"{path}: which addresses are the node's own is not known: {error}")

    def _add(self, mode: str, found: Iterator[dict[str, Any]], source: str) -> None:
        kept = self._found.setdefault(mode, [])
        for entry in found:  # what was read stays, also when something breaks the rest off
            kept.append(entry)
        if source not in self._programs:
            self._programs.append(source)

    def _iptables(self, family: str, backend: str) -> None:
        """Have the rules of one kind of iptables told by its own program."""
        begin = "iptables" if family == "ipv4" else "ip6tables"
        special = f"{begin}-{'nft' if backend == NF_TABLES else 'legacy'}-save"
        general = (
            f"{begin}-save"  # the only name before iptables 1.8, and of whichever kind a distribution prefers since
        )
        distrusted: list[str] = []
        for name in (special, general):
            found = trusted_programs.find(name, self._root)
            distrusted += found.distrusted
            if found.program is not None:
                self._run(found.program, name, family, backend, name == general)
                return
        why = f"; not used, because others than root may change it: {plain(distrusted[0])}" if distrusted else ""
        self.miss(
            f"there are tables of iptables ({backend}), and no program {special} or {general} to tell them{why}", family
        )

    def _run(self, program: str, name: str, family: str, backend: str, general: bool) -> None:
        if self._deadline.passed():
            self.miss(f"there was no time left to run {name}: raise budget_seconds", family)
            return
        tables = Tables()
        try:
            with Program((program,), self._deadline, max(1, self._bytes_left), _LONGEST_LINE) as run:
                for line in run.lines():
                    tables.feed(line)
        except OSError as error:
            self.miss(f"{name} cannot be run: {error.strerror or error}", family)
            return
        self._bytes_left -= run.bytes
        why = _why_cut_short(run, self._deadline, backend) or _why_useless(run, tables, backend if general else "")
        if why:
            self.miss(f"{name} {why}", family)
            return
        self._programs.append(name)
        if tables.unread:
            self.miss(f"{name} is older than the rules: of {tables.unread} it cannot tell where they lead", family)
        if tables.found:
            self._backends.add(backend)
            self._found.setdefault("iptables", []).extend(tables.node_ports(family))

    def _within(self, lines: Iterator[str], path: str) -> Iterator[str]:
        for line in lines:
            self._bytes_left -= len(line)
            if self._bytes_left < 0 or self._deadline.passed():
                self.miss(f"{path} was not read to its end: it is too long")
                return
            yield line

    def _place(self, path: str) -> str:
        return os.path.join(self._root, path.lstrip("/"))


def _why_cut_short(run: Program, deadline: Deadline, backend: str) -> str:
    """Why a program did not end, or not well; empty when it did."""
    if run.stopped == BUDGET:
        # iptables 1.8.9: 16 s for 2,000 Services with 20 endpoints each, and above 100 s for 5,000.
        slow = ", and for twice the rules it needs four times as long" if backend == NF_TABLES else ""
        return f"did not come to an end within {shown(deadline.seconds)} s: raise budget_seconds, of which it may have a half{slow}"
    if run.stopped:
        return f"printed more than {_MOST_BYTES >> 20} MiB, so that the rules were not read to their end"
    if run.status:
        said = plain((run.errors() or ["it said nothing"])[-1], _SHOWN)
        return f"failed with status {run.status}: {said}"
    return ""


def _why_useless(run: Program, tables: Tables, wanted: str) -> str:
    """Why what a program printed is not to be taken for the rules; empty when it is. ``wanted`` is a backend that it may not have."""
    # "# Generated by iptables-save v1.8.9 (nf_tables) on …"; 1.8.0 to 1.8.2 called it "xtables-save".
    is_new = "(nf_tables)" in tables.header or "xtables-save" in tables.header
    if wanted and is_new != (wanted == NF_TABLES):
        return f"is not the one that tells rules of iptables ({wanted})"
    if tables.refused:
        return "does not show a table, because there are rules in it that it does not know"
    if run.long_lines or not tables.begun & {"nat", "filter"} or tables.begun != tables.ended:
        return "did not print what iptables-save prints"
    return ""


def _node_addresses() -> set[str]:
    """The local addresses on which kube-proxy makes virtual servers for NodePorts. Raises NetlinkError."""
    return {entry["address"] for entry in addresses.local_addresses() if entry["interface"] != "kube-ipvs0"}
