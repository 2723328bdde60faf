# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nat_tables: what the kernel answers means rules, or none, or is not known. tests/integration_real asks a real one."""

from __future__ import annotations

import errno
import socket
import struct
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import nat_tables, netlink
from ansible_collections.kubenode.doctor.plugins.module_utils.net_namespaces import Namespace

FIXTURES = Path(__file__).parents[3] / "fixtures" / "pods"
NO_CHAINS = struct.pack("=IHHIIi", 20, 3, 2, 1, 0, 0)
REDIRECT, NO_RULES = ((FIXTURES / f"chains-{name}.bin").read_bytes() for name in ("iptables-nft", "empty-nat"))


def refusal(number):
    """What the kernel sends when it refuses a request."""
    return struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -number) + bytes(16)


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def objects(*payloads):
    """A dump of these objects of nf_tables, each the attributes after its nfgenmsg."""
    messages = (struct.pack("=IHHII", 20 + len(one), 0xA00, 2, 1, 0) + bytes(4) + one for one in payloads)
    return b"".join(messages) + NO_CHAINS


def chain(hook, kind=b"filter", uses=1):
    """A base chain at a hook, NF_INET_PRE_ROUTING is 0."""
    where = attribute(4 | 0x8000, attribute(1, struct.pack("!I", hook)) + attribute(2, struct.pack("!i", -150)))
    return where + attribute(6, struct.pack("!I", uses)) + attribute(7, kind + b"\0")


def rule(name, target=None):
    """A rule of one expression."""
    data = attribute(1, target + b"\0") if target else b""
    return attribute(4 | 0x8000, attribute(1 | 0x8000, attribute(1, name + b"\0") + attribute(2 | 0x8000, data)))


class Link:
    """A netlink socket that answers with one datagram, and with another one when it is asked for rules."""

    def __init__(self, answer, rules=None):
        self.answers = {0xA04: answer, 0xA07: rules}  # NFT_MSG_GETCHAIN, NFT_MSG_GETRULE
        self.answer = None

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def dup(self):
        return self

    def settimeout(self, seconds):
        assert seconds > 0

    def send(self, request):
        self.answer = self.answers[struct.unpack("=H", request[4:6])[0]]
        assert self.answer is not None, "it was asked"

    def recvmsg_into(self, rooms):
        rooms[0][: len(self.answer)] = self.answer
        return len(self.answer), [], 0, (0, 0)


@pytest.fixture
def namespace(node, monkeypatch):
    """A namespace that has no tables of iptables; ``answer`` is what nf_tables tells."""

    class Made(Namespace):
        answer = NO_CHAINS
        rules = None
        info = (0, 0)

        def connect(self, protocol):
            assert protocol == 12
            if isinstance(self.answer, Exception):
                raise self.answer
            return Link(self.answer, self.rules)

    node.process(7, "app", [])
    net = node.proc / "7" / "net"
    net.mkdir()
    (net / "dev").touch()
    made = Made("4026532281", 7, None, None, str(node.proc))
    monkeypatch.setattr(nat_tables, "nftables_is_here", lambda: True)
    monkeypatch.setattr(Namespace, "open", lambda _self, make: make())
    return made


def tables(namespace, ip="", ip6=""):
    for name, text in (("ip_tables_names", ip), ("ip6_tables_names", ip6)):
        (Path(namespace.net) / name).write_text(text)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (NO_CHAINS, False),
        (REDIRECT, True),
        (NO_RULES, False),
        (refusal(errno.EINVAL), False),  # a kernel without nf_tables
        (refusal(errno.EPERM), None),
        (netlink.NetlinkError("not permitted", errno.EPERM), None),
        (netlink.NetlinkError("it could not be entered", errno.EINVAL), None),
        (REDIRECT[:-30], None),
    ],
    ids=["none", "redirect", "none used", "no nf_tables", "no right", "not entered", "no namespace", "cut"],
)
def test_nf_tables(namespace, answer, expected):
    type(namespace).answer = answer
    assert nat_tables.has_rules(namespace) is expected


