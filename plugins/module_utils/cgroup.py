# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose process is it: systemd unit, container and pod, read from a cgroup path.

Paths seen in the field (v1 and v2, systemd and cgroupfs drivers; kubelet's --cgroup-root and kind put more in front)::

    /system.slice/kubelet.service
    /kubepods/burstable/pod909a2aa1-bf6a-4a8c-a274-3180ea640fb1/6ca1eb5d…                      (cgroupfs)
    /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid_>.slice/cri-containerd-<id>.scope
    /kubepods/besteffort/pod1403dda53affdfee1130475a6d9609da/crio-<id>                       (static pod: 32 digits)
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple, Optional

# systemd turns the dashes of a pod uid into underscores; the uid of a static pod is an MD5 without dashes.
_POD = re.compile(
    r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})(?![0-9a-f])"
)
# conmon watches a CRI-O container from a scope named after it and is not part of it.
_CONTAINER = re.compile(r"(?:^|[/:-])(?<!conmon-)([0-9a-f]{64})(?:\.scope)?(?=/|$)")
# A node that is neither this machine nor a container with an id: of LXC, systemd-nspawn, or without root.
_MACHINE = re.compile(r"(?:^|/)(lxc[^/]*|machine\.slice|user\.slice|libpod[^/]*)(?=/)")
_UNIT = re.compile(r"([^/]+\.service)(?:/|$)")


class Owner(NamedTuple):
    """What a cgroup path tells; None for each part that the path does not name."""

    unit: Optional[str]
    container_id: Optional[str]
    pod_uid: Optional[str]


class Member(NamedTuple):
    """A container and its pod, None for what is not named; ``depth`` is how many pods are: 2 for one inside another.

    ``node`` is what the outermost pod lies in besides the cgroups that kubelet and systemd make: the container or machine whose kubelet
    runs the pod, None for a pod of this machine's own.
    """

    container_id: Optional[str]
    pod_uid: Optional[str]
    depth: int
    node: Optional[str] = None


def owner(path: str) -> Owner:
    """Read one cgroup path. Of nested pods, containers and units the innermost counts."""
    pods = _POD.findall(path)
    containers = _CONTAINER.findall(path)
    units = _UNIT.findall(path)
    return Owner(
        units[-1] if units else None,
        containers[-1] if containers else None,
        pods[-1].replace("_", "-") if pods else None,
    )


def tells(path: Optional[str]) -> bool:
    """False where there is no path, and for the root's: those of the kernel's own sockets, and of all that nobody has sorted."""
    return path not in (None, "", "/")


def program(path: Optional[str]) -> Optional[str]:
    """The program that the unit in a path runs, which is named after it: kubelet.service, containerd.service, crio.service."""
    unit = owner(path).unit if path else None
    return unit.rsplit(".", 1)[0] if unit else None


def member(path: str) -> Member:
    """Which container of which pod a process at this path is in, as the Kubernetes of that pod knows them.

    Of nested pods the innermost counts, and of containers the first below it: Docker in a pod makes more, which Kubernetes does not
    know. Where no pod is named (kubelet with --cgroups-per-qos=false) the innermost container is told.
    """
    pods = list(_POD.finditer(path))
    containers = _CONTAINER.findall(path[pods[-1].end() :] if pods else path)
    chosen = containers[:1] if pods else containers[-1:]
    uid = pods[-1].group(1).replace("_", "-") if pods else None
    return Member(chosen[0] if chosen else None, uid, len(pods), _node(path[: pods[0].start()]) if pods else None)


def _node(above: str) -> Optional[str]:
    """What the path above a pod says that it lies in: the id of a container, or a machine's cgroup."""
    containers, machine = _CONTAINER.findall(above), _MACHINE.search(above)
    return containers[-1] if containers else machine.group(1) if machine else None


def path_of(lines: str) -> str:
    """Pick the path that tells most from the text of /proc/PID/cgroup (``id:controllers:path`` lines).

    v2 has one line (``0::``); on v1 the systemd hierarchy or any controller may be the one that names the container.
    """
    paths = [line.split(":", 2)[2] for line in lines.splitlines() if line.count(":") >= 2]
    return max(paths, key=lambda path: (sum(part is not None for part in owner(path)), len(path)), default="")


def paths_by_id(wanted: Iterable[int], mounts: str = "/proc/self/mounts") -> dict[int, str]:
    """Find the cgroup v2 paths with these ids (sock_diag's CGROUP_ID: a cgroup directory's inode number).

    Returns what it finds, nothing where there is no cgroup2 mount. Costs one walk over the hierarchy.
    """
    missing = set(wanted)
    found: dict[int, str] = {}
    root = _cgroup2_mount(mounts)
    if not missing or root is None:
        return found
    for folder, _folders, _files in os.walk(root):
        try:
            number = os.stat(folder).st_ino
        except OSError:
            continue
        if number in missing:
            found[number] = folder[len(root) :] or "/"
            missing.discard(number)
            if not missing:
                break
    return found


def _cgroup2_mount(mounts: str) -> Optional[str]:
    try:
        with open(mounts, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                fields = line.split()
                if len(fields) > 2 and fields[2] == "cgroup2":
                    return fields[1]
    except OSError:
        pass
    return None
