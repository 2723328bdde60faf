# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""foreign_kernel: programs whose sockets this kernel does not have, by the names that they have in the field."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import foreign_kernel


@pytest.mark.parametrize(
    ("name", "argv", "expected"),
    [
        ("exe", ["runsc-sandbox", "--root=/run/containerd/runsc/k8s.io", "boot"], "runsc"),
        ("exe", ["runsc-gofer", "--root=/run/containerd/runsc/k8s.io", "gofer"], "runsc"),
        ("runsc-sandbox", ["runsc-sandbox"], "runsc"),
        ("exe", ["/proc/self/exe", "--type=renderer"], None),  # Chromium
        ("exe", [], None),
        ("qemu-system-x86", ["/opt/kata/bin/qemu-system-x86_64", "-name", "sandbox-1"], "qemu"),
        ("qemu-system-aar", ["qemu-system-aarch64"], "qemu"),
        ("qemu-kvm", ["/usr/libexec/qemu-kvm"], "qemu"),
        ("qemu-aarch64", ["qemu-aarch64", "/app"], None),  # translates one program, whose sockets are this kernel's
        ("qemu-ga", ["qemu-ga"], None),
        ("cloud-hyperviso", ["/opt/kata/bin/cloud-hypervisor"], "cloud-hypervisor"),
        ("firecracker", ["/firecracker"], "firecracker"),
        ("stratovirt", ["/opt/kata/bin/stratovirt"], "stratovirt"),
        ("acrn-dm", ["acrn-dm"], "acrn"),
        (
            "containerd-shim",
            ["/opt/kata/bin/containerd-shim-kata-v2", "-namespace", "k8s.io"],
            "containerd-shim-kata-v2",
        ),
        ("containerd-shim", ["/usr/bin/containerd-shim-runc-v2", "-namespace", "k8s.io"], None),
        ("pause", ["/pause"], None),
        ("python3", ["python3", "runsc-sandbox"], None),
        ("", [], None),
    ],
)
def test_program(node, name, argv, expected):
    node.process(30, name, argv)
    assert foreign_kernel.program(name, 30, str(node.proc)) == expected


def test_one_that_has_ended(node):
    assert foreign_kernel.program("exe", 30, str(node.proc)) is None
