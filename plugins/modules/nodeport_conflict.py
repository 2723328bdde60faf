#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nodeport_conflict
short_description: Judge NodePorts against every socket of a node
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Finds every socket of the node whose local port is a given NodePort or healthCheckNodePort. That is listeners,
    bound sockets, and outgoing connections in any state, TIME-WAIT included.
  - Says who is harmed, on which of the node's addresses, and what that means, by the rules of the proxy mode that it
    finds or is told. The sockets of kube-proxy itself are no conflict.
  - In a diagnosis the NodePorts come from the cluster by themselves. This module takes them from O(node_ports).
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  node_ports:
    description: The ports to judge, in the form that M(kubenode.doctor.cluster_snapshot) returns them.
    type: list
    elements: dict
    required: true
    suboptions:
      namespace:
        description: The namespace of the Service.
        type: str
        default: default
      service:
        description: The name of the Service.
        type: str
        required: true
      port_name:
        description: The name of the Service's port, if it has one.
        type: str
      protocol:
        description: The protocol.
        type: str
        choices: [TCP, UDP, SCTP]
        default: TCP
      node_port:
        description: The NodePort, 1 to 65535. This or O(node_ports[].health_check_node_port) is needed, or both.
        type: int
      health_check_node_port:
        description: The healthCheckNodePort, 1 to 65535.
        type: int
      has_endpoints:
        description: Whether the Service has endpoints. Leave it out when that is not known.
        type: bool
      endpoint_families:
        description: The IP families in which the port has endpoints. Comes before O(node_ports[].has_endpoints) where given.
        type: list
        elements: str
        choices: [IPv4, IPv6]
      external_traffic_policy:
        description: The Service's externalTrafficPolicy.
        type: str
        choices: [Cluster, Local]
        default: Cluster
      ip_families:
        description: The Service's ipFamilies. Both when left out.
        type: list
        elements: str
        choices: [IPv4, IPv6]
  proxy_mode:
    description:
      - The mode of the service proxy. V(auto) asks kube-proxy, then looks at its flags and traces.
      - Where V(auto) finds nothing, the ports are judged by V(iptables), kube-proxy's default, and RV(missing) says so.
    type: str
    choices: [auto, iptables, ipvs, nftables, userspace, cilium]
    default: auto
  nodeport_addresses:
    description: kube-proxy's C(--nodeport-addresses). What kube-proxy tells is taken when left out.
    type: list
    elements: str
  node_ips:
    description: The InternalIPs of the Node object, which the nftables mode takes NodePorts on by default.
    type: list
    elements: str
    default: []
  budget_seconds:
    description: Seconds after which the search for processes stops.
    type: float
    default: 20
"""

EXAMPLES = r"""
- name: Does anything on this node collide with NodePort 36527?
  kubenode.doctor.nodeport_conflict:
    node_ports:
      - namespace: default
        service: kube-processor-service
        node_port: 36527
        has_endpoints: false

- name: The same for a whole cluster
  kubenode.doctor.nodeport_conflict:
    node_ports: "{{ cluster.node_ports }}"
  vars:
    cluster:
      node_ports:
        - {namespace: shop, service: front, protocol: TCP, node_port: 30080, has_endpoints: true}
        - {namespace: shop, service: local, health_check_node_port: 30787}
"""

RETURN = r"""
conflicts:
  description: One entry for each port and socket that share a number and protocol, harmless ones included.
  returned: always
  type: list
  elements: dict
  contains:
    namespace:
      description: The namespace of the Service.
      type: str
      returned: always
    service:
      description: The name of the Service.
      type: str
      returned: always
    port_name:
      description: The name of the Service's port. Null where it has none.
      type: str
      returned: always
    protocol:
      description: The protocol, C(TCP) or C(UDP).
      type: str
      returned: always
    port:
      description: The number that both claim.
      type: int
      returned: always
    kind:
      description: C(nodePort) or C(healthCheckNodePort).
      type: str
      returned: always
    socket:
      description: The index of the socket in RV(sockets).
      type: int
      returned: always
    harmed:
      description: Who loses; C(listener), C(service), C(connection), C(nobody), or C(unknown).
      type: str
      returned: always
    effect:
      description: What happens; for example C(shadowed), C(rejected), C(cannot open), C(none).
      type: str
      returned: always
    certain:
      description: Whether all that the verdict rests on was seen.
      type: bool
      returned: always
    addresses:
      description: The addresses of the node on which it happens.
      type: list
      elements: str
      returned: always
    alive:
      description: The addresses on which the listener still answers.
      type: list
      elements: str
      returned: always
    meaning:
      description: The verdict in words.
      type: str
      returned: always
