#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Documentation of the action plugin of the same name, which runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle
short_description: Begin the bundle of an audit
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Makes a folder on the controller, named after the time, that holds everything one audit collects and finds.
  - Notes which audits lie beside it, the latest ten and of each host that is in none of these the latest that asked it, so that it can be told what
    changed since.
  - Files in it are readable by their owner only. Also done in check mode, since nothing on a node changes.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  audits:
    description: The folder in which the new one is made.
    type: path
    required: true
  hosts:
    description: The hosts that are going to be asked. One that never answers is then known to be missing.
    type: list
    elements: str
    required: true
  limits:
    description: What bounds the collection, to be kept with it.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Begin an audit
  kubenode.doctor.bundle:
    audits: audits
    hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
  register: audit
"""

RETURN = r"""
path:
  description: The folder that was made.
  returned: success
  type: str
  sample: audits/20261121T080000Z
"""
