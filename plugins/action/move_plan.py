# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says which NodePorts are to be moved and how, and what stands against it."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import TargetError
from ansible_collections.kubenode.doctor.plugins.plugin_utils import node_hosts, nodeport_move
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import Bundle
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import LocalAction, folder
from ansible_collections.kubenode.doctor.plugins.plugin_utils.nodeport_move import Asked, Move
from ansible_collections.kubenode.doctor.plugins.plugin_utils.object_owners import mapping


class ActionModule(LocalAction):
    """See plugins/modules/move_plan.py."""

    ARGUMENTS = {  # noqa: RUF012 - read only, as in every action plugin
        "targets": {"type": "list", "elements": "str", "required": True},
        "services": {"type": "list", "elements": "str", "default": []},
        "bundle": {"type": "path"},
        "asked": {
            "type": "dict",
            "options": {
                "hosts": {"type": "list", "elements": "str", "required": True},
                "others": {"type": "list", "elements": "str", "required": True},
                "host_ports": {"type": "list", "elements": "int", "default": []},
            },
        },
        "found": {"type": "list", "elements": "dict"},
        "looked": {"type": "list", "elements": "dict", "default": []},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Sort out what is to be moved, and hold it against the Services where these are given."""
        try:
            moves, doubtful = nodeport_move.read_targets(arguments["targets"])
            names = nodeport_move.read_names(arguments["services"])
        except TargetError as error:
            raise AnsibleActionFail(str(error)) from None
        asked = _asked(arguments)
        answers = {one["item"].get("host"): one for one in arguments["looked"] if isinstance(one.get("item"), dict)}
        chosen = [move for move in moves if move.service in names]
        return {
            "asked": {
                "hosts": list(asked.hosts),
                "others": list(asked.others),
                "host_ports": list(asked.host_ports),
            },
            "moves": [_told(move, asked, arguments["found"], answers) for move in chosen],
            "candidates": [nodeport_move.candidate(move) for move in moves if move.service not in names],
            "ambiguous": doubtful,
            "strangers": [name for name in names if name not in {move.service for move in moves}],
        }


def _asked(arguments: dict[str, Any]) -> Asked:
    if arguments["asked"] is not None:
        return Asked(*(tuple(arguments["asked"][name]) for name in ("hosts", "others", "host_ports")))
    if arguments["bundle"] is None:
        raise AnsibleActionFail("say which hosts have to be asked: one of bundle and asked is needed")
    hosts, others, host_ports = node_hosts.of(Bundle(folder(arguments["bundle"])))
    return Asked(tuple(hosts), tuple(others), tuple(host_ports))


def _told(move: Move, asked: Asked, found: list[dict[str, Any]] | None, answers: dict[str, Any]) -> dict[str, Any]:
    told = {
        "targets": list(move.targets),
        "service": move.service,
        "uid": move.uid,
        "from": move.number,
        "to": move.to,
        "object": move.place,
        "subject": f"Service {move.service}",
        "about": f"{move.uid}-{move.number}",
        "questions": nodeport_move.questions(move, asked),
    }
    if found is None:
        return told
    services = [one for one in found if _name(one) == move.service]
    return {**told, **nodeport_move.plan(move, services, asked, answers).document()}


def _name(service: dict[str, Any]) -> str:
    metadata = mapping(service.get("metadata"))
    return f"{metadata.get('namespace')}/{metadata.get('name')}"
