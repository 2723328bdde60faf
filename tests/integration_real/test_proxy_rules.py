# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""proxy_rules against the running kernel: kube-proxy's captured rules, loaded with the real programs, in network namespaces of their own.

The match nfacct is taken out of the captured rules: it needs counters that only kube-proxy makes. IPVS is not in every kernel; its
table is read in the unit tests.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import proxy_rules
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.tests.integration_real.fresh_netns import in_fresh_netns, needs_root

pytestmark = needs_root

FIXTURES = Path(__file__).parents[1] / "fixtures"
CAPTURED = re.sub(
    r" -m nfacct --nfacct-name  \w+", "", (FIXTURES / "kube_proxy" / "iptables-save.txt").read_text("utf-8")
)
NFT = str(FIXTURES / "kube_proxy" / "nftables.nft")
NODE_A = json.loads((FIXTURES / "bundle" / "proxy-rules-node-a.json").read_text("utf-8"))
PORTS = {30053, 30080, 30081, 31999, 32530, 35776}
NOBODY = 65534
MEMORY = 30 << 10  # KiB more at its most


def run(*words, given=None):
    return subprocess.run(words, input=given, check=True, capture_output=True, text=True).stdout


def collect(mode="iptables"):
    return proxy_rules.collect(Deadline(60), PORTS, mode)


def state():
    """All that a look might have changed: tables of both kinds with their rules, and loaded modules."""
    return {
        "nf_tables": run("nft", "list", "ruleset"),
        "legacy": [Path(f"/proc/net/{name}_tables_names").read_text("ascii") for name in ("ip", "ip6")],
        "modules": _modules(),
    }


def _modules():
    path = Path("/proc/modules")
    return sorted(line.split()[0] for line in path.read_text("ascii").splitlines()) if path.exists() else []


def looked(*loads):
    """Load rules, then collect; what is there must be the same before and after."""
    for words, given in loads:
        run(*words, given=given)
    before = state()
    section = collect()
    assert state() == before
    return section


def ends(section):
    return {
        f"{one['port']}/{one['protocol']} {one['family']}": [one["action"], *one["endpoints"]]
        for one in section["node_ports"]
    }


def test_a_fresh_namespace_stays_as_it_is():
    section = in_fresh_netns(looked)
    assert (section["programs"], section["mode"], section["node_ports"]) == ([], None, [])
    assert section["complete"] is True


def harmless():
    before = state()
    for program in ("iptables-legacy-save", "ip6tables-legacy-save", "iptables-nft-save", "ip6tables-nft-save"):
        run(program)
    return before == state()


def test_the_programs_make_no_table_and_load_no_module():
    assert in_fresh_netns(harmless) is True


@pytest.mark.parametrize(
    ("loads", "programs", "backend"),
    [
        ([(("iptables-nft-restore",), CAPTURED)], ["iptables-nft-save"], "nf_tables"),
        ([(("iptables-legacy-restore",), CAPTURED)], ["iptables-legacy-save"], "legacy"),
        (
            [
                (("iptables-legacy-restore",), CAPTURED),
                (("iptables-legacy", "-t", "nat", "-F"), None),
                (("iptables-legacy", "-F"), None),
                (("iptables-nft-restore",), CAPTURED),
            ],
            ["iptables-legacy-save", "iptables-nft-save"],
            "nf_tables",
        ),
    ],
    ids=["nft", "legacy", "nft beside empty legacy tables"],
)
def test_the_captured_node(loads, programs, backend):
    section = in_fresh_netns(looked, *loads)
    assert section == {**NODE_A, "programs": programs, "backend": backend, "now": section["now"]}


