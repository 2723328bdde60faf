# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_identity: which Kubernetes programs run here, and addresses that cannot be read."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import addresses, host_identity, netlink, procfs

ADDRESSES = [{"interface": "lo", "address": "127.0.0.1"}]


def test_components(node):
    # comm ends after 15 bytes: kube-controller-manager, kube-scheduler fits.
    for pid, comm in enumerate(["kubelet", "kubelet", "kube-controller", "kube-scheduler", "sshd", "kubectl", ""], 10):
        node.process(pid, comm, [])
    assert host_identity.components(str(node.proc)) == ["kube-controller", "kube-scheduler", "kubelet"]


def test_what_runs_in_another_network_is_not_this_nodes(node):
    # kind: the host sees the kubelets of its nodes.
    node.process(10, "kubelet", [], netns="other")
    node.process(11, "containerd", [])
    assert host_identity.components(str(node.proc)) == ["containerd"]


def test_a_namespace_that_cannot_be_seen_counts_as_here(node):
    node.process(10, "kubelet", [])
    (node.proc / "10" / "ns" / "net").unlink()
    assert host_identity.components(str(node.proc)) == ["kubelet"]


def test_no_name_is_longer_than_the_kernel_keeps():
    assert [name for name in host_identity.COMPONENTS if len(name) > 15] == []


def test_collect(monkeypatch):
    monkeypatch.setattr(addresses, "local_addresses", lambda: ADDRESSES)
    section = host_identity.collect()
    assert section["addresses"] == ADDRESSES
    assert section["root"] is (os.geteuid() == 0)
    assert (section["complete"], section["missing"]) == (True, [])


def test_changes_of_fixes_are_told(node):
    node.file("/var/lib/kubenode.doctor/pin-stream-port-0123456789ab.json", "damaged")
    [told] = host_identity.collect(str(node.proc), str(node.root))["changes"]
    assert (told["id"], told["state"]) == ("pin-stream-port-0123456789ab", "unreadable")
    assert host_identity.collect(str(node.proc), str(node.folder))["changes"] == []


def test_changes_that_cannot_be_seen_are_null(node):
    node.file("/var/lib/kubenode.doctor", "no folder")
    section = host_identity.collect(str(node.proc), str(node.root))
    assert section["changes"] is None
    assert section["missing"] == [{"what": "changes", "why": "Not a directory"}]


@pytest.mark.parametrize(("content", "expected"), [("5d3c…\n", "5d3c…"), ("\n", None), (None, None)])
def test_which_boot_it_is(node, content, expected):
    if content is not None:
        file = node.proc / "sys" / "kernel" / "random" / "boot_id"
        file.parent.mkdir(parents=True)
        file.write_text(content)
    assert host_identity.collect(str(node.proc))["boot_id"] == expected


def test_hidden_processes_are_said(node):
    node.hidepid()
    node.process(4242, "python3", [])
    section = host_identity.collect(str(node.proc))
    assert section["complete"] is False
    assert [gap["what"] for gap in section["missing"]] == ["processes"]
    assert "run with become (-b)" in section["missing"][0]["why"]


def test_processes_that_do_not_tell_their_name_are_counted(node, monkeypatch):
    """hidepid=1: /proc/PID is listed, and its files refuse to be read."""
    real = procfs.text

    def text(path, *limit):
        if "/proc/1/" in path or "/900/" in path:
            raise PermissionError(13, "Permission denied", path)
        return real(path, *limit)

    monkeypatch.setattr(procfs, "text", text)
    node.process(900, "kubelet", [])
    section = host_identity.collect(str(node.proc))
    why = "2 processes are hidden (hidepid): run with become (-b)"
    assert section["missing"] == [{"what": "processes", "why": why}]
    assert section["components"] == []


@pytest.mark.parametrize(("link", "expected"), [("pid:[4026531836]", True), ("pid:[4026532200]", False), (None, None)])
def test_whose_pid_namespace(node, link, expected):
    if link:
        os.symlink(link, str(node.proc / "self" / "ns" / "pid"))
    assert host_identity.collect(str(node.proc))["host_pid_namespace"] is expected


def test_addresses_that_cannot_be_read_are_null(monkeypatch):
    def refuse():
        raise netlink.NetlinkError("no netlink socket of protocol 0: Operation not permitted", 1)

    monkeypatch.setattr(addresses, "local_addresses", refuse)
    section = host_identity.collect()
    assert section["addresses"] is None
    assert section["complete"] is False
    assert section["missing"] == [
        {"what": "local addresses", "why": "no netlink socket of protocol 0: Operation not permitted"}
    ]
