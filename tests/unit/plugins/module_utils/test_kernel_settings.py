# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kernel_settings: the sysctls, under a made-up root."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import kernel_settings

TEXTS = {
    "net/ipv4/ip_local_port_range": "32768\t60999\n",
    "net/ipv4/ip_local_reserved_ports": "\n",
    "net/ipv4/conf/all/route_localnet": "1\n",
    "net/ipv6/bindv6only": "0\n",
}


@pytest.fixture
def root(tmp_path):
    for path, text in TEXTS.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_all(root):
    assert kernel_settings.collect(str(root)) == {
        "sysctl": {
            "ip_local_port_range": "32768\t60999",
            "ip_local_reserved_ports": "",
            "route_localnet": "1",
            "bindv6only": "0",
        },
        "complete": True,
        "missing": [],
    }


def test_without_ipv6_nothing_is_missing(root):
    (root / "net" / "ipv6" / "bindv6only").unlink()
    section = kernel_settings.collect(str(root))
    assert section["sysctl"]["bindv6only"] is None
    assert section["complete"] is True


def test_what_cannot_be_read_is_named(root):
    (root / "net" / "ipv4" / "ip_local_reserved_ports").unlink()
    section = kernel_settings.collect(str(root))
    # Not "", which would say that nothing is reserved.
    assert section["sysctl"]["ip_local_reserved_ports"] is None
    assert section["complete"] is False
    assert [gap["what"] for gap in section["missing"]] == ["net.ipv4.ip_local_reserved_ports"]


def test_a_long_list_of_reserved_ports_is_read_whole(root):
    ports = ",".join(str(port) for port in range(1, 65536, 2))
    (root / "net" / "ipv4" / "ip_local_reserved_ports").write_text(ports + "\n")
    assert kernel_settings.collect(str(root))["sysctl"]["ip_local_reserved_ports"] == ports


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("32768\t60999\n", (32768, 60999)),
        ("1024 65535", (1024, 65535)),
        ("", None),
        ("32768", None),
        ("a b", None),
        ("1 2 3", None),
    ],
)
def test_ephemeral_range(root, text, expected):
    (root / "net" / "ipv4" / "ip_local_port_range").write_text(text)
    assert kernel_settings.ephemeral_range(str(root)) == expected


def test_ephemeral_range_unknown(tmp_path):
    assert kernel_settings.ephemeral_range(str(tmp_path)) is None