def test_rules_in_both_kinds_of_iptables():
    stale = CAPTURED.replace("10.244.0.19:9292", "10.244.9.19:9292")
    section = in_fresh_netns(looked, (("iptables-nft-restore",), CAPTURED), (("iptables-legacy-restore",), stale))
    assert section["backend"] == "both"
    assert [gap["what"] for gap in section["missing"]] == ["iptables backend"]
    found = sorted(one["endpoints"][0] for one in section["node_ports"] if one["port"] == 32530)
    assert found == ["10.244.0.19:9292", "10.244.0.21:9292"]


IPV6 = """*nat
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-EXT-A - [0:0]
:KUBE-SVC-A - [0:0]
:KUBE-SEP-A - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-SERVICES -d 2001:db8::2/128 -m comment --comment "kubernetes service nodeports" -j KUBE-NODEPORTS
-A KUBE-NODEPORTS -p sctp -m comment --comment "shop/front:web" -m sctp --dport 30080 -j KUBE-EXT-A
-A KUBE-EXT-A -j KUBE-SVC-A
-A KUBE-SVC-A -m comment --comment "shop/front:web -> [fd00::9]:80" -j KUBE-SEP-A
-A KUBE-SEP-A -p sctp -m sctp -j DNAT --to-destination [fd00::9]:80
COMMIT
"""


@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_ipv6_sctp_and_one_address(kind):
    section = in_fresh_netns(looked, ((f"ip6tables-{kind}-restore",), IPV6))
    assert section["node_ports"] == [
        {
            "protocol": "sctp",
            "port": 30080,
            "family": "ipv6",
            "addresses": ["2001:db8::2"],
            "action": "endpoints",
            "service": "shop/front:web",
            "endpoints": ["[fd00::9]:80"],
            "endpoint_count": 1,
            "local": None,
        }
    ]
    assert section["complete"] is True


UI = "KUBE-EXT-5L3ENKCDXYUKDRSI"
ADDED = "-p tcp --dport 30999 -j KUBE-SVC-5L3ENKCDXYUKDRSI\n-A KUBE-NODEPORTS -p tcp -m tcp --dport 30999 -j " + UI


@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_what_is_missing_or_made_up(kind):
    """A rule that somebody deleted, a chain that somebody emptied, and comments that hold rules."""
    iptables = f"iptables-{kind}"
    section = in_fresh_netns(
        looked,
        ((f"{iptables}-restore",), CAPTURED),
        ((iptables, "-t", "nat", "-D", "KUBE-NODEPORTS", "-p", "tcp", "-m", "comment", "--comment", "reddit-entry/ui",
          "-m", "tcp", "--dport", "32530", "-j", UI), None),
        ((iptables, "-t", "nat", "-D", "KUBE-NODEPORTS", "-d", "127.0.0.0/8", "-p", "tcp", "-m", "comment", "--comment",
          "reddit-entry/ui", "-m", "tcp", "--dport", "32530", "-j", UI), None),
        ((iptables, "-t", "nat", "-F", "KUBE-SVC-3B5O6DIIKSXDYUHS"), None),
        ((iptables, "-t", "nat", "-I", "KUBE-NODEPORTS", "-p", "tcp", "-m", "comment", "--comment", f'x"\n{ADDED}',
          "-j", "RETURN"), None),
        ((iptables, "-t", "nat", "-I", "INPUT", "-m", "comment", "--comment", f"\\\\\"'\n{ADDED}", "-j", "RETURN"), None),
    )  # fmt: skip
    found = ends(section)
    assert "32530/tcp ipv4" not in found
    assert "30999/tcp ipv4" not in found
    assert found["30080/tcp ipv4"] == ["none"]
    assert found["35776/tcp ipv4"] == ["endpoints", "10.244.0.22:5000", "10.244.0.23:5000"]


def keys_by_nft():
    """The NodePorts as nft tells them."""
    run("nft", "-f", NFT)
    found = {}
    for family in ("ip", "ip6"):
        for name in ("service-nodeports", "no-endpoint-nodeports"):
            (told,) = [
                one["map"]
                for one in json.loads(run("nft", "-j", "list", "map", family, "kube-proxy", name))["nftables"]
                if "map" in one
            ]
            for key, _verdict in told.get("elem", ()):
                protocol, port = key.get("elem", {"val": key})["val"]["concat"]
                found[f"{port}/{protocol} ipv{'4' if family == 'ip' else '6'}"] = True
    return found


