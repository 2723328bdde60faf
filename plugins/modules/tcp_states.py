#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tcp_states
short_description: Survey the TCP sockets of a node
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Counts TCP sockets by state, and by state, process, port and peer. Shows the accept queue of every listener, what keeps
    connections in SYN-SENT and CLOSE-WAIT, who uses up automatic ports, and the kernel's counters and limits.
  - The answer is at most 256 KiB, however many sockets there are. What is cut is the smallest, and counted.
  - Needs no tool on the node. Without root the sockets are all there, but processes of other users stay unseen,
    which RV(missing) then says.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  sample_seconds:
    description:
      - Seconds between two samples, of which growth and persistence are told. V(0) takes one sample.
      - The first is taken of V(host) alone, so O(netns=pods) has nothing to compare with.
    type: float
    default: 0
  netns:
    description:
      - The network namespaces to look at. V(host) is the one the module runs in, V(pods) are those of pods, V(all) are all
        that some process lives in.
      - Those of others need root. Counters, limits and automatic ports are told of V(host) alone, besides each namespace's counters.
    type: str
    choices: [host, pods, all]
    default: host
  processes:
    description: Find the processes behind the sockets. This costs one pass over all open files of the node.
    type: bool
    default: true
  top:
    description: How many peers to name of each group, at most 250. Of SYN-SENT and CLOSE-WAIT up to 250 are named anyway.
    type: int
    default: 10
  backend:
    description:
      - Where to read sockets from. V(auto) takes the first of V(sock_diag) and V(procfs) that answers.
      - V(procfs) does not show backlogs or the age of CLOSE-WAIT.
    type: str
    choices: [auto, sock_diag, procfs]
    default: auto
  budget_seconds:
    description: Seconds, besides O(sample_seconds), after which the search for processes and for network namespaces stops.
    type: float
    default: 20
"""

EXAMPLES = r"""
- name: What do the masters' connections do?
  kubenode.doctor.tcp_states:
    sample_seconds: 2
  register: result

- name: Counts alone, as fast as possible
  kubenode.doctor.tcp_states:
    processes: false

- name: The pods' connections too
  kubenode.doctor.tcp_states:
    netns: all
"""

RETURN = r"""
states:
  description: How many sockets are in each state.
  returned: always
  type: dict
  sample:
    {established: 705, syn_sent: 239, syn_recv: 0, fin_wait1: 0, fin_wait2: 0, time_wait: 39, close_wait: 46, last_ack: 0, listen: 120, closing: 0}
groups:
  description:
    - Sockets by state, process and port. SYN-SENT and CLOSE-WAIT first, then the largest; at most 100.
  returned: always
  type: list
  elements: dict
  contains:
    netns:
      description: The network namespace, C(host) or its inode number as text.
      type: str
      returned: always
      sample: host
    state:
      description: The state, by the names of RV(states).
      type: str
      returned: always
      sample: close_wait
    process:
      description:
        - The name of the process that holds the sockets. Of those that were never accepted it is the listener's.
        - Null where nobody holds them (TIME-WAIT, for instance) and where nobody was seen to.
      type: str
      returned: always
      sample: kube-apiserver
    local_port:
      description:
        - The local port of connections that came in, to an address and port on which something listens, or from a drawn port to one
          that is not. Else null.
      type: int
      returned: always
    peer_port:
      description: The peers' port of connections that went out. Else null.
      type: int
      returned: always
      sample: 10250
    count:
      description: How many sockets.
      type: int
      returned: always
      sample: 46
    peers:
      description: How many different peer addresses.
      type: int
      returned: always
      sample: 9
    top_peers:
      description: The peers with most sockets, largest first. IPv4 in IPv6 (C(::ffff:10.0.0.1)) is told as IPv4.
      type: list
      elements: dict
      returned: always
      contains:
        address:
          description: The address.
          type: str
          returned: always
          sample: 10.3.63.151
        count:
          description: How many sockets.
          type: int
          returned: always
          sample: 12
    oldest_seconds:
      description:
        - The age of the oldest. SYN-SENT is dated by its retransmissions, CLOSE-WAIT by the last segment from the other end,
          which makes it "at least".
        - Null for other states and where the backend does not show it.
      type: float
      returned: always
    persisted:
      description: How many of SYN-SENT and CLOSE-WAIT were so in the first sample already. Null without one, and outside of C(host).
      type: int
      returned: always
    causes:
      description:
        - How many of CLOSE-WAIT are kept by what. Null for other states.
        - C(never_read), the program has not read all there is. C(leaked), it has, and did not close. C(never_accepted), it never
          accepted the connection.
      type: dict
      returned: always
      sample: {never_read: 20, leaked: 26, never_accepted: 0}
    sketch:
      description:
        - Which sockets of CLOSE-WAIT these are, so that a later audit can tell how many are still the same ones. By what they are known
          (C(cookie) or C(inode)), then the 64 smallest hashes of that, 12 digits each. Null for other states.
      type: str
      returned: always
      sample: cookie 01f3a9b2c4d50a1b2c3d4e5f
