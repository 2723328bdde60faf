#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_snapshot
short_description: Read what a cluster's API server says about Services and what is behind them
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Reads Services, EndpointSlices, Nodes, Pods, Deployments, ReplicaSets and Events of type Warning once, trims them to
    what the rules of this collection need, and lists every port that kube-proxy takes on the nodes. Nothing is changed in
    the cluster.
  - Runs on the controller, not on the nodes. Use O(ignore:delegate_to=localhost) or a play on C(localhost).
  - An API server that is down, hangs, or refuses the credentials is no failure of this module. It is the very situation
    this collection is for, so the module then returns RV(complete=false), and RV(missing) says in words why.
  - What the user got wrong is a failure, such as a kubeconfig that cannot be read, an unknown context, or an option out
    of range.
  - No environment, argument, command, volume or C(managedFields) enters the result, and of annotations only the revision
    of a ReplicaSet, and whether a Pod is the mirror of a static one. Messages of Pods and Events are shortened, and what
    looks like a secret in them is replaced.
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
    choices: [services, endpoint_slices, nodes, pods, deployments, replica_sets, events]
    default: [services, endpoint_slices, nodes, pods, deployments, replica_sets, events]
  hosts:
    description:
      - The hosts that the play is about. Where they are some of the cluster's Nodes, but not all, only the Pods of these
        Nodes are read.
      - A host is a Node by the Node's name, its host name or an address of type InternalIP or ExternalIP. Where one of the
        hosts is no Node that is known by these, or the Nodes could not be read, all Pods are read.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The host's name in the inventory.
        type: str
        required: true
      addresses:
        description: Names or addresses that lead to it, such as C(ansible_host).
        type: list
        elements: str
        default: []
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
        that a big cluster does not live in Ansible's variables. On the controller itself the module writes the file, and
        what was read does not pass through Ansible either.
    type: path
notes:
  - Needs the right to list C(services), C(endpointslices.discovery.k8s.io), C(nodes), C(pods), C(deployments.apps),
    C(replicasets.apps) and C(events) in all namespaces. A right that is missing costs only the kind it is missing for.
    The file C(roles/collect/files/cluster-role.yml) of the collection is a ClusterRole with all of them.
  - Of Events of one reason about one object, the newest is kept, with the sum of their counts; of all, the newest 5,000.
  - Requests that meet HTTP 429, 500, 502, 503 or 504 are repeated once. A list whose continue token expires while it is
    read is begun again, at most twice.
requirements:
  - kubernetes >= 24.2.0 (Python library)
  - kubernetes.core (collection)
extends_documentation_fragment:
  - kubenode.doctor.cluster_auth
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