def test_nftables_mode():
    section = in_fresh_netns(looked, (("nft", "-f", NFT), None))
    assert (section["mode"], section["backend"], section["complete"]) == ("nftables", None, True)
    found = ends(section)
    assert found.keys() == in_fresh_netns(keys_by_nft).keys()
    assert found["30003/sctp ipv4"] == ["endpoints", "10.180.0.3:80", "10.180.0.4:80"]
    assert found["30008/udp ipv4"] == ["endpoints", "10.244.1.5:53", "10.244.2.7:53", "10.244.3.9:5353"]
    assert found["30008/udp ipv6"] == ["endpoints", "[fd00::1:5]:53", "[fd00::2:7]:53"]
    assert found["30009/tcp ipv4"] == ["none"]
    assert found["30010/udp ipv4"] == ["reject"]


def as_nobody():
    run("iptables-nft-restore", given=CAPTURED)
    os.setgroups([])
    os.setresuid(NOBODY, NOBODY, NOBODY)
    return collect()


def test_who_is_not_root_is_told_so():
    section = in_fresh_netns(as_nobody)
    assert section["missing"] == [{"what": "service rules", "why": "only root can see them: run with become (-b)"}]
    assert (section["node_ports"], section["complete"]) == ([], False)


SERVICES, ENDPOINTS = 500, 20


def many_rules():
    """kube-proxy's rules for so many Services: 31,500, and 11,000 chains. (With three times as many it takes 16 MiB.)"""
    chains, rules = [], []
    for service in range(SERVICES):
        chains += [f":KUBE-EXT-{service} - [0:0]", f":KUBE-SVC-{service} - [0:0]"]
        name = f'-m comment --comment "shop/web{service}:http"'
        rules.append(f"-A KUBE-NODEPORTS -p tcp {name} -m tcp --dport {30000 + service} -j KUBE-EXT-{service}")
        rules += [f"-A KUBE-EXT-{service} {name} -j KUBE-MARK-MASQ", f"-A KUBE-EXT-{service} -j KUBE-SVC-{service}"]
        for number in range(ENDPOINTS):
            chain, address = f"KUBE-SEP-{service}-{number}", f"10.{service >> 8}.{service & 255}.{number + 1}"
            chains.append(f":{chain} - [0:0]")
            rules += [
                f"-A KUBE-SVC-{service} {name} -m statistic --mode random --probability 0.5 -j {chain}",
                f"-A {chain} -s {address}/32 {name} -j KUBE-MARK-MASQ",
                f"-A {chain} -p tcp {name} -m tcp -j DNAT --to-destination {address}:8080",
            ]
    first = ["*nat", *(f":KUBE-{name} - [0:0]" for name in ("SERVICES", "NODEPORTS", "MARK-MASQ"))]
    last = [
        "-A PREROUTING -j KUBE-SERVICES",
        "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS",
        "COMMIT",
        "",
    ]
    return "\n".join([*first, *chains, *rules, *last])


def measured(path):
    """What a process of its own needs of memory: this one has pytest's already."""
    run("iptables-legacy-restore", path)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        section = collect()
        told = (
            len(section["node_ports"]),
            section["node_ports"][-1],
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before,
        )
        os.write(writer, json.dumps(told).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as stream:
        return json.load(stream)


def test_many_rules_need_little_memory(tmp_path):
    path = tmp_path / "rules"
    path.write_text(many_rules(), encoding="ascii")
    count, last, kibibytes = in_fresh_netns(measured, str(path))
    assert count == SERVICES
    assert last["endpoint_count"] == ENDPOINTS
    assert 0 < kibibytes < MEMORY
