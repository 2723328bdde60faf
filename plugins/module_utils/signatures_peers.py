# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers that cannot be reached or trusted: etcd, BGP neighbours, addresses without a free port, expired certificates."""

from __future__ import annotations

from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import JOURNAL, POD
from ansible_collections.kubenode.doctor.plugins.module_utils.signature import Signature, Wording
from ansible_collections.kubenode.doctor.plugins.module_utils.signature_words import (
    API_SERVER,
    COMMAND,
    CONTAINERD,
    CRIO,
    DOCKER,
    HOST,
    KUBE_PROXY,
    KUBELET,
    KUBERNETES,
    PORT,
    QUOTED,
    REFUSED,
)

# etcd's client port, and those of kops: main, events, leases.
_ETCD_PORTS = (
    (2379, "kube-apiserver and k3s of all versions", f"{KUBERNETES}/issues/107491"),
    (
        4001,
        "kube-apiserver of kops",
        "https://github.com/kubernetes/kops/blob/master/pkg/wellknownports/wellknownports.go",
    ),
    (
        4002,
        "kube-apiserver of kops",
        "https://github.com/kubernetes/kops/blob/master/pkg/wellknownports/wellknownports.go",
    ),
    (
        4004,
        "kube-apiserver of kops",
        "https://github.com/kubernetes/kops/blob/master/pkg/wellknownports/wellknownports.go",
    ),
)

ETCD_DIAL_REFUSED = Signature(
    id="etcd-dial-refused",
    level="warning",
    title="The API server could not reach etcd: connection refused",
    meaning=(
        "Nothing listened on etcd's client port when the API server dialled it. A few of these while both start are"
        " normal. Mind whose words they are: when the API server's container cannot be created, kubectl logs shows"
        " its previous instance, whose last words are these because etcd was stopped as well; then they are an echo,"
        " not the cause."
    ),
    cure=(
        "Look at the times: if they go on, see whether etcd runs, why it stopped, and on which address it listens. If"
        " they ended with an earlier instance of the API server, look in kubelet's log for why the next one is not"
        " created."
    ),
    sources=(JOURNAL, POD),
    units=API_SERVER,
    containers=("kube-apiserver",),
    negatives=(*QUOTED, COMMAND),
    # "operation was canceled" is noise of grpc (kubernetes/kubernetes#134080), and is no refusal.
    wordings=tuple(
        Wording(
            anchor=f":{port}: ",
            pattern=rf"dial tcp[46]? (?P<address>{HOST}:{port}): {REFUSED}",
            versions=versions,
            link=link,
        )
        for port, versions, link in _ETCD_PORTS
    ),
)

BGP_NOT_ESTABLISHED = Signature(
    id="bgp-not-established",
    level="warning",
    title="Calico's BGP sessions with other nodes are not established",
    meaning=(
        "calico-node is not ready because BGP sessions are down: soon after its start when any is, later when all"
        " are. Routes to pods on these nodes are missing here. The addresses may be those of nodes that are gone, of"
        " nodes that are down, or wrong ones, taken from an interface that the others cannot reach."
    ),
    cure=(
        "For a node that is gone, remove it from Calico (calicoctl delete node), after making sure that it is gone."
        " For one that lives, see that TCP port 179 is open between the two, and that each announces the address of"
        " the right interface (IP_AUTODETECTION_METHOD)."
    ),
    sources=(JOURNAL, POD),
    units=KUBELET,
    containers=("calico-node",),
    wordings=(
        Wording(
            anchor="BGP not established with ",
            pattern=r"BGP not established with (?P<peers>[0-9a-fA-F][0-9a-fA-F.:,]{1,1000})",
            versions="calico/node from 2018 on, in kubelet's log of the readiness probe",
            link="https://github.com/projectcalico/calico/blob/master/node/pkg/health/health.go",
        ),
    ),
)

_NGINX = "https://github.com/nginx/nginx/blob/master/src/event/ngx_event_connect.c"

_JDK = "https://github.com/openjdk/jdk/blob/master"

