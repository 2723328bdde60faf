# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import functools

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    changed,
    live,
    unknowns,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.tcp_scene import (
    alone,
    on,
    queue,
    sick,
    with_queues,
)

SOMAXCONN = "tcp_states.limits.somaxconn"


def host(*queues, somaxconn=4096):
    """A host on which these programs listen, besides the quiet ones."""
    return functools.partial(_with, queues, somaxconn)


def _with(queues, somaxconn, snapshot):
    snapshot = changed(snapshot, "tcp_states.accept_queues", [])
    return changed(with_queues(snapshot, *queues), SOMAXCONN, somaxconn)


def kubelet(backlog, **fields):
    return queue(10255, "kubelet", backlog=backlog, unit="kubelet.service", **fields)


NGINX = [queue(80, "nginx", backlog=backlog) for backlog in (511, 128)]
DRAWN = ((40001, 128), (40002, 4096), (40003, 4096))
IPV6 = {"family": "ipv6", "address": "::"}
FAMILIES = [queue(80, "nginx", backlog=128), queue(80, "nginx", backlog=511, **IPV6)]
NGINX_UNIT = {"pid": 7, "name": "nginx", "unit": "nginx.service", "container_id": None, "pod_uid": None}
USUAL = host(kubelet(32768), somaxconn=32768)


def changes_to_left_out(snapshot):
    """As usual, with more listeners than were told."""
    return changed(USUAL(snapshot), "tcp_states.truncated.accept_queues", 5115)


