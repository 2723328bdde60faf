# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    gap,
    live,
    unknowns,
)

MACHINE = "host_pressure.files"
PROCESSES = "tcp_states.limits.processes"


def process(opened, limit=1024, name="kubelet", pid=3693):
    return {"pid": pid, "name": name, "open": opened, "limit": limit}


def processes(*entries, **options):
    return live(PROCESSES, list(entries), **options)


def leaking(process_name, count):
    """A kubelet near its limit on a host on which a program has not closed connections to port 443."""
    quiet = captured("node-a")
    groups = quiet["sections"]["tcp_states"]["groups"]
    leak = {
        **groups[0],
        "state": "close_wait",
        "process": process_name,
        "local_port": None,
        "peer_port": 443,
        "count": count,
        "oldest_seconds": 500.0,
        "persisted": count,
        "causes": {"never_read": 0, "leaked": count, "never_accepted": 0},
    }
    return live(
        PROCESSES,
        [process(900)],
        "tcp_states.states.close_wait",
        count,
        "tcp_states.groups",
        [*groups, leak],
        snapshot=quiet,
    )


CASES = [
    Case(
        "a process at seven tenths",
        "fail",
        processes(process(717)),
        "node-a",
        "warning",
        words=(
            "kubelet has opened most of the files that it may",
            "open files of kubelet (pid 3693): 717 of 1024 (70 %)",
            "ls -l /proc/PID/fd",
            "prlimit --pid PID --nofile=2048:2048",
            "raise LimitNOFILE",
        ),
    ),
    Case("a process that leaks connections", "fail", leaking("kubelet", 700), "node-a", causes=("close-wait-leak",)),
    Case("another process leaks connections", "fail", leaking("dockerd", 700), "node-a", causes=()),
    Case("a process that leaks a few", "fail", leaking("kubelet", 204), "node-a", causes=()),
    Case(
        "a process at its limit",
        "fail",
        processes(process(20000, 20000)),
        "node-a",
        "critical",
        words=("kubelet has opened nearly all files that it may", "EMFILE"),
    ),
    Case(
        "two of one name are one finding, told by the worse",
        "fail",
        processes(process(750, pid=10), process(1000, pid=11)),
        "node-a",
        "critical",
        words=("(pid 10): 750 of 1024", "(pid 11): 1000 of 1024"),
    ),
    Case(
        "no limit can be higher",
        "fail",
        processes(process(1000000, 1048576)),
        "node-a",
        absent=("without a restart",),
    ),
    Case(
        "a process that has gone since",
        "fail",
        processes(process(1000, name=None)),
        "node-a",
        words=("a process without a name has",),
    ),
    Case(
        "the machine",
        "fail",
        live(MACHINE, {"open": 70000, "max": 100000}),
        "node-a",
        "warning",
        words=("the machine has opened most of the files", "open files of the machine: 70000 of 100000 (70 %)"),
        commands=(
            "printf '\\n%s\\n' 'fs.file-max = 200000' >> /etc/sysctl.d/60-file-max.conf",
            "sysctl -p /etc/sysctl.d/60-file-max.conf",
        ),
    ),
    Case("the machine can open no more", "fail", live(MACHINE, {"open": 90000, "max": 100000}), "node-a", "critical"),
    Case(
        "a lower limit was chosen",
        "fail",
        processes(process(110), thresholds={"files_share": 0.1}),
        "node-a",
        "warning",
    ),
    Case("few files", "pass", live(), "node-a"),
    Case("just below", "pass", processes(process(716)), "node-a"),
    Case("no limit", "pass", processes(process(1000000, None)), "node-a"),
    Case("nobody has many", "pass", processes(), "node-a"),
    Case("as many as numbers go", "pass", live(MACHINE, {"open": 70000, "max": 2**63 - 1}), "node-a"),
    Case(
        "processes are hidden",
        "unknown",
        live(
            snapshot=gap(
                captured("node-a"),
                "tcp_states",
                "processes",
                "the owners of 12 sockets are hidden: run with become (-b)",
            )
        ),
        "node-a",
        words=("processes: the owners of 12 sockets are hidden",),
    ),
    Case(
        "processes were not looked at",
        "unknown",
        live(PROCESSES, None),
        "node-a",
        words=("the open files of processes were not seen",),
    ),
    Case(
        "the machine's could not be read",
        "unknown",
        live(
            MACHINE,
            None,
            snapshot=gap(captured("node-a"), "host_pressure", "/proc/sys/fs/file-nr", "Permission denied"),
        ),
        "node-a",
        words=("/proc/sys/fs/file-nr: Permission denied",),
    ),
    *unknowns(("host_pressure", "tcp_states")),
]
