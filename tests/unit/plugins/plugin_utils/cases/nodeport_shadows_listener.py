# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    Scene,
    captured,
    changed,
    gap,
    ipv6_of,
    kubernetes_136,
    live,
    no_cluster,
    no_node,
    runtime,
    seed,
    seed_000,
    seed_000_with_endpoints,
    unknowns,
    with_service,
    with_socket,
    without_sockets,
)

MODE = "nodeport_conflict.proxy.mode"
LOCALHOST = "nodeport_conflict.proxy.localhost_nodeports"
RANGE_OVERLAP = ("nodeport-range-overlaps-ephemeral",)
REFUSED = "dial tcp 127.0.0.1:36527: connect: connection refused"
QUIET = without_sockets(captured("node-a"), 31999)


def own_endpoint():
    """The orphan gets the hostNetwork pod as its endpoint: port 31999 of the node."""
    cluster = kubernetes_136()
    piece = next(piece for piece in cluster["endpoint_slices"] if piece["service"] == "orphan")
    piece["ports"] = [{"name": "", "protocol": "TCP", "port": 31999}]
    pod = {
        "addresses": ["192.0.2.2"],
        "ready": True,
        "serving": True,
        "terminating": False,
        "node_name": "node-a",
        "target": None,
    }
    piece["endpoints"] = [pod]
    return cluster


def on_containerds_port(*runtimes):
    """shop/front is given the port that containerd drew."""
    cluster = kubernetes_136()
    port = next(
        socket["port"] for socket in captured("node-a")["sections"]["listen_ports"]["listeners"] if socket["ephemeral"]
    )
    front = next(service for service in cluster["services"] if service["name"] == "front")
    front["ports"][0]["node_port"] = port
    socket = {
        "address": "127.0.0.1",
        "port": port,
        "processes": [
            {"pid": 1, "name": "containerd", "unit": "containerd.service", "container_id": None, "pod_uid": None}
        ],
    }
    snapshot = with_socket(without_sockets(QUIET, port), "containerd", **socket)
    told = ("port_settings.cri.runtimes", list(runtimes)) if runtimes else ()
    return live(*told, snapshot=snapshot, cluster=cluster)


