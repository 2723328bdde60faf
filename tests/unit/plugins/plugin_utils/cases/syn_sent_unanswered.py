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
    kubernetes_136,
    live,
    lost,
    unknowns,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.tcp_scene import (
    OTHER,
    alone,
    both_ends,
    dialling,
    group,
    no_api,
    on,
    other,
    queue,
    quiet,
    sick,
    two_nodes,
    with_groups,
    with_node,
    with_queues,
    without,
)

DEAD = [f"192.0.2.{number}" for number in range(201, 207)]
OUTSIDE = "203.0.113.9"
HOSTILE = "\x1b[2J\u202e'; rm -rf /"


def dials(process, port, peers, *changes, cluster=None, **fields):
    """node-a, quiet but for one program that dials in vain."""
    return alone(quiet(dialling(process, port, peers, **fields), changes=changes), cluster)


def each(process, port, peers, **fields):
    """The same on any node."""
    return functools.partial(_with, dialling(process, port, peers, **fields))


def _with(entry, snapshot):
    return with_groups(snapshot, entry)


def towards_b(*queues, port=8080, section=None):
    """node-a dials node-b, on which these listen."""
    there = with_queues(other(section="tcp-quiet"), *queues)
    there["sections"]["tcp_states"].update(section or {})
    return Scene({"node-a": quiet(dialling("client", port, {"192.0.2.3": 5})), OTHER: there}, two_nodes())


def cut(scene, *peers):
    """More peers than were told."""
    entry = scene.snapshots["node-a"]["sections"]["tcp_states"]["groups"][0]
    entry.update(peers=entry["peers"] + len(peers), count=entry["count"] + len(peers))
    scene.snapshots["node-a"]["sections"]["tcp_states"]["states"]["syn_sent"] += len(peers)
    return scene


def of_another_cluster(*names):
    """The captured cluster, which has other Nodes."""
    cluster = kubernetes_136()
    cluster["nodes"] = [
        {**cluster["nodes"][0], "name": n, "hostname": n, "internal_ips": ["198.51.100.1"]} for n in names
    ]
    return cluster


# Three hosts that dial three addresses each, none of them the same.
DIFFERENT = [each("java", 443, [f"198.51.100.{host}{number}" for number in range(3)]) for host in range(1, 4)]


def tried(age):
    """One connection of a crawler."""
    return {
        "netns": "host",
        "state": "syn_sent",
        "address": "192.0.2.2",
        "port": 40000,
        "peer": OUTSIDE,
        "peer_port": 443,
        "process": "crawler",
        "pid": 77,
        "inode": 99,
        "age_seconds": age,
        "retransmits": 1,
        "unread": None,
        "cause": None,
        "persisted": None,
    }


