#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_snapshot
short_description: Read what a cluster's API server says about Services, EndpointSlices and Nodes
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Reads Services, EndpointSlices and Nodes once, trims them to what the rules of this collection need, and lists every
    port that kube-proxy takes on the nodes. Nothing is changed in the cluster.
  - Runs on the controller, not on the nodes. Use O(ignore:delegate_to=localhost) or a play on C(localhost).
  - An API server that is down, hangs, or refuses the credentials is no failure of this module. It is the very situation
    this collection is for, so the module then returns RV(complete=false), and RV(missing) says in words why.
  - What the user got wrong is a failure, such as a kubeconfig that cannot be read, an unknown context, or an option out
    of range.
  - No annotation, C(managedFields), environment or secret enters the result.
options:
  kubeconfig:
    description:
      - Path to an existing kubeconfig, or its content as a dictionary. Several paths can be given, separated by C(:).
      - Can also be specified via the E(K8S_AUTH_KUBECONFIG) environment variable.
      - Unlike the modules of C(kubernetes.core), this one never falls back to C(~/.kube/config),
        E(KUBECONFIG) or the service account of the pod it runs in. Without O(kubeconfig) and O(host) it asks nobody and
        returns RV(complete=false), because judging the nodes of one cluster by the API of another would be a lie.
    type: raw
  sections:
    description:
      - What to read. A kind that is not named is V(null) in the result, and RV(missing) says that it was not asked for.
      - Without V(endpoint_slices), RV(node_ports[].has_endpoints) is V(null).
    type: list
    elements: str
    choices: [services, endpoint_slices, nodes]
    default: [services, endpoint_slices, nodes]
  page_size:
    description:
      - How many objects to ask for in one request, from 1 to 5000.
    type: int
    default: 500
  timeout:
    description:
      - Seconds for one request, from connecting to the last byte of the answer, from 1 to 600.
    type: int
    default: 10
  budget_seconds:
    description:
      - Seconds for everything, credential plugins of the kubeconfig included, from 1 to 3600. What could not be read by
        then is missing.
    type: int
    default: 120
  bundle:
    description:
      - Folder on the controller in which what was read is stored, as C(cluster.json). Only a summary is returned then, so
        that a big cluster does not live in Ansible's variables.
    type: path
notes:
  - Needs the right to list C(services), C(nodes) and C(endpointslices.discovery.k8s.io) in all namespaces. A right that
    is missing costs only the kind it is missing for.
  - Requests that meet HTTP 429, 500, 502, 503 or 504 are repeated once. A list whose continue token expires while it is
    read is begun again, at most twice.
requirements:
  - kubernetes >= 24.2.0 (Python library)
  - kubernetes.core (collection)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - kubenode.doctor.attributes
seealso:
  - module: kubenode.doctor.nodeport_conflict
"""

EXAMPLES = r"""
- name: Read the cluster once, on the controller
  kubenode.doctor.cluster_snapshot:
    kubeconfig: "{{ kubeconfig }}"
  delegate_to: localhost
  run_once: true
  register: cluster

- name: Show which ports kube-proxy takes on every node
  ansible.builtin.debug:
    var: cluster.node_ports

- name: Read the cluster into a bundle, and keep only the numbers of the ports
  kubenode.doctor.cluster_snapshot:
    kubeconfig: "{{ kubeconfig }}"
    bundle: "{{ bundle }}"
  delegate_to: localhost
  run_once: true
  register: cluster_summary

- name: Read only what NodePorts need, from a slow API server
  kubenode.doctor.cluster_snapshot:
    kubeconfig: "{{ kubeconfig }}"
    sections:
      - services
      - endpoint_slices
    page_size: 100
    timeout: 30
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
complete:
  description: Whether everything was read. V(true) exactly when RV(missing) is empty.
  returned: success
  type: bool
  sample: true
missing:
  description: What could not be read.
  returned: success
  type: list
  elements: dict
  contains:
    what:
      description: The thing that is missing.
      type: str
      sample: EndpointSlices
    why:
      description: The reason, and what to do about it.
      type: str
      sample: "the 120 s for all of the cluster were used up: raise budget_seconds"
file:
  description: Where the cluster was stored.
  returned: when O(bundle) is given
  type: str
  sample: audits/20261121T073000Z/cluster.json
