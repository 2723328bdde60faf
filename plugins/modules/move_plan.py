#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Documentation of the action plugin of the same name, which runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: move_plan
short_description: Say how a Service gets another NodePort
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Reads what the fix C(move-nodeport) is to act on, holds it against the Services as the API server shows them now and against what the
    hosts' sockets show now, and says what is to be done, what that breaks, how it is undone, and what stands against it. Asks nobody and
    changes nothing.
  - Targets that are not of the form that rules write, or that hold a name no API server accepts, are refused.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  targets:
    description:
      - One JSON text for each meeting of a NodePort and a socket, with C(namespace), C(name) and C(uid) of the Service, the NodePorts C(from)
        and C(to), the Service's C(ports) that have it, and C(host), C(protocol) and C(address) of the socket, as M(kubenode.doctor.judge)
        returns them.
      - Of targets that contradict each other, none is used.
    type: list
    elements: str
    required: true
  services:
    description:
      - The Services that are to be moved, C(NAMESPACE/NAME) each. All others are only told of.
    type: list
    elements: str
    default: []
  bundle:
    description:
      - The folder of the audit, which tells the hosts that have to be asked. This or O(asked) is needed.
    type: path
  asked:
    description:
      - What RV(asked) was before. It spares reading the bundle again.
    type: dict
    suboptions:
      hosts:
        description: The hosts on which the new number has to be free.
        type: list
        elements: str
        required: true
      others:
        description: The Nodes of the cluster that are none of them.
        type: list
        elements: str
        required: true
      host_ports:
        description: The ports of nodes that lead into pods without a socket. None of them is free.
        type: list
        elements: int
        default: []
  found:
    description:
      - The Services, as M(kubernetes.core.k8s_info) returns them in C(resources). Left out, only the targets are read.
    type: list
    elements: dict
  looked:
    description:
      - What M(kubenode.doctor.nodeport_conflict) says of the numbers now, as a loop over RV(moves[].questions) registers it in C(results).
      - A host that is not in it, that did not answer, or on which any socket has the new number stops the move.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Say how the Service would be moved
  kubenode.doctor.move_plan:
    targets:
      - >-
        {"namespace": "shop", "name": "front", "uid": "8c87747e-0989-4db9-93e2-04829f803705", "from": 36527, "to": 30000,
        "ports": [["TCP", 80]], "host": "node-a", "protocol": "tcp", "address": "127.0.0.1"}
    services: [shop/front]
    asked:
      hosts: [node-a, node-b]
      others: []
  register: move
"""

RETURN = r"""
asked:
  description: Who has to be asked.
  returned: success
  type: dict
  contains:
    hosts:
      description: The hosts on which the new number has to be free. A host that did not answer the audit is one of them.
      type: list
      elements: str
      returned: always
    others:
      description: The Nodes of the cluster that are no host of the audit.
      type: list
      elements: str
      returned: always
    host_ports:
      description: The C(hostPort)s of the cluster's pods, as the audit saw them.
      type: list
      elements: int
      returned: always
ambiguous:
  description: For a person, what is left alone because targets contradict each other.
  returned: success
  type: list
  elements: str
candidates:
  description: For a person, what could be moved, and is not named in O(services).
  returned: success
  type: list
  elements: str
strangers:
  description: The Services that are named in O(services), and of which no target is.
  returned: success
  type: list
  elements: str
moves:
  description: One entry for each number of a Service that is named.
  returned: success
  type: list
  elements: dict
  contains:
    targets:
      description: The texts of its targets.
      type: list
      elements: str
      returned: always
    service:
      description: The Service, C(NAMESPACE/NAME).
      type: str
      returned: always
    uid:
      description: The Service's uid.
      type: str
      returned: always
    from:
      description: The NodePort that it has.
      type: int
      returned: always
    to:
      description: The NodePort that it gets.
      type: int
      returned: always
    subject:
      description: The Service in words.
      type: str
      returned: always
    object:
      description: The object, as the modules of kubernetes.core want it.
      type: dict
      returned: always
      contains:
        api_version:
          description: Its version.
          type: str
          returned: always
        kind:
          description: Its kind.
          type: str
          returned: always
        namespace:
          description: Its namespace.
          type: str
          returned: always
        name:
          description: Its name.
          type: str
          returned: always
    about:
      description: What the name of the file that keeps how it is undone tells it apart by.
      type: str
      returned: always
    questions:
      description: What to ask just before it is moved.
      type: list
      elements: dict
      returned: always
      contains:
        host:
          description: The host's name in the inventory.
          type: str
          returned: always
        node_ports:
          description: What O(kubenode.doctor.nodeport_conflict#module:node_ports) is to be there.
          type: list
          elements: dict
          returned: always
          contains:
            namespace:
              description: The Service's namespace.
              type: str
              returned: always
            service:
              description: The Service's name.
              type: str
              returned: always
            protocol:
              description: The protocol.
              type: str
              returned: always
            node_port:
              description: The number.
              type: int
              returned: always
    state:
      description: >-
        V(needed) when the number is to be changed, V(done) when it is already or no socket meets it any more, V(stopped) when the Service is not
        what was diagnosed any more, or the new number is not known to be free on every host.
      type: str
      returned: when O(found) is given
    why:
      description: Why it is V(stopped) or V(done). Empty otherwise.
      type: str
      returned: when O(found) is given
    plan:
      description: For a person, what is to be done and what it breaks. Empty unless V(needed).
      type: list
      elements: str
      returned: when O(found) is given
    patch:
      description: The same as a JSON patch, which the API server refuses when the Service has changed. Empty unless V(needed).
      type: list
      elements: dict
      returned: when O(found) is given
      contains:
        op:
          description: V(test) or V(replace).
          type: str
          returned: always
        path:
          description: The place in the object.
          type: str
          returned: always
        value:
          description: What has to be there, or is put there.
          type: raw
          returned: always
    record:
      description: What is kept of it, to undo it by. Empty unless V(needed).
      type: dict
      returned: when O(found) is given
"""
