#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Documentation of the action plugin of the same name, which runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: undo_record
short_description: Write and read how a fix is undone
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - With O(bundle), writes a file C(undo-....json) into it, before a fix acts. With O(file) and O(state), notes in it how the fix ended.
  - With O(file) alone, reads it. A file that is no such record, a record of what was undone already or cannot be undone, and one of a host that the
    inventory does not have are refused.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  file:
    description:
      - The record. Either this or O(bundle) is required.
    type: path
  bundle:
    description:
      - The folder of the audit in which a record is begun.
    type: path
  document:
    description:
      - With O(bundle), what the record holds, C(fix) and C(host) among it; C(host) is null for a fix of the cluster. C(no_undo), where it is there,
        says why the fix cannot be undone, and where that is kept which was there before.
      - With O(state), what is added to it.
    type: dict
  subject:
    description:
      - What the name of the record's file tells the fix's records apart by. Left out, the host.
    type: str
  hosts:
    description:
      - The hosts of the inventory. Left out, whose record it is does not matter.
    type: list
    elements: str
  state:
    description:
      - V(applied) and V(failed) are how the fix ended. V(unchanged) removes the record, since nothing was changed. V(undone) notes that it was undone,
        so that it is not undone twice.
    type: str
    choices: [applied, failed, unchanged, undone]
"""

EXAMPLES = r"""
- name: Write down what is about to be done
  kubenode.doctor.undo_record:
    bundle: audits/20261121T080000Z
    document:
      fix: sync-clock
      host: "{{ inventory_hostname }}"
      change: sync-clock-3f2a9c0d1e5b
      store: /var/lib/kubenode.doctor
  register: begun

- name: Note that it was done
  kubenode.doctor.undo_record:
    file: "{{ begun.file }}"
    state: applied

- name: Read how it is undone
  kubenode.doctor.undo_record:
    file: "{{ begun.file }}"
    hosts: "{{ ansible_play_hosts_all }}"
  register: undo
"""

RETURN = r"""
file:
  description: The record's file. Null where O(state=unchanged) has removed it.
  returned: success
  type: str
record:
  description: The record. Null where O(state=unchanged) has removed it.
  returned: success
  type: dict
  contains:
    schema:
      description: The version of its form.
      type: int
      returned: always
    fix:
      description: The name of the fix.
      type: str
      returned: always
    host:
      description: On which host it was carried out, V(null) for one of the cluster.
      type: str
      returned: always
    at:
      description: When it began, in UTC.
      type: str
      returned: always
    state:
      description: >-
        How it ended. V(planned) when the node has not answered any more, V(applied), V(failed) when it could be neither carried out nor taken
        back as a whole, V(undone).
      type: str
      returned: always
    change:
      description: Under which name the node keeps what was before.
      type: str
      returned: of a host
    no_undo:
      description: Why it cannot be undone, and where that is kept which was there before.
      type: str
      returned: of what cannot be undone
    store:
      description: In which folder of the node.
      type: str
      returned: of a host
"""