ports:
  description: The numbers of all ports in RV(node_ports), sorted. V(null) when Services could not be read.
  returned: when O(bundle) is given
  type: list
  elements: int
  sample: [30080, 30787]
node_ports:
  description:
    - One entry for each port of a Service that has a nodePort, and one for each healthCheckNodePort.
    - Services that kube-proxy leaves to another proxy are left out. V(null) when Services could not be read.
  returned: when O(bundle) is not given
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the Service.
      type: str
      sample: shop
    service:
      description: Name of the Service.
      type: str
      sample: front
    port_name:
      description: Name of the port in the Service. V(null) for a port without one, and for a healthCheckNodePort.
      type: str
      sample: web
    protocol:
      description: V(TCP), V(UDP) or V(SCTP).
      type: str
      sample: TCP
    node_port:
      description: The port on every node.
      returned: for a nodePort
      type: int
      sample: 30080
    health_check_node_port:
      description: The port on every node on which kube-proxy itself tells load balancers whether the node has
        endpoints.
      returned: for a healthCheckNodePort
      type: int
      sample: 30787
    has_endpoints:
      description:
        - Whether kube-proxy has an endpoint for this port, so ready ones, or without any such, ones that serve while
          they terminate.
        - V(null) when EndpointSlices could not be read, and for a healthCheckNodePort.
      type: bool
      sample: true
    endpoint_families:
      description: The families that have such endpoints. V(null) where RV(node_ports[].has_endpoints) is.
      type: list
      elements: str
      sample: [IPv4]
    external_traffic_policy:
      description: V(Cluster) or V(Local).
      type: str
      sample: Cluster
    ip_families:
      description: The families of the Service.
      type: list
      elements: str
      sample: [IPv4]
