# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that show a kernel of their own to what runs in them, whose sockets this kernel does not have.

gVisor starts itself anew from /proc/self/exe, so that its processes are called "exe" unless their arguments are looked at: it calls
them runsc-sandbox and runsc-gofer there (runsc/sandbox/sandbox.go, runsc/container/container.go). Chromium's are called "exe" too.

Kata's hypervisors are QEMU, Cloud Hypervisor, Firecracker, StratoVirt and ACRN (docs/hypervisors.md); Dragonball is a part of its
shim, containerd-shim-kata-v2. They run in the pod's cgroup (kata_<id>), or beside it in kata_overhead (docs/design/host-cgroups.md).
KubeVirt has QEMU in an ordinary container of the pod.

The kernel keeps 15 bytes of a name.
"""

from __future__ import annotations

from typing import Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs

_RUNSC = "runsc"
_KATA_SHIM = "containerd-shim-kata-v2"
# What a name begins with, and whose it is.
_HYPERVISORS = (
    ("qemu-system-", "qemu"),
    ("qemu-kvm", "qemu"),
    ("cloud-hyperviso", "cloud-hypervisor"),
    ("firecracker", "firecracker"),
    ("stratovirt", "stratovirt"),
    ("acrn-dm", "acrn"),
)


def program(name: str, pid: int, proc: str = "/proc") -> Optional[str]:
    """Whose kernel it is that a process shows, None when it shows none; ``name`` is the kernel's name of the process."""
    for beginning, whose in _HYPERVISORS:
        if name.startswith(beginning):
            return whose
    if name.startswith("runsc"):
        return _RUNSC
    if name == "exe" and _first_argument(pid, proc).startswith(("runsc-sandbox", "runsc-gofer")):
        return _RUNSC
    if name == _KATA_SHIM[:15] and _first_argument(pid, proc).startswith(_KATA_SHIM):
        return _KATA_SHIM
    return None


def _first_argument(pid: int, proc: str) -> str:
    """What a process is called by its arguments, without the folder; "" when they cannot be read."""
    try:
        return procfs.text(f"{proc}/{pid}/cmdline").split("\0", 1)[0].rpartition("/")[2]
    except OSError:
        return ""
