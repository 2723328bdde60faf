# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""listener_index: whose connection it is where several listen on one port."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.listener_index import ListenerIndex
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry


def entry(address, port, inode=0, state="close_wait"):
    family = "ipv6" if ":" in address else "ipv4"
    return Entry("tcp", family, state, address, port, "10.0.0.7", 40000, 0, 0, 0, inode)


def listeners(*places):
    """Listeners with inodes 1, 2, ... in this order."""
    return ListenerIndex([entry(*place, number, "listen") for number, place in enumerate(places, 1)])


@pytest.mark.parametrize(
    ("places", "address", "port", "expected"),
    [
        ([("0.0.0.0", 80)], "10.0.0.1", 80, 1),
        ([("0.0.0.0", 80)], "10.0.0.1", 81, None),
        ([("10.0.0.1", 80)], "10.0.0.1", 80, 1),
        # An outgoing connection from a port on which something unrelated listens on another address
        ([("127.0.0.1", 80)], "10.0.0.1", 80, None),
        # Two programs on one port: the nearer address wins, in whatever order they are told.
        ([("10.0.0.2", 80), ("10.0.0.1", 80)], "10.0.0.1", 80, 2),
        ([("10.0.0.1", 80), ("0.0.0.0", 80)], "10.0.0.1", 80, 1),
        ([("0.0.0.0", 80), ("10.0.0.1", 80)], "10.0.0.1", 80, 2),
        ([("0.0.0.0", 80), ("10.0.0.1", 80)], "10.0.0.2", 80, 1),
        # SO_REUSEPORT: any of them
        ([("0.0.0.0", 80), ("0.0.0.0", 80)], "10.0.0.1", 80, 1),
        # The families are apart: what a listener on :: takes of IPv4 is v4-mapped IPv6.
        ([("::", 80)], "10.0.0.1", 80, None),
        ([("::", 80)], "::ffff:10.0.0.1", 80, 1),
        ([("0.0.0.0", 80)], "::ffff:10.0.0.1", 80, None),
        ([("::", 80)], "fd00::1", 80, 1),
        ([("fd00::1", 80), ("::", 80)], "fd00::1", 80, 1),
        ([], "10.0.0.1", 80, None),
    ],
)
def test_of(places, address, port, expected):
    found = listeners(*places).of(entry(address, port))
    assert (found and found.inode) == expected


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([("0.0.0.0", 80), ("0.0.0.0", 81), ("::", 80), ("0.0.0.0", 80)], [1, 3, 4]),
        ([("0.0.0.0", 81)], []),
        ([], []),
    ],
)
def test_on(places, expected):
    index = listeners(*places)
    assert [found.inode for found in index.on(80)] == expected
    assert index.on(79) == []