- name: Read of the pods only those on two nodes, in a big cluster
  kubenode.doctor.cluster_snapshot:
    kubeconfig: "{{ kubeconfig }}"
    hosts:
      - name: worker-17
      - name: w18.example.com
        addresses: [192.0.2.18]
    bundle: "{{ bundle }}"
  delegate_to: localhost
  run_once: true

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
    pods_of:
      description: The Nodes whose Pods were read, because O(hosts) are only these. V(null) for all Pods of the cluster.
      type: list
      elements: str
      sample: [node-a]
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
          description: Addresses of its load balancer.
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
        load_balancer_names:
          description: Host names of its load balancer, where the provider gives names in place of addresses.
          type: list
          elements: str
          sample: []
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
        created:
          description: When it was created, in seconds since 1970, or V(null).
          type: float
          sample: 1795221123.0
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
        architecture:
          description: Architecture of its processor, or V(null).
          type: str
          sample: amd64
        os:
          description: Kind of its operating system, or V(null).
          type: str
          sample: linux
        shared_images:
          description:
            - For each of its images that has names in several repositories, these names, with their tags. A kubelet tells
              the Node's 50 largest images, with at most 5 names each.
            - A repository in which the image is known by its digest alone is there without a tag.
          type: list
          elements: list
          sample: [["docker.io/reddit/post:f5393576", "docker.io/reddit/ui:f5393576"]]
    pods:
      description: The Pods, of all Nodes or of those in RV(cluster.pods_of). V(null) when they could not be read.
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
          sample: front-6559f5d576-nzsjv
        uid:
          description: Its uid. The cgroup of a static Pod has another one.
          type: str
          sample: 02a647ae-4783-48f4-bea0-f1ebf8674102
        node:
          description: The Node it is on, or V(null).
          type: str
          sample: node-a
        labels:
          description: Its labels.
          type: dict
          sample: {app: front, pod-template-hash: 6559f5d576}
        owner:
          description: What made it and would make it again, or V(null).
          type: dict
          contains:
            kind:
              description: Its kind.
              type: str
              sample: ReplicaSet
            name:
              description: Its name.
              type: str
              sample: front-6559f5d576
            uid:
              description: Its uid.
              type: str
              sample: f096b56e-de02-4cdd-8988-8deac676e6b0
        host_network:
          description: Whether it uses the network of its Node.
          type: bool
          sample: false
        ips:
          description: Its addresses.
          type: list
          elements: str
          sample: [10.244.0.22]
        phase:
          description: V(Pending), V(Running), V(Succeeded), V(Failed) or V(Unknown).
          type: str
          sample: Running
        ready:
          description: Status of its condition Ready, V(True), V(False), V(Unknown), or V(null) when it has none.
          type: str
          sample: "True"
        ready_reason:
          description: Reason of its condition Ready, or V(null).
          type: str
          sample: ContainersNotReady
        deleting:
          description: Whether it is being deleted.
          type: bool
          sample: false
        runtime_class:
          description: Its RuntimeClass, or V(null).
          type: str
          sample: gvisor
        mirror:
          description: Whether it is the mirror of a static Pod.
          type: bool
          sample: false
        readiness_gates:
          description: Conditions besides its containers that make it ready.
          type: list
          elements: str
          sample: []
        containers:
          description: Its containers, and the init containers that have not ended well.
          type: list
          elements: dict
          contains:
            name:
              description: Its name.
              type: str
              sample: front
            kind:
              description: V(container), V(sidecar) for an init container that runs on beside the others, or V(init).
              type: str
              sample: container
            image:
              description: The image that the Pod asks for.
              type: str
              sample: docker.io/reddit/post:f5393576
            pull_policy:
              description: V(Always), V(IfNotPresent) or V(Never).
              type: str
              sample: IfNotPresent
            ports:
              description: The ports it declares.
              type: list
              elements: dict
              contains:
                name:
                  description: Its name, or V(null).
                  type: str
                  sample: http
                protocol:
                  description: V(TCP), V(UDP) or V(SCTP).
                  type: str
                  sample: TCP
                port:
                  description: Its number.
                  type: int
                  sample: 5000
                host_port:
                  description: The port of the Pod's node that leads to it. No socket of the node need have that.
                  returned: for one that has such a port
                  type: int
                  sample: 5000
            readiness:
              description: Whether it has a readiness probe.
              type: bool
              sample: false
            liveness:
              description: Whether it has a liveness probe.
              type: bool
              sample: false
            startup:
              description: Whether it has a startup probe.
              type: bool
              sample: false
            status:
              description: What its kubelet says of it, or V(null).
              type: dict
              contains:
                image:
                  description: The image as the container runtime calls it, which may be another of its names.
                  type: str
                  sample: docker.io/reddit/post:f5393576
                image_id:
                  description: The image as the container runtime identifies it. Empty before it was pulled.
                  type: str
                  sample: sha256:92f0e4a968e672a3a7f794f10560187c4fb70f836a6f5d5b939f384d8248c199
                ready:
                  description: Whether it is ready.
                  type: bool
                  sample: true
                restarts:
                  description: How often it was restarted.
                  type: int
                  sample: 0
                state:
                  description: V(running), V(waiting), V(terminated), or V(null).
                  type: str
                  sample: running
                reason:
                  description: Why it is in that state, or V(null).
                  type: str
                  sample: ImagePullBackOff
                message:
                  description: The same in words, or V(null). At most 300 characters.
                  type: str
                  sample: back-off 40s restarting failed container=crash pod=crash-78bf7549d-nkthh_shop
                exit_code:
                  description: Exit status it ended with, while it waits to be started again that of the run before, or V(null).
                  type: int
                  sample: 1
    deployments:
      description: The Deployments. V(null) when they could not be read.
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
          sample: b20bef1d-9c52-44e0-b2d3-6863833faf07
        replicas:
          description: How many Pods it wants, or V(null).
          type: int
          sample: 2
        selector:
          description: Labels that its Pods have. V(null) when they are told by expressions.
          type: dict
          sample: {app: front}
        template_labels:
          description: Labels it gives its Pods.
          type: dict
          sample: {app: front}
        images:
          description: The images of its containers, by container, in their order.
          type: dict
          sample: {front: "docker.io/reddit/post:f5393576"}
        strategy:
          description: V(RollingUpdate) or V(Recreate).
          type: str
          sample: RollingUpdate
        paused:
          description: Whether it is paused.
          type: bool
          sample: false
        resource_version:
          description: Its version, which every change of it raises.
          type: str
          sample: "398"
        generation:
          description: How often what is wanted of it was changed, which its status does not count. Null where it is not told.
          type: int
          sample: 1
    replica_sets:
      description: The ReplicaSets that belong to a Deployment. V(null) when they could not be read.
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
          sample: front-6559f5d576
        uid:
          description: Its uid.
          type: str
          sample: f096b56e-de02-4cdd-8988-8deac676e6b0
        owner:
          description: Its Deployment.
          type: dict
          contains:
            kind:
              description: V(Deployment).
              type: str
              sample: Deployment
            name:
              description: Its name.
              type: str
              sample: front
            uid:
              description: Its uid.
              type: str
              sample: b20bef1d-9c52-44e0-b2d3-6863833faf07
        revision:
          description: The number of this roll-out, or V(null). The highest is the one in force.
          type: int
          sample: 1
        replicas:
          description: How many Pods it wants, or V(null).
          type: int
          sample: 2
        images:
          description: The images of its containers, by container.
          type: dict
          sample: {front: "docker.io/reddit/post:f5393576"}
    events:
      description: Events of type Warning, the newest first. V(null) when they could not be read.
      type: list
      elements: dict
      contains:
        kind:
          description: Kind of the object it is about.
          type: str
          sample: Pod
        namespace:
          description: Namespace of that object, or V(null).
          type: str
          sample: shop
        name:
          description: Name of that object.
          type: str
          sample: crash-78bf7549d-nkthh
        uid:
          description: Uid of that object, or V(null).
          type: str
          sample: 9f7f63be-9880-4e4a-8f63-86d90684b60a
        reason:
          description: What happened, in one word.
          type: str
          sample: BackOff
        message:
          description: What happened, in words. At most 300 characters.
          type: str
          sample: Back-off restarting failed container crash in pod crash-78bf7549d-nkthh_shop
        count:
          description: How often Events of this reason were seen about this object.
          type: int
          sample: 3
        last:
          description: When the newest was seen last, in seconds since 1970, or V(null).
          type: float
          sample: 1795222112.0
