#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Documentation of the action plugin of the same name, which runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_plan
short_description: Say how a Deployment goes back to an image that listened
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Reads what the fix C(rollback-image) is to act on, holds it against the Deployments as the API server shows them now, and says what is to
    be done, what that breaks for a while, how it is undone, and what stands against it. Asks nobody and changes nothing.
  - Targets that are not of the form that rules write, or that hold a name no API server accepts, are refused.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  targets:
    description:
      - One JSON text for each container whose image is to go back, with C(namespace), C(name) and C(uid) of the Deployment, C(container), the
        images C(from) and C(to), the Deployment's C(generation) and the pods C(deaf) as they were diagnosed, as M(kubenode.doctor.judge)
        returns them.
      - Of targets that give one container several images, none is used.
    type: list
    elements: str
    required: true
  deployments:
    description:
      - The Deployments, as M(kubernetes.core.k8s_info) returns them in C(resources). Left out, only the targets are read.
    type: list
    elements: dict
  looked:
    description:
      - What M(kubenode.doctor.pod_listeners) says of the pods now, as a loop over RV(rollbacks[].hosts) registers it in C(results).
      - A pod that is not in it, or that listens by now, stops the rollback.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Say how the Deployment would go back
  kubenode.doctor.rollback_plan:
    targets:
      - >-
        {"namespace": "shop", "name": "front", "uid": "6c7b6a1e-5b1e-4d2a-9a53-0f6f3c1d2b4a", "generation": 2,
        "container": "app", "from": "shop/front:v2", "to": "shop/front:v1",
        "deaf": [{"host": "node-a", "namespace": "shop", "name": "front-2", "uid": "909a2aa1-bf6a-4a8c-a274-3180ea640fb1",
        "protocol": "tcp", "address": "10.244.0.19", "port": 9292}]}
    deployments: []
  register: rollback
"""

RETURN = r"""
ambiguous:
  description: For a person, the containers that are to have several images at once, of which none is chosen.
  returned: success
  type: list
  elements: str
rollbacks:
  description: One entry for each target that no other one contradicts.
  returned: success
  type: list
  elements: dict
  contains:
    target:
      description: The target's text.
      type: str
      returned: always
    namespace:
      description: The Deployment's namespace.
      type: str
      returned: always
    name:
      description: The Deployment's name.
      type: str
      returned: always
    uid:
      description: The Deployment's uid.
      type: str
      returned: always
    container:
      description: The container whose image goes back.
      type: str
      returned: always
    from:
      description: The image that it has.
      type: str
      returned: always
    to:
      description: The image that was seen listening.
      type: str
      returned: always
    undo:
      description: The command that brings back the image that it has.
      type: str
      returned: always
    subject:
      description: The Deployment in words.
      type: str
      returned: always
    object:
      description: The Deployment, as the modules of kubernetes.core want it.
      type: dict
      returned: always
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
    about:
      description: What the name of the file that keeps how it is undone tells it apart by.
      type: str
      returned: always
    hosts:
      description: Whom to ask just before the image goes back whether the pods still do not listen.
      type: list
      elements: dict
      returned: always
      contains:
        host:
          description: The host's name in the inventory.
          type: str
          returned: always
        uids:
          description: The uids of the pods.
          type: list
          elements: str
          returned: always
    state:
      description: >-
        V(needed) when the image is to go back, V(done) when it is back already, V(stopped) when the Deployment or what listens in its
        pods is not what was diagnosed any more, or it cannot be rolled back now.
      type: str
      returned: when O(deployments) is given
    why:
      description: Why it is V(stopped) or V(done). Empty otherwise.
      type: str
      returned: when O(deployments) is given
    plan:
      description: For a person, what is to be done and what it breaks for a while. Empty unless V(needed).
      type: list
      elements: str
      returned: when O(deployments) is given
    patch:
      description: The same as a JSON patch, which the API server refuses when the Deployment has changed. Empty unless V(needed).
      type: list
      elements: dict
      returned: when O(deployments) is given
      contains:
        op:
          description: V(test) or V(replace).
          type: str
          returned: always
        path:
          description: The place in the Deployment.
          type: str
          returned: always
        value:
          description: What has to be there, or is put there.
          type: str
          returned: always
    record:
      description: What is kept of it, to undo it by. Empty unless V(needed).
      type: dict
      returned: when O(deployments) is given
"""
