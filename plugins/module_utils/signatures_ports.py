# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that somebody else has: what kube-proxy, OVN-Kubernetes and kubelet say of them."""

from __future__ import annotations

from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import JOURNAL, POD
from ansible_collections.kubenode.doctor.plugins.module_utils.signature import Signature, Wording
from ansible_collections.kubenode.doctor.plugins.module_utils.signature_words import (
    API_SERVER,
    HOST,
    KUBE_PROXY,
    KUBELET,
    KUBERNETES,
    LABEL,
    LOOPBACK,
    PORT,
    QUOTE,
)

_IN_USE = r"bind: address already in use"
# "nodePort for default/web:http" (:36527/tcp)
# The port's name is there when it has one, and an address when kube-proxy binds to one.
_NODE_PORT = (
    rf"{QUOTE}nodePort for (?P<service>{LABEL}/{LABEL})(?::{LABEL})?{QUOTE}"
    rf" \((?:[0-9.]{{7,15}}|\[[0-9A-Fa-f:.]{{2,45}}\])?:(?P<port>{PORT})/(?:tcp|udp|sctp)[46]?\)"
)

# port={Description:nodePort for default/web:http IP: IPFamily:4 Port:36527 Protocol:TCP}
_NODE_PORT_STRUCT = (
    rf"\{{Description:nodePort for (?P<service>{LABEL}/{LABEL})(?::{LABEL})?"
    rf" IP:[0-9A-Fa-f.:]{{0,45}} IPFamily:[46]? Port:(?P<port>{PORT}) Protocol:"
)

NODEPORT_BIND_FAILED = Signature(
    id="nodeport-bind-failed",
    level="warning",
    title="kube-proxy cannot open the port of a NodePort Service: another process has it",
    meaning=(
        "A process of the host holds the port that a NodePort Service has. The message says that the NodePort is"
        " skipped, which has not been so since Kubernetes 1.11: only kube-proxy's placeholder socket is skipped, the"
        " rules are written. It is the process of the host that loses, since new connections to the port go to the"
        " Service. kube-proxy 1.23.0 to 1.23.4 says so by mistake as well, against itself."
    ),
    cure=(
        "See which process listens on the port, and move it or the Service's nodePort. If it is kubelet or the"
        " container runtime with a port that it drew by chance, keep the NodePort range out of the range of automatic"
        " ports."
    ),
    sources=(JOURNAL, POD),
    units=KUBE_PROXY,
    containers=("kube-proxy", "sdn"),
    wordings=(
        Wording(
            anchor="skipping this nodePort",
            pattern=rf"open {_NODE_PORT}, skipping this nodePort: listen [a-z0-9]{{3,5}} [^ ]{{1,60}} {_IN_USE}",
            versions="kube-proxy up to 1.20 or so",
            link=f"{KUBERNETES}/issues/82851",
        ),
        Wording(
            anchor="open port, skipping it",
            pattern=_NODE_PORT,
            also=(_IN_USE,),
            versions="kube-proxy and OpenShift's sdn, around 1.21",
            link=f"{KUBERNETES}/issues/107170",
        ),
        Wording(
            anchor="open port, skipping it",
            pattern=_NODE_PORT_STRUCT,
            also=(_IN_USE,),
            versions="the last kube-proxy that opened NodePorts, such as 1.23.0",
            link=f"{KUBERNETES}/blob/v1.23.0/pkg/proxy/iptables/proxier.go",
        ),
    ),
)

KUBE_PROXY_METRICS_BIND_FAILED = Signature(
    id="kube-proxy-metrics-bind-failed",
    level="warning",
    title="kube-proxy cannot open its metrics port: another process has it",
    meaning=(
        "The address on which kube-proxy serves metrics and its mode is taken, mostly by a second kube-proxy on the"
        " same node. Services work, or are written by two programs in turn; what is measured at that port is the"
        " other process."
    ),
    cure=(
        "See which process has the port. If it is another kube-proxy, stop the one that should not be there; else set"
        " metricsBindAddress to a free port outside the NodePort range and the range of automatic ports."
    ),
    sources=(JOURNAL, POD),
    units=KUBE_PROXY,
    containers=("kube-proxy",),
    wordings=(
        Wording(
            anchor="starting metrics server failed",
            pattern=rf"starting metrics server failed: listen tcp[46]? (?P<address>{HOST}?:{PORT}): {_IN_USE}",
            versions="kube-proxy 1.7 and newer",
            link=f"{KUBERNETES}/issues/85483",
        ),
    ),
)

