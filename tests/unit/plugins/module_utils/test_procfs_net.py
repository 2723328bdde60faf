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
    return st.builds(damage, st.just(ROW), changes) | st.text(max_size=300)


@given(damaged(), st.sampled_from(["ipv4", "ipv6"]))
def test_any_text_is_entries_or_a_value_error(text, family):
    try:
        found = rows(text, family=family)
    except ValueError:
        return
    assert len(found) <= len(text.splitlines())
    assert all(0 <= entry.port <= 65535 for entry in found)
