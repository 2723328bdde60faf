#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_health
short_description: Ask kubelet, the API server and etcd of a node how they are
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Asks what of them runs on the node, each at the address that it was started with, for its C(/healthz), C(/readyz) and C(/health). Nothing
    is changed, and no secret is sent.
  - Whoever wants a client certificate is shown those that kubeadm, kubelet, kops, k3s and RKE2 keep on their nodes, and etcd its own. The
    server's certificate is not verified.
  - A node on which nothing of them runs is healthy, unless O(expect) names something.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  expect:
    description: What has to run here, besides what does. What does not run is then not healthy.
    type: list
    elements: str
    choices: [kubelet, api-server, etcd]
    default: []
  wait_seconds:
    description:
      - For how long to ask again while something is not healthy, or does not tell.
      - Each answer may take ten seconds besides.
    type: float
    default: 0
"""

EXAMPLES = r"""
- name: How are they?
  kubenode.doctor.node_health:
  register: before

- name: Is what was there well again, within two seconds?
  kubenode.doctor.node_health:
    expect: "{{ before.checks | map(attribute='what') | unique }}"
    wait_seconds: 2
  register: after
"""

RETURN = r"""
checks:
  description: What runs here or has to, kubelet first, then the API server, then etcd, of which there may be several.
  returned: always
  type: list
  elements: dict
  contains:
    what:
      description: C(kubelet), C(api-server) or C(etcd).
      type: str
      returned: always
      sample: etcd
    url:
      description: What was asked. Null where nobody could be.
      type: str
      returned: always
      sample: http://127.0.0.1:2381/health
    healthy:
      description: Whether it says that it is well. Null where that cannot be known.
      type: bool
      returned: always
    why:
      description: What it says otherwise, or why that cannot be known. Empty where it is well.
      type: str
      returned: always
      sample: "it answers 503: {\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}"
healthy:
  description: Whether all of them are well. Null where of some that cannot be known, and none is ill.
  returned: always
  type: bool
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
      sample: etcd
    why:
      description: The reason, and what to do about it.
      type: str
      returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kubenode.doctor.plugins.module_utils import node_health
from ansible_collections.kubenode.doctor.plugins.module_utils.node_parts import PARTS


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "expect": {"type": "list", "elements": "str", "choices": list(PARTS), "default": []},
            "wait_seconds": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    why = node_health.why_not(wanted["wait_seconds"])
    if why:
        module.fail_json(msg=why)
    module.exit_json(changed=False, **node_health.wait(wanted["expect"], wanted["wait_seconds"]))


if __name__ == "__main__":
    main()