OVN_PORT_CLAIM_FAILED = Signature(
    id="ovn-port-claim-failed",
    level="warning",
    title="OVN-Kubernetes cannot open the port of a Service: another process has it",
    meaning=(
        "OVN-Kubernetes opens the node ports and external ports of Services on each node, so that no process takes"
        " them. One of them is taken already: the process that has it and the Service are in each other's way."
    ),
    cure="See which process listens on the port, and move it or the Service's port.",
    sources=(JOURNAL, POD),
    wordings=(
        Wording(
            anchor="PortClaim for svc: ",
            pattern=(
                rf"PortClaim for svc: [^ ]{{1,320}} on port: (?P<port>{PORT}),"
                rf" err: listen [a-z0-9]{{3,5}} [^ ]{{1,60}} {_IN_USE}"
            ),
            versions="OVN-Kubernetes from 2020 on",
            link="https://github.com/ovn-kubernetes/ovn-kubernetes/blob/master/go-controller/pkg/node/port_claim.go",
        ),
        Wording(
            anchor="rror claiming port for service: ",
            pattern=(
                r"rror claiming port for service: [^ ]{3,320} listen [a-z0-9]{3,5}"
                rf" {HOST}?:(?P<port>{PORT}): {_IN_USE}"
            ),
            versions="OVN-Kubernetes from 2020 on",
            link="https://github.com/ovn-kubernetes/ovn-kubernetes/blob/master/go-controller/pkg/node/port_claim.go",
        ),
    ),
)

_NO_ANSWER = r"(?:(?:getsockopt: |connect: )?connection (?:refused|timed out)|i/o timeout)"
_DIAL = rf"dial tcp[46]? {LOOPBACK}:(?P<port>{PORT}): {_NO_ANSWER}"

EXEC_DIAL_REFUSED = Signature(
    id="exec-dial-refused",
    level="warning",
    title="kubectl exec, attach or port-forward fails on this node: the streaming server does not answer",
    meaning=(
        "kubelet hands exec, attach and port-forward on to a streaming server of the container runtime, on a loopback"
        " port of this node, and nobody answered there. Mostly the port is also a NodePort, whose rules take the"
        " connections away although the server listens; else the runtime was just restarted. kubectl logs keeps"
        " working."
    ),
    cure=(
        "If the port is a NodePort, give the Service another one, or give the container runtime a fixed streaming"
        " port outside the NodePort range and restart it. Else see whether the container runtime listens on the port."
    ),
    sources=(JOURNAL, POD),
    units=tuple(dict.fromkeys((*KUBELET, *API_SERVER))),
    containers=("kube-apiserver",),
    # kubelet's own port: that is the API server, which cannot reach kubelet.
    negatives=(rf"{LOOPBACK}:10250: ",),
    wordings=(
        Wording(
            anchor="error dialing backend: dial tcp",
            pattern=rf"error dialing backend: {_DIAL}",
            versions="kubelet 1.11 and newer",
            link=f"{KUBERNETES}/issues/85418",
        ),
        Wording(
            anchor="error sending request: ",
            pattern=(
                rf"error sending request: (?:Get|Post) {QUOTE}https?://{LOOPBACK}:{PORT}/(?:exec|attach|portforward)/"
                rf"[^\s\"\\]{{1,300}}{QUOTE}: {_DIAL}"
            ),
            versions="kubelet of recent versions, seen in 1.36",
            link=f"{KUBERNETES}/blob/master/pkg/kubelet/server/server.go",
        ),
    ),
)

SIGNATURES = (NODEPORT_BIND_FAILED, KUBE_PROXY_METRICS_BIND_FAILED, OVN_PORT_CLAIM_FAILED, EXEC_DIAL_REFUSED)
