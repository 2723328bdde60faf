# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube-proxy's NodePorts in what iptables-save prints, line by line: of 100,000 rules only the targets are kept. Pure.

    *nat
    -A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
    -A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; …" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
    -A KUBE-NODEPORTS -p tcp -m comment --comment "reddit-entry/ui" -m tcp --dport 32530 -j KUBE-EXT-5L3ENKCDXYUKDRSI
    -A KUBE-EXT-5L3ENKCDXYUKDRSI -j KUBE-SVC-5L3ENKCDXYUKDRSI
    -A KUBE-SVC-5L3ENKCDXYUKDRSI -m comment --comment "reddit-entry/ui -> 10.244.0.19:9292" -m statistic … -j KUBE-SEP-FX46VDNBUQKL6QCV
    -A KUBE-SEP-FX46VDNBUQKL6QCV -p tcp -m comment --comment "reddit-entry/ui" -m tcp -j DNAT --to-destination 10.244.0.19:9292
    *filter
    -A KUBE-EXTERNAL-SERVICES -p tcp -m comment --comment "shop/orphan has no endpoints" -m addrtype --dst-type LOCAL -m tcp --dport 39999 -j REJECT

Source: kubernetes/kubernetes pkg/proxy/iptables/proxier.go (syncProxyRules, writeServiceToEndpointRules). Up to 1.23, KUBE-NODEPORTS leads
to KUBE-SVC, and with externalTrafficPolicy Local to KUBE-XLB, which itself names its local endpoints or marks for dropping. The order of
chains differs between versions of iptables, so everything is put together at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.proxy_entry import (
    Way,
    entry,
    nowhere,
    place,
    service_name,
)

NODEPORTS = "KUBE-NODEPORTS"
SERVICES = "KUBE-SERVICES"
EXTERNAL = "KUBE-EXTERNAL-SERVICES"
_DROPS = "KUBE-MARK-DROP"
_TO_SERVICE = re.compile("KUBE-(?:EXT|SVC|SVL|XLB|FW)-")
_TO_ENDPOINT = "KUBE-SEP-"
_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})
_NONE_HERE = re.compile(" has no (?:local )?endpoints$")
# "…" with \" and \\ in it, or a word; an iptables-save of our own would be quoted the same way (libxtables, xtables_save_string).
_WORDS = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^\s"]+)')
_ESCAPED = re.compile(r"\\(.)")
# How rules tell the node's and its pods' own packets from others (LocalTrafficDetector: by address or by interface).
_INSIDE = frozenset({"-s", "-i", "--src-type"})
# The rules of which there are most, as all versions of iptables-save print them: to take every line apart costs five times as much.
_COMMENTED = rb'-m comment --comment "[^"\\]*" '
_JUMP = re.compile(
    rb"-A (KUBE-SVC-[0-9A-Z]+) "
    + _COMMENTED
    + rb"(?:-m statistic --mode random --probability [0-9.]+ )?-j (KUBE-SEP-[0-9A-Z]+)"
)
_PLACE = re.compile(
    rb"-A (KUBE-SEP-[0-9A-Z]+) -p (tcp|udp|sctp) " + _COMMENTED + rb"-m \2 -j DNAT --to-destination ([0-9a-f.:\[\]]+)"
)
_MARK = re.compile(rb"-A KUBE-SEP-[0-9A-Z]+ -s [0-9a-f.:/]+ " + _COMMENTED + rb"-j KUBE-MARK-MASQ")
_MOST_STEPS = 10_000  # from one NodePort: a Service has at most some thousand endpoints
# Unlike one that "contains incompatible base-chains", of which the rest is shown.
_REFUSED = re.compile("# Table `(?:nat|filter)' is incompatible")
_UNREAD = b"[unsupported revision]"


class _Rule(NamedTuple):
    chain: str
    target: str
    options: dict[str, str]  # with "!" before the name of one that is negated


