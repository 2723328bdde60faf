#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Documentation of the action plugin of the same name, which runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: join
short_description: Join several bundles into one
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Makes one audit of several, such as the slices of a fleet that outgrows one controller, or what nodes collected that nobody can reach.
    The new bundle can be judged, reported and compared with earlier audits like any other. Asks no node and no API server.
  - Of a host that is in several bundles the latest answer is taken. Of the cluster the answer that saw most is taken, with the pods that the
    others saw. Where a name stands for two machines, neither answer is taken, and RV(damaged) says so.
  - The bundles are left as they are. One that cannot be read is told in RV(damaged) and in the judgement, and the others are joined.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  audits:
    description:
      - The folder in which the new one is made, named after the time at which the latest of the bundles began.
      - Audits that lie in it and began before are those that it is compared with.
    type: path
    required: true
  bundles:
    description:
      - The folders of the bundles. One that is not there may be a pattern with C(*), C(?) and C([]).
      - In a pattern a folder's name may be C({host}). It then stands for any name, and says whose the bundles in it are. Such a bundle speaks for
        this host only. What it says of others is told in RV(damaged), and what it says of the cluster is left out.
      - Any other bundle can speak for each host and for the cluster. Nothing proves whose answer it holds.
    type: list
    elements: str
    required: true
  hosts:
    description: Hosts that are to be in the audit. One that is in no bundle then counts as one that did not answer.
    type: list
    elements: str
    default: []
  max_age_hours:
    description: Of bundles that began so many hours before the latest one nothing is taken. V(0) to take it whatever its age.
    type: float
    default: 24
"""

EXAMPLES = r"""
- name: Join the slices of an audit
  kubenode.doctor.join:
    bundles:
      - audits/2026*
    audits: joined
    hosts: "{{ groups['all'] }}"
  run_once: true
  register: joined
"""

RETURN = r"""
path:
  description: The folder that was made.
  returned: success
  type: str
  sample: audits/20261121T080000Z
bundles:
  description: The bundles that were joined, the latest first, without those that were too old.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The bundle, by as much of its path as it takes to tell it from the others.
      type: str
      returned: always
    started:
      description: When it began.
      type: str
      returned: always
    version:
      description: The version of this collection that collected it.
      type: str
      returned: always
    answers:
      description: The number of hosts whose answer was taken from it.
      type: int
      returned: always
told:
  description: What a reader of the audit should know of the join, as sentences.
  returned: success
  type: list
  elements: str
damaged:
  description: Why bundles, or files in them, were of no use. The judgement has them too.
  returned: success
  type: list
  elements: str
"""