@pytest.mark.parametrize(
    ("chains", "rules", "expected"),
    [
        ((chain(0),), (rule(b"counter"), rule(b"tproxy")), True),
        ((chain(3), chain(0)), (rule(b"target", b"TPROXY"),), True),
        ((chain(0),), (rule(b"target", b"MARK"), rule(b"match", b"TPROXY")), False),
        ((chain(0),), (), False),
        ((chain(0, uses=0),), None, False),
        ((chain(1), chain(4)), None, False),
    ],
    ids=["nft", "iptables-nft", "other targets", "none", "an empty chain", "other hooks"],
)
def test_tproxy_of_nf_tables(namespace, chains, rules, expected):
    type(namespace).answer = objects(*chains)
    type(namespace).rules = None if rules is None else objects(*rules)
    assert nat_tables.has_rules(namespace) is expected


@pytest.mark.parametrize(("first", "policy", "expected"), [(0, 0, False), (0, 304, True)])
def test_tproxy_of_iptables(namespace, monkeypatch, first, policy, expected):
    tables(namespace, "mangle\n")

    def ask(_link, _level, question):
        assert question == struct.pack("=32s", b"mangle") + bytes(52)
        return struct.pack("=32sI5I5III", b"mangle", 0x1F, first, *[0] * 4, policy, *[0] * 4, 7, 0)

    monkeypatch.setattr(nat_tables, "_ask", ask)
    assert nat_tables.has_rules(namespace) is expected


def test_what_would_load_a_module_is_not_asked(namespace, monkeypatch):
    monkeypatch.setattr(nat_tables, "nftables_is_here", lambda: False)
    type(namespace).answer = AssertionError("it was asked")
    assert nat_tables.has_rules(namespace) is False


def info(hooks, entries):
    return struct.pack("=32sI5I5III", b"nat", hooks, *[0] * 10, entries, 0)


# Hooks of the table: PREROUTING, INPUT, OUTPUT, POSTROUTING; Linux before 2.6.36 had no INPUT.
@pytest.mark.parametrize(
    ("ip", "ip6", "answer", "expected"),
    [
        ("nat\nfilter\n", "", info(0x1B, 5), False),
        ("nat\nfilter\n", "", info(0x1B, 6), True),
        ("nat\n", "", info(0x19, 4), False),
        ("nat\n", "", info(0x19, 5), True),
        ("", "raw\nnat\n", info(0x1B, 9), True),
        ("filter\nnat2\n", "raw\n", AssertionError("it was asked"), False),
        ("nat\n", "", OSError(errno.EPERM, "Operation not permitted"), None),
    ],
)
def test_iptables_own_tables(namespace, monkeypatch, ip, ip6, answer, expected):
    tables(namespace, ip, ip6)

    def ask(link, level, question):
        assert (link.family == socket.AF_INET6) is (level == socket.IPPROTO_IPV6)
        assert question == struct.pack("=32s", b"nat") + bytes(52)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(nat_tables, "_ask", ask)
    assert nat_tables.has_rules(namespace) is expected


def test_the_right_to_see_the_tables(namespace, monkeypatch):
    tables(namespace)

    def refuse(place, *_limit):
        raise PermissionError(errno.EACCES, "Permission denied", place)

    monkeypatch.setattr(nat_tables.procfs, "text", refuse)
    assert nat_tables.has_rules(namespace) is None


def test_a_process_that_has_ended(namespace):
    (Path(namespace.net) / "dev").unlink()
    assert nat_tables.has_rules(namespace) is None


def test_a_question_that_is_refused():
    """By any kernel: it has no table of this name, or does not let us ask."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link, pytest.raises(OSError, match=r"Errno \d+"):
        nat_tables._ask(link, socket.SOL_IP, struct.pack("=32s", b"no such table") + bytes(52))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sys/module/nf_tables/refcnt": "1"}, True),
        ({"lib/modules/{release}/modules.builtin": "kernel/net/netfilter/nf_tables.ko\n"}, True),
        ({"lib/modules/{release}/modules.builtin": "kernel/net/ipv4/tcp_diag.ko\n", "proc/modules": ""}, False),
        ({"lib/modules/1.0/modules.builtin": ""}, True),
        ({}, True),
    ],
    ids=["loaded", "built in", "would be loaded", "of another kernel", "no modules"],
)
def test_nftables_is_here(node, files, expected):
    for place, text in files.items():
        node.file(place.format(release=nat_tables.os.uname().release), text)
    assert nat_tables.nftables_is_here(str(node.root)) is expected
