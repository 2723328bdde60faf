# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Protocols that nodes speak with each other, so that a peer which no Node names may be a node that is gone.

A program keeps its peers in a list of its own, and some lists outlive the node. BGP is also spoken with routers, which somebody
configures: one of these that restarts is no node that is gone. Sources, by row:
  bgp        docs.tigera.io "Decommission a node"; projectcalico/calicoctl issue 830
             docs.tigera.io "Configure BGP peering" (BGPPeer); kube-router.io docs/bgp.md
  gossip     kubernetes/kops issue 8296 "Protokube tries to connect to removed hosts", 13974 (restart on all nodes); pkg/wellknownports
  weave      weaveworks/weave issue 3396 "Weave not removing old Peers"
  etcd       etcd.io/docs runtime reconfiguration; rancher/rke2 issue 3600
  cilium     docs.cilium.io system_requirements: 4240 is the health check between nodes
  metallb    metallb.io/installation: 7946 is memberlist between speakers
  antrea     antrea-io/antrea pkg/apis/ports.go: 10351 is memberlist between agents
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import known_ports
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy


class Protocol(NamedTuple):
    """``speaks`` names it; ``why`` says how a dead peer stays in the program's list; ``look`` shows it there, ``cures`` take it out.

    ``routers``: it is spoken with configured routers too. ``outlives``: its list of nodes may hold some that are gone. ``removes``: a
    cure takes single peers out of the list, which has to be proved right first (forget_peers); ``since`` are what shows for how
    long a peer has been away, in words, and its commands.
    """

    names: frozenset[str]
    ports: frozenset[int]
    speaks: str
    why: str
    look: Remedy
    cures: tuple[Remedy, ...]
    routers: bool = False
    outlives: bool = True
    removes: bool = False
    since: tuple[str, ...] = ()

    def meaning(self, many: bool) -> str:
        """What peers that no Node names are; ``many`` where they are more than a node has routers."""
        other = "A Node object does not tell every address of a machine, so a node that is dialled at another one is not excluded."
        if not self.routers:
            return f"Only nodes speak {self.speaks} with each other: most likely these peers are gone. {other}"
        both = f"Nodes speak {self.speaks} with each other, and with routers that somebody configured as peers."
        if not self.outlives:
            return both
        if many:
            return f"{both} So many peers are hardly routers: most likely they are nodes that are gone. {other}"
        return f"{both} These may be routers that are down or restart, or nodes that are gone. {other}"


_TWO_SOURCES = "only what two sources say is gone, and for a day (as above), and whose machine (cloud, hypervisor) no longer exists"
_BY_HAND = "that a machine is gone for good, and not just off or cut off for a while, no audit can see"

_COMPARE = Remedy("compare the addresses with the list of nodes", ("kubectl get nodes -o wide",), "none")

_BGP = Protocol(
    frozenset({"bird", "bird6"}),
    frozenset({179}),
    "BGP",
    "Calico's full mesh has a BGP session to every node that Calico's own datastore lists, and it goes on listing nodes which were taken out of "
    "the cluster without being deleted there. A router outside of the cluster (a BGPPeer) that is down looks the same.",
    Remedy(
        "compare Calico's list of nodes with the cluster's, and look whether the address is a configured router's",
        ("kubectl get nodes -o wide", "calicoctl get nodes -o wide", "calicoctl get bgppeers -o wide"),
        "none",
    ),
    (
        Remedy(
            f"delete what Calico still lists, one node at a time, by the name that its list has beside the address, {_TWO_SOURCES}",
            ("calicoctl get nodes -o wide",),
            "deleting a living node cuts its routes, and removes its addresses and endpoints; it registers again when its calico-node restarts",
            by_hand=f"only Calico's own list tells the name that calicoctl delete node has to be given, and {_BY_HAND}",
        ),
    ),
    routers=True,
    removes=True,
    since=("as the column SINCE shows, on this host", "calicoctl node status"),
)

