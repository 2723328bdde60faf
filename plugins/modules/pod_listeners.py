#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_listeners
short_description: List what listens in the pods of a node
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Lists for each pod that has processes on this node the sockets that wait in its network. That is TCP sockets that listen, and
    UDP sockets that are not connected.
  - Everything is read through C(/proc) of the pod's own processes. Nothing is run in a pod, and its image needs no tools.
  - Pods are told apart by the cgroups of their processes, which cgroup v1 and v2, both of kubelet's cgroup drivers, Docker, containerd
    and CRI-O name after the pod's uid. Their names come from C(/var/log/pods), from Docker, from the files of containerd and CRI-O or
    from C(crictl), so that the API server need not answer.
  - Of a pod in the network of its host, only sockets are listed that its own processes hold.
  - Where a pod has a kernel of its own (gVisor, Kata Containers, KubeVirt), its sockets cannot be seen from the node, and RV(pods[].why)
    says so.
  - Without root the sockets of pods with a network of their own are all there, but not whose they are, whether they refuse IPv4, and
    whether packets are redirected. RV(missing) then says so.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  pods:
    description: The uids or the names of the pods to look at. All when left out.
    type: list
    elements: str
  namespaces:
    description: The namespaces of Kubernetes whose pods are looked at. All when left out. Pods without a known name are in none.
    type: list
    elements: str
  processes:
    description:
      - Find the processes behind the sockets. This costs one pass over all open files of the node.
      - Without it the listeners of pods in the network of their host are not known.
    type: bool
    default: true
  budget_seconds:
    description: Seconds after which no more is looked at.
    type: float
    default: 20
"""

EXAMPLES = r"""
- name: What listens in the pods of the workers?
  kubenode.doctor.pod_listeners:
  register: result

- name: Does the pod behind the Service listen at all?
  kubenode.doctor.pod_listeners:
    namespaces: [reddit-entry]
    pods: [ui-5b667475f5-7r54x]
"""

RETURN = r"""
pods:
  description: The pods, sorted by namespace, name and uid. At most 3,000.
  returned: always
  type: list
  elements: dict
  contains:
    uid:
      description:
        - The uid in the name of the pod's cgroup.
        - Of a static pod it is the hash of its manifest, 32 digits, which the API shows as the annotation kubernetes.io/config.hash.
      type: str
      returned: always
      sample: 909a2aa1-bf6a-4a8c-a274-3180ea640fb1
    namespace:
      description: The pod's namespace of Kubernetes. Null where nothing on the node tells it.
      type: str
      returned: always
      sample: reddit-entry
    name:
      description: The pod's name. Null where nothing on the node tells it.
      type: str
      returned: always
      sample: ui-5b667475f5-7r54x
    named_by:
      description: What told its name, C(logs), C(docker), C(containerd) or C(cri-o). Null where nothing did.
      type: str
      returned: always
      sample: logs
    host_network:
      description:
        - Whether it is in the network of its host, or of a node that is inside this one (kind).
        - Null where that could not be told.
      type: bool
      returned: always
      sample: false
    netns:
      description: The inode of its network namespace, V(host) for the one that the module runs in. Null where it could not be seen.
      type: str
      returned: always
      sample: '4026532281'
    pid:
      description: The process through which its network was looked at.
      type: int
      returned: always
      sample: 22249
    addresses:
      description: Its addresses, without loopback and link-local ones. Null where it has no network of its own, or they were not seen.
      type: list
      elements: str
      returned: always
      sample: [10.244.0.19]
    redirects:
      description:
        - Whether there are NAT rules or TPROXY rules in its network, such as service meshes make. Then a port on which nobody listens may answer all the same.
        - Null where it has no network of its own, or that was not seen.
      type: bool
      returned: always
      sample: false
    own_kernel:
      description: The program that shows a kernel of its own to the pod, for instance C(runsc) or C(qemu). Null where there is none.
      type: str
      returned: always
    containers:
      description: The containers that have processes.
      type: list
      elements: dict
      returned: always
      contains:
        id:
          description: The id of the container.
          type: str
          returned: always
          sample: 6ca1eb5d5681b868dd81a586a5ef0070e7de4d8645a9f396553b94b0d28800c5
        name:
          description: The name of the container, V(POD) for the sandbox. Null where nothing on the node tells it.
          type: str
          returned: always
          sample: ui
        image:
          description: The image as the runtime calls it, which may be another name of the same image. Null where no runtime tells it.
          type: str
          returned: always
          sample: docker.io/reddit/post:f5393576
        age_seconds:
          description: Seconds since its oldest process was started. Null where that could not be read.
          type: float
          returned: always
          sample: 2760.5
    listeners:
      description:
        - What waits for others in its network, sorted by protocol, port, family and address. At most 100, and 5,000 of all pods.
        - Several sockets of one container on one address and port (SO_REUSEPORT) are told once.
        - Null where they could not be read. RV(pods[].why) then says why.
      type: list
      elements: dict
      returned: always
      contains:
        protocol:
          description: The protocol, C(tcp) or C(udp).
          type: str
          returned: always
          sample: tcp
        family:
          description: The address family, C(ipv4) or C(ipv6).
          type: str
          returned: always
          sample: ipv4
        address:
          description: The local address.
          type: str
          returned: always
          sample: 0.0.0.0
        port:
          description: The local port.
          type: int
          returned: always
          sample: 5000
        v6only:
          description: Whether an IPv6 socket refuses IPv4. Null for IPv4 sockets, and where the kernel could not be asked inside the pod's network.
          type: bool
          returned: always
        process:
          description: The name that the kernel keeps of a process that holds the socket, at most 15 bytes. Null where none was seen.
          type: str
          returned: always
          sample: python3
        pid:
          description: The process id. Null where none was seen.
          type: int
          returned: always
          sample: 22283
        container:
          description: The name of its container. Null where it is not known, and for processes that are in none of this pod.
          type: str
          returned: always
          sample: ui
        container_id:
          description: The id of its container. Null where it is not known, and for processes that are in none of this pod.
          type: str
          returned: always
          sample: 6ca1eb5d5681b868dd81a586a5ef0070e7de4d8645a9f396553b94b0d28800c5
    unlisted:
      description: How many of its listeners were left out because there were too many.
      type: int
      returned: always
      sample: 0
    why:
      description: Why the listeners could not be read, or what of this pod is not whole. Null where everything was seen.
      type: str
      returned: always
truncated:
  description: What was left out because there was too much.
  returned: always
  type: dict
  contains:
    pods:
      description: How many pods.
      type: int
      returned: always
      sample: 0
    listeners:
      description: How many listeners.
      type: int
      returned: always
      sample: 0
complete:
  description: Whether everything could be seen.
  returned: always
  type: bool
missing:
  description: What could not be seen.
  returned: always
  type: list
  elements: dict
  contains:
    what:
      description: The thing that could not be seen.
      type: str
      returned: always
      sample: redirects
    why:
      description: The reason, and what to do about it.
      type: str
      returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kubenode.doctor.plugins.module_utils import pod_listeners
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "pods": {"type": "list", "elements": "str"},
            "namespaces": {"type": "list", "elements": "str"},
            "processes": {"type": "bool", "default": True},
            "budget_seconds": {"type": "float", "default": 20},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    deadline = Deadline(wanted["budget_seconds"])
    section = pod_listeners.collect(
        deadline,
        SocketHolders(deadline) if wanted["processes"] else None,
        pods=wanted["pods"],
        namespaces=wanted["namespaces"],
    )
    module.exit_json(changed=False, **section)


if __name__ == "__main__":
    main()
