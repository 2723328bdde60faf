# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The head of the page: the result, what it rests on, and what nobody should miss."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    report_joined,
    report_memory,
    report_totals,
    report_waivers,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.finding_groups import CLUSTER_NAME, Group
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_lines import count, host_names
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_totals import Totals
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import SEVERITIES

_PATH = 5000
_LOUD = "!! "  # before what nobody should miss, in the words on waivers
_CRITICAL = 15  # by title; all of them are among the findings


def of(document: dict[str, Any], bundle: str, groups: Sequence[Group]) -> dict[str, Any]:
    """``{state, result, started, version, facts, tiles, since, critical, more_critical, alarms}``.

    ``state`` is the worst of critical, warning, info, unknown, nothing (nobody answered) and pass; unknown answers are never a pass.
    """
    totals = report_totals.of(document)
    counts, unknown = totals.counts, totals.unknown
    state = next((severity for severity in reversed(SEVERITIES) if counts[severity]), "unknown" if unknown else "pass")
    state = state if totals.answered else "nothing"
    critical = _critical(groups)
    return {
        "state": state,
        "result": _result(state, counts, unknown, bool(totals.live or totals.waived)),
        "started": moment(document["audit"].get("started")),
        "version": clean(str(document["audit"].get("version", ""))),
        "facts": list(_facts(document, bundle, totals)),
        "tiles": [
            ("critical", counts["critical"], "critical"),
            ("warning", counts["warning"], "warning" if counts["warning"] == 1 else "warnings"),
            ("info", counts["info"], "note" if counts["info"] == 1 else "notes"),
            ("waived", totals.waived, "waived"),
            ("unknown", unknown, "unknown answer" if unknown == 1 else "unknown answers"),
            ("silent", totals.hosts - totals.answered, "did not answer"),
        ],
        "since": _since(document["memory"]),
        "critical": critical[:_CRITICAL],
        "more_critical": len(critical[_CRITICAL:]),
        "alarms": list(_alarms(document)),
    }


def moment(text: Any) -> str:
    """``2026-11-21 08:00:00 UTC``; what is no date stands as it is."""
    try:
        found = datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return clean(str(text))
    if found.tzinfo is None:
        return clean(str(text))
    return f"{found.astimezone(datetime.timezone.utc).replace(tzinfo=None).isoformat(' ', 'seconds')} UTC"


def _since(memory: dict[str, Any]) -> str:
    """What changed, in a line."""
    if memory["why"]:
        return f"Nothing is compared with an earlier audit: {clean(memory['why'])}"
    audits = [moment(audit["started"]) for audit in memory["audits"].values()]
    when = f" ({audits[0]})" if len(audits) == 1 else ""
    return f"Since the last audit{when}: {report_memory.counts(memory)}"


def _result(state: str, counts: dict[str, int], unknown: int, found: bool) -> str:
    if state == "nothing":
        return "Nobody answered, so nothing was looked at"
    if state == "pass":
        return "No live fault: all that were found are waived" if found else "No fault found"
    open_ones = f"{count(unknown, 'answer')} {'is' if unknown == 1 else 'are'} unknown"
    if state == "unknown":
        return f"No {'live ' if found else ''}fault found in what could be seen; {open_ones}"
    names = {"critical": "critical", "warning": "warning", "info": "note"}
    parts = [_faults(counts[one], names[one]) for one in reversed(SEVERITIES) if counts[one]]
    return ", ".join(parts) + (f"; {open_ones}" if unknown else "")


def _faults(number: int, word: str) -> str:
    return f"{number} critical" if word == "critical" else count(number, word)


def _facts(document: dict[str, Any], bundle: str, totals: Totals) -> Iterator[tuple[str, str]]:
    range_ = document["nodeport_range"]
    yield "Hosts", f"{totals.answered} of {totals.hosts} answered"
    yield "Cluster API", report_totals.cluster(document["cluster"])
    yield "NodePorts", f"{clean(range_['range'])} ({clean(range_['source'])})"
    for line in report_joined.told(document["audit"]):
        yield "Joined", line
    yield "Judged", moment(document["judged_at"])
    if bundle:
        yield "Bundle", clean(bundle, _PATH)


def _critical(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """The critical faults by title, each with the number under which it stands first among the findings."""
    found: dict[str, tuple[int, set[str]]] = {}
    for number, group in enumerate(groups, 1):
        first = group.findings[0]
        if first["severity"] == "critical" and not first["waived"]:
            _number, hosts = found.setdefault(first["title"], (number, set()))
            hosts.update(finding["host"] or CLUSTER_NAME for finding in group.findings)
    return [
        {"number": number, "title": clean(title), "hosts": host_names(hosts)}
        for title, (number, hosts) in found.items()
    ]


def _alarms(document: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What makes the result itself doubtful."""
    for why in document["damaged"]:
        yield "damaged", "The bundle is damaged", clean(why)
    for line in report_waivers.told(document["waivers"]):
        yield ("expired", "Waiver", line[len(_LOUD) :]) if line.startswith(_LOUD) else ("waiver", "Waivers", line)
    broken = {finding["host"] or CLUSTER_NAME for finding in document["findings"] if finding["broken"]}
    if broken:
        yield "broken", host_names(broken), "checks broke on data that they could not read, and may have missed faults"
