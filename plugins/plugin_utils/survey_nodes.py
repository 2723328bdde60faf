# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes of a fleet, equal ones told once.

Nodes show the same picture when all of this is equal: whether they answered (and, if not, why not), whether they have a control
plane, run Kubernetes at all, or did not tell, the service proxy's mode, whether they were asked as root, whether their TCP states
were seen, the findings by rule, object, severity and waiver, and the rules that are unknown there. Counts are no part of it: two
nodes never have the same. They are told as the least and the most, with the name of a host that stands out.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import host_identity
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import SEVERITIES
from ansible_collections.kubenode.doctor.plugins.plugin_utils.survey_read import STATES

# A host stands out with so many times the middle count of its like, and so many sockets more.
_TIMES = 3
_MORE = 50
_FEWEST = 3  # hosts: of two nobody is the middle

Finding = dict[str, Any]


def pictures(
    hosts: Mapping[str, Mapping[str, Any]], states: Mapping[str, Mapping[str, int]], findings: Iterable[Finding]
) -> list[dict[str, Any]]:
    """Return the shape of Survey.document's ``nodes``: the worst first, then the largest group; silent hosts last.

    ``hosts`` is that of findings.json, ``states`` what was seen of each host.
    """
    of_host: dict[str, list[Finding]] = {host: [] for host in hosts}
    for finding in findings:
        if finding["host"] in of_host:
            of_host[finding["host"]].append(finding)
    groups: dict[tuple[Any, ...], list[str]] = {}
    for host, state in hosts.items():
        groups.setdefault(_key(state, host in states, of_host[host]), []).append(host)
    told = [_told(names, hosts, states, of_host[names[0]]) for names in groups.values()]
    return sorted(told, key=_order)


def _key(state: Mapping[str, Any], seen: bool, findings: Iterable[Finding]) -> tuple[Any, ...]:
    picture = state["picture"] or {}
    same = frozenset(
        (finding["status"], finding["rule"], finding["object"], finding["severity"], bool(finding["waived"]))
        for finding in findings
    )
    return state["answered"], state["why"], _kind(picture), picture.get("proxy_mode"), picture.get("root"), seen, same


def _kind(picture: Mapping[str, Any]) -> str | None:
    components = picture.get("components")
    if components is None:
        return None
    if not host_identity.CONTROL_PLANE.isdisjoint(components):
        return "control plane"
    return "node" if components else "no Kubernetes"


def _told(
    names: Sequence[str],
    hosts: Mapping[str, Mapping[str, Any]],
    states: Mapping[str, Mapping[str, int]],
    findings: Iterable[Finding],
) -> dict[str, Any]:
    first = hosts[names[0]]
    seen = [hosts[name]["picture"] for name in names if hosts[name]["picture"]]
    components = Counter(component for picture in seen for component in set(picture["components"] or ()))
    counted = {name: states[name] for name in names if name in states}
    return {
        "hosts": list(names),
        "answered": first["answered"],
        "why": first["why"],
        "kind": _kind(first["picture"] or {}),
        "root": seen[0]["root"] if seen else None,
        "proxy_mode": seen[0]["proxy_mode"] if seen else None,
        "kernels": [list(entry) for entry in Counter(picture["kernel"] for picture in seen).most_common()],
        "components": sorted(name for name, count in components.items() if count == len(seen)),
        "some_components": sorted(name for name, count in components.items() if count < len(seen)),
        "listeners": _span(picture["listeners"] for picture in seen),
        "random_ports": _span(picture["random_ports"] for picture in seen),
        "states": {state: _spread(state, counted) for state in STATES} if counted else None,
        "faults": [
            {
                "rule": entry["rule"],
                "object": entry["object"],
                "severity": entry["severity"],
                "waived": bool(entry["waived"]),
            }
            for entry in findings
            if entry["status"] == "fail"
        ],
        "unknown": sorted({entry["rule"] for entry in findings if entry["status"] == "unknown"}),
    }


def _span(values: Iterable[int | None]) -> list[int] | None:
    known = [value for value in values if value is not None]
    return [min(known), max(known)] if known else None


def _spread(state: str, counted: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    counts = {host: states[state] for host, states in counted.items()}
    middle = statistics.median_low(counts.values())
    most_on = max(counts, key=lambda host: counts[host])
    most = counts[most_on]
    stands_out = len(counts) >= _FEWEST and most >= _TIMES * middle and most >= middle + _MORE
    return {"least": min(counts.values()), "most": most, "stands_out": most_on if stands_out else None}


def _order(group: Mapping[str, Any]) -> tuple[bool, int, int, str]:
    worst = max((SEVERITIES.index(fault["severity"]) for fault in group["faults"] if not fault["waived"]), default=-1)
    return not group["answered"], -worst, -len(group["hosts"]), group["hosts"][0]
