#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_fix
short_description: Plan a fix on a node, carry it out, undo it
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Carries out one fix of what M(kubenode.doctor.judge) has named. The evidence is read again first; where it is not what was diagnosed any more,
    nothing is changed.
  - A change is made of steps, which are files, kernel settings, restarts of units and the end of a process that kubelet starts anew. Everything
    that needs room on a disk is written before the first step. The steps are taken by a process of their own, which a lost connection does not
    end; when one fails, or the change does not help, those before it are taken back.
  - What was there before is kept on the node, in O(store), for O(state=undone). A change that was interrupted by the end of the machine or of
    all its processes is found there by the next run, which finishes it or takes it back, and says which. A restart cannot be taken back, nor the
    end of a process.
extends_documentation_fragment:
  - kubenode.doctor.attributes
attributes:
  check_mode:
    support: full
    details:
      - In check mode it is planned, and nothing is changed.
  diff_mode:
    support: full
    details:
      - Of files only the lines that change are shown, since what stands beside them may be secret.
options:
  fix:
    description:
      - Which fix.
    type: str
    required: true
    choices:
      - pin-stream-port
      - raise-backlog
      - raise-conntrack
      - redraw-random-port
      - reserve-nodeports
      - restart-leaker
      - sync-clock
  targets:
    description:
      - What exactly it is to act on, as C(cures) of M(kubenode.doctor.judge) has it for the host and the fix.
    type: list
    elements: str
    default: []
  choices:
    description:
      - What the operator chooses of what the fix does.
      - C(reserve) for C(reserve-nodeports) is C(in-use), the NodePorts of today, or C(overlap), all of the NodePort range that the kernel could draw.
      - C(restart) for C(raise-backlog) lists the units that are to be restarted, of those that the plan names.
    type: dict
    default: {}
  state:
    description:
      - V(planned) says what would be done, and changes nothing.
      - V(applied) does it, when a plan that is made now has O(digest).
      - V(recovered) ends what was interrupted on this node before, and does nothing else. So does V(applied) before it acts.
      - V(undone) puts back what was before O(change), when everything still is as that has left it.
    type: str
    choices: [planned, applied, recovered, undone]
    default: planned
  digest:
    description:
      - RV(digest) of the plan that is to be carried out. Required with O(state=applied).
    type: str
  change:
    description:
      - RV(change) of what is to be undone. Required with O(state=undone).
    type: str
  controller_time:
    description:
      - The controller's clock, in seconds since 1970, which C(sync-clock) holds the node's against. Set by the action plugin.
    type: float
  seconds:
    description:
      - How long all of it may take, restarts included.
    type: int
    default: 300
  store:
    description:
      - The folder of the node in which it is kept what was before.
    type: path
    default: /var/lib/kubenode.doctor
  bundle:
    description:
      - The folder of the audit on the controller. Before anything is changed, the action plugin writes into it how it is undone. Required with
        O(state=applied).
    type: path
"""

EXAMPLES = r"""
# playbooks/fix.yml does all of it, and shows the plan before it is carried out.
- name: Say what would be done to keep the kernel from drawing a NodePort
  kubenode.doctor.node_fix:
    fix: reserve-nodeports
    targets:
      - '{"drawn_from": "32768-60999", "ports": "36527", "span": "30000-40000"}'
  register: planned
"""

RETURN = r"""
state:
  description:
    - For O(state=planned), V(needed), V(done) (nothing is left to be done), or V(stopped).
    - For O(state=applied), V(applied), V(rolled-back) (it did not work or did not help, and is taken back), V(failed) (it could be neither
      finished nor taken back as a whole), V(stopped) or V(done).
    - For O(state=recovered), V(recovered).
    - For O(state=undone), V(undone), in check mode V(needed), V(stopped) or V(failed).
  returned: always
  type: str
why:
  description: Why it is not V(needed), V(applied) or V(undone). Empty otherwise.
  returned: success
  type: str
plan:
  description: For a person, what is to be changed exactly, and what that breaks for a while.
  returned: success
  type: list
  elements: str
undo:
  description: For a person, how it is undone; where it cannot be, why.
  returned: with O(state=planned) and O(state=applied)
  type: list
  elements: str
restarts:
  description: Whether something is restarted.
  returned: with O(state=planned) and O(state=applied)
  type: bool
can_be_undone:
  description: Whether anything of it can be brought back. A restart cannot, nor a process that was ended.
  returned: with O(state=planned) and O(state=applied)
  type: bool
digest:
  description: A hash over the fix, its targets, the choices, the steps, and what the node has before each of them.
  returned: with O(state=planned) and O(state=applied)
  type: str
change:
  description: Under which name the node keeps what was before. V(null) where nothing was changed, or nothing of it can be brought back.
  returned: success
  type: str
recovered:
  description: For a person, what became of changes that were interrupted on this node before; with O(state=planned) and in check mode, that there are such.
  returned: with O(state=planned), O(state=applied) and O(state=recovered)
  type: list
  elements: str
record:
  description: The file on the controller by which C(playbooks/undo.yml) undoes what was applied. V(null) where nothing was changed.
  returned: with O(state=planned) and O(state=applied), by the action plugin
  type: str
undo_command:
  description: The command that undoes it. V(null) where nothing was changed, or nothing of it can be brought back.
  returned: with O(state=planned) and O(state=applied), by the action plugin
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kubenode.doctor.plugins.module_utils import node_fix

_NEEDS = [("state", node_fix.APPLIED, ["digest"]), ("state", node_fix.UNDONE, ["change"])]

_FAILURES = {
    "stopped": "Left alone, nothing was changed",
    "rolled-back": "Taken back, everything is as it was",
    "failed": "Neither done nor taken back as a whole",
}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=node_fix.ARGUMENTS, supports_check_mode=True, required_if=_NEEDS)
    if module.params["seconds"] < 1:
        module.fail_json(msg=f"seconds: {module.params['seconds']} is less than 1")
    try:
        result = node_fix.run(module.params, module.check_mode)
    except node_fix.NotEndedError as error:
        module.fail_json(msg=f"Nothing else was changed: {error}", changed=True)
    except (node_fix.TargetError, node_fix.ChangeError) as error:
        module.fail_json(msg=f"This run has changed nothing: {error}")
    told = {key: value for key, value in result.items() if key != "diff" or module._diff}
    if module.params["state"] != node_fix.PLANNED and result["state"] in _FAILURES:
        module.fail_json(msg=f"{_FAILURES[result['state']]}: {result['why']}", **told)
    module.exit_json(**told)


if __name__ == "__main__":
    main()
