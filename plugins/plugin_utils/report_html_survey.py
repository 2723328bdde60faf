# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey as tables that are drawn as charts: a cell's ``bar`` is its length in per cent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import report_survey
from ansible_collections.kubenode.doctor.plugins.plugin_utils.describe import listed
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_html_places import ROWS, Places
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_lines import host_names
from ansible_collections.kubenode.doctor.plugins.plugin_utils.survey_read import STATES

_NAMES = 100
_LONG = 2000
_FEW = 4  # hosts in a sentence
_PORTS = 12


def of(survey: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """``{conclusions, seen, answered, states, talkers, services, queues, pictures, scans}``."""
    return {
        "conclusions": [
            _conclusion(entry, survey["answered"]) for entry in survey["conclusions"] if entry["kind"] != "wrong"
        ],
        "seen": survey["seen"],
        "answered": survey["answered"],
        "states": _states(survey["states"], places),
        "talkers": _talkers(survey["talkers"]),
        "services": _services(survey["services"]),
        "queues": _queues(survey["services"]["queues"]),
        "pictures": [_picture(picture, places) for picture in survey["nodes"][:ROWS]],
        "more_pictures": len(survey["nodes"][ROWS:]),
        "scans": [
            *report_survey.scan_sentences(dict(survey)),
            *report_survey.path_sentences(dict(survey)),
        ],
    }


def _conclusion(entry: Mapping[str, Any], answered: int) -> dict[str, Any]:
    """What is wrong stands among the findings; this is what hangs together, what is fine and what nobody knows."""
    where, hosts = clean(entry["where"]), entry["hosts"]
    named = 0 < len(hosts) <= _FEW and len(hosts) < answered
    return {
        "kind": entry["kind"],
        "where": where[:1].upper() + where[1:],
        "hosts": host_names(hosts) if named else "",
        "text": clean(entry["text"], _LONG),
    }


def length(value: float, most: float) -> int:
    """What is there has a bar, however short."""
    return 0 if value <= 0 or most <= 0 else max(1, min(100, round(100 * value / most)))


def _states(states: Mapping[str, Mapping[str, int]], places: Places) -> dict[str, Any]:
    """Sockets by state and host; first the hosts with the most that wait for somebody else: SYN-SENT and CLOSE-WAIT."""
    most = {name: max((counts[name] for counts in states.values()), default=0) for name in STATES}
    shown = [name for name in STATES if most[name]]
    ordered = sorted(states, key=lambda host: (-states[host]["syn_sent"] - states[host]["close_wait"], host))
    return {
        "columns": [(report_survey.STATES[name], STATES.index(name)) for name in shown],
        "rows": [
            {
                "number": places.number(host),
                "name": places.names[places.number(host)],
                "cells": [(states[host][name], length(states[host][name], most[name])) for name in shown],
            }
            for host in ordered[:ROWS]
        ],
        "more": len(ordered[ROWS:]),
        "count": len(ordered),
    }


def _talkers(talkers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    most = max((talker["count"] for talker in talkers), default=0)
    return [
        {
            "state": report_survey.STATES[talker["state"]],
            "who": report_survey.holder(dict(talker)),
            "way": f"{'to port' if talker['side'] == 'peer' else 'from clients of its port'} {talker['port']}",
            "count": talker["count"],
            "bar": length(talker["count"], most),
            "hosts": talker["hosts"],
            "most": f"{talker['most']['count']} on {clean(talker['most']['host'], _NAMES)}",
            "peers": ", ".join(f"{clean(peer['address'], _NAMES)} ({peer['count']})" for peer in talker["top_peers"]),
        }
        for talker in talkers
    ]


def _services(services: Mapping[str, Any]) -> dict[str, Any]:
    """Backlogs reach from 5 to 32768: their bars are logarithmic."""
    longest = max((backlog for row in services["rows"] for backlog in row["backlogs"]), default=0)
    return {
        "rows": [_service(row, longest) for row in services["rows"]],
        "more": services["more"],
    }


def _service(row: Mapping[str, Any], longest: int) -> dict[str, Any]:
    backlogs = row["backlogs"]
    usual = "/".join(map(str, row["usual"]))
    return {
        "process": clean(row["process"], _NAMES) if row["process"] else "",
        "ports": listed([str(low) if low == high else f"{low}-{high}" for low, high in row["ports"]], _PORTS),
        "pods": row["pods"],
        "backlog": clean("/".join(map(str, backlogs))),
        "bar": length(math.log2(1 + max(backlogs)), math.log2(1 + longest)) if backlogs else 0,
        "hosts": f"{row['hosts']}{'' if row['same_hosts'] else ' each'}",
        "usual": usual,
        "differs_on": host_names(row["differs_on"]) if row["differs_on"] else "",
    }


def _queues(queues: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "seen": queues["seen"],
        "unseen": queues["unseen"],
        "fullest": [
            {
                "host": clean(queue["host"], _NAMES),
                "process": clean(queue["process"], _NAMES) if queue["process"] else "a process that was not seen",
                "port": queue["port"],
                "pods": queue["pods"],
                "length": queue["length"],
                "backlog": queue["backlog"],
                # A queue takes one connection more than its backlog (include/net/sock.h, sk_acceptq_is_full).
                "bar": length(queue["length"], queue["backlog"] + 1),
            }
            for queue in queues["fullest"]
        ],
    }


def _picture(picture: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Hosts that show the same picture."""
    return {
        "hosts": places.listed(picture["hosts"], 8),
        "answered": picture["answered"],
        "why": clean(str(picture["why"] or ""), 300),
        "kind": picture["kind"] or "not seen",
        "kernels": listed([clean(name or "not seen", _NAMES) for name, _count in picture["kernels"]], 5),
        "programs": listed([clean(name, _NAMES) for name in (*picture["components"], *picture["some_components"])], 30),
        "proxy_mode": clean(picture["proxy_mode"] or "not seen"),
        "listeners": _span(picture["listeners"]),
        "random_ports": _span(picture["random_ports"]),
        "root": picture["root"],
        "faults": [
            {
                "rule": fault["rule"],
                "object": clean(fault["object"], _NAMES),
                "severity": "waived" if fault["waived"] else fault["severity"],
            }
            for fault in picture["faults"]
        ],
        "unknown": len(picture["unknown"]),
    }


def _span(values: Sequence[int] | None) -> str:
    if values is None:
        return "not seen"
    return str(values[0]) if values[0] == values[1] else f"{values[0]} to {values[1]}"
