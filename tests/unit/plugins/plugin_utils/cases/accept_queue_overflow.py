# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    captured_section,
    changed,
    gap,
    live,
    unknowns,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.tcp_scene import (
    alone,
    growing,
    queue,
    quiet,
    sick,
)

SOMAXCONN = "tcp_states.limits.somaxconn"
OVERFLOWS = "tcp_states.counters.ListenOverflows"
UNIT = {"unit": "java.service"}
HOSTILE = "\x1b[2J\u202e'; rm -rf /"


def waiting(length, *changes, port=8080, **fields):
    """A listener with so many connections in its queue, in both samples."""
    return alone(quiet(queues=[queue(port, length=length, **fields)], changes=changes))


def busy(scene):
    """The same on a machine whose CPU is stolen."""
    snapshot = scene.snapshots["node-a"]
    scene.snapshots["node-a"] = changed(snapshot, "host_pressure", captured_section("host-pressure-busy"))
    return scene


def open_files(opened, limit, pid=4000 + 8080):
    return [{"pid": pid, "name": "java", "open": opened, "limit": limit}]


CASES = [
    Case(
        "a program that never accepts, as captured",
        "fail",
        alone(sick()),
        "node-a",
        "critical",
        words=(
            "the accept queue of java on port 8080 is full, and new connections are dropped",
            "accept queue 5 of 4",
            "5 waited in it in the first sample, 5 in the second",
            "The queue takes one more than the backlog; then the kernel drops each new SYN without a word",
            "that is what happens now",
            "Its backlog is 4: net.core.somaxconn is 4096, so the program asked for less, or began to listen before somaxconn was raised",
            "a program that listens already keeps its backlog until it is restarted",
            "ListenOverflows of this network namespace: 202 since it began, 32 of them in the last 3 s",
        ),
        absent=("while this node was looked at",),
        commands=("ss -tlnp sport = :8080",),
        causes=(),
    ),
    Case(
        "half full",
        "fail",
        waiting(64),
        "node-a",
        "warning",
        words=("is filling up",),
        absent=("that is what happens now",),
    ),
    Case("nearly half full", "pass", waiting(63), "node-a"),
    Case("as many as the backlog: one more fits", "fail", waiting(128), "node-a", "warning"),
    Case("one more than the backlog", "fail", waiting(129), "node-a", "critical"),
    Case(
        "as many as the backlog, and connections were lost",
        "fail",
        alone(growing(quiet(queues=[queue(8080, length=128)]), ListenOverflows=3, ListenDrops=3)),
        "node-a",
        "critical",
        words=("3 of them in the last 2 s",),
    ),
    Case(
        "full now, and empty before",
        "fail",
        waiting(129, before=0),
        "node-a",
        "critical",
        words=("is full, and new connections are dropped", "0 waited in it in the first sample, 129 in the second"),
    ),
    Case(
        "full now, and lost connections since it was empty",
        "fail",
        alone(growing(quiet(queues=[queue(8080, length=129, before=1)]), ListenOverflows=500, ListenDrops=500)),
        "node-a",
        "critical",
        words=("Its backlog is 128", "500 of them in the last 2 s"),
        absent=("No queue was seen full",),
    ),
    Case("nearly full for a moment", "pass", waiting(128, before=0), "node-a"),
    Case("was full, and is not", "pass", waiting(0, before=129), "node-a"),
    Case("one sample only", "fail", waiting(129, queue_before=None), "node-a", "critical"),
    Case(
        "another share",
        "fail",
        alone(quiet(queues=[queue(8080, length=13)]), thresholds={"accept_queue_share": 0.1}),
        "node-a",
        "warning",
    ),
    Case("a backlog of nothing, and nobody waits", "pass", waiting(0, backlog=0), "node-a"),
    Case(
        "kubelet, limited by somaxconn",
        "fail",
        waiting(4097, name="kubelet", port=10255, backlog=4096, unit="kubelet.service"),
        "node-a",
        words=(
            "kubelet read-only API on port 10255",
            "net.core.somaxconn set it, which is 4096, and most Go programs ask for just that",
            "let somaxconn be 16384",
        ),
        commands=(
            "systemctl restart kubelet.service",
            "printf '\\n%s\\n' 'net.core.somaxconn = 16384' >> /etc/sysctl.d/60-somaxconn.conf",
            "sysctl -p /etc/sysctl.d/60-somaxconn.conf",
        ),
    ),
    Case(
        "a Go program that began to listen before somaxconn was raised",
        "fail",
        waiting(129, SOMAXCONN, 32768, name="kubelet", port=10255),
        "node-a",
        words=(
            "32768 today, and most Go programs ask for just that: it was raised after this one began to listen, or this one asks for less",
        ),
        absent=("let somaxconn be",),
    ),
    Case(
        "somaxconn was lowered since",
        "fail",
        waiting(1025, SOMAXCONN, 128, backlog=1024),
        "node-a",
        words=(
            "128 today, so it was lowered after the program began to listen",
            "let somaxconn be 4096",
            "its backlog is then 128 at most, unless somaxconn is raised first",
        ),
    ),
    Case(
        "somaxconn was lowered far below the backlog",
        "fail",
        waiting(32769, SOMAXCONN, 128, backlog=32768),
        "node-a",
        words=("let somaxconn be 65535",),
    ),
    Case(
        "a program that asked for as much or more",
        "fail",
        waiting(129, SOMAXCONN, 128),
        "node-a",
        words=("net.core.somaxconn set it, which is 128: the program asked for as much or for more",),
    ),
    Case(
        "somaxconn as high as it goes",
        "fail",
        waiting(65536, SOMAXCONN, 65535, backlog=65535),
        "node-a",
        absent=("let somaxconn be",),
    ),
    Case(
        "somaxconn could not be read",
        "fail",
        waiting(129, SOMAXCONN, None),
        "node-a",
        words=("is not known, because somaxconn could not be read",),
        absent=("let somaxconn be",),
    ),
    Case(
        "a program in a pod's network",
        "fail",
        waiting(129, SOMAXCONN, 128, netns="4026532281", pod_uid="909a2aa1-bf6a-4a8c-a274-3180ea640fb1"),
        "node-a",
        words=("java in a pod on port 8080", "its pod's own network namespace", "restart its container"),
        absent=("let somaxconn be", "ss -tlnp"),
    ),
    Case(
        "on a port that the kernel drew, whose number names nothing",
        "fail",
        waiting(129, port=41234),
        "node-a",
        words=("the accept queue of java is full",),
        absent=("java on port",),
    ),
    Case(
        "nobody was seen to hold it",
        "fail",
        waiting(129, name=None),
        "node-a",
        words=("the accept queue of an unseen process on port 8080 is full",),
    ),
    Case(
        "a hostile name",
        "fail",
        waiting(129, name=HOSTILE, unit=f"{HOSTILE}.service"),
        "node-a",
        "critical",
        # No unit of systemd has such a name, so that no command names it.
        commands=("ss -tlnp sport = :8080",),
    ),
    Case(
        "dockerd, with which all containers may stop",
        "fail",
        waiting(129, name="dockerd", port=2375, unit="docker.service"),
        "node-a",
        words=("without live-restore every container of the machine stops with dockerd", "restart docker.service"),
        absent=("systemctl",),
    ),
    Case(
        "etcd, which needs a majority",
        "fail",
        waiting(129, name="etcd", port=2379, unit="etcd.service"),
        "node-a",
        words=("one control-plane node after the other", "without a majority of etcd's members the API is away"),
        commands=("systemctl restart etcd.service",),
    ),
    Case(
        "a socket unit, which systemd itself holds",
        "fail",
        waiting(129, name="systemd", port=22, unit="init.scope"),
        "node-a",
        words=("restart the socket unit",),
        absent=("restart init.scope",),
    ),
    Case(
        "a session, which nothing restarts",
        "fail",
        waiting(129, unit="session-3.scope"),
        "node-a",
        words=("restart java, which empties the queue",),
        absent=("restart session",),
    ),
    Case(
        "both families of one program are one fault",
        "fail",
        alone(
            quiet(
                queues=[
                    queue(8080, length=129),
                    queue(8080, length=200, family="ipv6", address="::", inode=7),
                ]
            )
        ),
        "node-a",
        "critical",
        words=("0.0.0.0:8080/tcp", "[::]:8080/tcp"),
    ),
    Case(
        "kube-proxy before 1.24 never accepts from its NodePorts",
        "fail",
        waiting(129, name="kube-proxy", port=30080),
        "node-a",
        "warning",
        words=("this harms nobody once they are there",),
        absent=("find out what keeps the program",),
    ),
    Case("a CPU that is stolen and wanted", "fail", busy(waiting(129)), "node-a", causes=("run-queue-long",)),
    Case(
        "a control plane with one CPU, which had no time to spare",
        "fail",
        waiting(129, "host_pressure.cpus.online", 1, "host_pressure.cpu.idle", 0.15, "host_pressure.cpu.iowait", 0.05),
        "node-a",
        causes=("control-plane-single-cpu",),
    ),
    Case(
        "a control plane with one CPU, which was not seen at work",
        "fail",
        waiting(129, "host_pressure.cpus.online", 1, "host_pressure.cpu", None),
        "node-a",
        causes=(),
    ),
    Case(
        "a control plane with one idle CPU, and a program that hangs",
        "fail",
        waiting(129, "host_pressure.cpus.online", 1, "host_pressure.cpu.idle", 0.25, "host_pressure.cpu.iowait", 0.0),
        "node-a",
        causes=(),
    ),
    Case(
        "another busy share",
        "fail",
        alone(
            quiet(
                queues=[queue(8080, length=129)],
                changes=("host_pressure.cpus.online", 1, "host_pressure.cpu.idle", 0.25, "host_pressure.cpu.iowait", 0),
            ),
            thresholds={"cpu_busy_share": 0.75},
        ),
        "node-a",
        causes=("control-plane-single-cpu",),
    ),
    Case(
        "CPU steal",
        "fail",
        waiting(129, "host_pressure.cpu.steal", 0.41),
        "node-a",
        causes=("cpu-steal",),
    ),
    Case(
        "a program without file handles",
        "fail",
        waiting(129, "tcp_states.limits.processes", [*open_files(1020, 1024), *open_files(64, 1024, pid=1)]),
        "node-a",
        causes=("file-handles-near-limit",),
    ),
    Case(
        "another program without file handles",
        "fail",
        waiting(129, "tcp_states.limits.processes", open_files(1020, 1024, pid=1)),
        "node-a",
        causes=(),
    ),
    Case(
        "a machine without file handles",
        "fail",
        waiting(
            129,
            *("tcp_states.limits.files", {"open": 95, "max": 100}),
            *("host_pressure.files", {"open": 95, "max": 100}),
        ),
        "node-a",
        causes=("file-handles-near-limit",),
    ),
    Case(
        "overflows, and no queue is full",
        "fail",
        alone(growing(quiet(queues=[queue(8080, length=3), queue(81, "nginx", 40)]), ListenOverflows=7, ListenDrops=9)),
        "node-a",
        "warning",
        words=(
            "an accept queue overflowed while this node was looked at",
            "These counters belong to the whole network namespace",
            "Nearest to its limit is nginx on port 81",
            "ListenOverflows of this network namespace: 7 since it began, 7 of them in the last 2 s",
        ),
    ),
    Case(
        "overflows, and all queues are empty",
        "fail",
        alone(growing(captured("node-a"), ListenOverflows=7, ListenDrops=7)),
        "node-a",
        words=("No listener had anything in its queue",),
    ),
    Case(
        "overflows, while only a queue in a pod is full",
        "fail",
        alone(growing(quiet(queues=[queue(8080, length=129, netns="4026532281")]), ListenOverflows=7)),
        "node-a",
        words=("an accept queue overflowed while this node was looked at", "java in a pod"),
    ),
    Case(
        "drops that are no overflow",
        "fail",
        alone(growing(captured("node-a"), ListenDrops=2)),
        "node-a",
        "warning",
        words=("new connections were dropped while this node was looked at", "No accept queue overflowed"),
    ),
    Case(
        "overflows, and the backend shows no backlog",
        "fail",
        alone(sick("tcp-sick-procfs")),
        "node-a",
        "warning",
        words=("Most connections wait for java on port 8080; how many its queue takes is not shown here",),
    ),
    Case("as quiet as captured", "pass", live(), "node-a"),
    Case(
        "overflows of yesterday",
        "pass",
        live(OVERFLOWS, 202, "tcp_states.counters.ListenDrops", 202),
        "node-a",
    ),
    Case(
        "connections wait, and the backend shows no backlog",
        "unknown",
        waiting(3, "tcp_states.backend", "procfs", backlog=None),
        "node-a",
        words=("connections wait in the accept queue of java on port 8080", "not shown by the backend procfs"),
    ),
    Case(
        "nobody waits, and the backend shows no backlog",
        "pass",
        waiting(0, "tcp_states.backend", "procfs", backlog=None),
        "node-a",
    ),
    Case(
        "a connection that waited for a moment, and no backlog",
        "pass",
        waiting(1, "tcp_states.backend", "procfs", backlog=None, before=0),
        "node-a",
    ),
    Case(
        "a backend that shows no queues",
        "unknown",
        waiting(0, "tcp_states.backend", "psutil", queue=None, backlog=None),
        "node-a",
        words=("not shown by the backend psutil",),
    ),
    Case(
        "overflows since the beginning, and one sample",
        "unknown",
        live(OVERFLOWS, 202, "tcp_states.growth", None),
        "node-a",
        words=("202 connections lost", "set collect_sample_seconds above 0"),
    ),
    Case("no overflows at all, and one sample", "pass", live("tcp_states.growth", None), "node-a"),
    Case(
        "counters could not be read",
        "unknown",
        live(
            *(OVERFLOWS, None),
            *("tcp_states.missing", [{"what": "/proc/net/netstat", "why": "Permission denied"}]),
        ),
        "node-a",
        words=("/proc/net/netstat: Permission denied",),
    ),
    Case(
        "listeners were left out, all emptier than those that were told",
        "pass",
        live("tcp_states.truncated.accept_queues", 5115),
        "node-a",
    ),
    Case(
        "listeners were left out, and the last one told is half full",
        "unknown",
        live(
            *("tcp_states.accept_queues", [queue(8080, length=64, before=0)]),
            *("tcp_states.truncated.accept_queues", 9),
        ),
        "node-a",
        words=("9 more listeners were not told",),
    ),
    Case(
        "no listener was told of all",
        "unknown",
        live("tcp_states.accept_queues", [], "tcp_states.truncated.accept_queues", 9),
        "node-a",
    ),
    Case(
        "pods could not be looked at",
        "unknown",
        live(snapshot=gap(quiet(), "tcp_states", "network namespaces", "run with become (-b)")),
        "node-a",
        words=("network namespaces: run with become (-b)",),
    ),
    *unknowns(("tcp_states",)),
]
