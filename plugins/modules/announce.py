#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Documentation of the action plugin of the same name, which runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: announce
short_description: Tell a webhook or a command of new critical findings
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Sends the critical findings of a judged bundle that no waiver accepts, and that were not announced before, as one JSON document. Without such
    findings nothing is sent.
  - What was announced is kept in C(announced.json) beside the audits, for the webhook and for the command on its own. So a finding is announced once,
    also one that becomes critical later, or whose waiver ends. What an audit has looked for and not found, and what is waived, is forgotten, so that it
    is announced again when it comes back. A host that is silent forgets nothing.
  - What could not be delivered is no failure of this module. It is told in RV(problems), and announced after the next audit.
  - In check mode nothing is sent or written.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  bundle:
    description:
      - The folder of a judged audit on the controller. Left out, only the file of the webhook and the command are looked at, so that a mistake shows
        before an audit takes its time.
    type: path
  webhook_file:
    description:
      - A file on the controller with C(url), to which the document is sent with POST, and where it is needed C(token), sent as a bearer token,
        and C(headers), a mapping. In YAML or JSON. A C(.netrc) is not looked at.
      - It is a file, so that no secret is a variable, or shown. A file that everybody may read is refused.
      - A redirection is not followed. A server that cannot be reached, or answers with status 429 or 500 and above, is tried three times.
    type: path
  command:
    description:
      - A command with its arguments, which gets the document on standard input. No shell reads it. It has failed when it does not end with status 0.
    type: list
    elements: str
    default: []
  seconds:
    description: Seconds for one try to send, whatever the server does meanwhile, and for the command. Above 0, and at most 3600.
    type: float
    default: 20
"""

EXAMPLES = r"""
- name: Hand what is new to the program of the team on call
  kubenode.doctor.announce:
    bundle: audits/20261121T080000Z
    command: [cat]
  run_once: true
  register: announced

- name: Fail when it was not told
  ansible.builtin.assert:
    that: announced.problems | length == 0
"""

RETURN = r"""
announced:
  description: How many findings were announced, by way. V(webhook) and V(command) are there where they were named.
  returned: with O(bundle)
  type: dict
critical:
  description: How many critical findings there are that no waiver accepts, new or not.
  returned: with O(bundle)
  type: int
problems:
  description: What could not be announced, and why.
  returned: with O(bundle)
  type: list
  elements: str
file:
  description: The file that says what was announced. Null when neither a webhook nor a command was named.
  returned: with O(bundle)
  type: str
"""
