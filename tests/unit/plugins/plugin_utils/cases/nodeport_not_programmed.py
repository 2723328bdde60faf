# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    Scene,
    captured,
    captured_section,
    changed,
    no_cluster,
    with_service,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.service_scene import (
    HOSTILE,
    cluster,
    listens,
    made,
    made_of,
    node_a,
    on_node_a,
    pod,
    port,
    seen_of,
    service,
)

UI = 32530
NOW = captured_section("proxy-rules-node-a")["now"]
PROGRAM = "nodeport_conflict.proxy.program"
MODE = "nodeport_conflict.proxy.mode"
LISTED = "nodeport_conflict.proxy.nodeport_addresses"
AS_NOBODY = "only root can see them: run with become (-b)"
# kube-proxy of the captured node runs in no pod that its node shows.
DELETE = "kubectl -n kube-system delete pod -l k8s-app=kube-proxy --field-selector spec.nodeName=node-a"
HEALTH = "kubectl get --raw /api/v1/nodes/node-a:10256/proxy/healthz"
UIS = tuple(
    one["name"] for one in captured_section("pod-listeners-node-a")["pods"] if str(one["name"]).startswith("ui-")
)


def entry(number, *endpoints, **fields):
    """What is programmed for a NodePort."""
    made_entry = {
        "protocol": "tcp",
        "port": number,
        "family": "ipv4",
        "addresses": None,
        "action": "endpoints" if endpoints else "none",
        "service": None,
        "endpoints": list(endpoints),
        "endpoint_count": len(endpoints),
        "local": None,
    }
    assert fields.keys() <= made_entry.keys()
    return {**made_entry, **fields}


def rules(*entries, **fields):
    """A section with these entries."""
    section = captured_section("proxy-rules-node-a")
    assert fields.keys() <= section.keys()
    return {**section, "node_ports": list(entries), **fields}


def nothing(**fields):
    """The section of a node without any rules of kube-proxy."""
    return rules(programs=[], mode=None, backend=None, **fields)


def unread(why=AS_NOBODY, what="service rules", *entries):
    """The section of a node whose rules were not seen, or not all."""
    return rules(*entries, mode=None, complete=False, missing=[{"what": what, "why": why}])


def without(*numbers):
    """The captured rules without some NodePorts."""
    kept = [one for one in captured_section("proxy-rules-node-a")["node_ports"] if one["port"] not in numbers]
    return rules(*kept)


def instead(number, *endpoints, **fields):
    """The captured rules, of which those of one NodePort are others."""
    return rules(*without(number)["node_ports"], entry(number, *endpoints, **fields))


def node(section, *changes, others=()):
    """The captured node with these rules."""
    snapshot = node_a(*others)
    snapshot["sections"]["proxy_rules"] = section
    return changed(snapshot, *changes)


def live(section, *changes, of=None, others=(), **options):
    """The captured node in the captured cluster."""
    return on_node_a(snapshot=node(section, *changes, others=others), of=of, **options)


def ruled(scene, **sections):
    """A made-up scene whose nodes have these rules; what is "node_a" here is node-a there."""
    for host, snapshot in scene.snapshots.items():
        snapshot["sections"]["proxy_rules"] = sections.get(host.replace("-", "_")) or rules()
    return scene


def services(count, **fields):
    """So many Services with a NodePort and a pod each."""
    made_services = [service(f"web{index}", port(80, node_port=30100 + index), **fields) for index in range(count)]
    return made_services, [pod(f"web{index}-1", listens(80)) for index in range(count)]


def right(index, **fields):
    """What has to be programmed for one of them."""
    return entry(30100 + index, f"10.244.0.{10 + index}:80", **fields)


def dual(*entries):
    """Two Services with both families, on a node that has both; these are its rules."""
    made_services, pods = services(2, families=("IPv4", "IPv6"))
    return ruled(made_of(made_services, pods, change=_both), node_a=rules(*entries))


def _both(document):
    for one in document["nodes"]:
        one["internal_ips"].append("2001:db8::2")
    return document


