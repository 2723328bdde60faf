# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.plugins.module_utils import known_ports
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    BARE,
    Case,
    captured,
    contained,
    gap,
    in_unit,
    live,
    runtime,
    seed,
    unknowns,
    with_socket,
    without_sockets,
)

PORT = next(
    socket["port"] for socket in captured("node-a")["sections"]["listen_ports"]["listeners"] if socket["ephemeral"]
)
NONE = without_sockets(captured("node-a"), PORT)


def server(address, name="containerd", family="ipv4", port=PORT):
    return live(
        snapshot=with_socket(
            NONE, name, port=port, family=family, address=address, v6only=False if address == "::" else None
        )
    )


CASES = [
    Case(
        "containerd on all addresses",
        "fail",
        server("0.0.0.0"),
        "node-a",
        "warning",
        words=(
            "containerd CRI streaming server listens beyond this node, on 0.0.0.0",
            'set stream_server_address = "127.0.0.1"',
        ),
    ),
    Case(
        "containerd in its unit, which a fix restarts",
        "fail",
        live(
            "port_settings.cri.runtimes",
            [runtime(address="")],
            snapshot=in_unit(server("0.0.0.0").snapshots["node-a"], PORT, "containerd.service"),
        ),
        "node-a",
        commands=("ss -tlnp sport = :10010",),
    ),
    Case(
        "cri-dockerd's default",
        "fail",
        server("::", "cri-dockerd", "ipv6"),
        "node-a",
        "warning",
        words=("--streaming-bind-addr=127.0.0.1:10010",),
    ),
    Case(
        "a fixed port is as open",
        "fail",
        server("192.0.2.2", "crio", port=10010),
        "node-a",
        "warning",
        words=('stream_address = "127.0.0.1"',),
    ),
    Case(
        "a port that its configuration sets",
        "fail",
        live(
            snapshot=with_socket(
                NONE,
                "containerd",
                port=31000,
                known_as=known_ports.known_as(
                    "tcp", "0.0.0.0", 31000, ["containerd"], False, frozenset({("containerd", 31000)})
                ),
            )
        ),
        "node-a",
        "warning",
        words=("listens beyond this node, on 0.0.0.0", ":31000/tcp"),
    ),
    Case("containerd as captured", "pass", live(), "node-a"),
    Case("[::1]", "pass", server("::1", "containerd", "ipv6"), "node-a"),
    Case("IPv4 loopback in IPv6 clothes", "pass", server("::ffff:127.0.0.1", "containerd", "ipv6"), "node-a"),
    Case("no runtime, and all that run is visible", "not_applicable", BARE, "bare"),
    Case("a container that sees the host's sockets only", "unknown", contained(), "bare", words=("processes: ",)),
    Case("no CRI runtime", "not_applicable", live(snapshot=NONE), "node-a"),
    Case("without root", "unknown", seed(sick="sick-as-nobody"), "sick", words=("sockets have no visible process",)),
    Case(
        "listeners were cut off",
        "unknown",
        live(snapshot=gap(captured("node-a"), "listen_ports", "listeners", "6000 found, the first 5000 kept")),
        "node-a",
        words=("6000 found",),
    ),
    *unknowns(("listen_ports",)),
]