cluster:
  description: What was read, as it is kept in a bundle.
  returned: when O(bundle) is not given
  type: dict
  contains:
    schema:
      description: Version of this shape.
      type: int
      sample: 1
    complete:
      description: As RV(complete).
      type: bool
      sample: true
    missing:
      description: As RV(missing).
      type: list
      elements: dict
      sample: []
    server:
      description: The address of the API server that was asked. V(null) when none was named.
      type: str
      sample: https://127.0.0.1:6443
    server_version:
      description: Major and minor version of the API server. V(null) when it was not told.
      type: str
      sample: "1.36"
    services:
      description: The Services. V(null) when they could not be read.
      type: list
      elements: dict
      contains:
        namespace:
          description: Its namespace.
          type: str
          sample: shop
        name:
          description: Its name.
          type: str
          sample: front
        uid:
          description: Its uid.
          type: str
          sample: 8c87747e-0989-4db9-93e2-04829f803705
        type:
          description: V(ClusterIP), V(NodePort), V(LoadBalancer) or V(ExternalName).
          type: str
          sample: NodePort
        cluster_ips:
          description: Its cluster IPs. V(None) in it stands for a headless Service.
          type: list
          elements: str
          sample: [10.96.146.107]
        external_ips:
          description: Addresses that the Service also answers on.
          type: list
          elements: str
          sample: []
        load_balancer_ips:
          description: Addresses of its load balancer. Host names are left out.
          type: list
          elements: dict
          contains:
            ip:
              description: The address.
              type: str
              sample: 192.0.2.80
            ip_mode:
              description: V(VIP), V(Proxy), or V(null) from an API server that does not know it.
              type: str
              sample: VIP
        ip_families:
          description: V(IPv4), V(IPv6) or both. Empty from an API server before 1.20.
          type: list
          elements: str
          sample: [IPv4]
        external_traffic_policy:
          description: V(Cluster), V(Local), or V(null) for a Service without outside traffic.
          type: str
          sample: Cluster
        internal_traffic_policy:
          description: V(Cluster), V(Local), or V(null) from an API server that does not know it.
          type: str
          sample: Cluster
        health_check_node_port:
          description: Its healthCheckNodePort, or V(null).
          type: int
          sample: 30787
        selector:
          description: Labels that its pods have. V(null) for a Service whose endpoints are made by hand.
          type: dict
          sample: {app: front}
        publish_not_ready_addresses:
          description: Whether pods count as endpoints before they are ready.
          type: bool
          sample: false
        proxy_name:
          description: Label C(service.kubernetes.io/service-proxy-name), or V(null). kube-proxy ignores a Service that
            has it.
          type: str
          sample: another-proxy
        headless_label:
          description: Whether it has the label C(service.kubernetes.io/headless). kube-proxy then ignores it.
          type: bool
          sample: false
        ports:
          description: Its ports.
          type: list
          elements: dict
          contains:
            name:
              description: Name of the port, or V(null).
              type: str
              sample: web
            protocol:
              description: V(TCP), V(UDP) or V(SCTP).
              type: str
              sample: TCP
            port:
              description: Port on the cluster IP.
              type: int
              sample: 80
            target_port:
              description: Port of the pods, as a number or as the name a container gives it.
              type: raw
              sample: http
            node_port:
              description: Port on every node, or V(null).
              type: int
              sample: 30080
    endpoint_slices:
      description: The EndpointSlices. V(null) when they could not be read.
      type: list
      elements: dict
      contains:
        namespace:
          description: Its namespace.
          type: str
          sample: shop
        service:
          description: Name of its Service, or V(null).
          type: str
          sample: front
        name:
          description: Its name.
          type: str
          sample: front-6l6zd
        address_type:
          description: V(IPv4), V(IPv6) or V(FQDN).
          type: str
          sample: IPv4
        ports:
          description: Its ports. Empty when no container has the port that the Service names.
          type: list
          elements: dict
          contains:
            name:
              description: Name of the Service's port. Empty for a port without one.
              type: str
              sample: web
            protocol:
              description: V(TCP), V(UDP) or V(SCTP).
              type: str
              sample: TCP
            port:
              description: Port of the endpoints, or V(null).
              type: int
              sample: 5000
        endpoints:
          description: Its endpoints.
          type: list
          elements: dict
          contains:
            addresses:
              description: Addresses. kube-proxy uses the first.
              type: list
              elements: str
              sample: [10.244.0.22]
            ready:
              description: As sent. V(null) counts as ready.
              type: bool
              sample: true
            serving:
              description: As sent. V(null) counts as serving.
              type: bool
              sample: true
            terminating:
              description: As sent. V(null) counts as not terminating.
              type: bool
              sample: false
            node_name:
              description: Node that the endpoint is on, or V(null).
              type: str
              sample: node-a
            target:
              description: The object behind the address, mostly a pod, or V(null).
              type: dict
              contains:
                kind:
                  description: Its kind.
                  type: str
                  sample: Pod
                namespace:
                  description: Its namespace.
                  type: str
                  sample: shop
                name:
                  description: Its name.
                  type: str
                  sample: front-6559f5d576-nzsjv
                uid:
                  description: Its uid.
                  type: str
                  sample: 02a647ae-4783-48f4-bea0-f1ebf8674102
    nodes:
      description: The Nodes. V(null) when they could not be read.
      type: list
      elements: dict
      contains:
        name:
          description: Its name.
          type: str
          sample: node-a
        uid:
          description: Its uid.
          type: str
          sample: 9f7e9c5e-5289-4fa3-87fe-25c7a2d195a9
        internal_ips:
          description: Its addresses of type InternalIP.
          type: list
          elements: str
          sample: [192.0.2.2]
        external_ips:
          description: Its addresses of type ExternalIP.
          type: list
          elements: str
          sample: []
        hostname:
          description: Its address of type Hostname, or V(null).
          type: str
          sample: node-a
        labels_roles:
          description: Its roles, from the labels C(node-role.kubernetes.io/*) and C(kubernetes.io/role).
          type: list
          elements: str
          sample: [control-plane]
        unschedulable:
          description: Whether it is cordoned.
          type: bool
          sample: false
        ready:
          description: Status of its condition Ready, V(True), V(False), V(Unknown), or V(null) when it has none.
          type: str
          sample: "True"
        pod_cidrs:
          description: Address ranges of its pods.
          type: list
          elements: str
          sample: [10.244.0.0/24]
        kubelet_version:
          description: Version of its kubelet, or V(null).
          type: str
          sample: v1.36.2
        kube_proxy_version:
          description: Version of its kube-proxy as the kubelet believes it to be, or V(null). Newer kubelets do not
            tell it.
          type: str
          sample: v1.32.0
        container_runtime_version:
          description: Name and version of its container runtime, or V(null).
          type: str
          sample: containerd://1.6.20
        os_image:
          description: Its operating system, or V(null).
          type: str
          sample: Debian GNU/Linux 12 (bookworm)
        kernel_version:
          description: Version of its kernel, or V(null).
          type: str
          sample: 6.1.0-44-amd64
"""

import os
import time
from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_client
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_api import (
    SECTIONS,
    UnreachableError,
    read_cluster,
    unread,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.node_ports import node_ports

# option: (default, smallest, largest)
LIMITS = {"page_size": (500, 1, 5000), "timeout": (10, 1, 600), "budget_seconds": (120, 1, 3600)}


def argument_spec() -> Dict[str, Any]:
    """Return kubernetes.core's authentication options and this module's own."""
    own: Dict[str, Any] = {
        "sections": {"type": "list", "elements": "str", "choices": list(SECTIONS), "default": list(SECTIONS)},
    }
    for name, (default, _smallest, _largest) in LIMITS.items():
        own[name] = {"type": "int", "default": default}
    own["bundle"] = {"type": "path"}  # the action plugin's
    return {**cluster_client.AUTH_OPTIONS, **own}


def check_requirements(module: AnsibleModule) -> None:
    """Fail when the kubernetes library or collection is missing on the controller."""
    if cluster_client.KUBERNETES_ERROR:
        module.fail_json(msg=missing_required_lib("kubernetes"), exception=cluster_client.KUBERNETES_ERROR)
    if cluster_client.CORE_ERROR:
        reason = "for its authentication options (a collection: ansible-galaxy collection install kubernetes.core)"
        module.fail_json(
            msg=missing_required_lib("kubernetes.core", reason=reason), exception=cluster_client.CORE_ERROR
        )


def names_cluster(params: Dict[str, Any]) -> bool:
    """Return whether options or environment name an API server: without one, no library is needed to say so."""
    names = ("kubeconfig", "host", "context")
    return any(params.get(name) or os.environ.get(f"K8S_AUTH_{name.upper()}") for name in names)


def check_limits(module: AnsibleModule) -> None:
    """Fail for an option out of its range."""
    for name, (_default, smallest, largest) in LIMITS.items():
        if not smallest <= module.params[name] <= largest:
            module.fail_json(msg=f"{name} must be from {smallest} to {largest}, not {module.params[name]}")
    if not module.params["sections"]:
        module.fail_json(msg=f"sections must name at least one of {', '.join(SECTIONS)}")


def take_params(module: AnsibleModule) -> Dict[str, Any]:
    """Return the options; see to it that only the secrets of kubeconfig are blotted out, and its content not echoed."""
    params = dict(module.params)
    module.no_log_values -= cluster_client.public_strings(params["kubeconfig"])
    if isinstance(params["kubeconfig"], dict):
        module.params["kubeconfig"] = "(given as a dictionary)"
    return params


def snapshot(module: AnsibleModule, params: Dict[str, Any]) -> Dict[str, Any]:
    """Return the cluster's snapshot. Raises ConfigError."""
    deadline = Deadline(params["budget_seconds"])
    try:
        client, notes = cluster_client.connect(params, params["timeout"], deadline)
    except UnreachableError as error:
        return {**unread(str(error)), "server": None}
    for note in notes:
        module.warn(f"while reading the kubeconfig's credentials: {note}")
    cluster = read_cluster(client.fetch, params["sections"], params["page_size"], deadline, time.sleep)
    return {**cluster, "server": client.address}


def main() -> None:
    """Read the cluster and return it."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    check_limits(module)
    try:
        if names_cluster(module.params):
            check_requirements(module)
            cluster = snapshot(module, take_params(module))
        else:
            cluster = {**unread(cluster_client.NO_KUBECONFIG), "server": None}
    except cluster_client.ConfigError as error:
        module.fail_json(msg=str(error))
    services = cluster["services"]
    module.exit_json(
        changed=False,
        cluster=cluster,
        node_ports=None if services is None else node_ports(services, cluster["endpoint_slices"]),
        complete=cluster["complete"],
        missing=cluster["missing"],
    )


if __name__ == "__main__":
    main()
