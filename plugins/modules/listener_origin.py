#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: listener_origin
short_description: Tell why something listens, who opened it, and what decides its port
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Explains the listeners on O(port), or those of process O(pid), or, without both, all of the node's network namespace that are neither well known on
    a fixed port nor O(expected).
  - Climbs a ladder of O(methods), the quiet ones first. Each says what it saw (RV(listeners[].steps)), and the answer says whether they agree.
  - Restarts nothing and changes nothing, but for the two methods that have to be asked for. V(stack_dump) makes a container runtime write a file, and
    V(trace) runs a program that the operator names.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  port:
    description: The port whose listeners are explained, TCP and UDP.
    type: int
  pid:
    description: The process whose listeners are explained.
    type: int
  methods:
    description:
      - V(owner) tells the process, unit or pod, its program and version, and when it was started.
      - V(configuration) reads the settings of containerd, CRI-O, cri-dockerd and kubelet that decide a port.
      - V(signature) sends C(GET /) to a TCP listener that can be reached on loopback, and looks at what comes back.
      - V(goroutines) asks kubelet for the stacks of its goroutines, on its authenticated port with the certificate that control-plane nodes hold, or, with
        O(kubeconfig), through the API server. kubelet stands still while it writes them down, for some milliseconds.
      - V(stack_dump) sends SIGUSR1 to a containerd, dockerd or CRI-O that owns the listener. It writes its stacks to a file, which stays there.
        Not done in check mode.
      - V(trace) runs O(trace) and tells each listener that it opens, with the code that does. Not done in check mode.
    type: list
    elements: str
    choices: [owner, configuration, signature, goroutines, stack_dump, trace]
    default: [owner, configuration, signature, goroutines]
  expected:
    description:
      - Listeners that are known and left out where neither O(port) nor O(pid) is given. Each has at least one of C(process) (a pattern for the name of
        the process or unit), C(port) (a number or C(LOW-HIGH)) and C(address) (an address, a network, C(loopback) or C(any)), and may have C(protocol), C(host)
        (a pattern, which only a judgement looks at) and C(reason).
    type: list
    elements: dict
    default: []
  nodeport_range:
    description: The cluster's NodePort range, as C(LOW-HIGH).
    type: str
    default: 30000-32767
  kubelet_certificate:
    description: A client certificate on the node that kubelet accepts. Not there, it is not used.
    type: path
    default: /etc/kubernetes/pki/apiserver-kubelet-client.crt
  kubelet_key:
    description: The key of O(kubelet_certificate).
    type: path
    default: /etc/kubernetes/pki/apiserver-kubelet-client.key
  trace:
    description: What the method V(trace) runs.
    type: dict
    suboptions:
      command:
        description: The program, by its absolute path, and its arguments. It runs as the user that the module runs as, beside one that runs already.
        type: list
        elements: str
        required: true
      tool:
        description: V(dlv) for Go programs with debug information, V(strace) for all. V(auto) tries them in this order.
        type: str
        choices: [auto, dlv, strace]
        default: auto
      seconds:
        description: Seconds after which the program is ended, when it has not ended by itself.
        type: float
        default: 30
  kubeconfig:
    description:
      - The path of a kubeconfig on the controller, for V(goroutines) through the API server. Needs the right to get C(nodes/proxy).
        Without it the environment variable C(K8S_AUTH_KUBECONFIG) is looked at.
    type: path
  context:
    description: The context of O(kubeconfig).
    type: str
  audits:
    description: A folder of audits on the controller. What they saw of the same listener tells whether its port changes at each start.
    type: path
  budget_seconds:
    description: Seconds that all methods but V(trace) have together.
    type: float
    default: 20
attributes:
  check_mode:
    details:
      - V(stack_dump) and V(trace) are not done in check mode, and say so.
notes:
  - O(kubeconfig), O(context) and O(audits) are used on the controller and never sent to the node.
seealso:
  - module: kubenode.doctor.listen_ports
"""

EXAMPLES = r"""
- name: Who opened this port, and why?
  kubenode.doctor.listener_origin:
    port: 37231
  register: origin

- name: With the stacks of containerd, which writes them to a file
  kubenode.doctor.listener_origin:
    port: 37231
    methods: [owner, configuration, signature, goroutines, stack_dump]

