# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changed since the last audit, in the terminal's report. Reads ``memory`` of findings.json (memory.compare) and computes nothing but ages."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import tcp_words
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_lines import count, host_names, wrap

_SHOWN = 12  # entries of each kind; findings.json has all
_CLUSTER = "the cluster"


def lines(document: Mapping[str, Any]) -> list[str]:
    """All that changed: how much, then by name."""
    memory, findings = document["memory"], document["findings"]
    if memory["why"]:
        return ["", *wrap(f"SINCE THE LAST AUDIT: nothing is compared: {clean(memory['why'])}.", "", "   ")]
    new = [finding for finding in findings if finding["change"] == "new"]
    told = ["", *wrap(f"SINCE THE LAST AUDIT ({_audits(memory)}): {counts(memory)}.", "", "   ")]
    told += _entries("NEW", _grouped(new, lambda _finding: ""))
    told += _entries("GONE", _grouped(memory["gone"], lambda gone: f"; seen from {_day(gone['first_seen'])}"))
    told += _entries("NOT KNOWN THIS TIME", _grouped(memory["unsure"], lambda entry: f"; {clean(entry['why'], 300)}"))
    told += _closed(memory)
    told += _held(memory)
    for entry in memory["not_compared"]:
        told += wrap(f"- not compared: {host_names(entry['hosts'])}: {clean(entry['why'])}", "  ", "    ")
    for text in memory["cautions"]:
        told += wrap(f"- beware: {clean(text)}", "  ", "    ")
    return told


def counts(memory: Mapping[str, Any]) -> str:
    """``2 new, 5 persist, 1 gone, 1 not known``."""
    numbers = memory["counts"]
    words = f"{numbers['new']} new, {numbers['persists']} persist{'s' if numbers['persists'] == 1 else ''}, {numbers['gone']} gone"
    return f"{words}, {numbers['unsure']} not known this time" if numbers["unsure"] else words


def when(findings: Iterable[Mapping[str, Any]], started: Any) -> str:
    """Whether equal findings are new, or since when each of them is there: ``new since the last audit on a; since 2026-11-20 08:00 UTC (3 d) on b``."""
    hosts: dict[str, set[str]] = {}
    for finding in findings:
        hosts.setdefault(_since(finding, started), set()).add(finding["host"] or _CLUSTER)
    if len(hosts) == 1:
        return next(iter(hosts))
    told = sorted((since, names) for since, names in hosts.items() if since)
    return "; ".join(f"{since} on {host_names(names)}" for since, names in told)


def _since(finding: Mapping[str, Any], started: Any) -> str:
    if finding["change"] == "new":
        return "new since the last audit"
    if finding["change"] != "persists":
        return ""
    now, then = _moment(started), _moment(finding["first_seen"])
    age = f" ({tcp_words.age((now - then).total_seconds())})" if now and then and now > then else ""
    return f"since {_day(finding['first_seen'])}{age}"


def _day(text: Any) -> str:
    moment = _moment(text)
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else clean(str(text), 40)


def _moment(text: Any) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(text).astimezone(datetime.timezone.utc)
    except (TypeError, ValueError, OverflowError):
        return None


def _audits(memory: Mapping[str, Any]) -> str:
    told = sorted(memory["audits"].items(), reverse=True)
    named = [f"{clean(name, 100)}, {count(about['hosts'], 'host')}" for name, about in told[:3]]
    if len(told) == 1:
        return f"{clean(told[0][0], 100)}, begun {_day(told[0][1]['started'])}"
    more = f"; and {len(told) - 3} more" if len(told) > 3 else ""
    return f"each host with the last one in which it answered: {'; '.join(named)}{more}" if told else "nobody answered"


def _grouped(entries: Iterable[Mapping[str, Any]], more: Any) -> list[tuple[str, list[str]]]:
    """One line for what is equal on several hosts, with the hosts."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        waived = " (waived)" if entry["waived"] else ""
        line = f"{entry['severity'].upper()}{waived}: {clean(entry['title'])} [{entry['rule']}]{more(entry)}"
        found.setdefault(line, []).append(entry["host"] or _CLUSTER)
    return list(found.items())


def _entries(heading: str, told: Sequence[tuple[str, list[str]]]) -> list[str]:
    found: list[str] = []
    for line, hosts in told[:_SHOWN]:
        found += wrap(f"- {heading} on {host_names(hosts)}: {line}", "  ", "    ")
    return found + _more(len(told) - _SHOWN)


def _closed(memory: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for entry in memory["closed"][:_SHOWN]:
        found += wrap(f"- LISTENER GONE on {host_names(entry['hosts'])}: {clean(entry['line'])}", "  ", "    ")
    return found + _more(len(memory["closed"]) - _SHOWN + memory["closed_more"])


def _held(memory: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for row in memory["close_wait"][:_SHOWN]:
        way = "that came in on" if row["came_in"] else "to"
        about = "" if row["exact"] else "about "
        whose = f"{clean(row['process'] or tcp_words.UNSEEN, 60)} {way} port {row['port']}"
        text = f"{about}{row['same']} of {row['count']} of {whose} in CLOSE-WAIT, since {_day(row['since'])} at least"
        found += wrap(f"- THE SAME CONNECTIONS on {host_names([row['host']])}: {text}", "  ", "    ")
    return found + _more(len(memory["close_wait"]) - _SHOWN + memory["close_wait_more"])


def _more(number: int) -> list[str]:
    return [f"  … and {number} more like these are in findings.json"] if number > 0 else []