CANNOT_ASSIGN_ADDRESS = Signature(
    id="cannot-assign-address",
    level="warning",
    title="A program cannot connect: no source port or address is left for it",
    meaning=(
        "The kernel refused to give an outgoing connection a source (EADDRNOTAVAIL). Either every automatic port to"
        " that destination is in use, by open connections or ones that were closed a minute ago, or the source"
        " address that the program asked for is not on this node, or not any more."
    ),
    cure=(
        "Count the connections to that destination. If they come near the number of automatic ports, let the program"
        " keep its connections and reuse them, or spread them over more destinations or source addresses. If they are"
        " few, see whether the program binds to an address that the node does not have."
    ),
    sources=(JOURNAL, POD),
    # Without IPv6, localhost's ::1 is tried first and gives the same error: harmless, and no port is missing.
    negatives=(
        r"\[::1\]:[0-9]{1,5}: (?:(?:connect|bind): )?cannot assign",
        r"EADDRNOTAVAIL ::1:",
        # asyncio of Python, which has tried the other addresses of the name as well: [Errno 111] is of 127.0.0.1
        r"Multiple exceptions: \[Errno",
    ),
    wordings=(
        Wording(
            anchor="annot assign requested address",
            pattern=(
                rf"dial (?:tcp|udp)[46]? (?:{HOST}:{PORT}->)?(?P<destination>{HOST}:{PORT}): "
                r"(?:(?:connect|bind): )?cannot assign requested address"
            ),
            versions="programs in Go",
            link=f"{KUBERNETES}/issues/6788",
        ),
        Wording(
            anchor="failed (99: ",
            pattern=(
                r"connect\(\) to (?P<destination>[A-Za-z0-9._:/\[\]-]{1,120}) failed \(99: "
                r"(?:Cannot assign requested address|Address not available)\)"
            ),
            versions="nginx, ingress-nginx",
            link=_NGINX,
        ),
        Wording(
            anchor="Socket error: bind: ",
            pattern=(
                r"(?P<destination>(?:Global|Mesh|Node)_[A-Za-z0-9_]{1,60}): Socket error: bind: "
                r"(?:Cannot assign requested address|Address not available)"
            ),
            versions="BIRD of Calico",
            link="https://github.com/projectcalico/calicoctl/issues/819",
        ),
        Wording(
            anchor="Errno 99",
            pattern=r"\[Errno 99\] (?:Cannot assign requested address|Address not available)",
            versions="programs in Python",
            link="https://github.com/psf/requests/issues/4664",
        ),
        Wording(
            anchor="annot assign requested address",
            pattern=r"\bjava\.net\.(?:Connect|NoRouteToHost|Socket)Exception: Cannot assign requested address",
            versions="programs in Java",
            link=f"{_JDK}/src/java.base/unix/native/libnet/net_util_md.c",
        ),
        Wording(
            anchor="connect EADDRNOTAVAIL ",
            pattern=rf"\bconnect EADDRNOTAVAIL (?P<destination>[0-9A-Fa-f.:]{{3,45}}:{PORT})\b",
            versions="programs on Node.js",
            link="https://github.com/nodejs/node/blob/main/lib/net.js",
        ),
    ),
)

CERTIFICATE_EXPIRED = Signature(
    id="certificate-expired",
    level="warning",
    title="A TLS certificate has expired, or the clock is wrong",
    meaning=(
        "One side of a TLS connection refused the other's certificate because of its dates. The certificate may be"
        " its own, its peer's, or a client's that keeps trying with an old kubeconfig. All at once on one node, it is"
        " rather that node's clock."
    ),
    cure=(
        "See that the node's clock is right. kubeadm certs check-expiration tells the dates on a control-plane node,"
        " and kubeadm certs renew all renews them; restart the control plane's containers afterwards. kubelet's own"
        " is /var/lib/kubelet/pki/kubelet-client-current.pem."
    ),
    sources=(JOURNAL, POD),
    units=(*dict.fromkeys((*KUBELET, *API_SERVER, *KUBE_PROXY)), *CONTAINERD, *CRIO, *DOCKER, "etcd"),
    containers=(
        "calico-node",
        "cilium-agent",
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-flannel",
        "kube-proxy",
        "kube-scheduler",
    ),
    wordings=(
        Wording(
            anchor="certificate has expired or is not yet valid",
            pattern=r"certificate has expired or is not yet valid",
            versions="programs in Go",
            link="https://github.com/golang/go/blob/master/src/crypto/x509/verify.go",
        ),
        Wording(
            anchor="existing bootstrap client certificate",
            pattern=r"art of the existing bootstrap client certificate (?:in [^ ]{1,300} )?is expired",
            versions="kubelet 1.9 and newer",
            link=f"{KUBERNETES}/pull/98230",
        ),
        Wording(
            anchor="active client certificate has expired",
            pattern=r"The currently active client certificate has expired",
            versions="kubelet, seen in late 2020",
            link=f"{KUBERNETES}/issues/96256",
        ),
        Wording(
            anchor="tls: expired certificate",
            pattern=r"remote error: tls: expired certificate",
            versions="programs in Go, told by the peer",
            link="https://github.com/golang/go/blob/master/src/crypto/tls/alert.go",
        ),
    ),
)

SIGNATURES = (ETCD_DIAL_REFUSED, BGP_NOT_ESTABLISHED, CANNOT_ASSIGN_ADDRESS, CERTIFICATE_EXPIRED)
