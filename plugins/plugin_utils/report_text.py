# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report for a terminal: what the fleet comes to; what is wrong, on which hosts, why, and what to do; who opened which ports; what
listens and connects where; then what could not be seen.

Reads findings.json and computes nothing. Equal findings of many hosts are told once; causes come before symptoms.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    finding_groups,
    report_joined,
    report_memory,
    report_survey,
    report_totals,
    report_waivers,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.finding_groups import CLUSTER_NAME
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_lines import WIDTH, count, host_names, wrap

_COMMAND_LIMIT = 2000
_RULE_LINE = "─" * WIDTH


def render(document: dict[str, Any], bundle: str = "") -> str:
    """Render the document of findings.json as text of at most 110 columns (commands are never broken)."""
    survey = document["survey"]
    lines = [*_heading(document, bundle), "", *_verdict(document), *report_memory.lines(document)]
    lines += report_survey.conclusions(survey)
    for number, group in enumerate(finding_groups.groups(document["findings"]), 1):
        when = report_memory.when(group.findings, document["audit"].get("started"))
        lines += ["", *_finding(number, group.depth, group.findings, when)]
    lines += _origins(document["origins"])
    lines += [*report_survey.services(survey), *report_survey.nodes(survey), *report_survey.talkers(survey)]
    lines += [*report_survey.scans(survey), *report_survey.paths(survey)]
    lines += _unknowns(document)
    lines += _looked_at(document)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def headline(finding: dict[str, Any]) -> str:
    """One line that names a finding."""
    waived = " (waived)" if finding["waived"] else ""
    return f"{finding['severity'].upper()}{waived}: {clean(finding['title'])} [{finding['rule']}]"


def _heading(document: dict[str, Any], bundle: str) -> list[str]:
    hosts = document["hosts"]
    answered = sum(host["answered"] for host in hosts.values())
    audit = document["audit"]
    texts = [
        f"kubenode.doctor {clean(str(audit.get('version', '')))}, audit of {clean(str(audit.get('started', 'an unknown time')))}",
        *(f"joined:       {text}" for text in report_joined.told(audit)),
        f"hosts:        {answered} of {len(hosts)} answered",
        f"cluster API:  {report_totals.cluster(document['cluster'])}",
        f"NodePorts:    {clean(document['nodeport_range']['range'])} ({clean(document['nodeport_range']['source'])})",
    ]
    lines = [_RULE_LINE]
    for text in texts:
        lines += wrap(text, "", " " * 14)
    # A path is copied as one piece, like a command.
    return lines + ([f"bundle:       {clean(bundle, 5000)}"] if bundle else [])


def _verdict(document: dict[str, Any]) -> list[str]:
    """The result in one line, and the critical findings by name: the reader may stop here."""
    totals = report_totals.of(document)
    counts = totals.counts
    parts = [f"{counts['critical']} critical", count(counts["warning"], "warning"), count(counts["info"], "note")]
    parts += [f"{totals.waived} waived"] if totals.waived else []
    text = f"RESULT: {', '.join(parts)}; {count(totals.unknown, 'answer')} unknown."
    if not totals.answered:
        text += " Nobody answered, so nothing was looked at."
    elif not totals.live and not totals.waived:
        text += " No fault found in what could be seen." if totals.unknown else " No fault found."
    critical = {(one["title"], one["host"]): None for one in totals.live if one["severity"] == "critical"}
    lines = [text]
    for title in dict.fromkeys(title for title, _host in critical):
        hosts = [{"host": host} for other, host in critical if other == title]
        lines += wrap(f"!! {_hosts(hosts)}: {clean(title)}", "", "   ")
    lines += [
        line for why in document["damaged"] for line in wrap(f"!! the bundle is damaged: {clean(why)}", "", "   ")
    ]
    lines += [line for text in report_waivers.told(document["waivers"]) for line in wrap(text, "", "   ")]
    broken = [finding for finding in document["findings"] if finding["broken"]]
    if broken:
        text = "checks broke on data that they could not read, and may have missed faults (see UNKNOWN)"
        lines += wrap(f"!! {_hosts(broken)}: {text}", "", "   ")
    return lines


