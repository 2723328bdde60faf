# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs in which nothing is wrong, for nodes that share this machine's files and kernel.

What the machine itself has logged, its containers and the kernel's ring are no part of a scene, and other tests leave traces there.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

JOURNAL_WRITER = (
    "/lib/systemd/systemd-journal-remote"  # without it there is no journal, as on a machine without systemd
)
_MACHINE_ID = "5eed0000" * 4
_SECONDS_AGO = 2 * 86400  # before what is read of logs, so that what is told of them is the same in each run
_KUBELET = {"_TRANSPORT": "stdout", "_SYSTEMD_UNIT": "kubelet.service", "SYSLOG_IDENTIFIER": "kubelet"}
_KERNEL = {"_TRANSPORT": "kernel", "SYSLOG_IDENTIFIER": "kernel"}


def over_this_machines(folder: Path) -> tuple[str, ...]:
    """Write them below ``folder``. Return what goes before a command that runs in a mount namespace of its own, so that it sees them.

    The command finds no container runtime either, since their sockets are below /run.
    """
    logs = folder / "log"
    write(logs, folder / "machine-id")
    hide = (
        "mount -t tmpfs -o mode=755 none /run",
        f"mount --bind {shlex.quote(str(logs))} /var/log",
        "for ring in /dev/kmsg /proc/kmsg; do if [ -e $ring ]; then mount --bind /dev/null $ring; fi; done",
        f"if [ -e /etc/machine-id ]; then mount --bind {shlex.quote(str(folder / 'machine-id'))} /etc/machine-id; fi",
        'exec "$@"',
    )
    return ("sh", "-c", " && ".join(hide), "sh")


def write(logs: Path, machine_id: Path, more: Iterable[Mapping[str, str | int]] = ()) -> None:
    """Write them below ``logs``, which stands for /var/log, and the machine's id to its file; ``more`` entries go into the journal."""
    (logs / "pods").mkdir(parents=True, exist_ok=True)
    machine_id.write_text(f"{_MACHINE_ID}\n", encoding="ascii")
    if os.access(JOURNAL_WRITER, os.X_OK):
        _write_journal(logs / "journal" / _MACHINE_ID / "system.journal", more)


def _write_journal(path: Path, more: Iterable[Mapping[str, str | int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [JOURNAL_WRITER, "--output", str(path), "-"],
        input="".join(f"{entry}\n" for entry in (*_entries(), *map(_exported, more))),
        check=True,
        capture_output=True,
        text=True,
    )


def _entries() -> Iterator[str]:
    """In systemd's journal export format: a field a line, an empty line behind each entry."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")
    times: dict[str, str | int] = {
        "__REALTIME_TIMESTAMP": int((time.time() - _SECONDS_AGO) * 1e6),
        "__MONOTONIC_TIMESTAMP": int(max(1.0, time.monotonic() - _SECONDS_AGO) * 1e6),
        "_BOOT_ID": boot,
    }
    for message in (
        {**_KERNEL, "MESSAGE": "IPVS: ipvs loaded."},
        {**_KUBELET, "MESSAGE": "Successfully registered node"},
    ):
        yield _exported({**times, **message})


def _exported(entry: Mapping[str, str | int]) -> str:
    return "".join(f"{name}={value}\n" for name, value in entry.items())