_GOSSIP = Protocol(
    frozenset({"protokube", "dns-controller"}),
    frozenset({3998, 3999, 4000}),
    "gossip",
    "kops' gossip keeps the addresses of instances that are gone and passes them on between the nodes, so a single restarted node learns them again.",
    _COMPARE,
    (
        Remedy(
            "restart protokube on all nodes at the same time, which empties the list",
            ("systemctl restart protokube",),
            "names of the cluster are not updated while it restarts; what is in /etc/hosts stays",
            by_hand="it helps only on all nodes at once, and nodes are changed one after the other here",
        ),
        Remedy("upgrade kops, which has no gossip any more since 1.37", (), "a rolling update of the nodes"),
    ),
)

WEAVE = Protocol(
    frozenset({"weaver"}),
    frozenset({6783}),
    "Weave's control connections",
    "Weave's peers pass addresses of peers that are gone on between them.",
    _COMPARE,
    (
        Remedy(
            f"let Weave forget the addresses, on every node, since each passes them on, {_TWO_SOURCES}",
            (),
            "a living peer that is forgotten is not dialled until Weave restarts",
            by_hand=_BY_HAND,
        ),
    ),
    removes=True,
)

ETCD = Protocol(
    frozenset({"etcd", "microshift-etcd"}) | known_ports.ALL_IN_ONE,
    frozenset({2380}),
    "etcd's peer protocol",
    "etcd dials every member of its list, and a member whose machine is gone stays in it until it is removed.",
    Remedy(
        "compare etcd's list of members with the machines that run it (the paths are kubeadm's)",
        ("kubectl -n kube-system get pods -l component=etcd -o wide",),
        "none",
    ),
    (
        Remedy(
            f"remove the dead member, by the ID that etcd's list has beside the address, {_TWO_SOURCES}",
            (),
            "without a majority of living members the removal hangs, and a wrong one costs the quorum: take a snapshot first",
            by_hand=f"only etcd's own list tells the ID that etcdctl member remove has to be given, and {_BY_HAND}",
        ),
    ),
    removes=True,
)


def _memberlist(names: frozenset[str], port: int, speaks: str, why: str) -> Protocol:
    restart = Remedy(
        "restart the program if it keeps a peer that is gone",
        (),
        "it leaves and joins again; what it announces may move for a moment",
    )
    return Protocol(names, frozenset({port}), speaks, why, _COMPARE, (restart,))


PROTOCOLS = (
    _BGP,
    _GOSSIP,
    WEAVE,
    ETCD,
    _memberlist(
        frozenset({"cilium-agent"}),
        4240,
        "Cilium's health check",
        "Cilium checks every node that a CiliumNode object names, and such an object can outlive its node.",
    ),
    _memberlist(
        frozenset({"speaker"}),
        7946,
        "MetalLB's memberlist",
        "MetalLB's speakers keep a peer for a while after it is gone.",
    ),
    _memberlist(
        frozenset({"antrea-agent"}),
        10351,
        "Antrea's memberlist",
        "Antrea's agents keep a peer for a while after it is gone.",
    ),
    Protocol(
        frozenset({"kube-router"}),
        frozenset({179}),
        "BGP",
        "kube-router takes nodes from the Node objects and routers from configuration: a peer that no Node names is most likely a configured "
        "router that is down.",
        Remedy(
            "look which routers are configured as peers (--peer-router-ips, and the annotations kube-router.io/peer.ips of Nodes)",
            ("kubectl get nodes -o wide",),
            "none",
        ),
        (
            Remedy(
                "take a router that is gone for good out of these", (), "one that only restarts is missing afterwards"
            ),
        ),
        routers=True,
        outlives=False,
    ),
)
_BY_DIALLER = {(name, port): protocol for protocol in PROTOCOLS for name in protocol.names for port in protocol.ports}
# Who dials when the program could not be seen: on ports that hardly anything else uses.
_BY_PORT = {179: _BGP, 2380: ETCD, 3999: _GOSSIP, 6783: WEAVE}


def of(process: str | None, port: int) -> Protocol | None:
    """The protocol that a program speaks with its peers on this port; None for any other connection.

    For a program that could not be seen (None) the port decides.
    """
    return _BY_PORT.get(port) if process is None else _BY_DIALLER.get((process, port))