- name: Which code opens the listeners of a program that may be started once more?
  kubenode.doctor.listener_origin:
    methods: [trace]
    trace:
      command: [/usr/bin/python3, -m, http.server, --bind, 127.0.0.1, "0"]
      seconds: 2
"""

RETURN = r"""
listeners:
  description: The listeners, with all that M(kubenode.doctor.listen_ports) tells of them.
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
      description: The processes that hold the socket, at most 20. Empty for the kernel's own sockets.
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
      description: Whether a process holds the socket and could not be seen.
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
    endpoint:
      description: Address, port and protocol.
      type: str
      returned: always
      sample: 127.0.0.1:37231/tcp
    reach:
      description: Who can reach it by its address, C(loopback), one C(address), or C(everywhere).
      type: str
      returned: always
    owner:
      description: The process that holds it. Null when nobody was seen to, or without the method V(owner).
      type: dict
      returned: always
      contains:
        pid:
          description: The process id.
          type: int
          returned: always
        name:
          description: The kernel's name of the process. Null when it had ended.
          type: str
          returned: always
        unit:
          description: The systemd service. Null where there is none.
          type: str
          returned: always
        container_id:
          description: The container. Null where there is none.
          type: str
          returned: always
        pod_uid:
          description: The pod's uid. Null where there is none.
          type: str
          returned: always
        pod:
          description: The pod, as C(namespace/name). Null where there is none or its name was not seen.
          type: str
          returned: always
        exe:
          description: The program's file, as the process sees it. Null where it could not be seen.
          type: str
          returned: always
        replaced:
          description: Whether the file was replaced or removed since the program was started. Null where that could not be seen.
          type: bool
          returned: always
        started:
          description: When the process was started, in UTC. Null where that could not be seen.
          type: str
          returned: always
        parent:
          description: The process that it belongs to, C(pid) and C(name). Null where there is none or it could not be seen.
          type: dict
          returned: always
        go:
          description: The version of Go that built the program. Null for other programs.
          type: str
          returned: always
        module:
          description: The Go module of the program. Null where there is none or it does not tell.
          type: str
          returned: always
        version:
          description: The program's version. Null where neither its file nor its package tells it.
          type: str
          returned: always
        package:
          description: The Debian package that the file is of, with its version. Null where there is none or it could not be told.
          type: str
          returned: always
        missing:
          description: What could not be seen of it.
          type: list
          elements: dict
          returned: always
    configuration:
      description: The setting that decides its port. Null when none was found, or without the method V(configuration).
      type: dict
      returned: always
      contains:
        program:
          description: Whose setting it is.
          type: str
          returned: always
        kind:
          description: The kind of the server that it is for, as RV(listeners[].kind).
          type: str
          returned: always
        key:
          description: The key. Null where there is no setting.
          type: str
          returned: always
        value:
          description: The value that is set. Null where none is.
          type: str
          returned: always
        default:
          description: What holds when nothing is set.
          type: str
          returned: always
        file:
          description: The file that sets it. Null for a flag, and when nothing is set.
          type: str
          returned: always
        address:
          description: The address that is set or holds by default.
          type: str
          returned: always
        port:
          description: The port. Null when it is drawn at random.
          type: int
          returned: always
        edit:
          description: Where the port is to be set, C(file), C(section) and whether the file is C(new). Null where that is not known.
          type: dict
          returned: always
        modified:
          description: When that file was last changed, in UTC. Null where no file sets it or would set it, and where the file cannot be seen.
          type: str
          returned: always
        fixed_in_code:
          description: Why there is no setting. Empty where there is one.
          type: str
          returned: always
    signature:
      description: What it answered. Null without the method V(signature).
      type: dict
      returned: always
      contains:
        asked:
          description: What was sent. Null when nothing was.
          type: str
          returned: always
        status:
          description: The status of an HTTP answer. Null for any other answer.
          type: int
          returned: always
        body:
          description: The beginning of the answer.
          type: str
          returned: always
        server:
          description: The header C(Server). Null where there is none.
          type: str
          returned: always
        kind:
          description: The kind of server that answers so, as RV(listeners[].kind). Null where that tells too little.
          type: str
          returned: always
        looks_like:
          description: What answers so, in words.
          type: str
          returned: always
        why:
          description: Why nothing was asked, or nothing came back. Empty otherwise.
          type: str
          returned: always
    goroutines:
      description: What the stacks of its program show. Null without the methods V(goroutines) and V(stack_dump).
      type: dict
      returned: always
      contains:
        source:
          description: Where the stacks are from.
          type: str
          returned: always
        count:
          description: How many goroutines there are.
          type: int
          returned: always
        accepting:
          description: Those that wait for connections.
          type: list
          elements: dict
          returned: always
        candidates:
          description: Which of RV(listeners[].goroutines.accepting) may be this listener's, by index.
          type: list
          elements: int
          returned: always
        others:
          description: The kinds of the program's other TCP listeners, as RV(listeners[].kind).
          type: list
          elements: str
          returned: always
        truncated:
          description: Whether there was more than was read.
          type: bool
          returned: always
        why:
          description: Why there are no stacks, or not all. Empty otherwise.
          type: str
          returned: always
    history:
      description: What earlier audits saw of it, C(audit), C(port) and C(started), newest first. Null without O(audits), and where its program was not seen.
      type: list
      elements: dict
      returned: always
    steps:
      description: What each method saw.
      type: list
      elements: dict
      returned: always
      contains:
        method:
          description: The method. C(history) is what O(audits) tell.
          type: str
          returned: always
        saw:
          description: What it saw, in one sentence.
          type: str
          returned: always
        kind:
          description: The kind of server that it says this is, as RV(listeners[].kind). Null where it cannot tell.
          type: str
          returned: always
    kind:
      description: The kind of server that it is, such as C(cri-streaming). Null for one that is not recognised.
      type: str
      returned: always
      sample: cri-streaming
    certain:
      description:
        - Whether it is proven, by a stack of a known function, by a setting that names the port, or by a setting and an answer that agree, of a program that
          is what its name says.
      type: bool
      returned: always
    agree:
      description: The methods that say so.
      type: list
      elements: str
      returned: always
    contradict:
      description: The methods that say otherwise.
      type: list
      elements: str
      returned: always
    answer:
      description: What it is, what for, what decides its port, what to do about it, and which code opened it.
      type: str
      returned: always
