#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Documentation of the action plugin of the same name, which runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Show the findings of a judged bundle
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Writes C(report.txt), and the other forms that are wanted, into the bundle, and shows the text. Reads C(findings.json) and computes nothing.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  bundle:
    description: The folder of a judged audit on the controller.
    type: path
    required: true
  forms:
    description:
      - What is written besides the text.
    type: list
    elements: str
    choices: [text]
    default: []
  show:
    description: Print the report.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Show what was found
  kubenode.doctor.report:
    bundle: audits/20261121T080000Z
  run_once: true
"""

RETURN = r"""
file:
  description: The file with the text.
  returned: success
  type: str
files:
  description: All files that were written, by form.
  returned: success
  type: dict
"""
