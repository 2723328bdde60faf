# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says how the images of Deployments go back, and what stands against it."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import TargetError
from ansible_collections.kubenode.doctor.plugins.plugin_utils import deaf_pods, image_rollback
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import LocalAction


class ActionModule(LocalAction):
    """See plugins/modules/rollback_plan.py."""

    ARGUMENTS = {  # noqa: RUF012 - read only, as in every action plugin
        "targets": {"type": "list", "elements": "str", "required": True},
        "deployments": {"type": "list", "elements": "dict"},
        "looked": {"type": "list", "elements": "dict", "default": []},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Read the targets, and hold them against the Deployments where these are given."""
        try:
            targets, skipped = image_rollback.sort_out(image_rollback.read_targets(arguments["targets"]))
        except TargetError as error:
            raise AnsibleActionFail(str(error)) from None
        answers = {one["item"].get("host"): one for one in arguments["looked"] if isinstance(one.get("item"), dict)}
        rollbacks = [_rollback(target, arguments["deployments"], answers) for target in targets]
        return {"rollbacks": rollbacks, "ambiguous": skipped}


def _rollback(
    target: image_rollback.Target, deployments: list[dict[str, Any]] | None, answers: dict[str, Any]
) -> dict[str, Any]:
    change = image_rollback.change(target)
    rollback = {
        "target": target.text,
        "namespace": target.namespace,
        "name": target.name,
        "uid": target.uid,
        "container": target.container,
        "from": target.image,
        "to": target.image_that_listened,
        "undo": change.undo,
        "object": change.place,
        "subject": change.subject,
        "about": f"{target.uid}-{target.container}",
        "hosts": deaf_pods.by_host(target.deaf),
    }
    if deployments is None:
        return rollback
    plan = image_rollback.plan(target, [one for one in deployments if _is_of(one, target)], answers)
    record = (plan.change or change).record()
    return {
        **rollback,
        "record": record,
        "state": plan.state,
        "why": plan.why,
        "plan": list(plan.told),
        "patch": list(plan.patch),
    }


def _is_of(deployment: dict[str, Any], target: image_rollback.Target) -> bool:
    metadata = deployment.get("metadata")
    return isinstance(metadata, dict) and (metadata.get("namespace"), metadata.get("name")) == (
        target.namespace,
        target.name,
    )
