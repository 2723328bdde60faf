#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: listen_ports
short_description: List what listens on a node, and whose it is
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Lists every socket of the node's network namespace that waits for others. That is TCP sockets that listen,
    TCP sockets that are bound and do not listen, and UDP sockets that are not connected.
  - Tells the processes, systemd unit, container and pod behind each, and what the port is known as for that process.
  - Needs no tool on the node. Without root the sockets are all there, but processes of other users stay unseen,
    which RV(missing) then says.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  protocols:
    description: The protocols to list.
    type: list
    elements: str
    choices: [tcp, udp]
    default: [tcp, udp]
  processes:
    description: Find the processes behind the sockets. This costs one pass over all open files of the node.
    type: bool
    default: true
  backend:
    description:
      - Where to read sockets from. V(auto) takes the first of V(sock_diag), V(procfs) and V(psutil) that answers.
      - Only V(sock_diag) shows backlogs, IPv6-only sockets and, from Linux 6.8 on, bound sockets.
    type: str
    choices: [auto, sock_diag, procfs, psutil]
    default: auto
  budget_seconds:
    description: Seconds after which the search for processes stops.
    type: float
    default: 20
"""

EXAMPLES = r"""
- name: Who listens on the masters?
  kubenode.doctor.listen_ports:
  register: result

- name: The numbers alone, as fast as possible
  kubenode.doctor.listen_ports:
    protocols: [tcp]
    processes: false
"""

RETURN = r"""
listeners:
  description: The sockets, sorted by protocol, port, family and address.
  returned: always
  type: list
  elements: dict
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
    state:
      description: C(listen), C(bound) (TCP, does not listen) or C(unconnected) (UDP).
      type: str
      returned: always
      sample: listen
    address:
      description: The local address.
      type: str
      returned: always
      sample: 127.0.0.1
    port:
      description: The local port.
      type: int
      returned: always
      sample: 36527
    v6only:
      description: Whether an IPv6 socket refuses IPv4. Null for IPv4 sockets and where the backend does not show it.
      type: bool
      returned: always
    accept_queue:
      description: Connections that wait to be accepted. Null for sockets that do not listen.
      type: int
      returned: always
      sample: 0
    backlog:
      description: The limit of the accept queue. Null where it does not apply or the backend does not show it.
      type: int
      returned: always
      sample: 4096
    uid:
      description: The user id that owns the socket. Null where the backend does not show it.
      type: int
      returned: always
      sample: 0
    inode:
      description: The inode of the socket. Null where no process holds it or the backend does not show it.
      type: int
      returned: always
      sample: 47048
    ephemeral:
      description: Whether the port lies in the range from which the kernel draws ports. Null where that cannot be read.
      type: bool
      returned: always
      sample: true
    processes:
      description: The processes that hold the socket, at most 20. Empty for the kernel's own sockets and where O(processes=false).
      type: list
      elements: dict
      returned: always
      contains:
        pid:
          description: The process id.
          type: int
          returned: always
          sample: 12816
        name:
          description: The name that the kernel keeps, at most 15 bytes. Null when the process ended meanwhile.
          type: str
          returned: always
          sample: kubelet
        unit:
          description: The systemd service. Null where there is none.
          type: str
          returned: always
          sample: kubelet.service
        container_id:
          description: The container. Null where there is none.
          type: str
          returned: always
        pod_uid:
          description: The pod. Null where there is none. Static pods have a uid of 32 digits without dashes.
          type: str
          returned: always
    hidden:
      description: Whether a process holds the socket and could not be seen. Null where O(processes=false).
      type: bool
      returned: always
      sample: false
    cgroup:
      description: The cgroup (v2) of a socket whose process could not be seen. Null for others, and where it was not told.
      type: str
      returned: always
    known_as:
      description: What the port is known as for this process. Null where nothing is known.
      type: dict
      returned: always
      contains:
        component:
          description: The program or project.
          type: str
          returned: always
          sample: kubelet
        role:
          description: What the port is for.
          type: str
          returned: always
          sample: CRI streaming server
        source:
          description: Where that is written.
          type: str
          returned: always
backend:
  description: The backend that answered.
  returned: always
  type: str
  sample: sock_diag
truncated:
  description: How many sockets were left out because there were too many.
  returned: always
  type: int
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
      sample: processes
    why:
      description: The reason, and what to do about it.
      type: str
      returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kubenode.doctor.plugins.module_utils import listeners, sockets
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "protocols": {"type": "list", "elements": "str", "choices": ["tcp", "udp"], "default": ["tcp", "udp"]},
            "processes": {"type": "bool", "default": True},
            "backend": {"type": "str", "choices": ["auto", *sockets.BACKENDS], "default": "auto"},
            "budget_seconds": {"type": "float", "default": 20},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    try:
        holders = SocketHolders(Deadline(wanted["budget_seconds"])) if wanted["processes"] else None
        section = listeners.collect(holders, wanted["protocols"], wanted["backend"])
    except sockets.SocketsError as error:
        module.fail_json(msg=f"No sockets could be read. {error}")
    module.exit_json(changed=False, **section)


if __name__ == "__main__":
    main()
