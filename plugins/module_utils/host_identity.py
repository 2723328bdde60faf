# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``host``: which machine answered, its addresses, which Kubernetes programs run in its network, and what fixes changed here."""

from __future__ import annotations

import os
import platform
import socket
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    addresses,
    change_store,
    kernel_files,
    netlink,
    procfs,
)

# Programs (comm, at most 15 bytes) whose presence makes a machine a node, or one with a control plane.
COMPONENTS = frozenset(
    {
        "kubelet",
        "kube-proxy",
        "kube-apiserver",
        "kube-controller",
        "kube-scheduler",
        "etcd",
        "containerd",
        "dockerd",
        "crio",
        "cri-dockerd",
        "cilium-agent",
        "calico-node",
        "k3s",
        "k3s-server",
        "k3s-agent",
        "k0s",
        "rke2",
        "kubelite",
        "microshift",
        "hyperkube",
        "ovnkube",
    }
)
# Those of them that run only where a control plane does. Other all-in-one programs run on workers under the same names.
CONTROL_PLANE = frozenset({"etcd", "k3s-server", "kube-apiserver", "kube-controller", "kube-scheduler", "microshift"})


def collect(proc: str = "/proc", root: str = "/") -> dict[str, Any]:
    """Return ``{hostname, kernel, boot_id, python, root, host_pid_namespace, addresses, components, changes, complete, missing}``.

    ``boot_id`` is another one after each boot, None where the kernel does not tell it.
    ``addresses`` is ``[{interface, address}]`` or None, ``components`` the names found among COMPONENTS.
    ``host_pid_namespace`` is False in a container with its own pid namespace: all that is visible may not be all that
    runs in this network. Sockets whose processes are not visible then tell. ``changes`` are those of fixes that can be undone, are under way, or
    were interrupted, ``[{id, fix, state, at, why}]`` (change_store.changes), or None.
    """
    missing = []
    local = None
    try:
        local = addresses.local_addresses()
    except netlink.NetlinkError as error:
        missing.append({"what": "local addresses", "why": str(error)})
    why = procfs.why_hidden(procfs.unreadable(proc), proc)
    if why:  # "no kubelet runs here" could not be told from "no kubelet is shown"
        missing.append({"what": "processes", "why": why})
    changes = None
    try:
        changes = change_store.changes(root)
    except OSError as error:
        missing.append({"what": "changes", "why": kernel_files.why_refused(error)})
    return {
        "hostname": socket.gethostname(),
        "kernel": os.uname().release,
        "boot_id": _boot_id(proc),
        "python": platform.python_version(),
        "root": os.geteuid() == 0,
        "host_pid_namespace": procfs.in_host_pid_namespace(proc),
        "addresses": local,
        "components": components(proc),
        "changes": changes,
        "complete": not missing,
        "missing": missing,
    }


def _boot_id(proc: str) -> str | None:
    try:
        return procfs.text(f"{proc}/sys/kernel/random/boot_id").strip() or None
    except OSError:
        return None


def components(proc: str = "/proc") -> list[str]:
    """Names among COMPONENTS that run in this network namespace (a kind host also shows its nodes' processes)."""
    found = set()
    for pid in procfs.pids(proc):
        name = procfs.comm(pid, proc)
        if name in COMPONENTS and procfs.same_network_namespace(pid, proc) is not False:
            found.add(name)
    return sorted(found)
