# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report for a terminal: what is wrong, on which hosts, why, and what to do; then what could not be seen.

Reads findings.json and computes nothing. Equal findings of many hosts are told once; causes come before symptoms.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils.judge import walk
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import SEVERITIES

_WIDTH = 110
_HOSTS_SHOWN = 8
_RULE_LINE = "─" * _WIDTH


def render(document: dict[str, Any], bundle: str = "") -> str:
    """Render the document of findings.json as text of at most 110 columns (commands are never broken)."""
    groups = list(_groups(document["findings"]))
    lines = [*_heading(document, bundle), "", *_verdict(document)]
    for number, (depth, group) in enumerate(_shown(groups), 1):
        lines += ["", *_finding(number, depth, group)]
    lines += _unknowns(document)
    lines += _pictures(document["hosts"])
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
    lines = [
        _RULE_LINE,
        f"kubenode.doctor {clean(str(audit.get('version', '')))}, audit of {clean(str(audit.get('started', 'an unknown time')))}",
        f"hosts:        {answered} of {len(hosts)} answered",
        f"cluster API:  {_cluster(document['cluster'])}",
        f"NodePorts:    {clean(document['nodeport_range']['range'])} ({clean(document['nodeport_range']['source'])})",
    ]
    return lines + ([f"bundle:       {clean(bundle)}"] if bundle else [])


def _cluster(cluster: dict[str, Any]) -> str:
    if cluster["services"] is None and cluster["nodes"] is None:
        return clean("not seen: " + "; ".join(gap["why"] for gap in cluster["missing"]))
    return ", ".join(f"{words} {'not seen' if cluster[kind] is None else cluster[kind]}" for kind, words in _KINDS)


_KINDS = (
    ("services", "Services"),
    ("node_ports", "NodePorts"),
    ("endpoint_slices", "EndpointSlices"),
    ("nodes", "Nodes"),
)


