# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the listeners of a Kubernetes node are for: told by the process that owns them, and only then by number.

Process names are the kernel's comm, cut to 15 bytes ("kube-controller" is kube-controller-manager). Numbers mean
different things in different distributions (2381 is etcd's metrics with kubeadm and the events etcd's peers with kops;
10255 is kubelet's or OpenShift's kube-proxy's), so a number alone names a listener only where nothing else uses it.

Sources, by the short names that the rows carry:
  kubernetes   pkg/cluster/ports/ports.go; kubernetes.io/docs/reference/networking/ports-and-protocols
  kubeadm      cmd/kubeadm/app/constants/constants.go
  changelog    Kubernetes CHANGELOG-1.10 to 1.24: kubelet's cAdvisor port, the insecure ports
  dockershim   kubernetes 1.11 to 1.23, pkg/kubelet/dockershim/docker_service.go
  containerd   internal/cri/config/config.go; docs/ops.md
  cri-o        pkg/config/config.go
  cri-dockerd  Mirantis/cri-dockerd config/options.go, streaming/server.go
  docker       docs.docker.com/engine/daemon/remote-access; cmd/docker-proxy
  k3s          docs.k3s.io/installation/requirements; k3s-io/k3s issues 9965, 9723
  rke2         docs.rke2.io/install/requirements
  microk8s     microk8s.io/docs/services-and-ports
  k0s          docs.k0sproject.io/stable/networking
  kops         kubernetes/kops pkg/wellknownports/wellknownports.go
  openshift    openshift/enhancements dev-guide/host-port-registry.md
  konnectivity apiserver-network-proxy cmd/server/app/options, cmd/agent/app/options
  calico       docs.tigera.io felixconfiguration; projectcalico/calico pull 11011, issues 10748, 8112
  cilium       docs.cilium.io/en/latest/operations/system_requirements
  antrea       antrea-io/antrea pkg/apis/ports.go
  flannel      flannel-io/flannel Documentation/backends.md
  kube-router  kube-router docs/user-guide.md
  weave        weaveworks/weave site/faq.md
  node-cache   kubernetes/dns cmd/node-cache
  coredns      coredns.io/plugins (health, ready, prometheus)
  ingress      kubernetes/ingress-nginx docs/user-guide/cli-arguments.md
  metallb      metallb.io/installation
  csi          kubernetes-csi/livenessprobe; openshift
  exporters    github.com/prometheus/prometheus wiki, Default port allocations
  kernel       the protocol's module in drivers/net: no process owns its socket
  iana         IANA Service Name and Transport Protocol Port Number Registry
"""

from __future__ import annotations

from typing import Collection, Iterable, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import reach


class Row(NamedTuple):
    """One line of the catalogue: ``protocol``/``port`` held by a process named in ``names`` (comm)."""

    names: tuple[str, ...]
    protocol: str
    port: int
    component: str
    role: str
    source: str


STREAMING = "CRI streaming server"

# One process that contains kubelet, kube-proxy, API server, scheduler, controllers or several of them.
_K3S = ("k3s", "k3s-server", "k3s-agent")
ALL_IN_ONE = frozenset((*_K3S, "rke2", "k0s", "kubelite", "microshift", "hyperkube"))

_KUBELET = ("kubelet",)
_PROXY = ("kube-proxy",)
_APISERVER = ("kube-apiserver",)
_SCHEDULER = ("kube-scheduler",)
_CONTROLLERS = ("kube-controller",)  # also Calico's kube-controllers, cut to the same 15 bytes
_CLOUD = ("cloud-controlle", "aws-cloud-contr", "azure-cloud-con", "openstack-cloud", "gce-cloud-contr")
_ETCD = ("etcd", "microshift-etcd")
_CILIUM = ("cilium-agent",)
_CALICO = ("calico-node",)

# The components themselves; an all-in-one process may hold each of these.
CORE: tuple[Row, ...] = (
    Row(_KUBELET, "tcp", 10250, "kubelet", "API", "kubernetes"),
    Row(_KUBELET, "tcp", 10248, "kubelet", "health", "kubernetes"),
    Row(_KUBELET, "tcp", 10255, "kubelet", "read-only API", "kubernetes"),
    Row(_KUBELET, "tcp", 4194, "kubelet", "cAdvisor (removed in 1.12)", "changelog"),
    Row(_PROXY, "tcp", 10249, "kube-proxy", "metrics and proxy mode", "kubernetes"),
    Row(_PROXY, "tcp", 10256, "kube-proxy", "health", "kubernetes"),
    Row(_APISERVER, "tcp", 6443, "kube-apiserver", "API", "kubernetes"),
    Row(_APISERVER, "tcp", 8080, "kube-apiserver", "insecure API (removed in 1.24)", "changelog"),
    Row(_SCHEDULER, "tcp", 10259, "kube-scheduler", "metrics and health", "kubernetes"),
    Row(_SCHEDULER, "tcp", 10251, "kube-scheduler", "insecure metrics (removed in 1.24)", "changelog"),
    Row(_CONTROLLERS, "tcp", 10257, "kube-controller-manager", "metrics and health", "kubernetes"),
    Row(_CONTROLLERS, "tcp", 10252, "kube-controller-manager", "insecure metrics (removed in 1.24)", "changelog"),
    Row(_CLOUD, "tcp", 10258, "cloud-controller-manager", "metrics and health", "kubernetes"),
    Row(_CLOUD, "tcp", 10260, "cloud-controller-manager", "webhook", "kubernetes"),
    Row(_ETCD, "tcp", 2379, "etcd", "clients", "kubernetes"),
    Row(_ETCD, "tcp", 2380, "etcd", "peers", "kubernetes"),
    Row(_ETCD, "tcp", 2381, "etcd", "metrics", "kubeadm"),
)

DISTRIBUTIONS: tuple[Row, ...] = (
    Row(_APISERVER, "tcp", 443, "kube-apiserver", "API", "kops"),
    Row(_APISERVER, "tcp", 17697, "kube-apiserver", "endpoint checks", "openshift"),
    Row(_CONTROLLERS, "tcp", 9443, "kube-controller-manager", "recovery controller", "openshift"),
    Row(_SCHEDULER, "tcp", 11443, "kube-scheduler", "recovery controller", "openshift"),
    Row(_PROXY, "tcp", 10255, "kube-proxy", "health", "openshift"),
    Row(_PROXY, "tcp", 9101, "kube-proxy", "metrics", "openshift"),
    Row(_PROXY, "tcp", 9102, "kube-proxy", "metrics", "openshift"),
    Row(_ETCD, "tcp", 2382, "etcd", "metrics or peers of the events cluster", "kops"),
    Row(_ETCD, "tcp", 2383, "etcd", "peers of the Cilium cluster", "kops"),
    Row(_ETCD, "tcp", 2384, "etcd", "metrics of the Cilium cluster", "kops"),
    Row(_ETCD, "tcp", 4001, "etcd", "clients", "kops"),
    Row(_ETCD, "tcp", 4002, "etcd", "clients of the events cluster", "kops"),
    Row(_ETCD, "tcp", 4003, "etcd", "clients of the Cilium cluster", "kops"),
    Row(_ETCD, "tcp", 4004, "etcd", "clients of the leases cluster", "kops"),
    Row(_ETCD, "tcp", 3994, "etcd", "quarantined clients", "kops"),
    Row(_ETCD, "tcp", 3995, "etcd", "quarantined clients of the events cluster", "kops"),
    Row(_ETCD, "tcp", 4005, "etcd", "quarantined clients of the Cilium cluster", "kops"),
    Row(_ETCD, "tcp", 9977, "etcd", "readiness", "openshift"),
    Row(_ETCD, "tcp", 9978, "etcd", "metrics", "openshift"),
    Row(_ETCD, "tcp", 9979, "etcd", "metrics", "openshift"),
    Row(_ETCD, "tcp", 9980, "etcd", "readiness", "openshift"),
    Row(("etcd-manager",), "tcp", 3996, "etcd-manager", "gRPC", "kops"),
    Row(("etcd-manager",), "tcp", 3997, "etcd-manager", "gRPC of the events cluster", "kops"),
    Row(("etcd-manager",), "tcp", 4006, "etcd-manager", "gRPC of the Cilium cluster", "kops"),
    Row(("channels",), "tcp", 3986, "kops channels", "health", "kops"),
    Row(("nodeup",), "tcp", 3987, "nodeup", "bootstrap challenge", "kops"),
    Row(("kops-controller",), "tcp", 3988, "kops-controller", "bootstrap", "kops"),
    Row(("kube-apiserver-",), "tcp", 3990, "kube-apiserver-healthcheck", "health", "kops"),
    Row(("dns-controller",), "tcp", 3998, "dns-controller", "gossip", "kops"),
    Row(("protokube",), "tcp", 3999, "protokube", "gossip", "kops"),
    Row(("protokube",), "tcp", 4000, "protokube", "gossip", "kops"),
    Row(_K3S, "tcp", 6444, "k3s", "API through the supervisor", "k3s"),
    Row(_K3S, "tcp", 2382, "etcd", "clients over HTTP", "k3s"),
    Row(_K3S, "tcp", 5001, "k3s", "embedded registry mirror", "k3s"),
    Row(("rke2",), "tcp", 9345, "rke2", "supervisor API", "rke2"),
    Row(("rke2",), "tcp", 6444, "rke2", "API load balancer for agents", "rke2"),
    Row(("k0s",), "tcp", 9443, "k0s", "join API", "k0s"),
    Row(("kubelite",), "tcp", 16443, "kube-apiserver", "API", "microk8s"),
    Row(("k8s-dqlite",), "tcp", 19001, "k8s-dqlite", "peers", "microk8s"),
    Row(("cluster-agent",), "tcp", 25000, "MicroK8s cluster agent", "join API", "microk8s"),
    Row(("machine-config-",), "tcp", 22623, "machine-config-server", "node configuration", "openshift"),
    Row(("machine-config-",), "tcp", 22624, "machine-config-server", "node configuration, plain HTTP", "openshift"),
    Row(("machine-config-",), "tcp", 8797, "machine-config-daemon", "metrics", "openshift"),
    Row(("cluster-policy-",), "tcp", 10357, "cluster-policy-controller", "health", "openshift"),
    Row(("proxy-server", "konnectivity-se"), "tcp", 8090, "konnectivity-server", "API server's side", "konnectivity"),
    Row(("proxy-server", "konnectivity-se"), "tcp", 8091, "konnectivity-server", "agents", "konnectivity"),
    Row(("proxy-server", "konnectivity-se"), "tcp", 8092, "konnectivity-server", "health", "konnectivity"),
    Row(("proxy-server", "konnectivity-se"), "tcp", 8095, "konnectivity-server", "admin", "konnectivity"),
    Row(("proxy-agent", "konnectivity-ag"), "tcp", 8093, "konnectivity-agent", "health", "konnectivity"),
    Row(("proxy-agent", "konnectivity-ag"), "tcp", 8094, "konnectivity-agent", "admin", "konnectivity"),
)

RUNTIMES: tuple[Row, ...] = (
    Row(("containerd",), "tcp", 10010, "containerd", STREAMING, "k3s"),
    Row(("containerd",), "tcp", 1338, "containerd", "metrics", "containerd"),
    Row(("crio",), "tcp", 10010, "cri-o", STREAMING, "openshift"),
    Row(("crio",), "tcp", 9090, "cri-o", "metrics", "cri-o"),
    Row(("crio",), "tcp", 9537, "cri-o", "metrics", "openshift"),
    Row(("cri-dockerd",), "tcp", 10010, "cri-dockerd", STREAMING, "cri-dockerd"),
    # k3s server --docker runs cri-dockerd inside itself; its containerd is a process of its own.
    Row(_K3S, "tcp", 10010, "cri-dockerd", STREAMING, "k3s"),
    Row(("dockerd",), "tcp", 2375, "docker", "engine API without TLS", "docker"),
    Row(("dockerd",), "tcp", 2376, "docker", "engine API", "docker"),
    Row(("dockerd",), "tcp", 2377, "docker", "swarm management", "docker"),
    Row(("dockerd",), "tcp", 7946, "docker", "swarm gossip", "docker"),
    Row(("dockerd",), "udp", 7946, "docker", "swarm gossip", "docker"),
)

NETWORKS: tuple[Row, ...] = (
    Row(("bird", "bird6"), "tcp", 179, "calico", "BGP", "calico"),
    Row(_CALICO, "tcp", 9091, "calico", "felix metrics", "calico"),
    Row(_CALICO, "tcp", 9099, "calico", "felix health", "calico"),
    Row(_CALICO, "tcp", 10256, "calico", "kube-proxy health, eBPF data plane", "calico"),
    Row(("calico-typha",), "tcp", 5473, "calico-typha", "felix", "calico"),
    Row(("calico-typha",), "tcp", 9093, "calico-typha", "metrics", "calico"),
    Row(("calico-typha",), "tcp", 9098, "calico-typha", "health", "calico"),
    Row(_CONTROLLERS, "tcp", 9094, "calico kube-controllers", "metrics", "calico"),
    Row(_CILIUM, "tcp", 4240, "cilium", "node health", "cilium"),
    Row(_CILIUM, "tcp", 4244, "cilium", "hubble", "cilium"),
    Row(("hubble-relay",), "tcp", 4245, "hubble-relay", "API", "cilium"),
    Row(_CILIUM, "tcp", 4250, "cilium", "mutual authentication", "cilium"),
    Row(_CILIUM, "tcp", 4251, "cilium", "spire health", "cilium"),
    Row(_CILIUM, "tcp", 6060, "cilium", "profiling", "cilium"),
    Row(("cilium-operator",), "tcp", 6061, "cilium-operator", "profiling", "cilium"),
    Row(("hubble-relay",), "tcp", 6062, "hubble-relay", "profiling", "cilium"),
    Row(("cilium-envoy",), "tcp", 9878, "cilium-envoy", "health", "cilium"),
    Row(_CILIUM, "tcp", 9879, "cilium", "health", "cilium"),
    Row(_CILIUM, "tcp", 9890, "cilium", "gops", "cilium"),
    Row(("cilium-operator",), "tcp", 9234, "cilium-operator", "API", "cilium"),
    Row(("cilium-operator",), "tcp", 9891, "cilium-operator", "gops", "cilium"),
    Row(("hubble-relay",), "tcp", 9893, "hubble-relay", "gops", "cilium"),
    Row(("cilium-envoy", *_CILIUM), "tcp", 9901, "cilium-envoy", "admin", "cilium"),
    Row(_CILIUM, "tcp", 9962, "cilium", "metrics", "cilium"),
    Row(("cilium-operator",), "tcp", 9963, "cilium-operator", "metrics", "cilium"),
    Row(("cilium-envoy", *_CILIUM), "tcp", 9964, "cilium-envoy", "metrics", "cilium"),
    Row(_CILIUM, "tcp", 9965, "cilium", "hubble metrics", "cilium"),
    Row(_CILIUM, "tcp", 10256, "cilium", "kube-proxy health", "cilium"),
    Row(("kube-router",), "tcp", 20244, "kube-router", "health", "kube-router"),
    Row(("kube-router",), "tcp", 179, "kube-router", "BGP", "kube-router"),
    Row(("weaver",), "tcp", 6783, "weave", "control", "weave"),
    Row(("weaver",), "udp", 6783, "weave", "data", "weave"),
    Row(("weaver",), "udp", 6784, "weave", "fast datapath", "weave"),
    Row(("weaver",), "tcp", 6784, "weave", "HTTP API", "weave"),
    Row(("weaver",), "tcp", 6782, "weave", "metrics", "weave"),
    Row(("weave-npc",), "tcp", 6781, "weave-npc", "metrics", "weave"),
    Row(("flanneld",), "udp", 8285, "flannel", "udp backend", "flannel"),
    Row(("antrea-controll",), "tcp", 10349, "antrea-controller", "API", "antrea"),
    Row(("antrea-agent",), "tcp", 10350, "antrea-agent", "API", "antrea"),
    Row(("antrea-agent",), "tcp", 10351, "antrea-agent", "membership", "antrea"),
    Row(("antrea-agent",), "udp", 10351, "antrea-agent", "membership", "antrea"),
    Row(("ovnkube",), "tcp", 10256, "ovn-kubernetes", "kube-proxy health", "openshift"),
    Row(("openshift-sdn-n", "openshift-sdn"), "tcp", 10256, "openshift-sdn", "kube-proxy health", "openshift"),
    Row(("openshift-sdn-n", "openshift-sdn"), "tcp", 29101, "openshift-sdn", "metrics", "openshift"),
    Row(("ovnkube",), "tcp", 29102, "ovn-kubernetes", "metrics", "openshift"),
    Row(("ovnkube",), "tcp", 29103, "ovn-kubernetes", "metrics", "openshift"),
    Row(("ovsdb-server",), "tcp", 9641, "ovn-kubernetes", "northbound database", "openshift"),
    Row(("ovsdb-server",), "tcp", 9642, "ovn-kubernetes", "southbound database", "openshift"),
    Row(("ovsdb-server",), "tcp", 9643, "ovn-kubernetes", "northbound database peers", "openshift"),
    Row(("ovsdb-server",), "tcp", 9644, "ovn-kubernetes", "southbound database peers", "openshift"),
    Row(("kube-rbac-proxy",), "tcp", 9103, "ovn-kubernetes", "metrics", "openshift"),
    Row(("speaker",), "tcp", 7472, "metallb", "metrics", "metallb"),
    Row(("speaker",), "tcp", 7946, "metallb", "gossip", "metallb"),
    Row(("speaker",), "udp", 7946, "metallb", "gossip", "metallb"),
)

SERVICES: tuple[Row, ...] = (
    Row(("node-cache",), "tcp", 53, "node-local-dns", "DNS", "node-cache"),
    Row(("node-cache",), "udp", 53, "node-local-dns", "DNS", "node-cache"),
    Row(("node-cache",), "tcp", 8080, "node-local-dns", "health", "node-cache"),
    Row(("node-cache",), "tcp", 3989, "node-local-dns", "health", "kops"),
    Row(("node-cache",), "tcp", 9253, "node-local-dns", "metrics", "node-cache"),
    Row(("node-cache",), "tcp", 9353, "node-local-dns", "metrics of the setup", "node-cache"),
    Row(("coredns",), "tcp", 53, "coredns", "DNS", "coredns"),
    Row(("coredns",), "udp", 53, "coredns", "DNS", "coredns"),
    Row(("coredns",), "tcp", 8080, "coredns", "health", "coredns"),
    Row(("coredns",), "tcp", 8181, "coredns", "readiness", "coredns"),
    Row(("coredns",), "tcp", 9153, "coredns", "metrics", "coredns"),
    Row(("nginx-ingress-c",), "tcp", 10254, "ingress-nginx", "health and metrics", "ingress"),
    Row(("nginx-ingress-c",), "tcp", 10245, "ingress-nginx", "profiling", "ingress"),
    Row(("nginx-ingress-c",), "tcp", 8443, "ingress-nginx", "admission webhook", "ingress"),
    Row(("nginx",), "tcp", 10246, "ingress-nginx", "status", "ingress"),
    Row(("nginx",), "tcp", 10247, "ingress-nginx", "streams", "ingress"),
    Row(("openshift-route",), "tcp", 1936, "openshift-router", "health and metrics", "openshift"),
    Row(("haproxy",), "tcp", 10443, "openshift-router", "HTTPS without SNI", "openshift"),
    Row(("haproxy",), "tcp", 10444, "openshift-router", "HTTPS with SNI", "openshift"),
    Row(("node_exporter", "kube-rbac-proxy"), "tcp", 9100, "node-exporter", "metrics", "exporters"),
    Row(("dcgm-exporter",), "tcp", 9400, "dcgm-exporter", "metrics", "exporters"),
    Row(("livenessprobe",), "tcp", 9808, "CSI driver", "health", "csi"),
    Row(("livenessprobe",), "tcp", 9809, "CSI driver", "health", "csi"),
    Row(("livenessprobe",), "tcp", 10300, "CSI driver", "health", "csi"),
    Row(("livenessprobe",), "tcp", 10301, "CSI driver", "health", "csi"),
    Row(("livenessprobe",), "tcp", 10302, "CSI driver", "health", "csi"),
    Row(("livenessprobe",), "tcp", 10303, "CSI driver", "health", "csi"),
    Row(("sshd", "systemd"), "tcp", 22, "sshd", "SSH", "iana"),
    Row(("rpcbind", "systemd"), "tcp", 111, "rpcbind", "port mapper", "iana"),
    Row(("rpcbind", "systemd"), "udp", 111, "rpcbind", "port mapper", "iana"),
    Row(("chronyd",), "udp", 323, "chronyd", "control", "iana"),
    Row(("chronyd", "ntpd"), "udp", 123, "time service", "NTP", "iana"),
    Row(("systemd-resolve",), "tcp", 53, "systemd-resolved", "DNS", "iana"),
    Row(("systemd-resolve",), "udp", 53, "systemd-resolved", "DNS", "iana"),
)

CATALOGUE = CORE + DISTRIBUTIONS + RUNTIMES + NETWORKS + SERVICES

# Processes all of whose ports are chosen elsewhere: by users, by Services.
WHATEVER_PORT: tuple[tuple[str, str, str, str], ...] = (
    ("kube-proxy", "kube-proxy", "NodePort (before 1.24) or healthCheckNodePort", "kubernetes"),
    ("docker-proxy", "docker", "published container port", "docker"),
    ("rpc.statd", "rpc.statd", "NFS lock recovery, random port", "iana"),
)

RANDOM_PROGRAMS = frozenset({"rpc.statd"})  # those of them that are on another port after each start

# Numbers that need no process: nothing else on a node uses them, or the kernel itself listens, which no process owns.
UNMISTAKABLE: tuple[Row, ...] = (
    *(row for row in CORE if row.port in (10248, 10249, 10250, 10257, 10259, 2379, 2380, 6443)),
    Row((), "tcp", 10256, "kube-proxy or its replacement", "health", "kubernetes"),
    Row((), "tcp", 2049, "kernel", "NFS server", "iana"),
    Row((), "udp", 2049, "kernel", "NFS server", "iana"),
    Row((), "udp", 4789, "kernel", "VXLAN", "kernel"),
    Row((), "udp", 8472, "kernel", "VXLAN (Flannel, Cilium)", "kernel"),
    Row((), "udp", 6081, "kernel", "Geneve", "kernel"),
    Row((), "udp", 51820, "kernel", "WireGuard", "kernel"),
    Row((), "udp", 51821, "kernel", "WireGuard (Calico, IPv6)", "calico"),
    Row((), "udp", 51871, "kernel", "WireGuard (Cilium)", "cilium"),
)

_DEFAULT_RANGE = (32768, 60999)  # net.ipv4.ip_local_port_range, net/ipv4/af_inet.c

# The CRI runtime of each process whose streaming server may draw a random port: (component, loopback only, source).
# dockershim listens on localhost:0 inside kubelet (1.11 to 1.23); k3s had cri-dockerd on a random port until #9965.
_RANDOM_STREAMING = {
    "kubelet": ("dockershim", True, "dockershim"),
    "hyperkube": ("dockershim", True, "dockershim"),
    "containerd": ("containerd", False, "containerd"),
    "crio": ("cri-o", False, "cri-o"),
    "cri-dockerd": ("cri-dockerd", False, "cri-dockerd"),
    "k3s": ("cri-dockerd", False, "k3s"),
    "k3s-server": ("cri-dockerd", False, "k3s"),
    "k3s-agent": ("cri-dockerd", False, "k3s"),
}

# Programs that hold a port for somebody else: forwards, load balancers, sidecars, socket activation.
_RELAYS = frozenset(
    (
        "caddy",
        "conmon",
        "docker-proxy",
        "envoy",
        "gobetween",
        "haproxy",
        "kube-rbac-proxy",
        "kube-vip",
        "kubectl",
        "minikube",
        "nginx",
        "pilot-agent",
        "rootlesskit",
        "rootlessport",
        "slirp4netns",
        "socat",
        "ssh",
        "sshd",
        "sshd-session",
        "stunnel",
        "stunnel4",
        "systemd",
        "systemd-socket-",
        "tailscaled",
        "traefik",
        "xinetd",
    )
)

# Who may hold a component's port besides the component, an all-in-one and a relay.
_OTHER_OWNERS: dict[int, tuple[str, ...]] = {
    10250: ("virtual-kubelet", "kwok", "edgecore", "kip"),
    10248: ("edgecore",),
    10249: ("ovnkube", "openshift-sdn-n", "openshift-sdn", "kube-router", "kpng", "cilium-agent", "calico-node"),
    10256: (
        "antrea-agent",
        "calico-node",
        "cilium-agent",
        "kpng",
        "kube-router",
        "openshift-sdn",
        "openshift-sdn-n",
        "ovnkube",
    ),
    10257: ("controller-mana",),
    10259: ("koord-scheduler", "scheduler", "vc-scheduler", "volcano-schedul", "yunikorn-schedu"),
    2379: ("etcd-manager", "kine", "pd-server", "clustermesh-api", "k8s-dqlite"),
    2380: ("etcd-manager", "pd-server"),
    6443: ("apiserver", "openshift-apise", "k8s-dqlite", "kubernetes-api-"),
}

# Where distributions pin the streaming server.
STREAMING_PORTS = frozenset(row.port for row in RUNTIMES if row.role == STREAMING)

_BY_NAME = {(name, row.protocol, row.port): row for row in reversed(CATALOGUE) for name in row.names}
_BY_NAME.update({(name, row.protocol, row.port): row for row in CORE for name in ALL_IN_ONE})
_BY_NUMBER = {(row.protocol, row.port): row for row in UNMISTAKABLE}
_CORE_NAMES = {(row.protocol, row.port): row.names for row in CORE}


def known_as(
    protocol: str,
    address: str,
    port: int,
    process_names: Iterable[str],
    ephemeral: bool | None,
    pinned: Collection[tuple[str, int]] = (),
) -> dict[str, str] | None:
    """What a listener is, as ``{component, role, source}``; None when the catalogue does not know it.

    ``process_names`` are the comm names of its owners; empty when nobody owns it or the owner could not be seen, and
    only then the number decides. ``ephemeral``: does the port lie in ip_local_port_range, None when that is unknown.
    ``pinned``: the (runtime, port) pairs that this node's configuration sets for streaming (cri_config.pinned).
    """
    names = list(process_names)
    if not names:
        return _told(_BY_NUMBER.get((protocol, port)))
    for name in names:
        found = (
            _told(_BY_NAME.get((name, protocol, port)))
            or _pinned_streaming(name, protocol, port, pinned)
            or _random_streaming(name, protocol, address, port, ephemeral)
        )
        if found:
            return found
    for name, component, role, source in WHATEVER_PORT:
        if name in names:
            return {"component": component, "role": role, "source": source}
    return None


def rightful_owners(protocol: str, port: int) -> frozenset[str]:
    """The comm names that may hold a component's well-known port; empty for a port without a strict owner.

    Wide on purpose: an owner that is missing here raises a false alarm, one too many only hides a rare conflict.
    """
    others = _OTHER_OWNERS.get(port)
    if protocol != "tcp" or others is None:
        return frozenset()
    return frozenset((*_CORE_NAMES[protocol, port], *others)) | ALL_IN_ONE | _RELAYS


def component(protocol: str, port: int) -> str:
    """The Kubernetes component whose well-known port this is. Raises KeyError for a port without a strict owner."""
    return next(row.component for row in CORE if (row.protocol, row.port) == (protocol, port))


def _told(row: Row | None) -> dict[str, str] | None:
    return row and {"component": row.component, "role": row.role, "source": row.source}


def _pinned_streaming(
    name: str, protocol: str, port: int, pinned: Collection[tuple[str, int]]
) -> dict[str, str] | None:
    """The CRI runtime's listener on the very port that its configuration sets."""
    runtime = _RANDOM_STREAMING.get(name)
    if runtime is None or protocol != "tcp" or (runtime[0], port) not in pinned:
        return None
    return {"component": runtime[0], "role": STREAMING, "source": runtime[2]}


def _random_streaming(
    name: str, protocol: str, address: str, port: int, ephemeral: bool | None
) -> dict[str, str] | None:
    """The CRI runtime's own listener on a port that no table knows: its streaming server, if the port was drawn."""
    # The kernel's default range too: a port that was drawn before the range was changed stays where it is.
    drawn = ephemeral is not False or _DEFAULT_RANGE[0] <= port <= _DEFAULT_RANGE[1]
    if protocol != "tcp" or not drawn or name not in _RANDOM_STREAMING:
        return None
    component, loopback_only, source = _RANDOM_STREAMING[name]
    if loopback_only and reach.of(address) != reach.LOOPBACK:
        return None
    return {"component": component, "role": STREAMING, "source": source}