def half_seen():
    """Both families, of which one program failed."""
    scene = dual(right(0), right(1), right_on_ipv6(0))
    gap = {"what": "service rules (ipv6)", "why": "ip6tables-nft-save failed with status 1"}
    scene.snapshots["node-a"]["sections"]["proxy_rules"].update(complete=False, missing=[gap])
    return scene


def right_on_ipv6(index):
    return entry(30100 + index, f"[fd00:244::{10 + index:x}]:80", family="ipv6")


def young(*names):
    """Pods of node-a that have begun a second ago."""
    found = [seen_of(name) for name in names]
    return [{**one, "containers": [{**part, "age_seconds": 1.0} for part in one["containers"]]} for one in found]


def local_policy(section, on="node-a"):
    """A Service with externalTrafficPolicy Local, its only pod on one node, and node-a's rules."""
    made_service = service("web0", port(80, node_port=30100), external_traffic_policy="Local")
    away = [] if on == "node-a" else [pod("other-1")]
    return ruled(made(made_service, pod("web0-1", listens(80), node=on), *away), node_a=section, node_b=rules(right(0)))


def proxy_pod():
    """node-a's kube-proxy as a pod that its node shows."""
    made_pod = pod("kube-proxy-x7k2q", namespace="kube-system", app="kube-proxy")
    snapshot = node(without(UI))
    snapshot["sections"]["pod_listeners"]["pods"].append(made_pod.shown())
    for socket in snapshot["sections"]["listen_ports"]["listeners"]:
        for process in socket["processes"]:
            if process["name"] == "kube-proxy":
                process.update(unit=None, pod_uid=made_pod.uid)
    return on_node_a(snapshot=snapshot)


def unit_proxy():
    """node-a's kube-proxy as a service of systemd."""
    snapshot = node(without(UI))
    for socket in snapshot["sections"]["listen_ports"]["listeners"]:
        for process in socket["processes"]:
            if process["name"] == "kube-proxy":
                process.update(unit="kube-proxy.service", pod_uid=None, container_id=None)
    return on_node_a(snapshot=snapshot)


def stranger():
    snapshot = node(without(UI), "host.hostname", "node-z", "host.addresses.0.address", "198.51.100.9")
    return Scene({"node-z": snapshot}, cluster())


def bare(section):
    snapshot = captured("bare")
    snapshot["sections"]["proxy_rules"] = section
    return Scene({"bare": snapshot}, cluster())


GONE = ("10.244.9.1:9292", "10.244.9.2:9292")

