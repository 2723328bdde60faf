# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the collector of pod_listeners on a node with many pods, each of one process in a cgroup like kubelet's.

    python tests/bench/pods.py [--pods N] [--listeners N] [--nobody]      (as root)

Each process is in a network namespace of its own and listens on TCP ports from 5000 on, over IPv4. All end with this one; their
cgroups, below /sys/fs/cgroup, are removed then. Prints seconds and the peak of memory, and fails where a listener was not told.
"""

from __future__ import annotations

import argparse
import codecs
import ctypes
import os
import resource
import signal
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.kubenode.doctor.plugins.module_utils import pod_held, pod_listeners
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders
from ansible_collections.kubenode.doctor.tests.support.pod_cgroup import PodCgroups

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_FIRST_PORT = 5000
_NOBODY = 65534


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--listeners", type=int, default=1, help="of each pod")
    parser.add_argument("--nobody", action="store_true", help="collect without rights")
    wanted = parser.parse_args()
    if (
        not 0 < wanted.listeners <= pod_held.MOST_LISTENERS
        or wanted.pods * wanted.listeners > pod_listeners.MOST_LISTENERS
    ):
        parser.error(f"at most {pod_held.MOST_LISTENERS} of a pod and {pod_listeners.MOST_LISTENERS} in all are told")
    with _pods(wanted.pods, wanted.listeners) as uids, tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o755)  # also for nobody
        _name(uids, Path(root))
        if wanted.nobody:
            # So that all of Python that it needs is loaded, which nobody may not be allowed to read.
            _collect(root)
            codecs.lookup("ascii")
        with _as_nobody() if wanted.nobody else nullcontext():
            started, before = time.monotonic(), time.process_time()
            section = _collect(root)
            seconds, of_cpu = time.monotonic() - started, time.process_time() - before
    told = {pod["uid"]: len(pod["listeners"] or ()) for pod in section["pods"]}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    whose = f"{wanted.pods} pods with {wanted.listeners} listeners"
    _tell(f"{whose}: {seconds:.2f} s, {of_cpu:.2f} s of CPU, peak {peak:.0f} MiB")
    for gap in section["missing"]:
        _tell(f"  {gap['what']}: {gap['why']}")
    lacking = sum(told.get(uid) != wanted.listeners for uid in uids)
    if lacking:
        _tell(f"{lacking} pods were not told as they are")
    return 1 if lacking else 0


def _collect(root: str) -> dict[str, Any]:
    deadline = Deadline(600)
    return pod_listeners.collect(deadline, SocketHolders(deadline), root=root)


@contextmanager
def _as_nobody() -> Iterator[None]:
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def _pods(number: int, listeners: int) -> Iterator[list[str]]:
    """So many pods; yields their uids."""
    uids = [str(uuid.UUID(int=n + 1)) for n in range(number)]
    pids: list[int] = []
    with PodCgroups("bench") as cgroups:
        try:
            for n, uid in enumerate(uids):
                pids.append(_start(cgroups.add(uid, f"{n:064x}"), listeners))
            yield uids
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _start(cgroup_procs: Path, listeners: int) -> int:
    """Fork a process, and wait until it listens."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write_end)
        with os.fdopen(read_end) as said:
            assert said.read() == "ready", "a pod could not be made"
        return pid
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        cgroup_procs.write_text(str(os.getpid()), "ascii")
        if libc.unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        doors = [socket.create_server(("0.0.0.0", _FIRST_PORT + n)) for n in range(listeners)]
        os.write(write_end, b"ready")
        os.close(write_end)
        while doors:
            signal.pause()
    finally:
        os._exit(1)


def _name(uids: list[str], root: Path) -> None:
    for n, uid in enumerate(uids):
        (root / "var" / "log" / "pods" / f"bench_pod-{n}_{uid}").mkdir(parents=True)


if __name__ == "__main__":
    sys.exit(main())
