# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Unix sockets at which a program waits, and whether they let others in (Documentation/filesystems/proc.rst: /proc/PID/net/unix)."""

from __future__ import annotations

import contextlib
import os
import socket

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs

_ACCEPTS = 0x10000  # __SO_ACCEPTCON, include/uapi/linux/net.h
_LIMIT = 4 << 20
_SECONDS = 1.0


def of(pid: int, proc: str = "/proc") -> list[str]:
    """Their paths. Raises OSError where the process is gone, or hidden."""
    held = set()
    for name in os.listdir(f"{proc}/{pid}/fd"):
        with contextlib.suppress(OSError):  # closed under our eyes
            held.add(os.readlink(f"{proc}/{pid}/fd/{name}"))
    found = set()
    for line in procfs.text(f"{proc}/{pid}/net/unix", _LIMIT).splitlines()[1:]:
        fields = line.split(None, 7)
        # Num RefCount Protocol Flags Type St Inode Path
        if len(fields) == 8 and fields[7].startswith("/") and f"socket:[{fields[6]}]" in held and _waits(fields[3]):
            found.add(fields[7])
    return sorted(found)


def closed(path: str, root: str = "/") -> bool:
    """Whether a socket lets nobody in."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_SECONDS)
        try:
            client.connect(os.path.join(root, path.lstrip("/")))
        except OSError:
            return True
    return False


def _waits(flags: str) -> bool:
    try:
        return bool(int(flags, 16) & _ACCEPTS)
    except ValueError:
        return False
