#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Documentation of the action plugin of the same name, which runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: judge
short_description: Judge a bundle
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Applies every rule to every host of a bundle and writes C(findings.json) into it. Asks no node and no API server,
    so a saved bundle can be judged again, later and by newer rules. Earlier findings become C(findings.previous.json).
  - Does not fail on findings. RV(failing) says which hosts should.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  bundle:
    description:
      - The folder of an audit on the controller.
      - Left out, nothing is judged and only the other options are checked, so that a mistake shows before nodes are asked.
    type: path
  expected_listeners:
    description:
      - Listeners that the operator knows and wants, so that no rule asks whose they are and the report does not tell of them. Each has
        at least one of C(process), a pattern for the name of the process or of its unit (V(no process) is what the kernel holds itself),
        C(port), a number, V(LOW-HIGH) or V(any), and C(address), an address, a network, V(loopback) or V(any).
      - May have C(protocol) (V(tcp) or V(udp)), C(host), a pattern for the hosts on which it holds, and C(reason). Patterns may hold
        C(*) and C(?).
    type: list
    elements: dict
    default: []
  fail_on:
    description: The least severity, V(info), V(warning) or V(critical), for which a host is named in RV(failing).
    type: str
    default: critical
  nodeport_range:
    description: kube-apiserver's C(--service-node-port-range). Left out, it is taken from a running API server or its manifest.
    type: str
  proxy_mode:
    description: The service proxy's mode on all nodes, V(iptables), V(ipvs), V(nftables), V(userspace) or V(cilium). Left out, each node tells its own.
    type: str
  skew_share:
    description: The share of automatic port selection, above 0 and up to 1, from which a single port is a finding. 0.1 when left out.
    type: float
  thresholds:
    description:
      - Numbers from which something is a finding, by name, where the default does not fit this fleet. C(docs/rules.md) lists the names,
        their defaults and where these come from. A name that is not there and a value that cannot be are refused.
    type: dict
    default: {}
  waivers:
    description:
      - Findings that are accepted. They stay visible and fail nothing. Each has C(rule), C(reason), C(owner) and C(until), the last day it
        holds (UTC), at most two years ahead, and may have C(host) and C(object). C(rule), C(host) and C(object) may hold C(*) and C(?).
      - One that fits no rule is refused, and so is one of every rule on every host and object.
      - C(docs/waivers.md) tells how to write them.
    type: list
    elements: dict
    default: []
  waivers_file:
    description:
      - A YAML file on the controller with more of them, seen from where the playbook was started. It holds a list, or a mapping with the one
        key C(waivers). Nothing in it is templated, and what is wrong in it is told with its line.
    type: path
"""

EXAMPLES = r"""
- name: Judge a saved bundle
  kubenode.doctor.judge:
    bundle: audits/20261121T080000Z
    thresholds:
      conntrack_share: 0.6
    expected_listeners:
      - process: node-agent*
        port: 9000-9010
        address: 10.0.0.0/8
        reason: the agent of our monitoring
    waivers:
      - rule: reserved-ports-skew
        reason: accepted until the nodes are replaced
        owner: the platform team
        until: "2027-12-31"
  run_once: true
  register: judged
"""

RETURN = r"""
file:
  description: The file with the findings.
  returned: when O(bundle) is given
  type: str
answered:
  description: The hosts that answered.
  returned: when O(bundle) is given
  type: list
  elements: str
damaged:
  description: Why files of the bundle were of no use. Empty for a whole bundle.
  returned: when O(bundle) is given
  type: list
  elements: str
counts:
  description: How often each of the four answers was given, over all rules and hosts.
  returned: when O(bundle) is given
  type: dict
  contains:
    pass:
      description: The claim holds.
      type: int
      returned: always
    fail:
      description: It does not.
      type: int
      returned: always
    unknown:
      description: Something that it rests on could not be seen.
      type: int
      returned: always
    not_applicable:
      description: It says nothing about this host.
      type: int
      returned: always
failing:
  description:
    - By host and group of rules, one line for each unwaived finding at or above O(fail_on); of more than five, how many more.
    - The host's own findings come first, then those of the cluster, which fail every host that answered.
  returned: when O(bundle) is given
  type: dict
told:
  description: The same for a message, what fails in the cluster once, then the first ten hosts' own, and how many more hosts there are.
  returned: when O(bundle) is given
  type: dict
cures:
  description:
    - By host and name of a fix, what exactly it is to act on. Waived findings have none.
    - For C(container-name-conflict), the full ids of the containers to remove, in this order. For others, JSON texts as M(kubenode.doctor.node_fix)
      takes them.
    - What changes the cluster is in RV(cluster).
  returned: when O(bundle) is given
  type: dict
fix_findings:
  description:
    - By host and name of a fix, what the rules say that it is for, whatever the severity.
    - In C(open), a line for each finding, by its fingerprint, and in C(offered) those of them that the fix is offered for. Lines in lists C(waived)
      and C(unknown), the last with the reasons; of more than five in one, how many more.
  returned: when O(bundle) is given
  type: dict
control_plane:
  description: Who carries the control plane, of which fixes touch one host at a time.
  returned: when O(bundle) is given
  type: dict
  contains:
    hosts:
      description: The hosts on which its programs run, or whose Node has its role.
      type: list
      elements: str
      returned: always
    expects:
      description: What of it belongs on each of these hosts, as O(kubenode.doctor.node_health#module:expect) takes it.
      type: dict
      returned: always
    unseen:
      description: The names of such Nodes of which no host answered.
      type: list
      elements: str
      returned: always
    nodes_known:
      description: Whether the cluster's Nodes could be read. Otherwise any host that did not answer may be one of the control plane.
      type: bool
      returned: always
cluster:
  description: What concerns no single host.
  returned: when O(bundle) is given
  type: dict
  contains:
    carrier:
      description: The host in whose name fixes of the cluster are carried out, once, which is the first one that answered. V(null) when none has.
      type: str
      returned: always
    failing:
      description: By group of rules, one line for each unwaived finding at or above O(fail_on); of more than five, how many more.
      type: dict
      returned: always
    cures:
      description:
        - By name of a fix, what exactly it is to act on. Waived findings have none.
        - JSON texts, for C(rollback-image) as M(kubenode.doctor.rollback_plan) takes them.
      type: dict
      returned: always
    fix_findings:
      description:
        - By name of a fix that changes the cluster, what the rules say that it is for, on whatever host, in the form of RV(fix_findings).
        - Also C(by_object), the fingerprints by the object that would be changed.
      type: dict
      returned: always
"""
