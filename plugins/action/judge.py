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
        if path.exists():
            path.replace(path.with_name("findings.previous.json"))
        bundle.write(path, document)
        return {
            "file": str(path),
            "answered": sorted(host for host, state in document["hosts"].items() if state["answered"]),
            "damaged": document["damaged"],
            "counts": _counts(document),
            "failing": _failing(document),
            "told": _told(_own_failing(document), _cluster_failing(document)),
            "cures": _of_hosts(fix_offers.cures(document)),
            "fix_findings": _of_hosts(fix_offers.matters(document)),
            "control_plane": document["control_plane"],
            "cluster": _cluster(document),
        }


def _check_waivers(chosen: settings.Settings) -> None:
    try:
        waivers.check_rules(chosen.waivers, [rule.id for rule in catalogue.rules()])
    except ValueError as error:
        raise settings.SettingsError(str(error)) from error


def _counts(document: dict[str, Any]) -> dict[str, int]:
    kinds = ("pass", "fail", "unknown", "not_applicable")
    return {kind: sum(rule[kind] for rule in document["rules"].values()) for kind in kinds}


def _failing(document: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """``{host: {group: [headline]}}`` of the hosts that have findings at or above fail_on, the cluster's after their own; of many, the first few."""
    own, shared = _own_failing(document), _cluster_failing(document)
    failing = {}
    for host, state in document["hosts"].items():
        groups = _joined(own.get(host, {}), shared) if state["answered"] else {}
        if groups:
            failing[host] = groups
    return failing


def _joined(own: dict[str, list[str]], shared: dict[str, list[str]]) -> dict[str, list[str]]:
    return {group: [*own.get(group, ()), *shared.get(group, ())] for group in {**own, **shared}}


def _own_failing(document: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """The same of the hosts' own findings alone."""
    found = {}
    for host, state in document["hosts"].items():
        failing = judge.failing(document, host) if state["answered"] else ()
        groups = _by_group(document, [finding for finding in failing if finding["host"] is not judge.CLUSTER])
        if groups:
            found[host] = groups
    return found


def _cluster_failing(document: dict[str, Any]) -> dict[str, list[str]]:
    """``{group: [headline]}`` of the findings that belong to no single host, which fail every host that answered."""
    return _by_group(document, judge.failing(document, judge.CLUSTER))


def _by_group(document: dict[str, Any], findings: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in findings:
        found.setdefault(document["rules"][finding["rule"]]["group"], []).append(report_text.headline(finding))
    return {group: fix_offers.bounded(lines) for group, lines in found.items()}


def _told(failing: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """What fails for a person to read: the cluster's findings once, then the first hosts, and how many more there are."""
    more = len(failing) - _HOSTS
    told = {_CLUSTER: shared} if shared else {}
    told.update(sorted(failing.items())[:_HOSTS])
    return told if more <= 0 else {**told, "and more": f"{more} more hosts: see the report"}


def _cluster(document: dict[str, Any]) -> dict[str, Any]:
    """What belongs to no single host. Fixes of it are carried out once, in the name of the first host that answered."""
    return {
        "carrier": min((host for host, state in document["hosts"].items() if state["answered"]), default=None),
        "failing": _cluster_failing(document),
        "cures": fix_offers.cures(document).get(fix_offers.CLUSTER, {}),
        "fix_findings": fix_offers.matters(document).get(fix_offers.CLUSTER, {}),
    }


def _of_hosts(found: dict[str | None, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {host: of_fixes for host, of_fixes in found.items() if host is not None}
