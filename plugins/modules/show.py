#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Documentation of the action plugin of the same name, which runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: show
short_description: Print a heading and a list
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Prints what a fix is going to do, or has done, as text that is laid out like the report, also where the callback hides
    the results of tasks that went well.
  - What nodes and containers are called is shown as it is. Control characters are escaped, and nothing is a template.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  heading:
    description: The first line.
    type: str
    required: true
  items:
    description: What is printed below it, one point each.
    type: list
    elements: str
    default: []
  commands:
    description:
      - Commands below the list, a line for each, which is never broken.
    type: list
    elements: str
    default: []
  bundle:
    description:
      - The folder of an audit, at the end of whose C(report.txt) it is kept, too.
    type: path
"""

EXAMPLES = r"""
- name: Show what was done
  kubenode.doctor.show:
    heading: "master-1: the name conflict is gone"
    items:
      - removed 8470235abd66, attempt 23 of kube-apiserver
      - left alone eced85378630, attempt 24, which runs
"""

RETURN = r"""
lines:
  description: What was printed.
  returned: success
  type: list
  elements: str
"""
