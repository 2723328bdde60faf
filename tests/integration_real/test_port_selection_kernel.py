# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""selection_skew against the running kernel: thousands of drawn ports in a namespace with a reserved block."""

from __future__ import annotations

import math
import os
import socket
import struct

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.port_ranges import (
    format_ports,
    parse_local_range,
    parse_reserved,
    selection_skew,
)
from ansible_collections.kubenode.doctor.tests.integration_real.fresh_netns import (
    in_fresh_netns,
    needs_root,
    sysctl_net,
)

pytestmark = needs_root

DRAWS = 3000
FAR_PORT = 9
LOCAL_RANGE = (40000, 40999)
BLOCKS = {
    "one block": ((40100, 40399),),
    "half the range": ((40250, 40749),),
    "the lower half": ((40000, 40499),),
    "over the end": ((40000, 40099), (40900, 40999)),
    "several": ((40050, 40079), (40200, 40449), (40600, 40601)),
}


def drawn_by_bind(reuseaddr):
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuseaddr))
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def drawn_by_connect(server):
    """A destination of its own for each draw: the kernel starts at a hash of addresses and port, and remembers, for all
    namespaces together, how far it walked from there.
    """
    second, third, fourth = os.urandom(3)
    with socket.socket() as sock:
        sock.connect((f"127.{second}.{third}.{fourth % 254 + 1}", FAR_PORT))
        server.accept()[0].close()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no TIME-WAIT
        return sock.getsockname()[1]


def draw_ports(local_range, reserved):
    """Every draw of each selection, and the settings as the kernel prints them."""
    shown = [
        sysctl_net("ipv4.ip_local_port_range", "{} {}".format(*local_range)),
        sysctl_net("ipv4.ip_local_reserved_ports", format_ports(reserved)),
    ]
    with socket.socket() as server:
        server.bind(("0.0.0.0", FAR_PORT))
        server.listen(16)
        return shown, {
            "listen": [drawn_by_bind(True) for _round in range(DRAWS)],
            "bind": [drawn_by_bind(False) for _round in range(DRAWS)],
            "connect": [drawn_by_connect(server) for _round in range(DRAWS)],
        }


@pytest.mark.parametrize("reserved", BLOCKS.values(), ids=BLOCKS)
def test_predicted_shares_are_what_the_kernel_draws(reserved):
    shown, drawn = in_fresh_netns(draw_ports, LOCAL_RANGE, reserved)
    assert parse_local_range(shown[0]) == LOCAL_RANGE
    assert parse_reserved(shown[1]) == reserved
    predicted = selection_skew(LOCAL_RANGE, reserved, worst=500)
    assert predicted
    for entry in predicted:
        share = entry["share"]
        measured = drawn[entry["selection"]].count(entry["port"]) / DRAWS
        # Five standard deviations of a share measured with so many draws: a true prediction fails once in a million.
        assert abs(measured - share) <= 5 * math.sqrt(share * (1 - share) / DRAWS), (entry, measured)


@pytest.mark.parametrize("reserved", BLOCKS.values(), ids=BLOCKS)
def test_no_port_is_favoured_that_was_not_predicted(reserved):
    _shown, drawn = in_fresh_netns(draw_ports, LOCAL_RANGE, reserved)
    skewed = {(entry["selection"], entry["port"]) for entry in selection_skew(LOCAL_RANGE, reserved, worst=500)}
    for selection, ports in drawn.items():
        fair = 1 / len(set(ports))
        for port in set(ports):
            if (selection, port) not in skewed:
                assert ports.count(port) / DRAWS <= fair + 7 * math.sqrt(fair / DRAWS), (selection, port)


def test_parity_and_halves_without_a_block():
    """A5's parity, and what SO_REUSEADDR adds: a listener of Go's gets an odd port of the lower half."""
    _shown, drawn = in_fresh_netns(draw_ports, LOCAL_RANGE, ())
    assert {port % 2 for port in drawn["listen"]} == {1}
    assert {port % 2 for port in drawn["bind"]} == {1}
    assert {port % 2 for port in drawn["connect"]} == {0}
    assert max(drawn["listen"]) < 40500 <= max(drawn["bind"])
