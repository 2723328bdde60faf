# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nft_rules and nf_tables on what a kernel answered about tables of kube-proxy (tests/fixtures/kube_proxy)."""

from __future__ import annotations

import errno

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import nft_rules
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.netlink import NetlinkError
from ansible_collections.kubenode.doctor.plugins.module_utils.nf_tables import Ruleset
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_rules import Kernel

ON = ["192.0.2.2", "198.51.100.7"]


def read(family, kernel=None):
    ruleset = Ruleset(family, (kernel or Kernel()).connect)
    return [
        (
            f"{one['port']}/{one['protocol']}",
            one["service"],
            one["action"],
            " ".join(one["endpoints"]),
            one["local"],
            one["addresses"],
        )
        for one in nft_rules.read(ruleset, family, Deadline(60))
    ]


def test_every_form_that_kube_proxy_writes():
    assert sorted(read("ipv4")) == [
        ("30002/tcp", "ns2/svc2:p80", "endpoints", "10.180.0.2:80", "drop", ON),
        ("30003/sctp", "ns3/svc3:p80", "endpoints", "10.180.0.3:80 10.180.0.4:80", None, ON),
        ("30005/tcp", "ns5/svc5:p80", "endpoints", "10.180.0.3:80", None, ON),
        ("30006/tcp", "ns6/svc6:p80", "endpoints", "10.180.0.6:80 10.180.1.6:80", "endpoints", ON),
        ("30007/tcp", "ns7/svc7", "endpoints", "10.180.0.7:8443", None, ON),
        ("30008/udp", "ns8/svc8:dns", "endpoints", "10.244.1.5:53 10.244.2.7:53 10.244.3.9:5353", None, ON),
        ("30009/tcp", "ns9/svc9:p80", "none", "", None, ON),
        ("30010/udp", "ns10/svc10:dns", "reject", "", None, None),
    ]


def test_ipv6_on_all_addresses():
    assert sorted(read("ipv6")) == [
        ("30007/tcp", "ns7/svc7", "endpoints", "[fd00::7]:8443", None, None),
        ("30008/udp", "ns8/svc8:dns", "endpoints", "[fd00::1:5]:53 [fd00::2:7]:53", None, None),
    ]


def test_what_is_not_there():
    ruleset = Ruleset("ipv4", Kernel().connect)
    assert ruleset.tables() == {"kube-proxy"}
    assert ruleset.rules("nat", "KUBE-SERVICES") == []
    assert ruleset.elements("kube-proxy", "nope") is None


def test_a_table_that_is_written_to_is_read_again():
    assert read("ipv6", Kernel(breaks=errno.EINTR)) == read("ipv6")


def test_a_table_that_is_written_to_all_the_time():
    with pytest.raises(NetlinkError, match="Interrupted"):
        read("ipv4", Kernel(refuses=errno.EINTR))


@pytest.mark.parametrize("number", [errno.EPROTONOSUPPORT, errno.EINVAL])
def test_a_kernel_without_nf_tables(number):
    assert Ruleset("ipv4", Kernel(refuses=number).connect).tables() == frozenset()


def test_without_the_right_to_ask():
    with pytest.raises(NetlinkError, match="Operation not permitted"):
        Ruleset("ipv4", Kernel(refuses=errno.EPERM).connect).tables()


def test_no_time():
    with pytest.raises(NetlinkError, match="the time for it was over"):
        list(nft_rules.read(Ruleset("ipv4", Kernel().connect), "ipv4", Deadline(0)))


@pytest.mark.parametrize("cut", [1, 17, 40])
def test_broken_answers_are_refused(cut):
    """Whatever is wrong with an answer, it is told as such, or nothing is made of it."""
    kernel = Kernel()
    kernel.answers = {key: [part[:-cut] for part in told] for key, told in kernel.answers.items()}
    with pytest.raises(NetlinkError):
        read("ipv4", kernel)
