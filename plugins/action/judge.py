# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges a bundle and writes its findings.json."""

from __future__ import annotations

from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    bundle,
    container_cures,
    judge,
    report_text,
    settings,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import LocalAction, folder
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

# Of a host and group of rules; the report tells all of them.
_HEADLINES = 5
_HOSTS = 10
# The rules that each fix is for: whether it is needed, and whether it helped, is what these say.
_FIXES = {container_cures.FIX: ("container-name-conflict",)}


class ActionModule(LocalAction):
    """See plugins/modules/judge.py."""

    ARGUMENTS = {  # noqa: RUF012 - read only, as in every action plugin
        "bundle": {"type": "path"},
        "fail_on": {"type": "str", "default": "critical"},
        "nodeport_range": {"type": "str"},
        "proxy_mode": {"type": "str"},
        "skew_share": {"type": "float"},
        "thresholds": {"type": "dict", "default": {}},
        "waivers": {"type": "list", "elements": "dict", "default": []},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Read, judge, write; return what a play needs to decide who fails. Without a bundle, only the settings are checked."""
        chosen = settings.read({key: value for key, value in arguments.items() if key != "bundle"})
        unknown = judge.unknown_rules(chosen)
        if unknown:
            raise settings.SettingsError(f"waivers: no rule is named {', '.join(unknown)} (docs/rules.md lists them)")
        if arguments["bundle"] is None:
            return {}
        read = bundle.Bundle(folder(arguments["bundle"]))
        document = judge.judge(read, chosen)
        path = read.folder / "findings.json"
        if path.exists():
            path.replace(path.with_name("findings.previous.json"))
        bundle.write(path, document)
        failing = _failing(document)
        return {
            "file": str(path),
            "answered": sorted(host for host, state in document["hosts"].items() if state["answered"]),
            "damaged": document["damaged"],
            "counts": _counts(document),
            "failing": failing,
            "told": _told(failing),
            "cures": _cures(document),
            "fix_findings": _fix_findings(document),
        }


def _counts(document: dict[str, Any]) -> dict[str, int]:
    kinds = ("pass", "fail", "unknown", "not_applicable")
    return {kind: sum(rule[kind] for rule in document["rules"].values()) for kind in kinds}


def _failing(document: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """``{host: {group: [headline]}}`` of the hosts that have findings at or above fail_on; of many, the first few."""
    found: dict[str, dict[str, list[str]]] = {}
    for host, state in document["hosts"].items():
        for finding in judge.failing(document, host) if state["answered"] else ():
            group = document["rules"][finding["rule"]]["group"]
            found.setdefault(host, {}).setdefault(group, []).append(report_text.headline(finding))
    return {host: {group: _bounded(lines) for group, lines in groups.items()} for host, groups in found.items()}


def _told(failing: dict[str, Any]) -> dict[str, Any]:
    """The same for a person to read: the first hosts, and how many more there are."""
    more = len(failing) - _HOSTS
    first = dict(sorted(failing.items())[:_HOSTS])
    return first if more <= 0 else {**first, "and more": f"{more} more hosts: see the report"}


def _cures(document: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """``{host: {fix: [target]}}`` of the fixes that findings offer; what is waived is to stay as it is."""
    cures: dict[str, dict[str, list[str]]] = {}
    for finding in document["findings"]:
        for remedy in () if finding["waived"] else finding["remedies"]:
            if remedy["fix"]:
                cures.setdefault(finding["host"], {}).setdefault(remedy["fix"], []).extend(remedy["targets"])
    return cures


def _fix_findings(document: dict[str, Any]) -> dict[str, dict[str, dict[str, list[str]]]]:
    """``{host: {fix: {"open": [line], "waived": [line], "unknown": [line]}}}`` of the rules that the fixes are for."""
    told: dict[str, dict[str, dict[str, list[str]]]] = {}
    for finding in document["findings"]:
        for fix in (fix for fix, rules in _FIXES.items() if finding["rule"] in rules and finding["host"]):
            state, line = _state(finding)
            states = told.setdefault(finding["host"], {}).setdefault(fix, {"open": [], "waived": [], "unknown": []})
            states[state].append(line)
    return {
        host: {fix: {state: _bounded(lines) for state, lines in states.items()} for fix, states in fixes.items()}
        for host, fixes in told.items()
    }


def _state(finding: dict[str, Any]) -> tuple[str, str]:
    if finding["status"] == "unknown":
        return "unknown", f"not known: {clean(finding['explanation'])} [{finding['rule']}]"
    return "waived" if finding["waived"] else "open", report_text.headline(finding)


def _bounded(lines: list[str]) -> list[str]:
    more = len(lines) - _HEADLINES
    return lines if more <= 0 else [*lines[:_HEADLINES], f"and {more} more: see the report"]
