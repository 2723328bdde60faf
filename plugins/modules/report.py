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
    description:
      - The folder of a judged audit on the controller.
      - Left out, nothing is written and only the other options are checked, so that a mistake shows before nodes are asked.
    type: path
  forms:
    description:
      - What is written besides the text (C(report.txt)).
      - V(html) (C(report.html)) is one file for a browser that needs no network, V(junit) (C(junit.xml)) is for CI systems, V(sarif) (C(report.sarif))
        for what shows findings of analysis tools, V(prometheus) (C(metrics.prom)) for monitoring, V(markdown) (C(ticket.md)) for a ticket.
    type: list
    elements: str
    choices: [text, html, junit, sarif, prometheus, markdown]
    default: []
  metrics_file:
    description:
      - Where the form V(prometheus) is written as well, for node_exporter's textfile collector. Has to end in C(.prom); its folder has to be there.
      - Unlike the files of a bundle it can be read by everyone, and unlike them it is left behind for as long as nobody writes a newer one.
    type: path
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

- name: Write what CI systems read, and a ticket
  kubenode.doctor.report:
    bundle: audits/20261121T080000Z
    forms: [junit, markdown]
    show: false
  run_once: true
"""

RETURN = r"""
file:
  description: The file with the text.
  returned: when a bundle is named
  type: str
files:
  description: All files that were written into the bundle, by form.
  returned: when a bundle is named
  type: dict
metrics_file:
  description: The file for node_exporter; V(null) where none was asked for.
  returned: when a bundle is named
  type: str
"""