def _finding(number: int, depth: int, group: Sequence[dict[str, Any]], when: str) -> list[str]:
    first = group[0]
    margin = "   " * depth
    mark = "└─ because of this, " if depth else ""
    lines = wrap(f"{number}. {mark}{headline(first)}", margin, margin + "   ")
    body = margin + "   "
    lines += wrap("on: " + _hosts(group), body, body + "    ")
    lines += wrap(when, body, body + "    ")
    if first["waived"]:
        lines += wrap(report_waivers.beside(first["waived"]), body, body + "    ")
    differs = any(finding["explanation"] != first["explanation"] for finding in group)
    where = f"On {clean(first['host'] or 'the cluster', 100)}: " if differs else ""
    lines += wrap(where + clean(first["explanation"], 2000), body, body)
    lines += wrap(f"seen{' on ' + clean(first['host'], 100) if len(group) > 1 and first['host'] else ''}:", body, body)
    for fact in first["evidence"]:
        lines += wrap("- " + clean(fact), body + "  ", body + "    ")
    return lines + _remedies(first["remedies"], body)


def _remedies(remedies: Sequence[dict[str, Any]], body: str) -> list[str]:
    lines = [f"{body}cure{'s' if len(remedies) > 1 else ''}:"] if remedies else []
    for letter, remedy in zip(_letters(), remedies, strict=False):  # there is no end of letters
        risk = f" (risk: {clean(remedy['risk'])})" if remedy["risk"] else ""
        lines += wrap(f"{letter}) {clean(remedy['summary'])}{risk}", body + "  ", body + "     ")
        # A command is copied as one piece, so it is never broken over lines.
        lines += [f"{body}     # {_command(command)}" for command in remedy["commands"]]
        if remedy["fix"]:
            lines += wrap("or have it done, after a look at the plan:", body + "     ", body + "     ")
            lines.append(f"{body}     # ansible-playbook kubenode.doctor.fix -e fix={remedy['fix']} --check --diff")
        elif remedy["by_hand"]:
            lines += wrap(f"by hand only: {clean(remedy['by_hand'])}", body + "     ", body + "     ")
    return lines


def _letters() -> Iterator[str]:
    """Yield a to z, then aa, ab and so on."""
    for length in itertools.count(1):
        yield from map("".join, itertools.product(string.ascii_lowercase, repeat=length))


def _command(text: str) -> str:
    # Half a command would be a wrong one.
    if len(text) > _COMMAND_LIMIT:
        return f"(a command of {len(text)} characters: see findings.json)"
    return clean(text, _COMMAND_LIMIT)


def _hosts(group: Sequence[dict[str, Any]]) -> str:
    return host_names({finding["host"] or CLUSTER_NAME for finding in group})


def _origins(origins: dict[str, Any]) -> list[str]:
    """What listens without having been declared, and does no harm: one entry a listener, with the hosts."""
    lines = ["", "LISTENERS THAT NOBODY DECLARED, without risk:"] if origins["lines"] else []
    for entry in origins["lines"]:
        lines += wrap(f"- {clean(entry['line'])}", "  ", "    ")
        lines += wrap(f"on: {host_names(entry['hosts'])}", "    ", "        ")
    if origins["more"]:
        least = "at least " if origins["at_least"] else ""
        lines.append(f"  and {least}{origins['more']} more: expected_listeners leaves out those that belong there")
    return lines


def _unknowns(document: dict[str, Any]) -> list[str]:
    """What could not be seen, told once a reason, with the hosts and the checks it leaves open."""
    reasons = finding_groups.reasons(document["findings"])
    lines = ["", "UNKNOWN, because it could not be seen:"] if reasons else []
    for reason in reasons:
        hosts = host_names({host or CLUSTER_NAME for host in reason.hosts})
        lines += wrap(f"- {clean(reason.why, 600)}", "  ", "    ")
        lines += wrap(f"on: {hosts}; open: {', '.join(sorted(reason.rules))}", "    ", "        ")
    return lines


def _looked_at(document: dict[str, Any]) -> list[str]:
    lines = ["", "CHECKS, each with its answers over the hosts:", "   pass  fail unknown  n/a"]
    for name, rule in document["rules"].items():
        counts = f"{rule['pass']:>7}{rule['fail']:>6}{rule['unknown']:>8}{rule['not_applicable']:>5}   "
        lines += wrap(f"{clean(rule['claim'])} [{name}]", counts, " " * len(counts))
    return [*lines, _RULE_LINE]
