# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Case
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.service_scene import (
    HOSTILE,
    container,
    listens,
    made,
    on_node_a,
    only,
    pod,
    port,
    seen_of,
    service,
    target_unknowns,
)

PATCH = (
    "kubectl -n shop patch service dns --type=json -p '"
    '[{"op": "test", "path": "/spec/ports/0/protocol", "value": "TCP"}, {"op": "replace", "path": "/spec/ports/0/protocol", "value": "UDP"}]\''
)
DNS = service("dns", port(53, 5353, node_port=30053))


def udp(address="0.0.0.0", **fields):
    return listens(5353, address, "udp", **fields)


CASES = [
    Case(
        "TCP for a program that listens on UDP: a port without protocol",
        "fail",
        made(DNS, pod("dns-1", udp(process="coredns"))),
        None,
        "critical",
        words=(
            "Service shop/dns, NodePort 30053/TCP refuses connections: its pod listens on 5353 for UDP only, and the Service sends TCP",
            "it listens on 0.0.0.0:5353/udp (process coredns, container dns)",
            "let port 53 of the Service be UDP in place of TCP, or the program listen on TCP",
        ),
        commands=(PATCH,),
        causes=(),
    ),
    Case(
        "UDP for a program that listens on TCP",
        "fail",
        made(service("dns", port(53, 5353, protocol="UDP")), pod("dns-1", listens(5353))),
        None,
        "critical",
        words=("port 53/UDP gives no answer: its pod listens on 5353 for TCP only, and the Service sends UDP",),
    ),
    Case(
        "the captured Service that wants both, had its pods one of them",
        "fail",
        on_node_a(
            *(seen_of(name, listeners=[udp()]) for name in ("front-6559f5d576-nzsjv", "front-6559f5d576-ctfs7")),
            of=only("dns"),
        ),
        None,
        "warning",
        words=(
            "Service shop/dns, NodePort 30053/TCP refuses connections: its 2 pods listen on 5353 for UDP only, and the Service sends TCP",
            "the Service has port 53/UDP too: take 53/TCP out of it, or let the program listen on TCP as well",
        ),
        absent=("in place of",),
    ),
    Case(
        "the port is wanted by name, which goes with the protocol",
        "fail",
        made(
            service("dns", port(53, "dns")),
            pod("dns-1", udp(), containers=[container("dns", ports=[("dns", 5353)])]),
        ),
        None,
        words=("let port 53 of the Service be UDP",),
        absent=("kubectl -n shop patch service",),
    ),
    Case(
        "one of two pods",
        "fail",
        made(DNS, pod("dns-1", udp()), pod("dns-2", listens(5353))),
        None,
        "warning",
        words=("refuses a part of its connections: 1 of its 2 pods listens on 5353 for UDP only",),
        absent=("kubectl -n shop patch service",),
    ),
    Case(
        "the other protocol, and on loopback: a patch would not do",
        "fail",
        made(DNS, pod("dns-1", udp("127.0.0.1"))),
        None,
        words=("it listens on 127.0.0.1:5353/udp",),
        absent=("kubectl -n shop patch service",),
    ),
    Case("the healthy twin", "pass", made(DNS, pod("dns-1", listens(5353))), None),
    Case(
        "both protocols",
        "pass",
        made(
            service("dns", port(53, 5353, name="a"), port(53, 5353, name="b", protocol="UDP")),
            pod("dns-1", udp(), listens(5353)),
        ),
        None,
    ),
    Case("the captured cluster, where nobody listens on either", "pass", on_node_a(), None),
    Case(
        "hostile names",
        "fail",
        made(
            {**DNS, "name": HOSTILE, "namespace": HOSTILE},
            pod(HOSTILE, udp(process=HOSTILE), app="dns", namespace=HOSTILE, containers=[container(HOSTILE, HOSTILE)]),
        ),
        None,
        absent=("kubectl -n",),
    ),
    *target_unknowns(),
]