other_groups:
  description: What is in no group for lack of room.
  returned: always
  type: dict
  contains:
    groups:
      description: How many groups.
      type: int
      returned: always
    sockets:
      description: How many sockets are in them.
      type: int
      returned: always
accept_queues:
  description: Listeners with their accept queues, fullest first, then by port; at most 200.
  returned: always
  type: list
  elements: dict
  contains:
    netns:
      description: The network namespace.
      type: str
      returned: always
    family:
      description: The address family, C(ipv4) or C(ipv6).
      type: str
      returned: always
    address:
      description: The local address.
      type: str
      returned: always
      sample: 0.0.0.0
    port:
      description: The local port.
      type: int
      returned: always
      sample: 6443
    queue:
      description: Connections that wait to be accepted.
      type: int
      returned: always
      sample: 0
    backlog:
      description: The limit of the queue; one more than that fits. Null where the backend does not show it.
      type: int
      returned: always
      sample: 4096
    queue_before:
      description: The queue in the first sample. Null without one, outside of C(host), and when the listener is new.
      type: int
      returned: always
    inode:
      description: The inode of the socket.
      type: int
      returned: always
    processes:
      description: Processes that hold it, at most 3, as listen_ports describes them.
      type: list
      elements: dict
      returned: always
    hidden:
      description: Whether a process holds it and could not be seen. Null where O(processes=false).
      type: bool
      returned: always
    cgroup:
      description: The cgroup (v2) of a listener whose process could not be seen. Null for others, and where there is none.
      type: str
      returned: always
stuck:
  description: The oldest sockets in SYN-SENT and CLOSE-WAIT, at most 20 of a group and 200 in all.
  returned: always
  type: list
  elements: dict
  contains:
    netns:
      description: The network namespace.
      type: str
      returned: always
    state:
      description: C(syn_sent) or C(close_wait).
      type: str
      returned: always
    address:
      description: The local address.
      type: str
      returned: always
    port:
      description: The local port.
      type: int
      returned: always
    peer:
      description: The other end's address.
      type: str
      returned: always
    peer_port:
      description: The other end's port.
      type: int
      returned: always
    process:
      description: The process, as in RV(groups). Null where nobody was seen to hold it.
      type: str
      returned: always
    pid:
      description: Its process id. Null where nobody was seen to hold it.
      type: int
      returned: always
    inode:
      description: The inode of the socket. Null where nobody holds it.
      type: int
      returned: always
    age_seconds:
      description: Its age, as in RV(groups). Null where the backend does not show it.
      type: float
      returned: always
      sample: 63.0
    retransmits:
      description: How often it sent its last segment again. Null where the backend does not show it.
      type: int
      returned: always
      sample: 6
    unread:
      description: Bytes of CLOSE-WAIT that were not read, its end not counted. Null for SYN-SENT.
      type: int
      returned: always
    cause:
      description: What keeps it in CLOSE-WAIT, as in RV(groups). Null for SYN-SENT.
      type: str
      returned: always
    persisted:
      description: Whether it was in this state in the first sample. Null without one, and outside of C(host).
      type: bool
      returned: always
ephemeral:
  description: Who uses up automatic ports. Null where O(netns=pods).
  returned: always
  type: dict
  contains:
    range:
      description: The first and the last port that the kernel gives. Null where it could not be read.
      type: list
      elements: int
      returned: always
      sample: [32768, 60999]
    available:
      description: How many ports that are, without the reserved ones. Null where these could not be read.
      type: int
      returned: always
      sample: 28232
    used:
      description:
        - How many different ports of the range some TCP socket has, in whatever state. C(bind) to port 0 needs one of the others.
        - Sockets that are bound and do nothing else are among them only with O(processes=true) and on Linux 6.8 or newer.
        - Null where the range could not be read.
      type: int
      returned: always
    destinations:
      description:
        - What most connections go to, at most 20. Each needs a port that no other to the same destination has.
        - Only sockets on ports of the range are counted.
      type: list
      elements: dict
      returned: always
      contains:
        source:
          description: The local address.
          type: str
          returned: always
        destination:
          description: The other end's address.
          type: str
          returned: always
        port:
          description: The other end's port.
          type: int
          returned: always
        count:
          description: How many sockets, in whatever state.
          type: int
          returned: always
        process:
          description: The process that holds most of them. Null when nobody holds any (TIME-WAIT).
          type: str
          returned: always