CASES = [
    Case(
        "seed 000: the Service has no endpoints",
        "fail",
        seed(),
        "sick",
        "critical",
        words=(
            "kubectl exec, attach and port-forward fail on this node",
            "Service default/kube-processor-service, NodePort 36527/TCP",
            "127.0.0.1:36527/tcp of kubelet (dockershim CRI streaming server)",
            "The listener loses, not the Service",
            "connections to 127.0.0.1 are refused, although the listener is alive, because the Service has no endpoints",
            f"error dialing backend: {REFUSED}",
            f'Post "http://127.0.0.1:36527/exec/...": {REFUSED}',
            "kubectl logs still works",
            "it has no endpoints",
            "kube-proxy mode iptables: http://127.0.0.1:10249/proxyMode",
            "to 30000, a free number of the range's static band",
        ),
        absent=("one of the Service's pods",),
        commands=(
            "systemctl restart kubelet.service",
            "kubectl -n default get endpointslices -l kubernetes.io/service-name=kube-processor-service",
            "kubectl -n default delete service kube-processor-service",
            "printf '\\n%s\\n' 'net.ipv4.ip_local_reserved_ports = 36527' >> /etc/sysctl.d/60-nodeports.conf",
            "sysctl -p /etc/sysctl.d/60-nodeports.conf",
        ),
        causes=RANGE_OVERLAP,
    ),
    Case(
        "seed 000: the Service has endpoints",
        "fail",
        seed(cluster=seed_000_with_endpoints()),
        "sick",
        "critical",
        words=(
            "reach the Service's pods, never this listener",
            "kubectl hangs or prints that pod's answer",
            "it has endpoints",
        ),
        absent=("connection refused", "delete it"),
    ),
    Case(
        "seed 000: the number is reserved, which did not help the socket that had it",
        "fail",
        seed("port_settings.kernel.sysctl.ip_local_reserved_ports", "36527"),
        "sick",
        "critical",
        absent=("reserve the NodePorts",),
    ),
    Case(
        "seed 000: EndpointSlices could not be read",
        "fail",
        seed(cluster=changed(seed_000(), "endpoint_slices", None)),
        "sick",
        "critical",
        words=("reach the Service's pods or are refused", REFUSED, "whether it has endpoints is not known"),
        absent=("delete it",),
    ),
    Case(
        "without endpoints the REJECT rule ignores localhostNodePorts",
        "fail",
        seed(LOCALHOST, False),
        "sick",
        "critical",
        words=("connections to 127.0.0.1 are refused",),
    ),
    Case(
        "with endpoints localhostNodePorts=false leaves loopback alone",
        "pass",
        seed(LOCALHOST, False, cluster=seed_000_with_endpoints()),
        "sick",
    ),
    Case("nftables mode leaves loopback alone", "pass", seed(MODE, "nftables"), "sick"),
    Case(
        "nftables mode leaves loopback alone, with endpoints",
        "pass",
        seed(MODE, "nftables", cluster=seed_000_with_endpoints()),
        "sick",
    ),
    Case(
        "ipvs mode masquerades packets for loopback",
        "fail",
        seed(MODE, "ipvs"),
        "sick",
        "warning",
        words=("port-forward may fail on this node", "KUBE-NODE-PORT"),
        absent=("connection refused", "Service's pods"),
    ),
    Case(
        "an assumed mode is not certain for loopback, but kube-proxy's default",
        "fail",
        seed(MODE, None, "nodeport_conflict.proxy.source", None),
        "sick",
        "critical",
        words=(
            "may fail on this node",
            "Judged as iptables mode, kube-proxy's default, because its mode could not be seen",
        ),
    ),
    Case("the mode that was told decides", "pass", seed(MODE, None, proxy_mode="nftables"), "sick"),
    Case(
        "what every mode takes is certain, whatever the mode",
        "fail",
        live(MODE, None),
        "node-a",
        "critical",
        words=("hostnet on [::]:31999/tcp is refused", "Judged as iptables mode"),
    ),
    Case(
        "hostNetwork pod against a Service without endpoints",
        "fail",
        live(),
        "node-a",
        "critical",
        words=(
            "hostnet on [::]:31999/tcp is refused: Service shop/orphan, NodePort 31999/TCP takes its port",
            "connections to 192.0.2.2, 127.0.0.1 are refused",
            "move the program to another port",
        ),
        absent=("::1 are", "restart", "kubectl exec"),
        causes=(),
    ),
    Case(
        "nftables mode takes the Node's own address and no other",
        "fail",
        live(
            MODE,
            "nftables",
            "host.addresses.0",
            {"interface": "eth0", "address": "192.0.2.2"},
            "host.addresses.1",
            {"interface": "cni0", "address": "10.244.0.1"},
        ),
        "node-a",
        "warning",
        words=(
            "is refused on some addresses",
            "connections to 192.0.2.2 are refused",
            "it still answers on 10.244.0.1",
        ),
    ),
    Case(
        "containerd's streaming server drew a NodePort, and a fix gives it another port",
        "fail",
        on_containerds_port(runtime()),
        "node-a",
        "critical",
        commands=("systemctl restart containerd.service",),
    ),
    Case(
        "containerd's streaming server drew a NodePort",
        "fail",
        on_containerds_port(),
        "node-a",
        "critical",
        words=(
            "kubectl exec, attach and port-forward fail",
            "containerd CRI streaming server",
            'stream_server_address = "127.0.0.1" and stream_server_port = "10010"',
        ),
        commands=("systemctl restart containerd.service", "ss -tlnp sport = :10010"),
        causes=RANGE_OVERLAP,
    ),
    Case(
        "a UDP socket of the ephemeral range is most likely a client's",
        "fail",
        live(
            snapshot=with_socket(QUIET, "dig", protocol="udp", state="unconnected", port=35776),
            cluster=with_service(
                kubernetes_136(),
                "local",
                ports=[{"name": None, "protocol": "UDP", "port": 80, "target_port": 5000, "node_port": 35776}],
            ),
        ),
        "node-a",
        "info",
        words=("dig on 0.0.0.0:35776/udp may be", "This may be a client's socket"),
        absent=("The listener loses",),
    ),
    Case(
        "kube-proxy up to 1.23 says so in its log",
        "fail",
        live(snapshot=with_socket(captured("node-a"), "kube-proxy", port=30080)),
        "node-a",
        "critical",
        words=("hostnet on [::]:31999/tcp", "can't open port, skipping it"),
    ),
    Case(
        "the kind of pod is told",
        "fail",
        live(
            snapshot=with_socket(
                QUIET,
                port=30081,
                processes=[
                    {
                        "pid": 7,
                        "name": "java",
                        "unit": None,
                        "container_id": "c" * 64,
                        "pod_uid": "0a1b2c3d-0000-4000-8000-000000000001",
                    }
                ],
            )
        ),
        "node-a",
        words=("java (pid 7, pod 0a1b2c3d-0000-4000-8000-000000000001)",),
    ),
    Case("the healthy twin", "pass", seed(), "healthy"),
    Case(
        "UDP on a TCP NodePort, a bound socket, TIME-WAIT and an outgoing connection",
        "pass",
        live(snapshot=QUIET),
        "node-a",
    ),
    Case(
        "[::1] and an IPv4-only Service",
        "pass",
        live(snapshot=with_socket(QUIET, port=31999, family="ipv6", address="::1")),
        "node-a",
    ),
    Case(
        "[::] with v6only and an IPv4-only Service",
        "pass",
        live(snapshot=with_socket(ipv6_of(QUIET), port=31999, family="ipv6", address="::", v6only=True)),
        "node-a",
    ),
    Case(
        "[::] of which v6only was not seen",
        "fail",
        live(snapshot=with_socket(QUIET, port=31999, family="ipv6", address="::", v6only=None)),
        "node-a",
        "warning",
        words=("may be refused",),
    ),
    Case("the hostNetwork pod is the Service's own endpoint", "pass", live(cluster=own_endpoint()), "node-a"),
    Case(
        "kube-proxy up to 1.23 holds the NodePort itself",
        "pass",
        live(snapshot=with_socket(QUIET, "kube-proxy", port=31999)),
        "node-a",
    ),
    Case(
        "restricted to another address",
        "pass",
        live(
            "nodeport_conflict.proxy.nodeport_addresses", ["198.51.100.0/24"], snapshot=with_socket(QUIET, port=30080)
        ),
        "node-a",
    ),
    Case(
        "a Service of another proxy",
        "pass",
        live(cluster=with_service(kubernetes_136(), "orphan", proxy_name="cilium")),
        "node-a",
    ),
    Case(
        "without root, owners hidden",
        "unknown",
        seed(sick="sick-as-nobody"),
        "sick",
        words=("whose listener it is could not be seen (root needed)",),
    ),
    Case(
        "a data plane that is not known",
        "unknown",
        live(MODE, "ovn-kubernetes"),
        "node-a",
        words=("what a NodePort captures under ovn-kubernetes is not known",),
    ),
    Case(
        "sockets were cut off",
        "unknown",
        live(snapshot=gap(QUIET, "nodeport_conflict", "sockets", "9000 touch these ports, the first 1000 kept")),
        "node-a",
        words=("9000 touch these ports",),
    ),
    Case(
        "local addresses were not seen",
        "unknown",
        live(snapshot=gap(changed(QUIET, "host.addresses", None), "host", "local addresses", "rtnetlink: timed out")),
        "node-a",
        words=("rtnetlink: timed out",),
    ),
    Case("the API server is dead", "unknown", live(cluster=no_cluster()), "node-a", words=("connection refused",)),
    Case(
        "cluster.json does not say why",
        "unknown",
        live(cluster=changed(kubernetes_136(), "services", None)),
        "node-a",
        words=("cluster.json does not say why",),
    ),
    Case(
        "another cluster's Services, perhaps",
        "fail",
        Scene(
            {
                "node-b": changed(
                    captured("node-a"), "host.hostname", "node-b", "host.addresses.0.address", "198.51.100.9"
                )
            },
            kubernetes_136(),
        ),
        "node-b",
        "warning",
        words=("may be refused", "no Node for this host, so its Services may be another cluster's"),
        absent=("delete it",),
        causes=("host-not-in-cluster",),
    ),
    *unknowns(("host", "nodeport_conflict", "port_settings")),
    no_node(),
]