class Tables:
    """The rules of one family as they come: ``feed`` every line, then ``node_ports`` and what was seen.

    ``header`` is the first comment, which names the program. ``begun`` and ``ended`` are names of tables, ``refused`` those that the
    program does not show because they hold what it does not know. ``unread`` counts rules of kube-proxy that it did not understand.
    """

    def __init__(self) -> None:
        self.header = ""
        self.begun: set[str] = set()
        self.ended: set[str] = set()
        self.refused = False
        self.unread = 0
        self._table = ""
        self._inside_quotes = False
        self._entered = False  # from PREROUTING
        self._anywhere = False  # on all local addresses
        self._on: set[str] = set()
        self._ports: dict[tuple[str, int], list[_Rule]] = {}
        self._jumps: dict[str, list[tuple[str, bool]]] = {}
        self._places: dict[str, str] = {}
        self._filtered: dict[tuple[str, int], tuple[str, Optional[str]]] = {}

    @property
    def found(self) -> bool:
        """Whether there is anything that kube-proxy makes in its iptables mode, and only in it."""
        return bool(self._ports or self._jumps or self._filtered or self._anywhere or self._on)

    def feed(self, line: bytes) -> None:
        """Take the next line, without its end."""
        if self._table == "nat" and not self._inside_quotes and self._usual(line):
            return
        if self._inside_quotes or b'"' in line:
            # A comment may hold the end of a line, after which anything may follow that looks like a rule.
            odd = _quotes(line) % 2 == 1
            whole = not self._inside_quotes and not odd
            self._inside_quotes = self._inside_quotes != odd
            if not whole:
                return
        if line.startswith((b"-A KUBE-", b"-A PREROUTING ")):
            self._rule(line)
        elif line.startswith(b"*"):
            self._table = line[1:].strip().decode("ascii", "replace")
            self.begun.add(self._table)
        elif line.startswith(b"COMMIT"):
            self.ended.add(self._table)
        elif line.startswith(b"#"):
            self._comment(line.decode("utf-8", "replace"))

    def _usual(self, line: bytes) -> bool:
        """Take a rule of a Service's or an endpoint's chain if it has the usual form. No quotation mark of it is open at its end."""
        if line.startswith(b"-A KUBE-SVC-"):
            jump = _JUMP.fullmatch(line)
            if jump:
                self._jumps.setdefault(jump[1].decode("ascii"), []).append((jump[2].decode("ascii"), True))
            return jump is not None
        if line.startswith(b"-A KUBE-SEP-"):
            where = _PLACE.fullmatch(line)
            if where:
                self._places[where[1].decode("ascii")] = where[3].decode("ascii")
            return where is not None or _MARK.fullmatch(line) is not None
        return False

    def node_ports(self, family: str) -> Iterator[dict[str, Any]]:
        """The entries (see proxy_entry) of all NodePorts."""
        for key in sorted(self._ports.keys() | self._filtered.keys()):
            yield self._entry(key, family)

    def _comment(self, text: str) -> None:
        self.header = self.header or text
        self.refused = self.refused or _REFUSED.match(text) is not None

    def _rule(self, line: bytes) -> None:
        rule = _parse(line)
        if rule is None:
            return
        if self._table == "nat":
            self._nat(rule, line)
        elif self._table == "filter" and rule.chain in (EXTERNAL, SERVICES):
            self._filter(rule)

    def _nat(self, rule: _Rule, line: bytes) -> None:
        if rule.chain == "PREROUTING":
            self._entered = self._entered or rule.target == SERVICES
        elif rule.chain == SERVICES and rule.target == NODEPORTS:
            self._entrance(rule.options)
        elif rule.chain == NODEPORTS:
            self._node_port(rule)
        elif rule.chain.startswith(_TO_ENDPOINT):
            self._endpoint(rule, line)
        elif _TO_SERVICE.match(rule.chain):
            self._jumps.setdefault(rule.chain, []).append((rule.target, rule.options.keys().isdisjoint(_INSIDE)))

    def _entrance(self, options: dict[str, str]) -> None:
        if "-d" in options:
            self._on.add(_address(options["-d"]))
        else:
            self._anywhere = True

    def _node_port(self, rule: _Rule) -> None:
        key = _key(rule.options)
        if key and "-s" not in rule.options and (_TO_SERVICE.match(rule.target) or _is_endpoint(rule.target)):
            self._ports.setdefault(key, []).append(rule)

    def _endpoint(self, rule: _Rule, line: bytes) -> None:
        if rule.target != "DNAT":
            return
        where = rule.options.get("--to-destination")
        if where is None and _UNREAD in line:
            self.unread += 1
        self._places[rule.chain] = where or ""

    def _filter(self, rule: _Rule) -> None:
        key = _key(rule.options)
        if not key or rule.target not in ("REJECT", "DROP") or "-d" in rule.options:
            return
        if rule.options.get("--dst-type") == "LOCAL":
            name = service_name(_NONE_HERE.sub("", rule.options.get("--comment", "")))
            self._filtered[key] = (rule.target.lower(), name)

    def _entry(self, key: tuple[str, int], family: str) -> dict[str, Any]:
        protocol, port = key
        refusal, named = self._filtered.get(key, (None, None))
        rules = self._ports.get(key)
        if not rules:
            return entry(protocol, port, family, None, refusal or "none", named, nowhere())
        way = self._way({rule.target for rule in rules}, refusal)
        leads = bool(way.endpoints or way.hidden)
        names = (service_name(rule.options.get("--comment", "")) for rule in rules)
        return entry(
            protocol,
            port,
            family,
            self._addresses(rules),
            "endpoints" if leads else refusal or "none",
            next(filter(None, names), named),
            way,
        )

    def _addresses(self, rules: list[_Rule]) -> Optional[set[str]]:
        """The addresses on which a NodePort's rules are reached; None for all that the node has."""
        if not self._entered:
            return set()
        if not self._anywhere:
            return self._on
        if any("-d" not in rule.options for rule in rules):
            return None
        return {_address(rule.options["-d"]) for rule in rules}

    def _way(self, targets: set[str], refusal: Optional[str]) -> Way:
        """Follow the chains of a NodePort. Only the first, KUBE-EXT or KUBE-XLB, tells outside from inside."""
        always: set[str] = set()
        inside: set[str] = set()
        for target in targets:
            if _is_endpoint(target):
                always.add(target)
            for following, is_always in self._jumps.get(target, ()):
                (always if is_always else inside).add(following)
        outside, hidden = self._reached(always)
        own, own_hidden = self._reached(inside)
        local = None
        if own or own_hidden:
            dropped = "drop" if _DROPS in always else refusal
            local = "endpoints" if outside or hidden else dropped
        return Way(outside | own, max(hidden, own_hidden), local)

    def _reached(self, chains: set[str]) -> tuple[set[str], int]:
        """The endpoints that these chains lead to, and how many more there are of which the place is not told."""
        found: set[str] = set()
        hidden = 0
        ways, seen = list(chains), set(chains)
        while ways and len(seen) < _MOST_STEPS:
            chain = ways.pop()
            if chain in self._places:
                where = place(self._places[chain])
                hidden += where is None
                found.update([where] if where else ())
            for target, _always in self._jumps.get(chain, ()):
                if target not in seen:
                    seen.add(target)
                    ways.append(target)
        return found, hidden