CASES = [
    Case("the captured node", "pass", live(captured_section("proxy-rules-node-a")), "node-a"),
    Case(
        "the rule of one NodePort is missing",
        "fail",
        live(without(UI)),
        "node-a",
        "critical",
        words=(
            "kube-proxy has not programmed NodePort 32530/TCP of Service reddit-entry/ui on this node",
            "the node answers them itself: refused, unless a program of the node listens",
            "a rule that somebody else deleted stays away until its Service changes or kube-proxy restarts",
            "Service reddit-entry/ui, port 9292/TCP, NodePort 32530: the EndpointSlices have 10.244.0.19:9292, 10.244.0.21:9292",
            "on node-a, there are rules for 6 NodePorts, by iptables-nft-save",
            "kube-proxy mode iptables: http://127.0.0.1:10249/proxyMode",
        ),
        absent=("shop/",),
        commands=(HEALTH, DELETE),
        causes=(),
    ),
    Case(
        "missing, and nobody looked at the pods: the Service may have been deleted meanwhile",
        "unknown",
        live(without(UI), "pod_listeners", {"complete": False, "missing": []}),
        "node-a",
        words=("1 NodePort (reddit-entry/ui): the cluster is read before its nodes", "the Service may be gone"),
    ),
    Case(
        "missing, and the pods that the cluster told are gone",
        "unknown",
        ruled(made(service("web0", port(80, node_port=30100)), pod("web0-1", seen=None)), node_a=rules()),
        "node-a",
    ),
    Case(
        "missing, and one of its pods has lived on",
        "fail",
        ruled(made(service("web0", port(80, node_port=30100)), pod("web0-1", listens(80))), node_a=rules()),
        "node-a",
        "critical",
    ),
    Case(
        "nodePortAddresses leave this node out, in iptables mode",
        "not_applicable",
        live(instead(UI, "10.244.0.19:9292", addresses=[]), LISTED, ["10.99.0.0/16", "127.0.0.0/8"]),
        "node-a",
    ),
    Case(
        "nodePortAddresses leave this node out, in ipvs mode",
        "not_applicable",
        live(rules(mode="ipvs"), LISTED, ["10.99.0.0/16"], MODE, "ipvs"),
        "node-a",
    ),
    Case(
        "nodePortAddresses are those of loopback alone",
        "not_applicable",
        live(without(UI), LISTED, ["127.0.0.0/8"]),
        "node-a",
    ),
    Case(
        "nodePortAddresses are those of the node",
        "fail",
        live(without(UI), LISTED, ["192.0.2.0/24"]),
        "node-a",
        "critical",
    ),
    Case("nodePortAddresses of the other family", "fail", live(without(UI), LISTED, ["2001:db8::/32"]), "node-a"),
    Case("nodePortAddresses by the word primary", "fail", live(without(UI), LISTED, ["primary"]), "node-a"),
    Case(
        "kube-proxy's pod is known by name",
        "fail",
        proxy_pod(),
        "node-a",
        commands=(
            "kubectl -n kube-system logs kube-proxy-x7k2q --all-containers --tail=20",
            "kubectl -n kube-system delete pod kube-proxy-x7k2q",
        ),
    ),
    Case(
        "kube-proxy is a service of systemd",
        "fail",
        unit_proxy(),
        "node-a",
        commands=(
            "journalctl --unit=kube-proxy.service --lines=20 --no-pager",
            "systemctl restart kube-proxy.service",
        ),
    ),
    Case(
        "kube-proxy is a part of k3s",
        "fail",
        live(without(UI), PROGRAM, "k3s-server"),
        "node-a",
        words=("restart k3s-server, so that it writes all of its rules anew",),
    ),
    Case(
        "a chain that leads nowhere",
        "fail",
        live(instead(UI)),
        "node-a",
        "critical",
        words=(
            "the rules for NodePort 32530/TCP of Service reddit-entry/ui on this node lead nowhere",
            "the rules of node-a (IPv4): 32530/tcp: rules that lead nowhere",
        ),
    ),
    Case(
        "nothing leads to KUBE-NODEPORTS",
        "fail",
        live(instead(UI, "10.244.0.19:9292", addresses=[])),
        "node-a",
        "critical",
        words=("no packet reaches the rules for NodePort 32530/TCP", "32530/tcp on no address -> 10.244.0.19:9292"),
    ),
    Case(
        "refused as if there were no endpoints, and they have lived for hours",
        "fail",
        live(instead(UI, action="reject")),
        "node-a",
        "critical",
        words=("this node refuses NodePort 32530/TCP", "kube-proxy knows of no endpoint for it"),
    ),
    Case(
        "stale endpoints, and those of the Service have lived for hours",
        "fail",
        live(instead(UI, *GONE)),
        "node-a",
        "critical",
        words=(
            "the rules for NodePort 32530/TCP of Service reddit-entry/ui on this node lead to endpoints that the Service does not have",
            "the rules of node-a (IPv4): 32530/tcp -> 10.244.9.1:9292, 10.244.9.2:9292",
        ),
    ),
    Case(
        "stale beside good ones: leftovers of another iptables",
        "fail",
        live(
            rules(
                *captured_section("proxy-rules-node-a")["node_ports"],
                entry(UI, *GONE),
                backend="both",
                complete=False,
                missing=[{"what": "iptables backend", "why": "rules are in iptables-legacy and in iptables-nft"}],
            )
        ),
        "node-a",
        "critical",
        words=("lead to endpoints that the Service does not have", "iptables backend: rules are in iptables-legacy"),
    ),
    Case(
        "other endpoints, and those that the cluster told have just begun",
        "unknown",
        live(instead(UI, *GONE), others=young(*UIS)),
        "node-a",
        words=("1 NodePort (reddit-entry/ui): the cluster is read before its nodes", "run again"),
    ),
    Case(
        "other endpoints, and nobody looked at the pods",
        "unknown",
        live(instead(UI, *GONE), "pod_listeners", {"complete": False, "missing": []}),
        "node-a",
        words=("the cluster is read before its nodes",),
    ),
    Case(
        "refused, and nobody looked at the pods",
        "unknown",
        live(instead(UI, action="reject"), "pod_listeners", {"complete": False, "missing": []}),
        "node-a",
    ),
    Case("one endpoint of the two is enough", "pass", live(instead(UI, "10.244.0.21:9292", GONE[0])), "node-a"),
    Case(
        "of 40 endpoints 20 are told, and none of these is known",
        "pass",
        live(instead(UI, *GONE, endpoint_count=40)),
        "node-a",
    ),
    Case(
        "an endpoint that is not in use is no stranger",
        "pass",
        live(
            instead(UI, "10.244.0.19:9292"),
            of=changed(
                cluster(),
                "endpoint_slices",
                [
                    {
                        **piece,
                        "endpoints": [
                            {**one, "ready": one["addresses"] != ["10.244.0.19"]} for one in piece["endpoints"]
                        ],
                    }
                    for piece in cluster()["endpoint_slices"]
                ],
            ),
        ),
        "node-a",
    ),
    Case(
        "created when the audit began",
        "pass",
        live(without(UI), of=with_service(cluster(), "ui", created=NOW - 20)),
        "node-a",
    ),
    Case(
        "created an hour before",
        "fail",
        live(without(UI), of=with_service(cluster(), "ui", created=NOW - 3600)),
        "node-a",
    ),
    Case(
        "none of many while kube-proxy runs",
        "fail",
        live(nothing()),
        "node-a",
        "critical",
        words=(
            "kube-proxy has programmed none of 5 NodePorts on this node",
            "on node-a, there are no rules for any NodePort, by what the kernel says",
            "Service reddit-entry/ui, port 9292/TCP, NodePort 32530: it has endpoints",
        ),
        commands=(HEALTH, DELETE),
    ),
    Case(
        "five Services of six at once are one finding",
        "fail",
        ruled(made_of(*services(6)), node_a=rules(right(5), entry(30104))),
        "node-a",
        "critical",
        words=(
            "kube-proxy has not programmed 5 of 6 NodePorts on this node as they are in the cluster",
            "Service shop/web3, port 80/TCP, NodePort 30103: the EndpointSlices have 10.244.0.13:80",
        ),
    ),
    Case(
        "one family of two is missing for one Service",
        "fail",
        dual(right(0), right(1), right_on_ipv6(1)),
        "node-a",
        "warning",
        words=(
            "kube-proxy has not programmed NodePort 30100/TCP of Service shop/web0 for IPv6 on this node",
            "[fd00:244::a]:80",
        ),
    ),
    Case(
        "one family is missing as a whole",
        "fail",
        dual(right(0), right(1)),
        "node-a",
        "warning",
        words=("kube-proxy has programmed none of 2 NodePorts for IPv6 on this node", "runs without IPv6"),
    ),
    Case("both families", "pass", dual(right(0), right(1), right_on_ipv6(0), right_on_ipv6(1)), "node-a"),
    Case(
        "a node without IPv6 needs no rules for it",
        "pass",
        ruled(made_of(*services(1, families=("IPv4", "IPv6"))), node_a=rules(right(0))),
        "node-a",
    ),
    Case(
        "the rules of IPv6 were not seen",
        "unknown",
        half_seen(),
        "node-a",
        words=("1 NodePort (shop/web1): service rules (ipv6): ip6tables-nft-save failed with status 1",),
    ),
    Case(
        "Local, and the endpoint of this node is dropped",
        "fail",
        local_policy(rules(right(0, local="drop"))),
        "node-a",
        "critical",
        words=(
            "this node turns away what comes from outside for NodePort 30100/TCP",
            "for the node and its pods only: what comes from outside is dropped",
        ),
    ),
    Case(
        "Local, and this node has no endpoint", "pass", local_policy(rules(right(0, local="drop")), "node-b"), "node-a"
    ),
    Case(
        "Local, dropped for all, and this node has no endpoint",
        "pass",
        local_policy(rules(entry(30100, action="drop")), "node-b"),
        "node-a",
    ),
    Case(
        "Local in ipvs mode, which then has a virtual server without destinations",
        "pass",
        local_policy(
            rules(entry(30100, action="reject", addresses=["192.0.2.2"]), mode="ipvs", backend=None), "node-b"
        ),
        "node-a",
    ),
    Case("Local, with its endpoint", "pass", local_policy(rules(right(0, local="endpoints"))), "node-a"),
    Case(
        "no kube-proxy runs, and what it left lacks one",
        "fail",
        live(without(UI), PROGRAM, None, MODE, None),
        "node-a",
        "critical",
        words=("No kube-proxy was seen on this node", "find out why no kube-proxy runs"),
    ),
    Case(
        "no kube-proxy runs, and what it left has aged",
        "fail",
        live(instead(UI, *GONE), PROGRAM, None, MODE, None, others=young(*UIS)),
        "node-a",
        "critical",
        words=("what one has left here follows the cluster no more",),
    ),
    Case(
        "neither a kube-proxy nor rules",
        "fail",
        live(nothing(), PROGRAM, None, MODE, None),
        "node-a",
        "warning",
        words=("no kube-proxy runs on this node, and none of 5 NodePorts is programmed",),
        commands=(
            "kubectl -n kube-system get pods -l k8s-app=kube-proxy --field-selector spec.nodeName=node-a -o wide",
        ),
    ),
    Case(
        "Calico may do without",
        "not_applicable",
        live(nothing(), PROGRAM, None, MODE, None, "host.components", ["kubelet", "calico-node"]),
        "node-a",
    ),
    Case("Cilium does it", "not_applicable", live(nothing(), PROGRAM, "cilium-agent", MODE, "cilium"), "node-a"),
    Case("kube-router does it", "not_applicable", live(nothing(), MODE, "kube-router"), "node-a"),
    Case("the operator says that Cilium does it", "not_applicable", live(nothing(), proxy_mode="cilium"), "node-a"),
    Case("userspace mode", "not_applicable", live(nothing(), MODE, "userspace"), "node-a"),
    Case("not as root", "unknown", live(unread()), "node-a", words=("5 NodePorts (reddit-entry/ui", AS_NOBODY)),
    Case(
        "neither a kube-proxy nor root",
        "unknown",
        live(unread(), PROGRAM, None, MODE, None),
        "node-a",
        words=(AS_NOBODY,),
    ),
    Case(
        "what is left out may be among those that were not told",
        "unknown",
        live({**without(UI), "truncated": 7}),
        "node-a",
        words=("7 NodePorts were left out",),
    ),
    Case(
        "words of whoever wrote the rules",
        "fail",
        live(instead(UI, HOSTILE, service=HOSTILE)),
        "node-a",
        words=("lead to endpoints that the Service does not have",),
    ),
    Case(
        "the API server is dead", "unknown", live(without(UI), of=no_cluster()), "node-a", words=("connection refused",)
    ),
    Case(
        "the EndpointSlices are not known",
        "unknown",
        live(without(UI), of=changed(cluster(), "endpoint_slices", None)),
        "node-a",
        words=("the EndpointSlices are not known",),
    ),
    Case(
        "no Service has a NodePort", "not_applicable", ruled(made(service("web0", port(80)), pod("web0-1"))), "node-a"
    ),
    Case("another cluster's node, perhaps", "unknown", stranger(), "node-z", words=("no Node for this host",)),
    Case("a host that is no node", "not_applicable", bare(nothing()), "bare"),
    Case(
        "the host did not answer", "unknown", Scene({"node-a": "timed out"}, cluster()), "node-a", words=("timed out",)
    ),
    Case(
        "the section is missing",
        "unknown",
        live({"complete": False, "missing": [{"what": "proxy_rules", "why": "the budget of 20 s ended before it"}]}),
        "node-a",
        words=("the budget of 20 s ended before it",),
    ),
    Case(
        "the section is of another form", "unknown", live(["junk"]), "node-a", words=("proxy_rules was not collected",)
    ),
]
