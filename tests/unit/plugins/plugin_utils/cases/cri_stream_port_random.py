# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    gap,
    in_unit,
    live,
    no_node,
    runtime,
    seed,
    unknowns,
    with_socket,
    without_sockets,
)

MODE = "nodeport_conflict.proxy.mode"
LOCAL = "port_settings.kernel.sysctl.ip_local_port_range"
RESERVED = "port_settings.kernel.sysctl.ip_local_reserved_ports"
PORT = next(
    socket["port"] for socket in captured("node-a")["sections"]["listen_ports"]["listeners"] if socket["ephemeral"]
)
NONE = without_sockets(captured("node-a"), PORT)
RUNTIME = "port_settings.cri.runtimes.0"
PINNED = {
    "runtime": "containerd",
    "key": "stream_server_port",
    "value": str(PORT),
    "default": "0",
    "address": "127.0.0.1",
    "file": "/etc/containerd/config.toml",
    "fixed": True,
}

CASES = [
    Case(
        "containerd as captured",
        "fail",
        live(),
        "node-a",
        "warning",
        words=(
            "containerd CRI streaming server draws its port at random, and 7233 of the ports it may get are NodePorts",
            f"127.0.0.1:{PORT}/tcp LISTEN, held by containerd",
            "stream_server_port is not set, its default is 0",
            'stream_server_port = "10010"',
        ),
        causes=("nodeport-range-overlaps-ephemeral",),
    ),
    Case(
        "containerd in its unit, which a fix restarts",
        "fail",
        live(RUNTIME, runtime(), snapshot=in_unit(captured("node-a"), PORT, "containerd.service")),
        "node-a",
        commands=("ss -tlnp sport = :10010",),
    ),
    Case(
        "dockershim has no setting",
        "fail",
        live(snapshot=with_socket(NONE, "kubelet", port=33375, address="127.0.0.1")),
        "node-a",
        words=("kubelet (dockershim CRI streaming server) draws",),
        absent=("10010", "stream_server_port"),
    ),
    Case(
        "nftables mode, but on all addresses",
        "fail",
        live(
            MODE,
            "nftables",
            snapshot=with_socket(NONE, "cri-dockerd", port=33375, family="ipv6", address="::", v6only=False),
        ),
        "node-a",
    ),
    Case(
        "a fixed port that awaits a restart",
        "fail",
        live(RUNTIME, {**PINNED, "value": "10010"}),
        "node-a",
        "warning",
        words=(
            "is still on a random port: the fixed port 10010 that is set is not in force until a restart",
            "stream_server_port is 10010 (/etc/containerd/config.toml)",
            "already sets stream_server_port to 10010: restart containerd",
        ),
        absent=("draws its port at random", "It draws a new port at each start"),
    ),
    Case(
        "one of two containerds has a fixed port",
        "fail",
        live("port_settings.cri.runtimes", [{**PINNED, "value": "10010"}, {**PINNED, "value": "0", "fixed": False}]),
        "node-a",
        words=("draws its port at random",),
    ),
    Case("a mode that was not seen is no shelter", "fail", live(MODE, None), "node-a"),
    Case("nftables mode leaves loopback alone", "pass", live(MODE, "nftables"), "node-a"),
    Case("NodePorts are reserved", "pass", live(RESERVED, "30000-40000"), "node-a"),
    Case("drawn above the NodePort range", "pass", seed(), "healthy"),
    Case(
        "it has drawn one",
        "fail",
        seed(),
        "sick",
        "warning",
        words=("has drawn its port at random, and it is a Service's NodePort",),
        causes=("nodeport-range-overlaps-ephemeral",),
    ),
    Case(
        "pinned by the second of two configurations",
        "not_applicable",
        live("port_settings.cri.runtimes", [{**PINNED, "value": "10010"}, PINNED]),
        "node-a",
    ),
    Case("pinned inside of the ephemeral range", "not_applicable", live(RUNTIME, PINNED), "node-a"),
    Case(
        "pinned to 10010",
        "not_applicable",
        live(snapshot=with_socket(NONE, "containerd", port=10010, address="127.0.0.1")),
        "node-a",
    ),
    Case("no CRI runtime", "not_applicable", live(snapshot=NONE), "node-a"),
    Case("without root", "unknown", seed(sick="sick-as-nobody"), "sick", words=("sockets have no visible process",)),
    Case(
        "listeners were cut off",
        "unknown",
        live(snapshot=gap(NONE, "listen_ports", "listeners", "6000 found, the first 5000 kept")),
        "node-a",
        words=("6000 found",),
    ),
    Case(
        "the ephemeral range could not be read",
        "unknown",
        live(LOCAL, None),
        "node-a",
        words=("ip_local_port_range was not seen",),
    ),
    *unknowns(("host", "listen_ports", "nodeport_conflict", "port_settings")),
    no_node(),
]