sockets:
  description: Every socket whose local port is one of the numbers, listeners first.
  returned: always
  type: list
  elements: dict
  contains:
    protocol:
      description: The protocol, C(tcp) or C(udp).
      type: str
      returned: always
    family:
      description: The address family, C(ipv4) or C(ipv6).
      type: str
      returned: always
    state:
      description: C(listen), C(bound), C(unconnected), or the state of a connection, such as C(established) or C(time_wait).
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
    v6only:
      description: Whether an IPv6 socket refuses IPv4. Null for IPv4 sockets and where the backend does not show it.
      type: bool
      returned: always
    peer:
      description: The address of the other end. Null for sockets that have none.
      type: str
      returned: always
    peer_port:
      description: The port of the other end. Null for sockets that have none.
      type: int
      returned: always
    uid:
      description: The user id that owns the socket. Null where the backend does not show it.
      type: int
      returned: always
    inode:
      description: The inode of the socket. Null where no process holds it or the backend does not show it.
      type: int
      returned: always
    ephemeral:
      description: Whether the port lies in the range from which the kernel draws ports. Null where that cannot be read.
      type: bool
      returned: always
    processes:
      description: The processes that hold the socket, in the form of M(kubenode.doctor.listen_ports).
      type: list
      elements: dict
      returned: always
    hidden:
      description: Whether a process holds the socket and could not be seen.
      type: bool
      returned: always
    cgroup:
      description: The cgroup (v2) of a socket whose process could not be seen. Null for others, and where it was not told.
      type: str
      returned: always
    known_as:
      description: What the port is known as for this process, in the form of M(kubenode.doctor.listen_ports). Null where nothing is known.
      type: dict
      returned: always
proxy:
  description: The service proxy that was found or told.
  returned: always
  type: dict
  contains:
    program:
      description: The program, for example C(kube-proxy). Null when none was seen.
      type: str
      returned: always
    mode:
      description: Its mode. Null when nothing told it.
      type: str
      returned: always
    source:
      description: How the mode is known. Null when nothing told it.
      type: str
      returned: always
    nodeport_addresses:
      description: The addresses that NodePorts are restricted to; empty for no restriction, null when not seen.
      type: list
      elements: str
      returned: always
    localhost_nodeports:
      description: kube-proxy's setting C(iptables.localhostNodePorts). Null when not seen.
      type: bool
      returned: always
    complete:
      description: Whether all of this could be seen.
      type: bool
      returned: always
    missing:
      description: What could not be seen, and why.
      type: list
      elements: dict
      returned: always
backend:
  description: The backend that told the sockets.
  returned: always
  type: str
  sample: sock_diag
truncated:
  description: How many sockets were left out because there were too many.
  returned: always
  type: int
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

import ipaddress
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    addresses,
    netlink,
    nodeport_capture,
    nodeport_sockets,
    nodeport_verdict,
    service_proxy,
    sockets,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders

_PORT_OPTIONS: dict[str, Any] = {
    "namespace": {"type": "str", "default": "default"},
    "service": {"type": "str", "required": True},
    "port_name": {"type": "str"},
    "protocol": {"type": "str", "choices": ["TCP", "UDP", "SCTP"], "default": "TCP"},
    "node_port": {"type": "int"},
    "health_check_node_port": {"type": "int"},
    "has_endpoints": {"type": "bool"},
    "endpoint_families": {"type": "list", "elements": "str", "choices": ["IPv4", "IPv6"]},
    "external_traffic_policy": {"type": "str", "choices": ["Cluster", "Local"], "default": "Cluster"},
    "ip_families": {"type": "list", "elements": "str", "choices": ["IPv4", "IPv6"]},
}


