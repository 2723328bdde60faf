# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""proxy_rules: which program is asked when, and what is told of those that do not answer.

What real kernels and programs answer is in tests/integration_real/test_proxy_rules.py.
"""

from __future__ import annotations

import errno
import os
import time

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import addresses, proxy_rules
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.netlink import NetlinkError
from ansible_collections.kubenode.doctor.plugins.module_utils.nf_tables import Ruleset
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_rules import (
    CAPTURED,
    Kernel,
    program,
    saved,
    says,
)

SECONDS = 60
LEGACY = "iptables-save v1.8.9"
WAY = (
    "-A KUBE-NODEPORTS -p tcp -m tcp --dport 30080 -j KUBE-SVC-A",
    "-A KUBE-SVC-A -j KUBE-SEP-A",
    "-A KUBE-SEP-A -j DNAT --to-destination 10.244.0.9:80",
)
STALE = (*WAY[:2], WAY[2].replace("0.9", "9.9"))
IPVS = """\
IP Virtual Server version 1.2.1 (size=4096)
TCP  C0000202:7580 rr
  -> 0AF40009:0050      Masq    1      0          0
"""


class Tables:
    """nf_tables of one family, whose chains of kube-proxy hold rules or not."""

    def __init__(self, tables=(), holds=True):
        self._tables = frozenset(tables)
        self._holds = holds

    def tables(self):
        return self._tables

    def rules(self, _table, _chain):
        return [[]] if self._holds else []


class Refusing:
    def __init__(self, number):
        self._number = number

    def tables(self):
        raise NetlinkError(f"the kernel refused: {os.strerror(self._number)}", self._number)


@pytest.fixture
def look(node, monkeypatch):
    """Collect on a made-up node, as root; ``ipv4`` and ``ipv6`` are its nf_tables."""

    def collect(ports=(30080,), mode=None, ipv4=None, ipv6=None, seconds=SECONDS, euid=0, effective=0):
        found = {"ipv4": ipv4 or Tables(), "ipv6": ipv6 or Tables()}
        monkeypatch.setattr(proxy_rules, "Ruleset", found.__getitem__)
        monkeypatch.setattr(proxy_rules.os, "geteuid", lambda: euid)
        monkeypatch.setattr(proxy_rules.rights, "effective", lambda: effective)
        return proxy_rules.collect(Deadline(seconds), ports, mode, str(node.root))

    # geteuid is also how programs of ours are told from those of others.
    monkeypatch.setattr(os, "stat", _as_roots(os.stat))
    return collect


def _as_roots(stat):
    def answer(path, *arguments, **named):
        found = stat(path, *arguments, **named)
        return os.stat_result((*found[:4], 0, *found[5:])) if found.st_uid == os.getuid() else found

    return answer


def whys(section):
    return [f"{gap['what']}: {gap['why']}" for gap in section["missing"]]


def ends(section):
    return [(one["port"], one["family"], one["action"], one["endpoints"]) for one in section["node_ports"]]


ENTRY = (30080, "ipv4", "endpoints", ["10.244.0.9:80"])


def test_nothing_there_and_nothing_started(look):
    section = look()
    assert abs(section.pop("now") - time.time()) < SECONDS
    assert section == {
        "programs": [],
        "mode": None,
        "backend": None,
        "node_ports": [],
        "truncated": 0,
        "complete": True,
        "missing": [],
    }


@pytest.mark.parametrize(
    ("effective", "cure"), [(0, "run with become (-b)"), (1 << 19, "run with CAP_NET_ADMIN as well")]
)
def test_not_root(look, node, effective, cure):
    node.file("/proc/net/ip_tables_names", "nat\n")
    section = look(euid=1000, effective=effective)
    assert whys(section) == [f"service rules: only root can see them: {cure}"]
    assert (section["complete"], section["node_ports"], section["mode"]) == (False, [], None)


def test_the_capability_alone(look):
    section = look(ipv4=Tables(), euid=1000, effective=1 << 12)
    assert (section["complete"], section["node_ports"]) == (True, [])


def test_iptables_nft(look, node):
    program(node, "iptables-nft-save", says(CAPTURED))
    section = look(ipv4=Tables(("nat", "filter")))
    assert (section["programs"], section["mode"], section["backend"]) == (
        ["iptables-nft-save"],
        "iptables",
        "nf_tables",
    )
    assert (section["complete"], len(section["node_ports"])) == (True, 7)
    assert section["node_ports"][0]["port"] == 30080, "a port of interest comes first"


def test_iptables_legacy_of_both_families(look, node):
    node.file("/proc/net/ip_tables_names", "filter\nnat\n")
    node.file("/proc/net/ip6_tables_names", "nat\n")
    program(node, "iptables-legacy-save", says(saved(*WAY, program=LEGACY)))
    program(node, "ip6tables-legacy-save", says(saved(*WAY, program=LEGACY).replace("10.244.0.9:", "[fd00::9]:")))
    section = look()
    assert ends(section) == [ENTRY, (30080, "ipv6", "endpoints", ["[fd00::9]:80"])]
    assert (section["backend"], section["complete"]) == ("legacy", True)


@pytest.mark.parametrize("names", ["", "mangle\nraw\n"])
def test_no_table_of_the_old_kind_that_matters(look, node, names):
    node.file("/proc/net/ip_tables_names", names)
    assert look()["complete"] is True


def test_nf_tables_of_others(look):
    assert look(ipv4=Tables(("nat", "filter", "firewalld"), holds=False))["complete"] is True


def test_nftables_mode(look):
    kernel = Kernel()
    section = look(ipv4=Ruleset("ipv4", kernel.connect), ipv6=Ruleset("ipv6", kernel.connect))
    assert (section["mode"], section["backend"], section["programs"]) == ("nftables", None, ["nf_tables (netlink)"])
    assert (len(section["node_ports"]), section["complete"]) == (10, True)


def test_ipvs_mode(look, node, monkeypatch):
    node.file("/proc/net/ip_vs", IPVS)
    local = [{"interface": "eth0", "address": "192.0.2.2"}, {"interface": "kube-ipvs0", "address": "10.96.0.1"}]
    monkeypatch.setattr(addresses, "local_addresses", lambda: local)
    assert look()["mode"] is None, "another program's virtual servers"
    section = look(mode="ipvs")
    assert (section["mode"], section["programs"]) == ("ipvs", ["/proc/net/ip_vs"])
    assert ends(section) == [ENTRY]


def test_rules_of_both_kinds_of_iptables(look, node):
    node.file("/proc/net/ip_tables_names", "nat\n")
    program(node, "iptables-legacy-save", says(saved(*STALE, program=LEGACY)))
    program(node, "iptables-nft-save", says(saved(*WAY)))
    section = look(ipv4=Tables(("nat",)))
    assert section["backend"] == "both"
    assert sorted(ends(section)) == sorted([ENTRY, (30080, "ipv4", "endpoints", ["10.244.9.9:80"])])
    assert whys(section)[0].startswith(
        "iptables backend: kube-proxy's rules are in iptables-legacy and in iptables-nft"
    )


def test_the_same_rules_in_both_kinds_are_told_once(look, node):
    node.file("/proc/net/ip_tables_names", "nat\n")
    program(node, "iptables-legacy-save", says(saved(*WAY, program=LEGACY)))
    program(node, "iptables-nft-save", says(saved(*WAY)))
    assert ends(look(ipv4=Tables(("nat",)))) == [ENTRY]


def test_rules_of_two_modes(look, node, monkeypatch):
    monkeypatch.setattr(addresses, "local_addresses", lambda: [{"interface": "eth0", "address": "192.0.2.2"}])
    node.file("/proc/net/ip_vs", IPVS)
    node.file("/sys/class/net/kube-ipvs0", "")
    program(node, "iptables-nft-save", says(saved(*WAY)))
    section = look(mode="iptables", ipv4=Tables(("nat",)))
    assert section["mode"] == "iptables"
    assert whys(section) == ["proxy mode: there are rules of more than one mode (iptables, ipvs): leftovers among them"]


@pytest.mark.parametrize(
    ("header", "is_used"),
    [
        ("iptables-save v1.8.9 (nf_tables)", True),
        ("xtables-save v1.8.2", True),
        (LEGACY, False),
        ("iptables-save v1.4.21", False),
    ],
)
def test_the_general_program_is_used_when_it_is_of_that_kind(look, node, header, is_used):
    program(node, "iptables-save", says(saved(*WAY, program=header)))
    section = look(ipv4=Tables(("nat",)))
    assert ends(section) == ([ENTRY] if is_used else [])
    assert section["complete"] is is_used
    if not is_used:
        assert whys(section) == [
            "service rules (ipv4): iptables-save is not the one that tells rules of iptables (nf_tables)"
        ]


def test_no_program(look):
    section = look(ipv4=Tables(("nat",)))
    assert whys(section) == [
        "service rules (ipv4): there are tables of iptables (nf_tables), and no program iptables-nft-save or iptables-save to tell them"
    ]


def test_a_program_that_others_may_change(look, node):
    bad = program(node, "iptables-nft-save", says(saved(*WAY)))
    bad.chmod(0o777)
    (why,) = whys(look(ipv4=Tables(("nat",))))
    assert why.endswith(f"; not used, because others than root may change it: {bad}")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (
            "import sys; sys.stderr.write('Fatal: \\x1b[2Jcannot\\n'); sys.exit(4)",
            "failed with status 4: Fatal: ?[2Jcannot",
        ),
        ("import sys; sys.exit(1)", "failed with status 1: it said nothing"),
        (says(""), "did not print what iptables-save prints"),
        (says("\x00garbage\n" * 100), "did not print what iptables-save prints"),
        (says(saved(*WAY).rsplit("COMMIT", 1)[0]), "did not print what iptables-save prints"),
        (says("*nat\n" + "x" * 1_000_000 + "\nCOMMIT\n"), "did not print what iptables-save prints"),
        (
            says("# Table `nat' is incompatible, use 'nft' tool.\n*filter\nCOMMIT\n"),
            "does not show a table, because there are rules in it that it does not know",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "failed with status -11: it said nothing"),
    ],
    ids=["an error", "silence", "nothing", "garbage", "cut short", "an endless line", "incompatible", "a crash"],
)
def test_a_program_that_does_not_tell(look, node, code, why):
    program(node, "iptables-nft-save", code)
    section = look(ipv4=Tables(("nat",)))
    assert whys(section) == [f"service rules (ipv4): iptables-nft-save {why}"]
    assert (section["node_ports"], section["mode"], section["complete"]) == ([], None, False)


def test_a_program_that_hangs(look, node):
    program(node, "iptables-nft-save", "import time\nprint('*nat', flush=True)\ntime.sleep(1000)")
    began = time.monotonic()
    (why,) = whys(look(ipv4=Tables(("nat",)), seconds=1))
    assert time.monotonic() - began < 30
    told = "service rules (ipv4): iptables-nft-save did not come to an end within 0.5 s: raise budget_seconds"
    assert why.startswith(told)
    assert why.endswith("for twice the rules it needs four times as long")


def test_a_longer_budget_is_time_for_the_rules(node, monkeypatch):
    given = []

    class Look(proxy_rules._Look):
        def __init__(self, deadline, root):
            given.append(round(deadline.seconds))
            super().__init__(deadline, root)

    monkeypatch.setattr(proxy_rules, "_Look", Look)
    monkeypatch.setattr(proxy_rules.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(proxy_rules.rights, "effective", lambda: 0)
    for seconds in (20, 600):
        proxy_rules.collect(Deadline(seconds), (), None, str(node.root))
    assert given == [10, 300]


def test_a_program_that_prints_without_end(look, node, monkeypatch):
    monkeypatch.setattr(proxy_rules, "_MOST_BYTES", 1 << 20)
    program(node, "iptables-nft-save", "while True: print('-A KUBE-SVC-A -j KUBE-SEP-A' * 40)")
    (why,) = whys(look(ipv4=Tables(("nat",))))
    assert (
        why
        == "service rules (ipv4): iptables-nft-save printed more than 1 MiB, so that the rules were not read to their end"
    )


def test_no_time_left(look, node):
    program(node, "iptables-nft-save", says(saved(*WAY)))
    (why,) = whys(look(ipv4=Tables(("nat",)), seconds=0))
    assert why == "service rules (ipv4): there was no time left to run iptables-nft-save: raise budget_seconds"


def test_an_iptables_that_is_older_than_the_rules(look, node):
    program(node, "iptables-nft-save", says(saved(*WAY[:2], "-A KUBE-SEP-A -j DNAT [unsupported revision]")))
    section = look(ipv4=Tables(("nat",)))
    assert whys(section) == [
        "service rules (ipv4): iptables-nft-save is older than the rules: of 1 it cannot tell where they lead"
    ]
    assert ends(section) == [(30080, "ipv4", "endpoints", [])]


def test_one_family_does_not_cost_the_other(look, node):
    program(node, "iptables-nft-save", says(saved(*WAY)))
    program(node, "ip6tables-nft-save", "import sys; sys.exit(1)")
    section = look(ipv4=Tables(("nat",)), ipv6=Tables(("nat",)))
    assert ends(section) == [ENTRY]
    assert whys(section) == ["service rules (ipv6): ip6tables-nft-save failed with status 1: it said nothing"]


@pytest.mark.parametrize(
    ("number", "cure"), [(errno.EPERM, ": run as root that has CAP_NET_ADMIN"), (errno.ENOBUFS, "")]
)
def test_a_kernel_that_does_not_tell(look, number, cure):
    section = look(ipv4=Refusing(number))
    assert whys(section) == [f"service rules (ipv4): nf_tables: the kernel refused: {os.strerror(number)}{cure}"]


def test_nf_tables_that_is_not_there_is_not_asked(look, node):
    node.file("/proc/modules", "")
    node.file(f"/lib/modules/{os.uname().release}/modules.builtin", "")
    assert look(ipv4=Refusing(errno.EPERM))["complete"] is True


def test_nf_tables_of_which_nobody_tells_is_not_asked(look, node):
    node.file("/proc/modules", "")
    section = look(ipv4=Refusing(errno.EPERM))
    assert whys(section) == [
        "service rules: whether the kernel has nf_tables cannot be told without loading it: there is no list of its modules"
    ]
    told = look(mode="nftables", ipv4=Refusing(errno.EPERM))
    assert whys(told)[0].startswith("service rules (ipv4): nf_tables: the kernel refused"), "kube-proxy has loaded it"


def test_names_of_tables_that_cannot_be_read(look, node):
    node.file("/proc/net/ip_tables_names/folder", "")
    assert whys(look()) == ["service rules (ipv4): /proc/net/ip_tables_names: Is a directory"]


def test_the_ports_of_interest_are_kept_first(look, node):
    ports = [f"-A KUBE-NODEPORTS -p tcp -m tcp --dport {number} -j KUBE-SVC-A" for number in range(20000, 24000)]
    program(node, "iptables-nft-save", says(saved(*ports, *WAY[1:])))
    section = look(ports={23998, 23999}, ipv4=Tables(("nat",)))
    assert [one["port"] for one in section["node_ports"][:3]] == [23998, 23999, 20000]
    assert (len(section["node_ports"]), section["truncated"]) == (3000, 1000)
