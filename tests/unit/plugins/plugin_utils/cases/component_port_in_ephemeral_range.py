# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    changed,
    gap,
    live,
    no_node,
    seed,
    unknowns,
    with_socket,
)

LOCAL = "port_settings.kernel.sysctl.ip_local_port_range"
RESERVED = "port_settings.kernel.sysctl.ip_local_reserved_ports"
WIDE = changed(captured("node-a"), LOCAL, "1024\t65535")
FIXED = "6443,10248-10250,10256,30787"
ALL_OF_IT = (
    "printf '\\n%s\\n' 'net.ipv4.ip_local_reserved_ports = 6443,10248-10250,10256,30053,30080-30081,30787,31999,32530,35776' >> "
    "/etc/sysctl.d/60-nodeports.conf"
)

STREAM = next(
    socket["port"] for socket in captured("node-a")["sections"]["listen_ports"]["listeners"] if socket["ephemeral"]
)
PINNED = {
    "runtime": "containerd",
    "key": "stream_server_port",
    "value": str(STREAM),
    "default": "0",
    "address": "127.0.0.1",
    "file": "/etc/containerd/config.toml",
    "fixed": True,
    "edit": {"file": "/etc/containerd/config.toml", "section": '[plugins."io.containerd.grpc.v1.cri"]', "new": False},
}

CASES = [
    Case(
        "1024 65535 (tuned's)",
        "fail",
        live(snapshot=WIDE),
        "node-a",
        "warning",
        words=(
            "the kernel may give away fixed ports of this node: 6443, 10248, 10249, 10250, 10256, 30787",
            "net.ipv4.ip_local_port_range is 1024 65535",
            "0.0.0.0:10250/tcp LISTEN, held by kubelet",
        ),
        absent=("31999", "46553"),
        # NodePorts as well: the last list that is written wins, whichever finding it comes from.
        commands=(ALL_OF_IT,),
    ),
    Case(
        "some are reserved already",
        "fail",
        live(RESERVED, "6443,10240-10259", snapshot=WIDE),
        "node-a",
        words=("fixed ports of this node: 30787",),
    ),
    Case(
        "numbers tell without root, and there may be more",
        "fail",
        seed(LOCAL, "1024\t65535", sick="sick-as-nobody"),
        "sick",
        words=("6443",),
    ),
    Case(
        "a streaming port that is set in the range",
        "fail",
        live("port_settings.cri.runtimes", [PINNED]),
        "node-a",
        "warning",
        words=(f"fixed ports of this node: {STREAM}", "the fixed ports of programs"),
    ),
    Case(
        "where distributions pin it, though the setting was not seen",
        "fail",
        live(
            "port_settings.cri.runtimes",
            [],
            snapshot=changed(with_socket(captured("node-a"), "containerd", port=10010), LOCAL, "10001\t19999"),
        ),
        "node-a",
        words=("10010",),
        absent=(str(STREAM),),
    ),
    Case(
        "a streaming port that is set and reserved",
        "pass",
        live("port_settings.cri.runtimes", [PINNED], RESERVED, str(STREAM)),
        "node-a",
    ),
    Case("the kernel's default range", "pass", live(), "node-a"),
    Case("all are reserved", "pass", live(RESERVED, FIXED, snapshot=WIDE), "node-a"),
    Case("without root", "unknown", seed(sick="sick-as-nobody"), "sick", words=("sockets have no visible process",)),
    Case(
        "listeners were cut off",
        "unknown",
        live(snapshot=gap(captured("node-a"), "listen_ports", "listeners", "6000 found, the first 5000 kept")),
        "node-a",
        words=("6000 found",),
    ),
    Case(
        "the reserved ports could not be read",
        "unknown",
        live(RESERVED, None),
        "node-a",
        words=("ip_local_reserved_ports was not seen",),
    ),
    *unknowns(("host", "listen_ports", "port_settings")),
    no_node(),
]