CASES = [
    # Dead peers of protocols that nodes speak with each other
    Case(
        "bird and dead BGP peers, as captured",
        "fail",
        both_ends(),
        "node-a",
        words=(
            "bird gets no answer on port 179 (calico BGP) from addresses that no Node names",
            "6 connections of bird to port 179 (calico BGP) at 6 addresses, the oldest 14 s old at least, 6 of them in both samples",
            "to addresses that no Node names: 6 connections, to 192.0.2.201, 192.0.2.202",
            (
                "No Node of the cluster names these addresses. Nodes speak BGP with each other, and with routers that somebody configured as peers. "
                "So many peers are hardly routers: most likely they are nodes that are gone."
            ),
            "Only nodes speak gossip with each other: most likely these peers are gone. A Node object does not tell every address of a machine",
            "Calico's full mesh has a BGP session to every node that Calico's own datastore lists",
            "A router outside of the cluster (a BGPPeer) that is down looks the same",
            "by the name that its list has beside the address, only what two sources say is gone",
            "prove that it is gone, by two sources: no Node has the address, and its SYNs stay unanswered from here",
            "deleting a living node cuts its routes",
            "its SYN repeated 7 times",
            "protokube gets no answer on port 3999 (protokube gossip)",
        ),
        absent=("curl", "nobody listens"),
        commands=(
            "calicoctl get nodes -o wide",
            "kubectl get nodes -o wide",
            "ss -tnpo state syn-sent dport = :179",
            "calicoctl node status",
            "ansible-playbook kubenode.doctor.diagnose",
            "systemctl restart protokube",
        ),
    ),
    Case(
        "one dead gossip peer is enough",
        "fail",
        dials("protokube", 3999, OUTSIDE),
        "node-a",
        "warning",
        words=("restart protokube on all nodes at the same time", "upgrade kops"),
    ),
    Case("a dead BGP peer that was dialled a moment ago", "pass", dials("bird", 179, OUTSIDE, oldest=2.9), "node-a"),
    Case("a dead BGP peer after three seconds", "fail", dials("bird", 179, DEAD, oldest=3.0), "node-a", "warning"),
    Case(
        "no age is shown, but it was there before",
        "fail",
        dials("protokube", 3999, OUTSIDE, oldest=None, persisted=1),
        "node-a",
        words=("1 of them in both samples",),
    ),
    Case("no age is shown, and it is new", "pass", dials("bird", 179, OUTSIDE, oldest=None, persisted=0), "node-a"),
    Case(
        "nothing shows an age",
        "fail",
        dials("protokube", 3999, OUTSIDE, oldest=None),
        "node-a",
        words=("their age is not shown here",),
    ),
    Case(
        "etcd and a member that is gone",
        "fail",
        dials("etcd", 2380, OUTSIDE),
        "node-a",
        words=(
            "port 2380 (etcd peers)",
            "remove the dead member, by the ID that etcd's list has beside the address, only what",
            "costs the quorum",
        ),
        commands=("kubectl -n kube-system get pods -l component=etcd -o wide",),
    ),
    Case(
        "Weave and a peer that is gone",
        "fail",
        dials("weaver", 6783, OUTSIDE),
        "node-a",
        words=("let Weave forget the addresses, on every node", "whose machine (cloud, hypervisor) no longer exists"),
        absent=("weave --local",),
    ),
    Case("Cilium's health check", "fail", dials("cilium-agent", 4240, OUTSIDE), "node-a", words=("CiliumNode",)),
    Case(
        "the program could not be seen, the port tells",
        "fail",
        dials(None, 179, DEAD),
        "node-a",
        words=("an unseen process gets no answer", "Which program dials could not be seen; the port is that of bird"),
    ),
    Case(
        "why the program could not be seen",
        "fail",
        alone(gap(quiet(dialling(None, 179, DEAD)), "tcp_states", "processes", "run with become (-b)")),
        "node-a",
        words=("whose they are could not be seen (processes: run with become (-b))",),
    ),
    Case("another program on the port of BGP", "pass", dials("curl", 179, OUTSIDE), "node-a"),
    Case(
        "more dead peers than were told",
        "fail",
        cut(dials("bird", 179, DEAD), "and", "more"),
        "node-a",
        words=(
            "from peers, among them addresses that no Node names",
            "8 connections of bird",
            "2 more addresses were not kept, and whose they are is not known",
        ),
    ),
    Case(
        "peers were not told at all",
        "fail",
        alone(quiet({**dialling("bird", 179, DEAD), "top_peers": []})),
        "node-a",
        words=("from peers that were not told", "6 addresses were not kept"),
        absent=("calicoctl delete", "most likely these peers are gone"),
        commands=("calicoctl get nodes -o wide",),
    ),
    # Without the list of nodes nobody is dead
    Case(
        "without the list of nodes nobody is dead",
        "fail",
        dials("bird", 179, DEAD, cluster=no_api()),
        "node-a",
        "warning",
        words=(
            "from addresses of which it is not known whose they are",
            "so nothing is said of them: the cluster's Nodes and Services and EndpointSlices are not known",
        ),
        absent=("are gone", "dead", "calicoctl delete", "that no Node"),
        commands=("calicoctl get nodes -o wide",),
    ),
    Case(
        "one peer, without the list of nodes",
        "unknown",
        dials("protokube", 3999, OUTSIDE, cluster=no_api()),
        "node-a",
        words=(
            "whether 203.0.113.9, which protokube dials in vain on port 3999 (protokube gossip), still belongs to the cluster",
        ),
    ),
    Case(
        "nothing is cured of peers that are not known",
        "fail",
        dials("protokube", 3999, DEAD, cluster=no_api()),
        "node-a",
        words=("compare the addresses with the list of nodes",),
        absent=("restart", "upgrade", "gone"),
    ),
    Case(
        "hosts of the audit are known without an API",
        "fail",
        Scene({"node-a": quiet(dialling("bird", 179, {"192.0.2.3": 3, OUTSIDE: 3})), OTHER: other()}, no_api()),
        "node-a",
        words=("192.0.2.3 (host node-b)", "from nodes and addresses of which it is not known whose they are"),
        absent=("that no Node",),
    ),
    Case(
        "for peers of nodes the list of nodes is enough",
        "fail",
        dials("bird", 179, DEAD, cluster=without(two_nodes(), "services", "endpoint_slices")),
        "node-a",
        words=("No Node of the cluster names these addresses",),
    ),
    Case(
        "for others it is not",
        "fail",
        dials("java", 5432, DEAD, cluster=without(two_nodes(), "services", "endpoint_slices")),
        "node-a",
        words=(
            "192.0.2.201 (no Node's address)",
            "the cluster's Services and EndpointSlices are not known (Services: services is forbidden)",
        ),
        absent=("that no Node", "calicoctl"),
    ),
    Case(
        "the list of nodes alone is missing",
        "fail",
        dials("java", 5432, DEAD, cluster=without(two_nodes(), "nodes")),
        "node-a",
        words=("the cluster's Nodes are not known",),
        absent=("that no Node",),
    ),
    Case(
        "a host of another cluster",
        "fail",
        dials("bird", 179, DEAD, cluster=of_another_cluster("node-x")),
        "node-a",
        words=("the cluster that was asked has no Node for this host, so its Services may be another cluster's",),
        absent=("most likely these peers are gone",),
    ),
    # Whose addresses
    Case(
        "outside of the cluster",
        "fail",
        dials("java", 5432, {OUTSIDE: 5}),
        "node-a",
        words=(
            "java gets no answer on port 5432 from addresses that no Node, Service or EndpointSlice names",
            "machines outside of the cluster that are down",
            "take out of the configuration of java",
            "Pods are not listed, so a pod that is behind no Service would not be named either",
        ),
        absent=("most likely these peers are gone",),
        commands=("kubectl get pods --all-namespaces -o wide", "ss -tnpo state syn-sent dport = :5432"),
    ),
    Case(
        "pods",
        "fail",
        dials("coredns", 8080, {"10.244.0.19": 3, "10.244.0.21": 2}),
        "node-a",
        words=(
            "coredns gets no answer on port 8080 (coredns health) from pods",
            "10.244.0.19 (pod reddit-entry/ui-5b667475f5-7r54x on node node-a)",
            "a NetworkPolicy",
        ),
        commands=("kubectl get networkpolicies --all-namespaces",),
    ),
    Case(
        "a pod that is gone",
        "fail",
        dials(
            "java",
            8080,
            {"10.99.1.7": 5},
            cluster=with_node(two_nodes(), "node-c", "192.0.2.4", pod_cidrs=["10.99.1.0/24"]),
        ),
        "node-a",
        words=("10.99.1.7 (an address of node node-c's pods that no EndpointSlice names)",),
    ),
    Case(
        "Services",
        "fail",
        dials("java", 80, {"10.96.146.107": 4, "10.96.44.65": 1}),
        "node-a",
        words=(
            "java gets no answer on port 80 from Services",
            "10.96.146.107 (Service shop/front)",
            "10.96.44.65 (Service shop/orphan without endpoints)",
            "a traffic policy Local without an endpoint on the node",
        ),
    ),
    Case(
        "a port that the Service does not have",
        "fail",
        dials("java", 81, {"10.96.146.107": 5}),
        "node-a",
        words=("(Service shop/front, which has no port 81)",),
    ),
    Case(
        "an endpoint that is no pod",
        "fail",
        dials("java", 5432, {"192.0.2.77": 5}),
        "node-a",
        words=("192.0.2.77 (endpoint of Service shop/db)",),
    ),
    Case(
        "a node that is not ready",
        "fail",
        dials("bird", 179, {"192.0.2.9": 5}, cluster=with_node(two_nodes(), "node-z", "192.0.2.9", ready="Unknown")),
        "node-a",
        words=(
            "192.0.2.9 (node node-z (not Ready))",
            "node node-z (not Ready): the connections there were not looked at",
        ),
        absent=("most likely these peers are gone", "calicoctl"),
    ),
    Case(
        "nodes behind one and the same address",
        "fail",
        dials(
            "java", 80, {"10.0.2.15": 5}, cluster=with_node(with_node(two_nodes(), "x", "10.0.2.15"), "y", "10.0.2.15")
        ),
        "node-a",
        words=("10.0.2.15 (one of 2 nodes that have this same address)",),
    ),
    Case(
        "a stray peer is not in the title",
        "fail",
        dials("bird", 179, {**dict.fromkeys(DEAD, 2), "192.0.2.3": 1}),
        "node-a",
        words=("from addresses that no Node names\n", "to nodes: 1 connection, to 192.0.2.3 (node node-b)"),
    ),
    Case(
        "a fifth of the connections is",
        "fail",
        dials("bird", 179, {**dict.fromkeys(DEAD[:4], 1), "192.0.2.3": 1}),
        "node-a",
        words=("from addresses that no Node names and nodes\n",),
    ),
    Case(
        "the address of IPVS is the Service's, not this host's",
        "fail",
        dials(
            "java",
            80,
            {"10.96.146.107": 5},
            *("host.addresses", [{"interface": "kube-ipvs0", "address": "10.96.146.107"}]),
        ),
        "node-a",
        words=("(Service shop/front)",),
        absent=("its own machine",),
    ),
    # The other end
    Case(
        "the other node's accept queue is full, as captured",
        "fail",
        both_ends(),
        OTHER,
        "warning",
        words=(
            "front gets no answer on port 8080 from nodes",
            "On node node-a the accept queue is full and the kernel drops the SYNs: that is the cause there",
            "node node-a: the accept queue of java is full there (5 connections, backlog 4), so its kernel drops them",
            "cure the full accept queue at the other end",
        ),
        absent=("NetworkPolicy for port",),
    ),
    Case(
        "the other node listens and has room",
        "fail",
        towards_b(queue(8080, "java", length=1)),
        "node-a",
        words=(
            "java listens there and its accept queue has room: the packets are dropped on their way",
            "NetworkPolicy for port 8080",
        ),
    ),
    Case(
        "the other node listens on loopback only",
        "fail",
        towards_b(queue(8080, "java", address="127.0.0.1")),
        "node-a",
        words=("java listens there on loopback addresses only",),
    ),
    Case(
        "nobody listens at the other node",
        "fail",
        towards_b(),
        "node-a",
        words=("node node-b: nobody listens on port 8080 there, which is refused at once",),
    ),
    Case(
        "not all of the other node's listeners were told",
        "fail",
        towards_b(section={"truncated": {"accept_queues": 3, "namespaces": 0}}),
        "node-a",
        words=("who listens on port 8080 there was not told",),
    ),
    Case(
        "a NodePort needs no listener",
        "fail",
        towards_b(port=30080),
        "node-a",
        words=(
            "port 30080 is no program's there but that of Service shop/front, NodePort 30080/TCP",
            "so its endpoints are dialled. A Service without endpoints refuses at once",
        ),
        absent=("nobody listens on port",),
    ),
    Case(
        "the other node's connections were not collected",
        "fail",
        Scene(
            {
                "node-a": quiet(dialling("client", 8080, {"192.0.2.3": 5})),
                OTHER: lost(other(), "tcp_states", "tcp_states", "the budget ended"),
            },
            two_nodes(),
        ),
        "node-a",
        words=("node node-b: the connections there were not looked at",),
    ),
    Case(
        "this host's own accept queue is full",
        "fail",
        alone(
            with_groups(sick(), dialling("probe", 8080, {"127.0.0.1": 5}), dialling("relay", 8080, {"192.0.2.2": 5}))
        ),
        "node-a",
        words=(
            "probe gets no answer on port 8080 from its own machine",
            "relay gets no answer on port 8080 from its own machine",
            "On the way to its own machine no packet gets lost: the accept queue of the program that should answer is full",
        ),
    ),
    Case(
        "and is the cause",
        "fail",
        alone(quiet(dialling("probe", 81, {"127.0.0.1": 5}), queues=[queue(81, length=129)])),
        "node-a",
        "warning",
        causes=("accept-queue-overflow",),
    ),
    Case(
        "something else drops what is sent to this host itself",
        "fail",
        alone(quiet(dialling("probe", 81, {"127.0.0.1": 5}), queues=[queue(81)])),
        "node-a",
        words=("a packet filter or a service proxy's rule drops it",),
        causes=(),
    ),
    # How many
    Case("four connections of one program on one host", "pass", dials("java", 5432, {OUTSIDE: 4}), "node-a"),
    Case(
        "another count",
        "fail",
        alone(quiet(dialling("java", 5432, {OUTSIDE: 4})), thresholds={"syn_sent_count": 4}),
        "node-a",
    ),
    Case(
        "few, but the same on three hosts",
        "fail",
        on(*3 * [each("java", 5432, OUTSIDE)]),
        "node-c",
        words=("java gets no answer on port 5432",),
    ),
    Case("few, and the same on two hosts", "pass", on(*2 * [each("java", 5432, OUTSIDE)]), "node-a"),
    Case(
        "the same peer on three hosts of eight",
        "fail",
        on(*3 * [each("java", 5432, OUTSIDE)], *5 * [each("curl", 80, OUTSIDE, oldest=1.0)]),
        "node-a",
        "warning",
    ),
    Case("one each, to different peers", "pass", on(*(each("java", 443, address) for address in DEAD)), "node-a"),
    Case("three each, to different peers, on all hosts", "fail", on(*DIFFERENT), "node-a", "warning"),
    Case(
        "three each, to different peers, on three hosts of eight",
        "pass",
        on(*DIFFERENT, *5 * [each("curl", 80, OUTSIDE, oldest=1.0)]),
        "node-a",
    ),
    Case(
        "three each, to different peers, when a third of the hosts is enough",
        "fail",
        on(*DIFFERENT, *5 * [each("curl", 80, OUTSIDE, oldest=1.0)], thresholds={"syn_sent_hosts_share": 0.33}),
        "node-a",
    ),
    Case(
        "one each, to different peers, when one is enough",
        "fail",
        on(*(each("java", 443, address) for address in DEAD), thresholds={"shared_count": 1}),
        "node-a",
    ),
    Case(
        "a busy program: one is old, six have just begun",
        "pass",
        dials("crawler", 443, [*DEAD, OUTSIDE], oldest=3.5, persisted=1),
        "node-a",
    ),
    Case(
        "five are old, and some have just begun",
        "fail",
        dials("crawler", 443, [*DEAD, OUTSIDE], oldest=3.5, persisted=5),
        "node-a",
        words=("Some of these have just begun", "7 connections of crawler", "5 of them in both samples"),
    ),
    Case(
        "single ones tell how many are old",
        "pass",
        dials("crawler", 443, DEAD, "tcp_states.stuck", [tried(3.0 - number / 2) for number in range(6)]),
        "node-a",
    ),
    Case(
        "few on three hosts, of different programs",
        "pass",
        on(*(each(name, 5432, OUTSIDE) for name in ("java", "node", "python3"))),
        "node-a",
    ),
    Case(
        "few on two hosts, when two are enough",
        "fail",
        on(*2 * [each("java", 5432, OUTSIDE)], thresholds={"syn_sent_hosts": 2}),
        "node-a",
    ),
    Case(
        "a longer time",
        "pass",
        alone(quiet(dialling("java", 5432, DEAD)), thresholds={"syn_sent_seconds": 30}),
        "node-a",
    ),
    Case(
        "pods of one program are counted together, apart from the host's",
        "fail",
        alone(
            quiet(
                *(dialling("java", 5432, {OUTSIDE: 3}, 100.0 - pod, netns=str(4026532281 + pod)) for pod in range(2)),
                dialling("java", 5432, {OUTSIDE: 1}),
            )
        ),
        "node-a",
        words=("java in a pod gets no answer", "6 connections of java in a pod", "the oldest 100 s old at least"),
        absent=("java gets no answer",),
    ),
    Case(
        "a pod that dials itself says nothing of the host",
        "fail",
        alone(quiet(dialling("java", 81, {"127.0.0.1": 5}, netns="4026532281"), queues=[queue(81, length=129)])),
        "node-a",
        words=("to its own machine: 5 connections, to 127.0.0.1 (the pod itself)",),
        absent=("accept-queue-overflow",),
        causes=(),
    ),
    Case(
        "a program that binds the port it listens on",
        "fail",
        alone(quiet(group("syn_sent", "java", {OUTSIDE: 5}, peer_port=5701, oldest_seconds=20.0))),
        "node-a",
        words=("java gets no answer on port 5701",),
    ),
    Case("a hostile name", "fail", dials(HOSTILE, 5432, {OUTSIDE: 5}), "node-a"),
    Case(
        "IPv6",
        "fail",
        dials("bird6", 179, [f"2001:db8::9{number}" for number in range(5)]),
        "node-a",
        words=("to 2001:db8::90",),
    ),
    Case(
        "a Node whose IPv6 address is written in another way",
        "fail",
        dials(
            "bird6", 179, {"2001:db8::3": 5}, cluster=with_node(two_nodes(), "node-6", "2001:0DB8:0000:0000:0:0:0:0003")
        ),
        "node-a",
        words=("from nodes\n", "2001:db8::3 (node node-6)"),
        absent=("calicoctl", "no Node names"),
    ),
    Case(
        "an IPv4 address that is written as IPv6",
        "fail",
        dials("bird", 179, {"::ffff:192.0.2.3": 5}),
        "node-a",
        words=("::ffff:192.0.2.3 (node node-b)",),
    ),
    Case(
        "a pod behind no Service, of which no list tells",
        "fail",
        dials("prometheus", 8080, {"10.42.7.9": 6}),
        "node-a",
        words=("from addresses that no Node, Service or EndpointSlice names", "Pods are not listed"),
        absent=("none of the cluster", "most likely"),
    ),
    # Routers, which speak BGP and are no nodes
    Case("one router that does not answer for a moment", "pass", dials("bird", 179, OUTSIDE, persisted=1), "node-a"),
    Case("one router for long, and no second sample", "pass", dials("bird", 179, OUTSIDE, oldest=60.0), "node-a"),
    Case(
        "one router for long",
        "fail",
        dials("bird", 179, OUTSIDE, oldest=30.0, persisted=1),
        "node-a",
        "info",
        words=(
            "bird gets no answer on port 179 (calico BGP) from addresses that no Node names",
            "These may be routers that are down or restart, or nodes that are gone",
        ),
        absent=("most likely",),
    ),
    Case(
        "one router for a shorter time, as chosen",
        "fail",
        alone(quiet(dialling("bird", 179, OUTSIDE, 10.0, persisted=1)), thresholds={"syn_sent_router_seconds": 10}),
        "node-a",
        "info",
    ),
    Case("the four routers of a rack", "pass", dials("bird", 179, DEAD[:4], persisted=4), "node-a"),
    Case("five peers are more than routers", "fail", dials("bird", 179, DEAD[:5], persisted=5), "node-a", "warning"),
    Case("five, of which one was just dialled", "pass", dials("bird", 179, DEAD[:5], persisted=4), "node-a"),
    Case(
        "a router that three hosts dial",
        "fail",
        on(*3 * [each("bird", 179, OUTSIDE)], *5 * [each("curl", 80, OUTSIDE, oldest=1.0)]),
        "node-a",
        "info",
    ),
    Case(
        "another router on each host",
        "pass",
        on(*(each("bird", 179, address) for address in DEAD)),
        "node-a",
    ),
    Case(
        "a dead router beside a node that does not answer",
        "fail",
        dials("bird", 179, {OUTSIDE: 1, "192.0.2.3": 4}),
        "node-a",
        "warning",
        words=("These may be routers",),
    ),
    Case(
        "kube-router and its routers, however many",
        "fail",
        dials("kube-router", 179, DEAD),
        "node-a",
        words=(
            "most likely a configured router that is down",
            "--peer-router-ips",
            "take a router that is gone for good",
        ),
        absent=("nodes that are gone", "these peers are gone"),
    ),
    Case("as quiet as captured", "pass", live(), "node-a"),
    # Seed 003
    Case(
        "seed 003: a worker's bird dials 145 addresses",
        "fail",
        Scene(seed_003.snapshots(), seed_003.cluster()),
        seed_003.WORKER,
        "warning",
        words=(
            "145 connections of bird to port 179",
            "from peers, among them addresses that no Node names",
            "139 more addresses were not kept",
        ),
    ),
    Case(
        "seed 003: the master's protokube dials four",
        "fail",
        Scene(seed_003.snapshots(), seed_003.cluster()),
        seed_003.MASTER,
        words=(
            "235 connections of bird to port 179",
            "4 connections of protokube to port 3999 (protokube gossip) at 4 addresses",
            "to 10.3.39.22, 10.3.53.170, 10.3.0.250, 10.3.48.41",
        ),
    ),
    Case(
        "seed 003 without the list of nodes",
        "fail",
        Scene(seed_003.snapshots(), no_api()),
        seed_003.WORKER,
        words=("addresses of which it is not known whose they are: 6 connections, to 10.3.45.28",),
        absent=("are gone",),
    ),
    # What was not seen
    Case(
        "small groups were not told",
        "unknown",
        live("tcp_states.states.syn_sent", 5),
        "node-a",
        words=("5 connections in SYN-SENT are in groups too small to be told",),
    ),
    Case("a few small groups were not told", "pass", live("tcp_states.states.syn_sent", 4), "node-a"),
    Case(
        "pods could not be looked at",
        "unknown",
        live(snapshot=gap(quiet(), "tcp_states", "network namespaces", "run with become (-b)")),
        "node-a",
        words=("network namespaces: run with become (-b)",),
    ),
    *unknowns(("host", "tcp_states")),
]
