# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges a bundle and writes its findings.json."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    bundle,
    container_cures,
    image_rollback,
    judge,
    report_text,
    settings,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.local_action import LocalAction, folder
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

# Of a host and group of rules; the report tells all of them.
_HEADLINES = 5
_HOSTS = 10
_CLUSTER = "the cluster"  # what stands where a host would
# The rules that each fix is for: whether it is needed, and whether it helped, is what these say.
_FIXES = {
    container_cures.FIX: ("container-name-conflict",),
    image_rollback.FIX: ("service-target-not-listening",),
}


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
        return {
            "file": str(path),
            "answered": sorted(host for host, state in document["hosts"].items() if state["answered"]),
            "damaged": document["damaged"],
            "counts": _counts(document),
            "failing": _failing(document),
            "told": _told(_own_failing(document), _cluster_failing(document)),
            "cures": _cures(document),
            "fix_findings": _fix_findings(document),
            "cluster": _cluster(document),
        }


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
    return {group: _bounded(lines) for group, lines in found.items()}


def _told(failing: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """What fails for a person to read: the cluster's findings once, then the first hosts, and how many more there are."""
    more = len(failing) - _HOSTS
    told = {_CLUSTER: shared} if shared else {}
    told.update(sorted(failing.items())[:_HOSTS])
    return told if more <= 0 else {**told, "and more": f"{more} more hosts: see the report"}


def _cures(document: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """``{host: {fix: [target]}}`` of the fixes that hosts' findings offer; what is waived is to stay as it is."""
    cures: dict[str, dict[str, list[str]]] = {}
    for finding, remedy in _offers(document):
        if finding["host"] is not judge.CLUSTER:
            cures.setdefault(finding["host"], {}).setdefault(remedy["fix"], []).extend(remedy["targets"])
    return cures


def _offers(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield ``(finding, remedy)`` for each fix that is offered."""
    for finding in document["findings"]:
        for remedy in () if finding["waived"] else finding["remedies"]:
            if remedy["fix"]:
                yield finding, remedy


def _fix_findings(document: dict[str, Any]) -> dict[str, dict[str, dict[str, list[str]]]]:
    """``{host: {fix: {"open": [line], "waived": [line], "unknown": [line]}}}`` of the rules that the fixes are for."""
    told: dict[str, dict[str, dict[str, list[str]]]] = {}
    for fix, finding in _matters(document):
        if finding["host"] is not judge.CLUSTER:
            state, line = _state(finding)
            states = told.setdefault(finding["host"], {}).setdefault(fix, {"open": [], "waived": [], "unknown": []})
            states[state].append(line)
    return {
        host: {fix: {state: _bounded(lines) for state, lines in states.items()} for fix, states in fixes.items()}
        for host, fixes in told.items()
    }


def _matters(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``(fix, finding)`` for each finding of a rule that a fix is for."""
    for finding in document["findings"]:
        for fix, rules in _FIXES.items():
            if finding["rule"] in rules:
                yield fix, finding


def _cluster(document: dict[str, Any]) -> dict[str, Any]:
    """What belongs to no single host. Fixes of it are carried out once, in the name of the first host that answered."""
    return {
        "carrier": min((host for host, state in document["hosts"].items() if state["answered"]), default=None),
        "failing": _cluster_failing(document),
        "cures": _cluster_cures(document),
        "fix_findings": _cluster_fix_findings(document),
    }


def _cluster_cures(document: dict[str, Any]) -> dict[str, list[str]]:
    """``{fix: [target]}``; one that several findings name is there once."""
    cures: dict[str, list[str]] = {}
    for finding, remedy in _offers(document):
        if finding["host"] is judge.CLUSTER:
            targets = cures.setdefault(remedy["fix"], [])
            targets += [target for target in remedy["targets"] if target not in targets]
    return cures


def _cluster_fix_findings(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """``{fix: {"offered": {object: line}, "open": {object: line}, "waived": [line], "unknown": [line]}}``.

    A cluster has many objects and few cures: by object it can be told whether one that a cure was offered for is still at fault.
    """
    told: dict[str, dict[str, Any]] = {}
    for fix, finding in _matters(document):
        if finding["host"] is judge.CLUSTER:
            state, line = _state(finding)
            states = told.setdefault(fix, {"offered": {}, "open": {}, "waived": [], "unknown": []})
            if state == "open":
                states[state].setdefault(finding["object"], line)
                if any(remedy["fix"] == fix for remedy in finding["remedies"]):
                    states["offered"].setdefault(finding["object"], line)
            else:
                states[state].append(line)
    for states in told.values():
        states.update(waived=_bounded(states["waived"]), unknown=_bounded(states["unknown"]))
    return told


def _state(finding: dict[str, Any]) -> tuple[str, str]:
    if finding["status"] == "unknown":
        return "unknown", f"not known: {clean(finding['explanation'])} [{finding['rule']}]"
    return "waived" if finding["waived"] else "open", report_text.headline(finding)


def _bounded(lines: list[str]) -> list[str]:
    more = len(lines) - _HEADLINES
    return lines if more <= 0 else [*lines[:_HEADLINES], f"and {more} more: see the report"]
