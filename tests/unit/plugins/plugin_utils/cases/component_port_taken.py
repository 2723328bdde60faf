# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    contained,
    gap,
    live,
    no_node,
    seed,
    unknowns,
    with_socket,
    without_sockets,
)


def instead(port, name, **fields):
    """Another program holds a component's port."""
    return live(snapshot=with_socket(without_sockets(captured("node-a"), port), name, port=port, **fields))


GONE = {"pid": 7, "name": None, "unit": None, "container_id": None, "pod_uid": None}

CASES = [
    Case(
        "python3 on kubelet's port",
        "fail",
        instead(10250, "python3"),
        "node-a",
        "critical",
        words=("python3 holds 0.0.0.0:10250/tcp, the port of kubelet",),
        commands=("ss -tlnp sport = :10250",),
    ),
    Case("kube-scheduler's port on a control plane", "fail", instead(10259, "java"), "node-a", "critical"),
    Case(
        "kube-scheduler's port on a worker",
        "fail",
        live(
            "host.components", ["kubelet", "kube-proxy"], snapshot=with_socket(captured("node-a"), "java", port=10259)
        ),
        "node-a",
        "warning",
    ),
    Case(
        "bound, not listening",
        "fail",
        instead(10256, "java", state="bound"),
        "node-a",
        "critical",
        words=("bound, not listening",),
    ),
    Case("as they should be", "pass", live(), "node-a"),
    Case("k3s holds them all", "pass", instead(10250, "k3s-server"), "node-a"),
    Case(
        "a connection from such a port",
        "pass",
        live(snapshot=with_socket(without_sockets(captured("node-a"), 10250), "curl", port=10250, state="established")),
        "node-a",
    ),
    Case("UDP on the number", "pass", instead(10250, "java", protocol="udp", state="unconnected"), "node-a"),
    Case(
        "without root",
        "unknown",
        seed(sick="sick-as-nobody"),
        "sick",
        words=("who holds 0.0.0.0:10250/tcp, the port of kubelet",),
    ),
    Case(
        "root without CAP_SYS_PTRACE, or in a container, is told what is in the way",
        "unknown",
        live(
            snapshot=gap(
                with_socket(without_sockets(captured("node-a"), 10250), None, port=10250, hidden=True),
                "listen_ports",
                "processes",
                "1 sockets have no visible process; this is a container with its own pid namespace: run on the host",
            )
        ),
        "node-a",
        words=("the port of kubelet, could not be seen (processes: 1 sockets", "run on the host"),
        absent=("become",),
    ),
    Case(
        "the process ended while it was looked at",
        "unknown",
        instead(10250, "", processes=[GONE]),
        "node-a",
        words=("its process ended while it was looked at: run again",),
    ),
    Case(
        "listeners were cut off",
        "unknown",
        live(snapshot=gap(captured("node-a"), "listen_ports", "listeners", "6000 found, the first 5000 kept")),
        "node-a",
        words=("6000 found",),
    ),
    *unknowns(("host", "listen_ports")),
    no_node(),
    Case(
        "a container that sees the host's sockets and not its programs",
        "unknown",
        contained(),
        "bare",
        words=("processes: 1 sockets have no visible process",),
    ),
    Case("a container of its own network", "not_applicable", contained("127.0.0.11"), "bare"),
]