counters:
  description:
    - The kernel's counters of this namespace since it began (C(ListenOverflows), C(ListenDrops), C(TCPAbortOnMemory),
      C(TCPTimeWaitOverflow), C(TCPReqQFullDrop), C(TCPReqQFullDoCookies)), what is in use in it now (C(time_wait)) and on the whole
      machine (C(orphans), C(memory_pages), C(allocated)). Null for what this kernel does not count.
  returned: always
  type: dict
growth:
  description: What changed between the samples. Null with one sample.
  returned: always
  type: dict
  contains:
    seconds:
      description: The time between them.
      type: float
      returned: always
    counters:
      description: By how much each counter grew.
      type: dict
      returned: always
    states:
      description: How many more sockets there are in SYN-SENT and CLOSE-WAIT.
      type: dict
      returned: always
limits:
  description:
    - The kernel's settings C(somaxconn), C(tcp_max_syn_backlog), C(tcp_max_orphans), C(tcp_max_tw_buckets), C(tcp_fin_timeout),
      C(tcp_tw_reuse), C(tcp_syn_retries), C(tcp_mem) (three numbers, in pages), C(ip_local_port_range) (two numbers) and
      C(ip_local_reserved_ports) (text, its first 4096 characters).
    - C(files) and C(conntrack), how many are in use and how many there may be. C(conntrack) is null where nobody's connections are tracked.
    - C(processes), the processes with 64 open files or more that are nearest to their limit, at most 30.
      Null where O(processes=false).
  returned: always
  type: dict
namespaces:
  description: The network namespaces that were looked at, largest first, at most 200.
  returned: always
  type: list
  elements: dict
  contains:
    netns:
      description: C(host) or the namespace's inode number as text.
      type: str
      returned: always
    pid:
      description: A process in it. Null for C(host).
      type: int
      returned: always
    container_id:
      description: The container of that process. Null where there is none.
      type: str
      returned: always
    pod_uid:
      description: The pod of that process. Null where there is none.
      type: str
      returned: always
    sockets:
      description: How many TCP sockets it has.
      type: int
      returned: always
    counters:
      description: What it has counted since it began, as in RV(counters).
      type: dict
      returned: always
netns:
  description: The option O(netns).
  returned: always
  type: str
backend:
  description: The backend that answered. Null where there was no namespace to look at, as on a host without pods.
  returned: always
  type: str
  sample: sock_diag
truncated:
  description: How many entries of a list were left out because there were too many, by the list's name.
  returned: always
  type: dict
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

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kubenode.doctor.plugins.module_utils import tcp_reader, tcp_states
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.host_pressure import why_not
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "sample_seconds": {"type": "float", "default": 0},
            "netns": {"type": "str", "choices": list(tcp_states.NETNS), "default": "host"},
            "processes": {"type": "bool", "default": True},
            "top": {"type": "int", "default": 10},
            "backend": {"type": "str", "choices": ["auto", *tcp_reader.BACKENDS], "default": "auto"},
            "budget_seconds": {"type": "float", "default": 20},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    why = why_not(wanted["sample_seconds"]) or ("" if wanted["top"] >= 0 else f"top: {wanted['top']} is less than 0")
    if why:
        module.fail_json(msg=why)
    deadline = Deadline(wanted["budget_seconds"] + wanted["sample_seconds"])
    survey = tcp_states.Survey(deadline, wanted["netns"], wanted["backend"], wanted["top"])
    try:
        if wanted["sample_seconds"]:
            survey.first_sample()
            time.sleep(wanted["sample_seconds"])
        section = survey.finish(SocketHolders(deadline) if wanted["processes"] else None)
    except (tcp_reader.ReaderError, OSError) as error:  # OSError: there is no /proc
        module.fail_json(msg=f"No sockets could be read. {error}")
    module.exit_json(changed=False, **section)


if __name__ == "__main__":
    main()
