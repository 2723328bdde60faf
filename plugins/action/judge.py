# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges a bundle and writes its findings.json."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    bundle,
    catalogue,
    fix_offers,
    judge,
    report_text,
    settings,
    waivers,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import LocalAction, folder

_HOSTS = 10
_CLUSTER = "the cluster"  # what stands where a host would

Groups = dict[str, list[str]]  # headlines by group of rules


class ActionModule(LocalAction):
    """See plugins/modules/judge.py."""

    ARGUMENTS = {  # noqa: RUF012 - read only, as in every action plugin
        "bundle": {"type": "path"},
        "expected_listeners": {"type": "list", "elements": "dict", "default": []},
        "fail_on": {"type": "str", "default": "critical"},
        "nodeport_range": {"type": "str"},
        "proxy_mode": {"type": "str"},
        "skew_share": {"type": "float"},
        "thresholds": {"type": "dict", "default": {}},
        "waivers": {"type": "list", "elements": "dict", "default": []},
        "waivers_file": {"type": "path"},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Read, judge, write; return what a play needs to decide who fails. Without a bundle, only the settings are checked."""
        chosen = settings.read({key: value for key, value in arguments.items() if key != "bundle"})
        _check_waivers(chosen)
        if arguments["bundle"] is None:
            return {}
        read = bundle.Bundle(folder(arguments["bundle"]))
        document = judge.judge(read, chosen)
        path = read.folder / "findings.json"
        bundle.write_over(path, document, "findings.previous.json")
        answered, (own, shared) = _answered(document), _failing(document)
        cures, matters = fix_offers.cures(document), fix_offers.matters(document)
        return {
            "file": str(path),
            "answered": answered,
            "damaged": document["damaged"],
            "counts": _counts(document),
            "failing": _of_each(answered, own, shared),
            "told": _told(own, shared),
            "cures": _of_hosts(cures),
            "fix_findings": _of_hosts(matters),
            "control_plane": document["control_plane"],
            "cluster": {
                "carrier": next(iter(answered), None),
                "failing": shared,
                "cures": cures.get(fix_offers.CLUSTER, {}),
                "fix_findings": matters.get(fix_offers.CLUSTER, {}),
            },
        }


def _check_waivers(chosen: settings.Settings) -> None:
    try:
        waivers.check_rules(chosen.waivers, [rule.id for rule in catalogue.rules()])
    except ValueError as error:
        raise settings.SettingsError(str(error)) from error


def _counts(document: dict[str, Any]) -> dict[str, int]:
    kinds = ("pass", "fail", "unknown", "not_applicable")
    return {kind: sum(rule[kind] for rule in document["rules"].values()) for kind in kinds}


def _answered(document: dict[str, Any]) -> list[str]:
    return sorted(host for host, state in document["hosts"].items() if state["answered"])


def _failing(document: dict[str, Any]) -> tuple[dict[str, Groups], Groups]:
    """What each host that answered has of its own at or above fail_on, and what belongs to no single one, which fails all of them."""
    found = judge.failing(document)
    own = {host: _by_group(document, found[host]) for host in _answered(document) if host in found}
    return own, _by_group(document, found.get(judge.CLUSTER, ()))


def _of_each(answered: Iterable[str], own: dict[str, Groups], shared: Groups) -> dict[str, Groups]:
    """All that fails each host, the cluster's findings after its own; of many, the first few."""
    return {host: _joined(own.get(host, {}), shared) for host in answered} if shared else own


def _joined(own: Groups, shared: Groups) -> Groups:
    return {group: [*own.get(group, ()), *shared.get(group, ())] for group in {**own, **shared}}


def _by_group(document: dict[str, Any], findings: Iterable[dict[str, Any]]) -> Groups:
    found: Groups = {}
    for finding in findings:
        found.setdefault(document["rules"][finding["rule"]]["group"], []).append(report_text.headline(finding))
    return {group: fix_offers.bounded(lines) for group, lines in found.items()}


def _told(failing: dict[str, Groups], shared: Groups) -> dict[str, Any]:
    """What fails for a person to read: the cluster's findings once, then the first hosts, and how many more there are."""
    more = len(failing) - _HOSTS
    told: dict[str, Any] = {_CLUSTER: shared} if shared else {}
    told.update(sorted(failing.items())[:_HOSTS])
    return told if more <= 0 else {**told, "and more": f"{more} more hosts: see the report"}


def _of_hosts(found: dict[str | None, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {host: of_fixes for host, of_fixes in found.items() if host is not None}