def check(module: AnsibleModule) -> None:
    """End with a message that names the option when a value cannot be right."""
    for index, port in enumerate(module.params["node_ports"]):
        for name in ("node_port", "health_check_node_port"):
            if port[name] is not None and not 1 <= port[name] <= 65535:
                module.fail_json(msg=f"node_ports[{index}].{name}: {port[name]} is no port: 1 to 65535 expected")
    for name, parse in (("nodeport_addresses", service_proxy.checked_addresses), ("node_ips", _checked_ips)):
        try:
            parse(module.params[name] or [])
        except ValueError as error:
            module.fail_json(msg=f"{name}: {error}")


def _checked_ips(values: list[str]) -> None:
    for value in values:
        ipaddress.ip_address(value)


def told(section: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """Let the task's options overrule what was found of the service proxy: what is told is not missing."""
    found, overruled = section["proxy"], {}
    if params["proxy_mode"] != "auto":
        overruled = {"mode": params["proxy_mode"], "source": "the option proxy_mode"}
    if params["nodeport_addresses"] is not None:
        overruled["nodeport_addresses"] = params["nodeport_addresses"]
    unseen = [gap for gap in found["missing"] if not (gap["what"] == "kube-proxy mode" and "mode" in overruled)]
    missing = [gap for gap in section["missing"] if gap not in found["missing"]] + unseen
    proxy = {**found, **overruled, "complete": not unseen, "missing": unseen}
    return {**section, "proxy": proxy, "complete": not missing, "missing": missing}


def one_number_each(ports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Split an entry that names a NodePort and a healthCheckNodePort: they are judged by different rules."""
    plain = [{**port, "health_check_node_port": None} for port in ports if port["node_port"]]
    health = [
        {**port, "node_port": None, "port_name": None, "protocol": "TCP"}
        for port in ports
        if port["health_check_node_port"]
    ]
    return plain + health


def judge(
    ports: list[dict[str, Any]], section: dict[str, Any], node_ips: list[str], local: list[dict[str, str]]
) -> list[dict[str, Any]]:
    """Judge each port against each socket with its number and protocol."""
    numbers = {port["node_port"] for port in ports if port["node_port"]}
    node = nodeport_verdict.Node(
        nodeport_capture.proxy_from(section["proxy"], node_ips),
        local,
        nodeport_sockets.opens_node_ports(section["sockets"], numbers, section["proxy"]["program"]),
        section["proxy"]["program"],
    )
    found = []
    for port in ports:
        for index, socket in nodeport_verdict.sharing(port, section["sockets"]):
            others = [other for other in section["sockets"] if other["port"] == socket["port"] and other is not socket]
            for verdict in nodeport_verdict.verdicts(port, socket, node, others):
                certain = verdict["certain"] and bool(section["proxy"]["mode"])
                found.append({**_name(port), "socket": index, **verdict, "certain": certain})
    return found


def _name(port: dict[str, Any]) -> dict[str, Any]:
    return {
        **{key: port[key] for key in ("namespace", "service", "port_name", "protocol")},
        "port": nodeport_verdict.number(port),
        "kind": "healthCheckNodePort" if port["health_check_node_port"] else "nodePort",
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "node_ports": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": _PORT_OPTIONS,
                "required_one_of": [("node_port", "health_check_node_port")],
            },
            "proxy_mode": {"type": "str", "choices": ["auto", *service_proxy.MODES], "default": "auto"},
            "nodeport_addresses": {"type": "list", "elements": "str"},
            "node_ips": {"type": "list", "elements": "str", "default": []},
            "budget_seconds": {"type": "float", "default": 20},
        },
        supports_check_mode=True,
    )
    check(module)
    ports = one_number_each(module.params["node_ports"])
    wanted = {nodeport_verdict.number(port) for port in ports}
    try:
        section = nodeport_sockets.collect(SocketHolders(Deadline(module.params["budget_seconds"])), wanted)
        local = addresses.local_addresses()
    except (sockets.SocketsError, netlink.NetlinkError) as error:
        module.fail_json(msg=f"The sockets and addresses of this node could not be read. {error}")
    section = told(section, module.params)
    module.exit_json(changed=False, conflicts=judge(ports, section, module.params["node_ips"], local), **section)


if __name__ == "__main__":
    main()
