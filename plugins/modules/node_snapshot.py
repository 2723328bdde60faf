#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_snapshot
short_description: Collect all that a diagnosis needs from a node, in one call
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Reads the chosen sections on the node, and changes nothing there.
  - With O(bundle), the sections are stored in that folder on the controller, and only a summary is returned, so that
    the raw data of a fleet does not live in Ansible's variables.
  - A node that cannot be reached, or whose answer cannot be used, is then recorded as such and does not fail, so that
    the report can say so. RV(answered) tells.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  sections:
    description:
      - The sections to collect. V(host) tells which machine it is, and which changes of fixes its records tell of. V(port_settings) is what decides
        which ports are drawn and given to Services. V(listen_ports), V(nodeport_conflict), V(tcp_states), V(host_pressure) and V(pod_listeners) are what the
        modules of those names see. V(listener_origin) is what the module of that name sees with the methods C(owner) and C(configuration) of the listeners that
        are not well known. V(proxy_rules) is what kube-proxy has programmed for NodePorts. V(containers) are the containers
        of Kubernetes, of Docker, containerd and CRI-O, V(logs) the known errors that M(kubenode.doctor.log_signatures) finds.
    type: list
    elements: str
    choices: [host, port_settings, host_pressure, tcp_states, listen_ports, listener_origin, nodeport_conflict, proxy_rules, containers, pod_listeners, logs]
    default: [host, port_settings, host_pressure, tcp_states, listen_ports, listener_origin, nodeport_conflict, proxy_rules, containers, pod_listeners, logs]
  ports:
    description: Port numbers of which every socket is wanted in the section V(nodeport_conflict). Taken from the bundle's cluster when left out.
    type: list
    elements: int
  port_range:
    description: The range of port numbers used where neither O(ports) nor a cluster names any, as C(LOW-HIGH).
    type: str
    default: 30000-32767
  budget_seconds:
    description: Seconds, besides O(sample_seconds), after which no further section is begun, and no more processes are searched.
    type: float
    default: 20
  sample_seconds:
    description:
      - Seconds between the two samples of V(tcp_states) and V(host_pressure), at least. The node is left alone meanwhile.
    type: float
    default: 2
  netns:
    description: The network namespaces of which V(tcp_states) tells, as its option of this name.
    type: str
    choices: [host, pods, all]
    default: host
  log_seconds:
    description: Seconds back from now that V(logs) reads, as O(kubenode.doctor.log_signatures#module:since).
    type: int
    default: 86400
  bundle:
    description: The folder of an audit on the controller. The sections are returned when left out.
    type: path
  answer_seconds:
    description: Seconds after which a node that has not answered is recorded as such. Needs O(bundle).
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Look at a node
  kubenode.doctor.node_snapshot:
  register: snapshot

- name: Look at two sections, with every socket on two ports
  kubenode.doctor.node_snapshot:
    sections: [host, nodeport_conflict]
    ports: [30080, 36527]
"""

RETURN = r"""
snapshot:
  description: The sections, by name, with the seconds it took.
  returned: when O(bundle) is not given
  type: dict
  contains:
    schema:
      description: The version of this form.
      type: int
      returned: always
    sections:
      description: The sections by name. Each has C(complete) and C(missing).
      type: dict
      returned: always
    seconds:
      description: Seconds that it took on the node.
      type: float
      returned: always
    complete:
      description: Whether everything could be seen.
      type: bool
      returned: always
    missing:
      description: What could not be seen, over all sections.
      type: list
      elements: dict
      returned: always
answered:
  description: Whether the node answered and its answer was stored.
  returned: when O(bundle) is given
  type: bool
why:
  description: Why there is no answer. Null when there is one.
  returned: when O(bundle) is given
  type: str
file:
  description: The file on the controller.
  returned: when O(bundle) is given
  type: str
complete:
  description: Whether everything could be seen.
  returned: when O(bundle) is given
  type: bool
missing:
  description: What could not be seen, over all sections.
  returned: when O(bundle) is given
  type: list
  elements: dict
"""

import gc

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kubenode.doctor.plugins.module_utils import first_samples, snapshot_request


def main() -> None:
    module = AnsibleModule(argument_spec=snapshot_request.ARGUMENTS, supports_check_mode=True)
    wanted = module.params
    try:
        ports = snapshot_request.wanted_ports(wanted)
    except ValueError as error:
        module.fail_json(msg=str(error))
    seconds = (wanted["budget_seconds"], wanted["sample_seconds"])
    first = first_samples.take(wanted["sections"], *seconds, wanted["netns"])
    # Only now: what it takes to read the other 140 files passes while the second samples are waited for. What is imported stays, so it need not
    # be looked through for garbage again and again, which is a quarter of that time.
    gc.disable()
    from ansible_collections.kubenode.doctor.plugins.module_utils import snapshot  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    collected = snapshot.collect(wanted["sections"], ports, *seconds, wanted["netns"], wanted["log_seconds"], first)
    module.exit_json(changed=False, snapshot=collected)


if __name__ == "__main__":
    main()