def _verdict(document: dict[str, Any]) -> list[str]:
    """The result in one line, and the critical findings by name: the reader may stop here."""
    found = [finding for finding in document["findings"] if finding["status"] == "fail"]
    live = [finding for finding in found if not finding["waived"]]
    counts = {severity: sum(finding["severity"] == severity for finding in live) for severity in SEVERITIES}
    parts = [f"{counts['critical']} critical", _count(counts["warning"], "warning"), _count(counts["info"], "note")]
    parts += [f"{len(found) - len(live)} waived"] if len(found) > len(live) else []
    unknown = sum(rule["unknown"] for rule in document["rules"].values())
    text = f"RESULT: {', '.join(parts)}; {_count(unknown, 'answer')} unknown."
    if not found:
        text += " No fault found in what could be seen." if unknown else " No fault found."
    critical = {(finding["title"], finding["host"]): None for finding in live if finding["severity"] == "critical"}
    lines = [text]
    for title in dict.fromkeys(title for title, _host in critical):
        hosts = [{"host": host} for other, host in critical if other == title]
        lines += _wrap(f"!! {_hosts(hosts)}: {clean(title)}", "", "   ")
    return lines


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _groups(findings: Sequence[dict[str, Any]]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Findings that say the same of several hosts, in the order of causes, with their depth below the cause."""
    merged: dict[tuple[Any, ...], tuple[int, list[dict[str, Any]]]] = {}
    for depth, finding in walk([finding for finding in findings if finding["status"] == "fail"]):
        key = (
            finding["rule"],
            finding["object"],
            finding["title"],
            finding["severity"],
            bool(finding["waived"]),
            depth,
        )
        merged.setdefault(key, (depth, []))[1].append(finding)
    yield from merged.values()


def _shown(groups: Sequence[tuple[int, list[dict[str, Any]]]]) -> list[tuple[int, list[dict[str, Any]]]]:
    """Trees (a cause and what it explains) with the worst finding first; waived ones last."""
    trees: list[list[tuple[int, list[dict[str, Any]]]]] = []
    for depth, group in groups:
        if depth == 0 or not trees:
            trees.append([])
        trees[-1].append((depth, group))
    trees.sort(key=_tree_rank)
    return [entry for tree in trees for entry in tree]


def _tree_rank(tree: Sequence[tuple[int, list[dict[str, Any]]]]) -> tuple[bool, int]:
    live = [group[0] for _depth, group in tree if not group[0]["waived"]]
    worst = max((SEVERITIES.index(finding["severity"]) for finding in live), default=-1)
    return not live, -worst


def _finding(number: int, depth: int, group: Sequence[dict[str, Any]]) -> list[str]:
    first = group[0]
    margin = "   " * depth
    mark = "└─ because of this, " if depth else ""
    lines = _wrap(f"{number}. {mark}{headline(first)}", margin, margin + "   ")
    body = margin + "   "
    lines += _wrap("on: " + _hosts(group), body, body + "    ")
    if first["waived"]:
        lines += _wrap(f"waived: {clean(first['waived']['reason'])}", body, body + "    ")
    lines += _wrap(clean(first["explanation"], 2000), body, body)
    lines.append(f"{body}seen{' on ' + clean(first['host']) if len(group) > 1 and first['host'] else ''}:")
    for fact in first["evidence"]:
        lines += _wrap("- " + clean(fact), body + "  ", body + "    ")
    return lines + _remedies(first["remedies"], body)


def _remedies(remedies: Sequence[dict[str, Any]], body: str) -> list[str]:
    lines = [f"{body}cure{'s' if len(remedies) > 1 else ''}:"] if remedies else []
    for letter, remedy in zip("abcdefgh", remedies, strict=False):
        risk = f" (risk: {clean(remedy['risk'])})" if remedy["risk"] else ""
        lines += _wrap(f"{letter}) {clean(remedy['summary'])}{risk}", body + "  ", body + "     ")
        # A command is copied as one piece, so it is never broken over lines.
        lines += [f"{body}     # {clean(command, 20000)}" for command in remedy["commands"]]
    return lines


def _hosts(group: Sequence[dict[str, Any]]) -> str:
    names = sorted({finding["host"] or "the cluster" for finding in group})
    shown = ", ".join(clean(name, 100) for name in names[:_HOSTS_SHOWN])
    return (
        shown if len(names) <= _HOSTS_SHOWN else f"{shown} and {len(names) - _HOSTS_SHOWN} more ({len(names)} in all)"
    )


def _unknowns(document: dict[str, Any]) -> list[str]:
    """What could not be seen, told once a reason, with the hosts and the checks it leaves open."""
    reasons: dict[str, tuple[set[str], set[str]]] = {}
    for finding in document["findings"]:
        if finding["status"] == "unknown":
            hosts, rules = reasons.setdefault(finding["explanation"], (set(), set()))
            hosts.add(finding["host"] or "the cluster")
            rules.add(finding["rule"])
    lines = ["", "UNKNOWN, because it could not be seen:"] if reasons else []
    for why, (hosts, rules) in sorted(reasons.items(), key=lambda entry: (-len(entry[1][1]), entry[0])):
        group = [{"host": host if host != "the cluster" else None} for host in hosts]
        lines += _wrap(f"- {clean(why, 600)}", "  ", "    ")
        lines += _wrap(f"on: {_hosts(group)}; open: {', '.join(sorted(rules))}", "    ", "        ")
    return lines


def _pictures(hosts: dict[str, dict[str, Any]]) -> list[str]:
    """Hosts that look the same are told once."""
    same: dict[str, list[dict[str, Any]]] = {}
    for host, state in hosts.items():
        same.setdefault(_picture(state), []).append({"host": host})
    lines = ["", "HOSTS:"]
    for picture, group in same.items():
        lines += _wrap(f"- {_hosts(group)}: {picture}", "  ", "    ")
    return lines


def _picture(state: dict[str, Any]) -> str:
    if not state["answered"]:
        return f"no answer: {clean(str(state['why']), 300)}"
    seen = state["picture"]
    parts = [
        f"Linux {clean(str(seen['kernel'] or '?'))}",
        f"runs {clean(', '.join(seen['components'] or [])) or 'no Kubernetes program'}",
        f"service proxy mode {clean(str(seen['proxy_mode'] or 'not seen'))}",
    ]
    if seen["listeners"] is not None:
        parts.append(
            f"{seen['listeners']} sockets wait for connections, {seen['random_ports']} of them on random ports"
        )
    return "; ".join([*parts, *([] if seen["root"] else ["not asked as root"])])


def _looked_at(document: dict[str, Any]) -> list[str]:
    lines = ["", "CHECKS, each with its answers over the hosts:", "   pass  fail unknown  n/a"]
    for name, rule in document["rules"].items():
        counts = f"{rule['pass']:>7}{rule['fail']:>6}{rule['unknown']:>8}{rule['not_applicable']:>5}   "
        lines += _wrap(f"{clean(rule['claim'])} [{name}]", counts, " " * len(counts))
    return [*lines, _RULE_LINE]


def _wrap(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
