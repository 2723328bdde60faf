# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""change_sysctl: what means the same to the kernel, and what it refuses."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import change, change_sysctl
from ansible_collections.kubenode.doctor.plugins.module_utils.change_part import ChangeError
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import Sysctl
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places

RESERVED = "net.ipv4.ip_local_reserved_ports"


@pytest.mark.parametrize(
    ("key", "one", "other", "same"),
    [
        ("net.core.somaxconn", "4096", "4096\n", True),
        ("net.core.somaxconn", "4096", "409", False),
        ("net.ipv4.ip_local_port_range", "32768 60999", "32768\t60999\n", True),
        (RESERVED, "30001,30000,8080", "8080,30000-30001\n", True),
        (RESERVED, "", "\n", True),
        (RESERVED, "8080", "", False),
        (RESERVED, "nonsense", "nonsense", True),
    ],
)
def test_what_means_the_same(key, one, other, same):
    assert change_sysctl.is_same(key, one, other) is same


def test_a_dot_in_an_interfaces_name(node):
    """sysctl(8) writes net.ipv4.conf.eth0/100.rp_filter for .../eth0.100/rp_filter."""
    file = node.proc / "sys/net/ipv4/conf/eth0.100/rp_filter"
    file.parent.mkdir(parents=True)
    file.write_text("1\n")
    assert change_sysctl.look(str(node.proc), "net.ipv4.conf.eth0/100.rp_filter") == "1"


@pytest.fixture
def part(node):
    file = node.proc / "sys/net/ipv4/ip_local_reserved_ports"
    file.parent.mkdir(parents=True)
    file.write_text("8080,9148\n")
    [prepared] = change.prepare([Sysctl(RESERVED, "")], Places(str(node.proc), str(node.root)))
    return prepared.part


def test_an_empty_value_is_written_as_an_empty_line(part, monkeypatch):
    """Nothing would not reach the kernel's parser."""
    written = []

    def write(_descriptor, content):
        written.append(content)
        return len(content)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(ChangeError, match=r"was given empty for net.ipv4.ip_local_reserved_ports and keeps 8080,9148"):
        part.act(Deadline(1))
    assert written == [b"\n"]


def test_what_the_kernel_takes_in_pieces_is_written_whole(part, monkeypatch):
    written = []

    def write(_descriptor, content):
        written.append(content[:3])
        return len(written[-1])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(ChangeError, match="was given 30000-30007"):
        part._set("30000-30007")
    assert b"".join(written) == b"30000-30007\n"


def test_what_the_kernel_refuses_is_said(part, monkeypatch):
    def refuse(_descriptor, _content):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(ChangeError, match=r"the kernel refuses empty for net.ipv4.ip_local_reserved_ports: Invalid"):
        part.act(Deadline(1))


def test_a_key_of_a_record_leads_nowhere_else(node):
    for key in ("net.//.//.//.etc.passwd", "/etc/passwd", "net", "net.core/", "net.core.\0"):
        with pytest.raises(ChangeError, match="no usable name"):
            change_sysctl.SysctlPart(str(node.proc), {"key": key, "after": "", "before": {"value": ""}})
