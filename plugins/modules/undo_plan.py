#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Documentation of the action plugin of the same name, which runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: undo_plan
short_description: Say how a fix of the cluster is undone
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Reads the record that C(move-nodeport) or C(rollback-image) has left, holds it against the object as the API server shows it now, and says
    what is to be put back and what stands against it. Asks nobody and changes nothing.
  - A record that these fixes do not write is refused, so that none can change anything else.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  record:
    description:
      - The record, as M(kubenode.doctor.undo_record) returns it.
    type: dict
    required: true
  found:
    description:
      - The object, as M(kubernetes.core.k8s_info) returns it in C(resources). Left out, only the record is read.
    type: list
    elements: dict
"""

EXAMPLES = r"""
- name: Say which object a record is of
  kubenode.doctor.undo_plan:
    record:
      schema: 1
      fix: move-nodeport
      host: null
      state: applied
      object: {api_version: v1, kind: Service, namespace: shop, name: front}
      uid: 8c87747e-0989-4db9-93e2-04829f803705
      around: {/spec/ports/0/port: 80, /spec/ports/0/protocol: TCP}
      fields:
        - {path: /spec/ports/0/nodePort, before: 36527, after: 30000}
  register: plan
"""

RETURN = r"""
fix:
  description: The fix that is undone.
  returned: success
  type: str
subject:
  description: The object in words.
  returned: success
  type: str
object:
  description: The object, as the modules of kubernetes.core want it.
  returned: success
  type: dict
  contains:
    api_version:
      description: Its version.
      type: str
      returned: always
    kind:
      description: Its kind.
      type: str
      returned: always
    namespace:
      description: Its namespace.
      type: str
      returned: always
    name:
      description: Its name.
      type: str
      returned: always
state:
  description: >-
    V(needed) when something is to be put back, V(done) when all is as it was before the fix, V(stopped) when somebody has changed since what the fix
    has changed.
  returned: when O(found) is given
  type: str
why:
  description: Why it is V(stopped) or V(done). Empty otherwise.
  returned: when O(found) is given
  type: str
plan:
  description: For a person, what is put back. Empty unless V(needed).
  returned: when O(found) is given
  type: list
  elements: str
patch:
  description: The same as a JSON patch, which the API server refuses when the object has changed. Empty unless V(needed).
  returned: when O(found) is given
  type: list
  elements: dict
  contains:
    op:
      description: V(test) or V(replace).
      type: str
      returned: always
    path:
      description: The place in the object.
      type: str
      returned: always
    value:
      description: What has to be there, or is put there.
      type: raw
      returned: always
record:
  description: The undo as a change of its own, in the form of a record. Empty unless V(needed).
  returned: when O(found) is given
  type: dict
"""