def _parse(line: bytes) -> Optional[_Rule]:
    """The options of one rule; None without a chain or a target. Options that are given twice keep the last value."""
    words = [
        (_ESCAPED.sub(r"\1", quoted.decode("utf-8", "replace")) if quoted else word.decode("utf-8", "replace"))
        for quoted, word in _WORDS.findall(line)
    ]
    options: dict[str, str] = {}
    sign, index = "", 0
    while index < len(words):
        word = words[index]
        index += 1
        if word == "!":
            sign = "!"
            continue
        if word.startswith("-"):
            has_value = index < len(words) and (word == "--comment" or not words[index].startswith(("-", "!")))
            options[sign + word] = words[index] if has_value else ""
            index += has_value
        sign = ""
    chain, target = options.get("-A"), options.get("-j") or options.get("-g")
    return _Rule(chain, target, options) if chain and target else None


def _quotes(line: bytes) -> int:
    """How many quotes there are that begin or end a text."""
    if b"\\" in line:
        line = line.replace(b"\\\\", b"").replace(b'\\"', b"")
    return line.count(b'"')


def _key(options: dict[str, str]) -> Optional[tuple[str, int]]:
    protocol, port = options.get("-p"), options.get("--dport", "")
    if protocol not in _PROTOCOLS or not (port.isascii() and port.isdigit() and len(port) <= 5):
        return None
    return protocol, int(port)


def _address(cidr: str) -> str:
    """``192.0.2.2`` of ``192.0.2.2/32``; a wider range stays one."""
    address, _slash, length = cidr.partition("/")
    return address if length == ("128" if ":" in address else "32") else cidr


def _is_endpoint(chain: str) -> bool:
    return chain.startswith(_TO_ENDPOINT)