CASES = [
    Case(
        "kubelet was not restarted after somaxconn was raised",
        "fail",
        on(host(kubelet(128), somaxconn=32768), USUAL, USUAL),
        "node-a",
        "warning",
        words=(
            "kubelet has a smaller backlog here than on most nodes (128 against 32768)",
            (
                "32768 here today, which leaves room for what most nodes have: either it was raised after the program began to listen, or the "
                "program asks for less here"
            ),
            "only where the configuration is the same",
            "2 of 3 hosts have 32768",
            "a burst that other nodes take is cut off here",
        ),
        commands=("systemctl restart kubelet.service",),
    ),
    Case(
        "somaxconn was raised everywhere but here",
        "fail",
        on(host(kubelet(128), somaxconn=128), USUAL, USUAL),
        "node-a",
        "warning",
        words=(
            "This node's net.core.somaxconn is 128 as well, so most likely that is what limits the backlog here",
            "let somaxconn be 32768",
        ),
        commands=("printf '\\n%s\\n' 'net.core.somaxconn = 32768' >> /etc/sysctl.d/60-somaxconn.conf",),
    ),
    Case(
        "somaxconn was lowered here since",
        "fail",
        on(host(kubelet(4096), somaxconn=128), USUAL, USUAL),
        "node-a",
        words=("it was lowered after the program began to listen, and the backlog would be no more than that",),
    ),
    Case(
        "somaxconn was lowered everywhere, and kubelet not restarted here",
        "fail",
        on(host(kubelet(32768), somaxconn=4096), *2 * [host(kubelet(4096))]),
        "node-a",
        "info",
        words=(
            "a larger backlog here than on most nodes (32768 against 4096)",
            "it was lowered after the program began to listen",
            "A larger backlog does no harm by itself",
        ),
        absent=("restart kubelet",),
    ),
    Case(
        "a program that asks for less here",
        "fail",
        on(host(NGINX[1]), host(NGINX[0]), host(NGINX[0])),
        "node-a",
        words=(
            "nginx has a smaller backlog here than on most nodes (128 against 511)",
            "4096 here today, which leaves room for what most nodes have: either it was raised",
            "nothing where the program asks for less",
        ),
        commands=("sysctl net.core.somaxconn", "ss -tln sport = :80"),
    ),
    Case(
        "somaxconn could not be read",
        "fail",
        on(host(NGINX[1], somaxconn=None), host(NGINX[0]), host(NGINX[0])),
        "node-a",
        words=("Why is not known, because somaxconn could not be read",),
    ),
    Case(
        "all ports of one program are one fault",
        "fail",
        on(
            host(kubelet(128), queue(10250, "kubelet", backlog=128), somaxconn=32768),
            *2 * [host(kubelet(32768), queue(10250, "kubelet", backlog=32768), somaxconn=32768)],
        ),
        "node-a",
        "warning",
        words=("0.0.0.0:10255/tcp", "0.0.0.0:10250/tcp"),
    ),
    Case(
        "somaxconn explains neither number",
        "fail",
        on(host(NGINX[1], somaxconn=256), host(NGINX[0]), host(NGINX[0])),
        "node-a",
        words=("256 here and explains neither number", "or somaxconn was another when it began to listen"),
        absent=("restart", "let somaxconn be"),
    ),
    Case("equal hosts, with another backlog for each family", "pass", on(*3 * [host(*FAMILIES)]), "node-a"),
    Case("the same, from the other end", "pass", on(*3 * [host(*FAMILIES)]), "node-c"),
    Case("without IPv6, and equal else", "pass", on(host(FAMILIES[0]), *2 * [host(*FAMILIES)]), "node-a"),
    Case(
        "the families' backlogs are swapped",
        "fail",
        on(
            host(*(queue(80, "nginx", backlog=size, **family) for size, family in ((511, {}), (128, IPV6)))),
            *2 * [host(*FAMILIES)],
        ),
        "node-a",
        "warning",
        words=("[::]:80/tcp", "0.0.0.0:80/tcp"),
    ),
    Case(
        "several sockets of one family, of which one is missing here",
        "pass",
        on(host(NGINX[0]), *2 * [host(*NGINX)]),
        "node-a",
    ),
    Case(
        "listeners were left out",
        "unknown",
        on(changes_to_left_out, USUAL, USUAL),
        "node-a",
        words=("5115 more listeners were not told: their backlogs were not compared",),
    ),
    Case(
        "etcd is not restarted without a word on the others",
        "fail",
        on(*(host(queue(2379, "etcd", backlog=size, unit="etcd.service")) for size in (128, 4096, 4096))),
        "node-a",
        words=("without a majority of etcd's members the API is away",),
    ),
    Case(
        "a service in a container, of whose systemd the host's knows nothing",
        "fail",
        on(
            *(
                host(queue(80, processes=[{**NGINX_UNIT, "container_id": "a" * 64}], backlog=size))
                for size in (128, 4096, 4096)
            )
        ),
        "node-a",
        words=("restart nginx in its container",),
    ),
    Case("the others are as usual", "pass", on(host(kubelet(128), somaxconn=32768), USUAL, USUAL), "node-b"),
    Case("all alike", "pass", on(USUAL, USUAL, USUAL), "node-a"),
    Case("one against one: nobody knows which is odd", "pass", on(host(kubelet(128)), USUAL), "node-a"),
    Case("two against two", "pass", on(*2 * [host(kubelet(128))], USUAL, USUAL), "node-a"),
    Case("two against two, from the other side", "pass", on(*2 * [host(kubelet(128))], USUAL, USUAL), "node-c"),
    Case(
        "smaller on one port and larger on another",
        "fail",
        on(
            host(kubelet(128), queue(10250, "kubelet", backlog=32768)),
            *2 * [host(kubelet(4096), queue(10250, "kubelet", backlog=4096))],
        ),
        "node-a",
        "warning",
        words=("kubelet has a smaller backlog here than on most nodes (128, 32768 against 4096)",),
    ),
    Case(
        "fewer than must agree",
        "pass",
        on(host(kubelet(128)), USUAL, USUAL, thresholds={"backlog_hosts": 3}),
        "node-a",
    ),
    Case(
        "another program on the number",
        "pass",
        on(host(kubelet(128), queue(80, "httpd", backlog=511)), *2 * [host(kubelet(128), NGINX[1])]),
        "node-a",
    ),
    Case(
        "a pod's listener is another service",
        "pass",
        on(
            host(kubelet(128), queue(80, "nginx", backlog=511, netns="4026532281")), *2 * [host(kubelet(128), NGINX[1])]
        ),
        "node-a",
    ),
    Case(
        "random ports are compared by the program's role",
        "fail",
        on(*(host(queue(port, "containerd", backlog=size, address="127.0.0.1")) for port, size in DRAWN)),
        "node-a",
        words=("containerd has a smaller backlog",),
    ),
    Case(
        "random ports of an unknown program are not compared",
        "not_applicable",
        on(*(host(queue(40001, "java", backlog=backlog)) for backlog in (128, 4096, 4096))),
        "node-a",
    ),
    Case(
        "a hostile name",
        "fail",
        on(*(host(queue(80, "\x1b[2J\u202e", backlog=backlog)) for backlog in (128, 511, 511))),
        "node-a",
    ),
    Case("the only host", "not_applicable", live(), "node-a"),
    Case("nobody else runs it", "not_applicable", on(host(NGINX[0]), USUAL, USUAL), "node-a"),
    Case(
        "a backend that shows no backlog",
        "unknown",
        alone(sick("tcp-sick-procfs")),
        "node-a",
        words=("backlog: the backend procfs does not show them",),
    ),
    *unknowns(("tcp_states",)),
]