"""

import time
from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_client, cluster_store
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_api import (
    SECTIONS,
    UnreachableError,
    read_cluster,
    unread,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_asked import LIMITS, NO_KUBECONFIG, names_cluster
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.node_ports import node_ports


def argument_spec() -> Dict[str, Any]:
    """Return kubernetes.core's authentication options and this module's own."""
    own: Dict[str, Any] = {
        "sections": {"type": "list", "elements": "str", "choices": list(SECTIONS), "default": list(SECTIONS)},
    }
    for name, (default, _smallest, _largest) in LIMITS.items():
        own[name] = {"type": "int", "default": default}
    host = {"name": {"type": "str", "required": True}, "addresses": {"type": "list", "elements": "str", "default": []}}
    own["hosts"] = {"type": "list", "elements": "dict", "default": [], "options": host}
    own["bundle"] = {"type": "path"}
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
    cluster = read_cluster(client.fetch, params["sections"], params["page_size"], deadline, time.sleep, params["hosts"])
    return {**cluster, "server": client.address}


def stored(result: Dict[str, Any], folder: str) -> Dict[str, Any]:
    """Write what was read into the bundle and return the summary. Raises ConfigError."""
    try:
        return cluster_store.summary(result, cluster_store.store(folder, result["cluster"]))
    except OSError as error:
        raise cluster_client.ConfigError(cluster_store.unwritten(folder, error)) from error


def result_of(cluster: Dict[str, Any]) -> Dict[str, Any]:
    """Return what the module returns of a cluster."""
    services = cluster["services"]
    return {
        "changed": False,
        "cluster": cluster,
        "node_ports": None if services is None else node_ports(services, cluster["endpoint_slices"]),
        "complete": cluster["complete"],
        "missing": cluster["missing"],
    }


def main() -> None:
    """Read the cluster and return it, or store it and return the summary."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    check_limits(module)
    bundle = module.params["bundle"]
    try:
        if names_cluster(module.params):
            check_requirements(module)
            cluster = snapshot(module, take_params(module))
        else:
            cluster = {**unread(NO_KUBECONFIG), "server": None}
        result = result_of(cluster)
        if bundle:
            result = stored(result, bundle)
    except cluster_client.ConfigError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
