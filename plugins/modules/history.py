#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Documentation of the action plugin of the same name, which runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: history
short_description: Remove old audits
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Removes the audits beside one that are too many or too old, whole and the oldest first. That one itself and what began after it are kept.
  - Kept is also what holds anything that no audit leaves, what holds the way back of a fix that can still be undone, what began less than a day
    ago and was not judged, since it may still be running, and whatever is reached through a symbolic link.
  - Both O(keep_count) and O(keep_days) have to allow for an audit. With neither, nothing is removed. In check mode it only says what would go.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  bundle:
    description: The folder of the latest audit on the controller. Those beside it are looked at.
    type: path
    required: true
  keep_count:
    description: How many audits stay, this one included. 0 for all.
    type: int
    default: 0
  keep_days:
    description: For how many days after it began an audit stays. 0 for ever.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Keep the last 60 audits, and none for longer than 90 days
  kubenode.doctor.history:
    bundle: audits/20261121T080000Z
    keep_count: 60
    keep_days: 90
  run_once: true
"""

RETURN = r"""
removed:
  description: The names of the folders that were removed, the oldest first.
  returned: success
  type: list
  elements: str
  sample: [20260801T080000Z]
kept_because:
  description: By the name of its folder, why something is kept that is too old, or that is no audit.
  returned: success
  type: dict
  sample: {"20260802T080000Z": "it holds the way back of a fix: ansible-playbook kubenode.doctor.undo -e record=…"}
"""
