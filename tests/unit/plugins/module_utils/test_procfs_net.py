# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""procfs_net: tables of real kernels, and lines that are none. test_sock_diag.py compares it with sock_diag."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs_net
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry

FIXTURES = Path(__file__).parents[3] / "fixtures"
ROW = "   0: 0100007F:8EAF 00000000:0000 0A 00000000:00000001 00:00000000 00000000  1000        0 3350025 2 00000000a2d0fc05 100 0 0 10 0"


def rows(text, protocol="tcp", family="ipv4", ports=None):
    return list(procfs_net.parse(iter(["heading", *text.splitlines()]), protocol, family, ports))


@pytest.fixture
def pod(tmp_path):
    """A /proc/PID/net with the tables of a pod; its UDP tables are missing."""
    for name in ("tcp", "tcp6"):
        (tmp_path / name).write_bytes((FIXTURES / "procfs" / f"pod-proc-net-{name}.txt").read_bytes())
    return tmp_path


def test_a_pod_that_listens_on_5000(pod):
    assert list(procfs_net.sockets("tcp", net=str(pod))) == [
        Entry("tcp", "ipv6", "listen", "::", 5000, "::", 0, 0, None, 0, 47048)
    ]


def test_ports(pod):
    assert list(procfs_net.sockets("tcp", ports={80}, net=str(pod))) == []


def test_without_ipv6_there_is_no_second_table(pod):
    (pod / "tcp6").unlink()
    assert list(procfs_net.sockets("tcp", net=str(pod))) == []


def test_without_a_first_table_nothing_is_known(pod):
    with pytest.raises(FileNotFoundError):
        list(procfs_net.sockets("udp", net=str(pod)))


def test_a_listener():
    # rx_queue is the accept queue; the backlog is not shown, so it is unknown and not 0.
    assert rows(ROW) == [Entry("tcp", "ipv4", "listen", "127.0.0.1", 36527, "0.0.0.0", 0, 1, None, 1000, 3350025)]


def calling(retransmits, when, rto, timer="01"):
    """A row of SYN-SENT; times in 1/100 s, ``retransmits`` and ``when`` in hexadecimal."""
    return (
        f"   2: 01004D0A:9C44 63004D0A:00B3 02 00000001:00000000 {timer}:{when:08X} {retransmits:08X}     0        0 "
        f"33500 2 00000000fae4a4e1 {rto} 0 0 1 7"
    )


@pytest.mark.parametrize(
    ("row", "age_ms", "retransmits"),
    [
        (calling(0, 69, 100), 310, 0),  # the first SYN, 0.31 s ago
        (calling(1, 150, 200), 1500, 1),  # an older kernel's second: 1 s and 0.5 s of two
        (calling(3, 50, 100), 3500, 3),  # a newer one's fourth: three times 1 s, and 0.5 s
        (calling(5, 200, 200), 5000, 5),  # its sixth, just sent: the timeout is doubled from now on
        (calling(6, 6000, 6400), 63_000 + 4000, 6),
        (calling(26, 6000, 12_000), 4000 + 127_000 + 15 * 120_000 + 60_000, 26),  # net.ipv4.tcp_syn_retries = 40
        (calling(3, 0, 800, timer="00"), 7000 + 8000, 3),  # due, and waits for whoever uses the socket
        (calling(0, 100_000, 100), 0, 0),
    ],
)
def test_syn_sent_is_dated(row, age_ms, retransmits):
    (entry,) = rows(row)
    assert (entry.state, entry.age_ms, entry.retransmits) == ("syn_sent", age_ms, retransmits)


@pytest.mark.parametrize("state", ["01", "05", "08"])
def test_no_other_state_is(state):
    (entry,) = rows(calling(3, 50, 100).replace(" 02 ", f" {state} "))
    assert (entry.age_ms, entry.retransmits) == (None, None)


@pytest.mark.parametrize(
    "row",
    [
        calling(0, 69, 100).rsplit(" ", 5)[0],  # without the timeout
        calling(0, 69, "1e2"),
        calling(0, 69, 100).replace("01:00000045", "01"),
        calling(0, 69, 100).replace("01:00000045", "01:"),
        calling(0, 69, 100).replace(" 00000000 ", " nothing "),
    ],
)
def test_syn_sent_that_cannot_be_dated_is_no_row(row):
    # Its timer is in every row that a kernel writes, so whoever wrote this did not.
    with pytest.raises(ValueError, match=r"^not a row of /proc/net/tcp: "):
        rows(row)


@pytest.mark.parametrize("sl", ["10812:", "100000:"])
def test_a_long_slot_number(sl):
    assert rows(ROW.replace("   0:", sl))[0].port == 36527


@pytest.mark.parametrize(
    "line",
    [
        "\n",
        "   0:",
        ROW.replace("0A", "0E"),  # no such state
        ROW.replace("0A", "zz"),
        ROW.replace("8EAF", "18EAF"),  # a port above 65535
        ROW.replace("8EAF", ""),
        ROW.replace("0100007F", "0100007F00000000"),  # two words are neither family
        ROW.replace("0100007F", ""),
        ROW.replace("0100007F", "-100007F"),
        ROW.replace("0100007F:8EAF", "0100007F"),
        ROW.replace("3350025", "inode"),
        ROW.replace("  1000  ", "  root  "),
        "\N{REPLACEMENT CHARACTER}" * 40,
    ],
)
def test_no_row(line):
    with pytest.raises(ValueError, match=r"^not a row of /proc/net/tcp: "):
        rows(line)


def test_a_long_line_is_cut_in_the_message():
    with pytest.raises(ValueError, match="not a row") as caught:
        rows("x" * 100_000)
    assert len(str(caught.value)) < 300


def test_an_ipv4_row_is_no_ipv6_row():
    with pytest.raises(ValueError, match="not a row"):
        rows(ROW, family="ipv6")


def damaged():
    def damage(line, changes):
        letters = list(line)
        for where, letter in changes:
            letters[where % len(letters)] = letter
        return "".join(letters)

    letters = st.sampled_from("0123456789ABCDEFabcdef:-_ \t\0x\N{REPLACEMENT CHARACTER}")
    changes = st.lists(st.tuples(st.integers(0, 200), letters), max_size=6)
    whole = st.sampled_from([ROW, calling(3, 50, 100), calling(26, 6000, 12_000)])
    return st.builds(damage, whole, changes) | st.text(max_size=300)


@given(damaged(), st.sampled_from(["ipv4", "ipv6"]))
def test_any_text_is_entries_or_a_value_error(text, family):
    try:
        found = rows(text, family=family)
    except ValueError:
        return
    assert len(found) <= len(text.splitlines())
    assert all(0 <= entry.port <= 65535 for entry in found)
