# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""addresses: what a kernel said of known interfaces, and anything else that may arrive."""

from __future__ import annotations

import json
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubenode.doctor.plugins.module_utils import addresses, netlink

CAPTURED = json.loads((Path(__file__).parents[3] / "fixtures" / "sock_diag" / "datagrams.json").read_text("ascii"))
PAYLOADS = [
    bytes(payload)
    for text in CAPTURED["addresses"]
    for kind, _flags, payload in netlink.messages(bytes.fromhex(text))
    if kind == 20  # RTM_NEWADDR
]
IFA_ADDRESS, IFA_LOCAL = 1, 2


def message(family, *attributes, index=7):
    packed = [struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4) for kind, value in attributes]
    return struct.pack("=BBBBI", family, 24, 0, 0, index) + b"".join(packed)


def test_captured():
    found = {addresses.parse(memoryview(payload)) for payload in PAYLOADS}
    assert {entry for entry in found if not entry[1].startswith("fe80::")} == {
        (1, "127.0.0.1"),
        (1, "::1"),
        (3, "10.77.0.1"),
        (3, "10.78.0.1"),  # not 10.78.0.2, the peer's
        (3, "fd00:77::1"),
        (3, "fd00:78::1"),  # not fd00:78::2, the peer's
    }


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (
            message(socket.AF_INET, (IFA_ADDRESS, bytes([10, 0, 0, 2])), (IFA_LOCAL, bytes([10, 0, 0, 1]))),
            (7, "10.0.0.1"),
        ),
        (message(socket.AF_INET6, (IFA_ADDRESS, bytes(15) + b"\x01")), (7, "::1")),
        (message(socket.AF_INET), None),
        (message(socket.AF_INET, (IFA_LOCAL, bytes(3))), None),
        (message(socket.AF_INET6, (IFA_ADDRESS, bytes(4))), None),
        (message(99, (IFA_ADDRESS, bytes(4))), None),
    ],
)
def test_parse(payload, expected):
    assert addresses.parse(memoryview(payload)) == expected


@pytest.mark.parametrize("payload", [b"", bytes(7), bytes(8) + struct.pack("=HH", 2, 1)])
def test_malformed(payload):
    with pytest.raises(netlink.NetlinkError, match="malformed"):
        addresses.parse(memoryview(payload))


@given(
    st.binary(max_size=256)
    | st.builds(lambda payload, end: payload[:end], st.sampled_from(PAYLOADS), st.integers(0, 100))
)
def test_any_bytes_are_an_address_or_a_netlink_error(payload):
    try:
        found = addresses.parse(memoryview(payload))
    except netlink.NetlinkError:
        return
    assert found is None or socket.inet_pton(socket.AF_INET6 if ":" in found[1] else socket.AF_INET, found[1])


def test_local_addresses_are_sorted_and_told_once(monkeypatch):
    monkeypatch.setattr(
        addresses.netlink, "dump", lambda *_arguments: [memoryview(payload) for payload in PAYLOADS * 2]
    )
    monkeypatch.setattr(addresses.socket, "if_indextoname", {1: "lo", 2: "nd1", 3: "nd0"}.__getitem__)
    found = addresses.local_addresses()
    assert found == sorted(found, key=lambda entry: (entry["interface"], entry["address"]))
    assert len(found) == len(PAYLOADS)
    assert found[0] == {"interface": "lo", "address": "127.0.0.1"}


def test_an_interface_that_is_gone_keeps_its_number(monkeypatch):
    def gone(_index):
        raise OSError(6, "No such device or address")

    monkeypatch.setattr(addresses.netlink, "dump", lambda *_arguments: [memoryview(PAYLOADS[0])])
    monkeypatch.setattr(addresses.socket, "if_indextoname", gone)
    assert addresses.local_addresses() == [{"interface": "if1", "address": "127.0.0.1"}]
