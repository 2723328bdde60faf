# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import functools

from ansible_collections.kubenode.doctor.tests.support import seed_003
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    Scene,
    gap,
    live,
    lost,
    unknowns,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.tcp_scene import (
    OTHER,
    alone,
    both_ends,
    group,
    held,
    no_api,
    on,
    other,
    queue,
    quiet,
    sick,
    two_nodes,
    with_groups,
    with_queues,
)

HOSTILE = "\x1b[2J\u202e'; rm -rf /"
OUTSIDE = "203.0.113.9"
UNREAD = {"never_read": 20, "leaked": 0, "never_accepted": 0}
MIXED = {"never_read": 8, "leaked": 12, "never_accepted": 0}
UNTOLD = {"never_read": 0, "leaked": 0, "never_accepted": 0}


def holds(process, count, *changes, queues=(), cluster=None, **fields):
    """node-a, quiet but for what one program holds."""
    ports = fields if {"local_port", "peer_port"} & fields.keys() else {**fields, "peer_port": 5432}
    return alone(quiet(held(process, count, **ports), queues=queues, changes=changes), cluster)


def each(process, count, **fields):
    """The same on any node."""
    return functools.partial(_with, held(process, count, peer_port=5432, **fields))


def _with(entry, snapshot):
    return with_groups(snapshot, entry)


def unaccepted(count, process="java", port=8080, **fields):
    """Connections that a listener never accepted."""
    causes = {"never_read": 0, "leaked": 0, "never_accepted": count}
    return held(process, count, local_port=port, causes=causes, **fields)


def files(opened, limit, name="java", pid=77):
    return [{"pid": pid, "name": name, "open": opened, "limit": limit}]


def stuck(process, port, **fields):
    """One sample of a group."""
    made = {
        "netns": "host",
        "state": "close_wait",
        "address": "192.0.2.2",
        "port": 40000,
        "peer": "192.0.2.3",
        "peer_port": port,
        "process": process,
        "pid": 77,
        "inode": 99,
        "age_seconds": 3725.0,
        "retransmits": 0,
        "unread": 0,
        "cause": "leaked",
        "persisted": True,
    }
    assert fields.keys() <= made.keys()
    return {**made, **fields}


def towards_b(*queues, section=None, groups=(), samples=(), **fields):
    """kube-apiserver of node-a leaks connections to node-b, on which these listen and close."""
    there = with_groups(with_queues(other(section="tcp-quiet"), *queues), *groups)
    there["sections"]["tcp_states"].update(section or {})
    here = quiet(held("kube-apiserver", 30, peer_port=10250, **fields), changes=("tcp_states.stuck", list(samples)))
    return Scene({"node-a": here, OTHER: there}, two_nodes())


def closing(peers, state="fin_wait2", process=None, **port):
    """The other end's half of closed connections."""
    return group(state, process, peers, **(port or {"local_port": 10250}))