trace:
  description: What the method V(trace) saw. Null without it.
  returned: always
  type: dict
  contains:
    tool:
      description: The tool that was used. Null when nothing was run.
      type: str
      returned: always
    program:
      description: The program that was run.
      type: str
      returned: always
    ended:
      description: How the run ended.
      type: str
      returned: always
    calls:
      description:
        - The calls, in their order. Each has C(call), C(network), C(address) as it was asked for, C(goroutine), C(thread), C(opener),
          C(stack) and C(result).
      type: list
      elements: dict
      returned: always
    complete:
      description: Whether all calls were seen.
      type: bool
      returned: always
    missing:
      description: What was not.
      type: list
      elements: dict
      returned: always
ephemeral_range:
  description: The range that the kernel draws ports from. Null where it could not be read.
  returned: always
  type: list
  elements: int
  sample: [32768, 60999]
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
    why:
      description: The reason, and what to do about it.
      type: str
      returned: always
"""

from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    listen_trace,
    listener_origin,
    origin_request,
    sockets,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.origin_request import TRACE, Request
from ansible_collections.kubenode.doctor.plugins.module_utils.origin_stacks import Stacks

_NOTHING: dict[str, Any] = {"listeners": [], "ephemeral_range": None, "complete": True, "missing": []}


def main() -> None:
    module = AnsibleModule(argument_spec=origin_request.ARGUMENTS, supports_check_mode=True)
    try:
        module.exit_json(**_looked(origin_request.read(module.params), module.check_mode))
    except ValueError as error:
        module.fail_json(msg=str(error))
    except sockets.SocketsError as error:
        module.fail_json(msg=f"No sockets could be read. {error}")


def _looked(request: Request, check_mode: bool) -> dict[str, Any]:
    deadline = Deadline(request.budget_seconds)
    stacks = Stacks(request, deadline, check_mode)
    explained = _NOTHING if request.methods == (TRACE,) else listener_origin.collect(request, deadline, stacks)
    traced = _traced(request, check_mode)
    return {"changed": bool(stacks.asked_to_write or (traced and traced["tool"])), **explained, "trace": traced}


def _traced(request: Request, check_mode: bool) -> Optional[dict[str, Any]]:
    wanted = request.trace
    if wanted is None:
        return None
    if check_mode:
        return listen_trace.not_run(wanted["command"], "in check mode nothing is run")
    return listen_trace.run(wanted["command"], wanted["tool"], wanted["seconds"])


if __name__ == "__main__":
    main()
