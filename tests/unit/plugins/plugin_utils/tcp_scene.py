# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audits of nodes with TCP trouble: captured sections, and single groups, listeners and peers put into a quiet one.

tests/fixtures/bundle/README.md tells what was captured. ``sick()`` is node-a in trouble, ``other()`` the node at the other end of its cable.
"""

from __future__ import annotations

import copy

from ansible_collections.kubenode.doctor.plugins.plugin_utils import cluster_gaps
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Scene,
    captured,
    captured_section,
    changed,
    kubernetes_136,
    no_cluster,
)

OTHER = "node-b"
OTHER_ADDRESS = "192.0.2.3"


def sick(section="tcp-sick", *changes):
    """node-a, with one of the captured sections of a node in trouble."""
    return changed(changed(captured("node-a"), "tcp_states", captured_section(section)), *changes)


def other(name=OTHER, address=OTHER_ADDRESS, section="tcp-other-end"):
    """Another node than node-a, with its own name and address."""
    snapshot = changed(captured("node-a"), "host.hostname", name, "host.addresses.0.address", address)
    return changed(snapshot, "tcp_states", captured_section(section))


def two_nodes(cluster=None):
    """The captured cluster with Node objects for both ends of the cable; or of another cluster's document."""
    cluster = copy.deepcopy(kubernetes_136() if cluster is None else cluster)
    return with_node(cluster, OTHER, OTHER_ADDRESS)


def with_node(cluster, name, address, **fields):
    """A copy of a cluster with one more Node."""
    cluster = copy.deepcopy(cluster)
    node = {**copy.deepcopy(cluster["nodes"][0]), "name": name, "hostname": name, "internal_ips": [address], **fields}
    cluster["nodes"].append(node)
    return cluster


def without(cluster, *kinds):
    """A copy of a cluster in which these lists could not be read."""
    cluster = copy.deepcopy(cluster)
    for kind in kinds:
        cluster[kind] = None
        cluster["missing"].append({"what": cluster_gaps.NAMES[kind], "why": f"{kind} is forbidden"})
    return {**cluster, "complete": False}


def both_ends(*changes, cluster=None, **options):
    """The two captured nodes, with changes on the sick one."""
    return Scene({"node-a": sick("tcp-sick", *changes), OTHER: other()}, cluster or two_nodes(), options)


def alone(snapshot, cluster=None, **options):
    """One node, node-a."""
    return Scene({"node-a": snapshot}, cluster or two_nodes(), options)


def on(*hosts, cluster=None, **options):
    """The same snapshot's section on node-a and on other nodes, each with a Node object."""
    snapshots, document = {}, cluster or kubernetes_136()
    for number, section in enumerate(hosts):
        name, address = f"node-{'abcdefgh'[number]}", f"192.0.2.{2 + number}"
        snapshot = changed(captured("node-a"), "host.hostname", name, "host.addresses.0.address", address)
        snapshots[name] = section(snapshot)
        if number and document["nodes"] is not None:
            document = with_node(document, name, address)
    return Scene(snapshots, document, options)


def no_api():
    """A cluster of which nothing could be read."""
    return no_cluster()


def group(state, process, peers, *, local_port=None, peer_port=None, **fields):
    """One group of tcp_states; ``peers`` are addresses, each with its connections."""
    made = {
        "netns": "host",
        "state": state,
        "process": process,
        "local_port": local_port,
        "peer_port": peer_port,
        "count": sum(peers.values()),
        "peers": len(peers),
        "top_peers": [{"address": address, "count": count} for address, count in peers.items()],
        "oldest_seconds": None,
        "persisted": None,
        "causes": None,
        "sketch": None,
    }
    assert fields.keys() <= made.keys()
    return {**made, **fields}


def dialling(process, port, peers, oldest=12.5, **fields):
    """A group in SYN-SENT; ``peers`` is one address, several, or addresses with counts."""
    if not isinstance(peers, dict):
        peers = dict.fromkeys([peers] if isinstance(peers, str) else peers, 1)
    return group("syn_sent", process, peers, peer_port=port, oldest_seconds=oldest, **fields)


def held(process, count, *, peer="192.0.2.3", oldest=3725.0, causes=None, persisted=None, **fields):
    """A group in CLOSE-WAIT with one peer; all of it leaked, when nothing else is said."""
    told = {"never_read": 0, "leaked": 0, "never_accepted": 0, **({"leaked": count} if causes is None else causes)}
    persisted = count if persisted is None else persisted
    return group(
        "close_wait", process, {peer: count}, oldest_seconds=oldest, causes=told, persisted=persisted, **fields
    )


def queue(port, name="java", length=0, backlog=128, before=None, **fields):
    """One listener of tcp_states; ``before`` is its queue in the first sample, the same when nothing is said."""
    process = {"pid": 4000 + port, "name": name, "unit": None, "container_id": None, "pod_uid": None}
    made = {
        "netns": "host",
        "family": "ipv4",
        "address": "0.0.0.0",
        "port": port,
        "queue": length,
        "backlog": backlog,
        "queue_before": length if before is None else before,
        "inode": 7_000_000 + port,
        "processes": [process] if name else [],
        "hidden": not name,
        "cgroup": None,
    }
    owner = {key: fields.pop(key) for key in ("unit", "pod_uid") if key in fields}
    process.update(owner)
    assert fields.keys() <= made.keys()
    return {**made, **fields}


def with_groups(snapshot, *groups):
    """A copy with more groups, and as many more sockets of their states."""
    snapshot = copy.deepcopy(snapshot)
    section = snapshot["sections"]["tcp_states"]
    for entry in groups:
        section["groups"].insert(0, entry)
        section["states"][entry["state"]] += entry["count"]
    return snapshot


def with_queues(snapshot, *queues):
    """A copy with more listeners."""
    snapshot = copy.deepcopy(snapshot)
    section = snapshot["sections"]["tcp_states"]
    section["accept_queues"] = [*queues, *section["accept_queues"]]
    section["states"]["listen"] += len(queues)
    return snapshot


def quiet(*groups, queues=(), changes=()):
    """node-a, quiet but for these groups and listeners."""
    return changed(with_queues(with_groups(captured("node-a"), *groups), *queues), *changes)


def growing(snapshot, **counters):
    """A copy in which these counters have grown between the samples."""
    snapshot = copy.deepcopy(snapshot)
    section = snapshot["sections"]["tcp_states"]
    section["growth"]["counters"].update(counters)
    for name, grown in counters.items():
        section["counters"][name] += grown
    return snapshot