CASES = [
    # Which fault, whose
    Case(
        "kube-apiserver leaks connections to kubelet, as captured",
        "fail",
        both_ends(),
        "node-a",
        "warning",
        words=(
            "kube-apiserver leaks connections to port 10250 (kubelet API): the other end has closed them, and it does not",
            "22 connections of kube-apiserver to port 10250 (kubelet API) in CLOSE-WAIT, the oldest 14 s old at least, 22 of them in both samples",
            "of these 0 whose end was never read, 22 read to the end and leaked, 0 never accepted",
            "Of these, the program has read the end (Recv-Q 0) and has not closed: it forgot its descriptor",
            "kubernetes issues 67913 and 67659",
            "the other end, node node-b: kubelet listens there; 25 connections with this node and port in FIN-WAIT there",
            "restart the API servers one after the other",
            "the descriptor that the program has leaked",
        ),
        absent=("java", "agent"),
        commands=("ss -K -t state close-wait dport = :10250", "kubectl get --raw '/readyz?verbose'"),
        causes=(),
    ),
    Case(
        "read without sock_diag, which shows no age",
        "fail",
        alone(sick("tcp-sick-procfs")),
        "node-a",
        words=("in CLOSE-WAIT, 22 of them in both samples",),
    ),
    Case(
        "a reader that is stuck",
        "fail",
        holds("java", 20, causes=UNREAD),
        "node-a",
        "warning",
        words=(
            "java does not notice that connections to port 5432 were closed at the other end",
            "Of these, the end that the other side sent is still unread (Recv-Q 1",
            "whoever should read is stuck",
            "restart java, which frees them until they come back",
        ),
        absent=("forgot its descriptor", "67913"),
    ),
    Case(
        "two causes, the larger first",
        "fail",
        holds("java", 20, causes=MIXED),
        "node-a",
        words=(
            "java leaks connections to port 5432",
            "of these 8 whose end was never read, 12 read to the end and leaked",
            "which is a bug of the program. Of some, the end that the other side sent is still unread",
        ),
    ),
    Case(
        "a listener that never accepted them",
        "fail",
        alone(quiet(unaccepted(20), queues=[queue(8080)])),
        "node-a",
        words=(
            "java never accepted connections that came in on port 8080, which the other end has closed since",
            "the listener is at fault, not the connections",
        ),
        absent=("ss -K", "106713"),
        causes=(),
    ),
    Case(
        "and whose accept queue is full",
        "fail",
        alone(quiet(unaccepted(70), queues=[queue(8080, length=70), queue(81, "nginx", length=129)])),
        "node-a",
        "warning",
        causes=("accept-queue-overflow",),
    ),
    Case(
        "a listener on a port that the kernel drew",
        "fail",
        alone(quiet(unaccepted(70, port=41234), queues=[queue(41234, length=70)])),
        "node-a",
        words=("java never accepted connections that came in on a random port",),
        causes=("accept-queue-overflow",),
    ),
    Case(
        "a listener that is gone",
        "fail",
        holds("java", 20, local_port=8080),
        "node-a",
        words=("java leaks connections that came in on port 8080",),
        commands=("ss -K -t state close-wait sport = :8080",),
    ),
    Case(
        "kube-proxy before 1.24 never accepts from its NodePorts",
        "fail",
        alone(quiet(unaccepted(600, "kube-proxy", 32368))),
        "node-a",
        "critical",
        words=("kubernetes issue 106713", "restart kube-proxy, which closes them, and upgrade it"),
        absent=("systemctl",),
    ),
    Case(
        "the backend does not tell causes",
        "fail",
        alone(quiet({**held("java", 20, peer_port=5432), "causes": None})),
        "node-a",
        words=("java holds connections to port 5432 that the other end has closed", "the backend does not show"),
        absent=("of these",),
    ),
    Case(
        "the cause of none is known",
        "fail",
        holds("java", 20, causes=UNTOLD),
        "node-a",
        words=("java holds connections to port 5432 that the other end has closed",),
    ),
    Case(
        "a program in a pod",
        "fail",
        holds("java", 20, netns="4026532281", peer_port=5432),
        "node-a",
        words=("java in a pod leaks connections",),
        absent=("let the kernel abort them",),
    ),
    Case(
        "nobody was seen to hold them",
        "fail",
        alone(gap(quiet(held(None, 20, peer_port=5432)), "tcp_states", "processes", "run with become (-b)")),
        "node-a",
        words=(
            "an unseen process leaks connections",
            "whose they are could not be seen (processes: run with become (-b))",
        ),
    ),
    Case(
        "a unit that can be restarted",
        "fail",
        holds(
            "java",
            20,
            *("tcp_states.stuck", [stuck("java", 5432)]),
            queues=[
                queue(
                    8080,
                    processes=[
                        {"pid": 77, "name": "java", "unit": "java.service", "container_id": None, "pod_uid": None}
                    ],
                )
            ],
        ),
        "node-a",
        words=("restart java.service", "192.0.2.2:40000 with 192.0.2.3:5432, 62 min without a word"),
        commands=("systemctl restart java.service",),
    ),
    Case(
        "dockerd, with which all containers may stop",
        "fail",
        holds(
            "dockerd",
            20,
            *("tcp_states.stuck", [stuck("dockerd", 5432)]),
            queues=[
                queue(
                    2375,
                    processes=[
                        {"pid": 77, "name": "dockerd", "unit": "docker.service", "container_id": None, "pod_uid": None}
                    ],
                )
            ],
        ),
        "node-a",
        words=("without live-restore every container of the machine stops with dockerd",),
        absent=("its connections are cut",),
    ),
    Case(
        "samples tell what is unread, and are of this group only",
        "fail",
        holds("java", 20, "tcp_states.stuck", [stuck("java", 5432, unread=3), stuck("perl", 5432, peer="192.0.2.66")]),
        "node-a",
        words=("62 min without a word, 3 bytes unread",),
        absent=("192.0.2.66",),
    ),
    Case("a hostile name", "fail", holds(HOSTILE, 20, "tcp_states.stuck", [stuck(HOSTILE, 5432)]), "node-a"),
    # How many, how old
    Case("nineteen", "pass", holds("java", 19), "node-a"),
    Case("twenty", "fail", holds("java", 20), "node-a", "warning"),
    Case("twenty, of which one is new", "pass", holds("java", 20, persisted=19), "node-a"),
    Case("twenty new ones", "pass", holds("java", 20, oldest=2.0, persisted=0), "node-a"),
    Case("no age is shown, and all are new", "pass", holds("java", 600, oldest=None, persisted=0), "node-a"),
    Case("held for nine seconds", "pass", holds("java", 600, oldest=9.9), "node-a"),
    Case("held for ten seconds", "fail", holds("java", 20, oldest=10.0), "node-a"),
    Case(
        "an age, and no second sample",
        "fail",
        alone(quiet({**held("java", 20, peer_port=5432), "persisted": None})),
        "node-a",
        absent=("in both samples",),
    ),
    Case(
        "another count",
        "fail",
        alone(quiet(held("java", 5, peer_port=1)), thresholds={"close_wait_count": 5}),
        "node-a",
    ),
    Case(
        "another age",
        "pass",
        alone(quiet(held("java", 20, peer_port=1)), thresholds={"close_wait_seconds": 7200}),
        "node-a",
    ),
    Case("five hundred", "fail", holds("java", 500), "node-a", "critical"),
    Case(
        "another critical count",
        "fail",
        alone(quiet(held("java", 100, peer_port=1)), thresholds={"close_wait_count_critical": 100}),
        "node-a",
        "critical",
    ),
    Case(
        "a fifth of the files that the program may open",
        "fail",
        holds("java", 205, "tcp_states.limits.processes", files(300, 1024)),
        "node-a",
        "critical",
        words=("java has 300 of 1024 possible open files; these connections are 205, 20 % of the limit",),
    ),
    Case(
        "less than a fifth",
        "fail",
        holds("java", 204, "tcp_states.limits.processes", files(300, 1024)),
        "node-a",
        "warning",
        words=("these connections are 204, 19 % of the limit",),
    ),
    Case(
        "few, but a fifth of the files that the program may open",
        "fail",
        holds("java", 13, "tcp_states.limits.processes", files(60, 64)),
        "node-a",
        "critical",
    ),
    Case(
        "connections that nobody accepted cost no files",
        "fail",
        alone(quiet(unaccepted(205), changes=("tcp_states.limits.processes", files(300, 1024)))),
        "node-a",
        "warning",
    ),
    Case(
        "the process of the samples, not another of its name",
        "fail",
        holds(
            "java",
            205,
            *("tcp_states.limits.processes", [*files(100, 256, pid=1), *files(300, 65536)]),
            *("tcp_states.stuck", [stuck("java", 5432)]),
        ),
        "node-a",
        "warning",
        words=("300 of 65536 possible open files",),
    ),
    Case(
        "the process of the name that is nearest to its limit",
        "fail",
        holds("java", 205, "tcp_states.limits.processes", [*files(300, 65536), *files(300, 1024, pid=1)]),
        "node-a",
        "critical",
        words=("300 of 1024 possible open files",),
    ),
    Case(
        "an unlimited process",
        "fail",
        holds("java", 205, "tcp_states.limits.processes", files(300, None)),
        "node-a",
        "warning",
    ),
    Case(
        "the worst of several pods counts, not their sum",
        "pass",
        alone(quiet(*(held("java", 19, peer_port=5432, netns=str(4026532281 + pod)) for pod in range(3)))),
        "node-a",
    ),
    Case(
        "the worst of several pods leaks",
        "fail",
        alone(quiet(*(held("java", 20 - pod, peer_port=5432, netns=str(4026532281 + pod)) for pod in range(3)))),
        "node-a",
        "warning",
    ),
    Case("few, but the same on three hosts", "fail", on(*3 * [each("java", 3)]), "node-b", "warning"),
    Case("ones and twos, on every host", "pass", on(*8 * [each("java", 2)]), "node-b"),
    Case(
        "ones, when one is enough",
        "fail",
        on(*3 * [each("java", 1)], thresholds={"shared_count": 1}),
        "node-b",
    ),
    Case("few, on three hosts of eight", "pass", on(*3 * [each("java", 3)], *5 * [each("perl", 1)]), "node-b"),
    Case("few, on half of eight hosts", "fail", on(*4 * [each("java", 3)], *4 * [each("perl", 1)]), "node-b"),
    Case(
        "few, on three hosts of eight, when a third is enough",
        "fail",
        on(*3 * [each("java", 3)], *5 * [each("perl", 1)], thresholds={"close_wait_hosts_share": 0.33}),
        "node-b",
    ),
    Case("few, and the same on two hosts", "pass", on(*2 * [each("java", 3)]), "node-a"),
    Case(
        "few on two hosts, when two are enough",
        "fail",
        on(*2 * [each("java", 3)], thresholds={"close_wait_hosts": 2}),
        "node-a",
    ),
    Case(
        "few on three hosts, about to be closed",
        "pass",
        on(*3 * [each("java", 2, oldest=1.0, persisted=0)]),
        "node-a",
    ),
    # The other end
    Case(
        "the other end has closed and forgotten them",
        "fail",
        towards_b(),
        "node-a",
        words=(
            (
                "the other end, node node-b: kubelet listens there; none of these connections are in FIN-WAIT in the own network there: that end has "
                "forgotten them, or they are a pod's there, behind the node's address (SNAT, NodePort)"
            ),
        ),
    ),
    Case(
        "the other end is about to forget them",
        "fail",
        towards_b(groups=[closing({"192.0.2.2": 30})]),
        "node-a",
        words=("30 connections with this node and port in FIN-WAIT there, closed within the last minute",),
    ),
    Case(
        "the other end has open connections with this node and port",
        "fail",
        towards_b(groups=[closing({"192.0.2.2": 25}, "established", "kubelet")]),
        "node-a",
        words=(
            "25 connections with this node and port ESTABLISHED there: these are others, or something between the two",
        ),
        absent=("forgotten",),
    ),
    Case(
        "and waits for the acknowledgement of some",
        "fail",
        towards_b(groups=[closing({"192.0.2.2": 2}), closing({"192.0.2.2": 1}, "fin_wait1", "kubelet")]),
        "node-a",
        words=("3 connections with this node and port in FIN-WAIT there",),
    ),
    Case(
        "the other end closes others' connections, and others of this node",
        "fail",
        towards_b(groups=[closing({"192.0.2.9": 30}), closing({"192.0.2.2": 4}, local_port=9100)]),
        "node-a",
        words=("none of these connections are in FIN-WAIT in the own network there",),
    ),
    Case(
        "the other end has more in FIN-WAIT than were told",
        "fail",
        towards_b(groups=[{**closing({"192.0.2.9": 3}), "count": 30, "peers": 20}]),
        "node-a",
        words=("whether these connections are still there is not known",),
        absent=("forgotten",),
    ),
    Case(
        "nobody listens there any more",
        "fail",
        towards_b(section={"accept_queues": []}),
        "node-a",
        words=("node node-b: nobody listens on port 10250 there",),
    ),
    Case(
        "who listens there could not be seen",
        "fail",
        towards_b(section={"accept_queues": [queue(10250, None)]}),
        "node-a",
        words=("node node-b: an unseen process listens there",),
    ),
    Case(
        "the other end was not looked at",
        "fail",
        Scene(
            {
                "node-a": quiet(held("java", 20, peer_port=5432)),
                OTHER: lost(other(), "tcp_states", "tcp_states", "the budget ended"),
            },
            two_nodes(),
        ),
        "node-a",
        words=("the other end, node node-b: the connections there were not looked at",),
    ),
    Case(
        "a host that the cluster does not list",
        "fail",
        Scene({"node-a": quiet(held("java", 20, peer_port=10250)), OTHER: other()}, no_api()),
        "node-a",
        words=("the other end, host node-b: kubelet listens there",),
    ),
    Case(
        "clients of this node, at the other end",
        "fail",
        Scene(
            {
                "node-a": quiet(held("java", 20, local_port=8080), queues=[queue(8080)]),
                OTHER: with_groups(other(section="tcp-quiet"), closing({"192.0.2.2": 20}, peer_port=8080)),
            },
            two_nodes(),
        ),
        "node-a",
        words=(
            "java leaks connections that came in on port 8080",
            "the other end, node node-b: 20 connections with this node and port in FIN-WAIT",
        ),
        absent=("listens there",),
    ),
    Case(
        "both ends on this host",
        "fail",
        alone(
            quiet(
                held("java", 20, peer="127.0.0.1", peer_port=9000),
                group("fin_wait2", None, {"127.0.0.1": 20}, local_port=9000),
                queues=[queue(9000, "python3", address="127.0.0.1")],
            )
        ),
        "node-a",
        words=("the other end, this host itself: python3 listens there; 20 connections",),
    ),
    Case(
        "both ends on this host, by its address",
        "fail",
        alone(quiet(held("java", 20, peer="192.0.2.2", peer_port=10250))),
        "node-a",
        words=("the other end, this host itself: kubelet listens there; none of these connections are in FIN-WAIT",),
    ),
    Case(
        "a pod's connections, seen at the other end by the pod's address",
        "fail",
        towards_b(
            groups=[closing({"10.244.0.19": 30})],
            netns="4026532281",
            samples=[stuck("kube-apiserver", 10250, netns="4026532281", address="10.244.0.19")],
        ),
        "node-a",
        words=("kube-apiserver in a pod", "30 connections with this node and port in FIN-WAIT there"),
    ),
    Case(
        "a pod's connections, under an address that nobody tells",
        "fail",
        towards_b(netns="4026532281"),
        "node-a",
        words=("is not known, because a pod's address may have been translated",),
        absent=("forgotten",),
    ),
    Case(
        "other ends that are pods, Services and strangers",
        "fail",
        alone(
            quiet(
                group(
                    "close_wait",
                    "java",
                    {"10.244.0.19": 9, "10.96.146.107": 8, OUTSIDE: 7},
                    peer_port=80,
                    oldest_seconds=60.0,
                    persisted=24,
                    causes={"never_read": 0, "leaked": 24, "never_accepted": 0},
                )
            )
        ),
        "node-a",
        words=(
            "10.244.0.19 (pod reddit-entry/ui-5b667475f5-7r54x on node node-a): 9",
            "10.96.146.107 (Service shop/front): 8",
            "203.0.113.9 (named by no Node, Service or EndpointSlice): 7",
        ),
    ),
    Case(
        "a stranger, when the cluster is not known",
        "fail",
        holds("java", 20, peer=OUTSIDE, peer_port=80, cluster=no_api()),
        "node-a",
        words=("203.0.113.9 (not known whose): 20",),
    ),
    Case(
        "more peers than were told",
        "fail",
        alone(quiet({**held("java", 20, peer_port=5432), "peers": 12})),
        "node-a",
        words=("11 more peers were not looked at",),
    ),
    # Seed 003
    Case(
        "seed 003: 46 of the master's kube-apiserver",
        "fail",
        Scene(seed_003.snapshots(), seed_003.cluster()),
        seed_003.MASTER,
        "warning",
        words=(
            "46 connections of kube-apiserver to port 10250 (kubelet API) in CLOSE-WAIT, 46 of them in both samples",
            "node ip-10-3-63-151.cn-north-1.compute.internal",
        ),
    ),
    Case(
        "seed 003: none of a worker's",
        "pass",
        Scene(seed_003.snapshots(), seed_003.cluster()),
        seed_003.WORKER,
    ),
    # What was not seen
    Case("as quiet as captured", "pass", live(), "node-a"),
    Case(
        "nothing tells an age",
        "unknown",
        alone(quiet({**held("java", 20, peer_port=5432, oldest=None), "persisted": None})),
        "node-a",
        words=("java has 20 connections in CLOSE-WAIT", "set collect_sample_seconds above 0"),
    ),
    Case(
        "nothing tells an age, of few",
        "pass",
        alone(quiet({**held("java", 19, peer_port=5432, oldest=None), "persisted": None})),
        "node-a",
    ),
    Case(
        "small groups were not told",
        "unknown",
        live("tcp_states.states.close_wait", 20),
        "node-a",
        words=("20 connections in CLOSE-WAIT are in groups too small to be told",),
    ),
    Case("a few small groups were not told", "pass", live("tcp_states.states.close_wait", 19), "node-a"),
    Case(
        "pods could not be looked at",
        "unknown",
        live(snapshot=gap(quiet(), "tcp_states", "network namespaces", "run with become (-b)")),
        "node-a",
        words=("network namespaces: run with become (-b)",),
    ),
    *unknowns(("host", "tcp_states")),
]
