# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Markdown for a ticket: the result, each fault with its evidence and cures, what is gone, waived and unknown; no survey and no list of checks.

It fits into a ticket of the trackers that people have: Jira takes 32,767 characters (jira.text.field.character.limit), GitHub 65,536, GitLab a million.
What does not fit is told by its heading, then by its number: nothing is left out silently.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import finding_text, report_totals
from ansible_collections.kubenode.doctor.plugins.plugin_utils.finding_groups import CLUSTER_NAME, Group, groups, reasons
from ansible_collections.kubenode.doctor.plugins.plugin_utils.markdown import code, fenced, prose
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_lines import HOSTS_SHOWN, count

LIMIT = 32_000
_END = 300  # room for what says that something was left out
_EVIDENCE = 12
_CURES = 6
_LINES = 10  # of each list at the end
_TRIES = 3  # whole findings that did not fit

Finding = dict[str, Any]


def render(document: dict[str, Any], _bundle: str = "") -> str:
    """Render the document of findings.json as Markdown of at most LIMIT characters."""
    told = groups(document["findings"])
    live = [group for group in told if not group.findings[0]["waived"]]
    waived = [group for group in told if group.findings[0]["waived"]]
    text = "\n".join([_title(document), "", *_summary(document)]) + "\n"
    tail = "".join(_list(*part) for part in _ends(document, waived))
    pieces, left = _fitting(live, LIMIT - len(text) - len(tail) - _END)
    if left:
        pieces.append(
            f"\n**{count(left, 'more finding')} did not fit in here**: findings.json and report.txt of the audit have all.\n"
        )
    return "".join([text, *pieces, tail])


def _fitting(live: Sequence[Group], room: int) -> tuple[list[str], int]:
    """As many groups as there is room for, and the number of findings that are left out.

    Whole ones first, and headings after some did not fit: then none is made only to be thrown away.
    """
    pieces: list[str] = []
    refused = 0
    for place, (number, group, cause) in enumerate(_numbered(live)):
        forms = (_full, _brief) if refused < _TRIES else (_brief,)
        for form in forms:
            piece = "\n" + "\n".join(form(number, group, cause)) + "\n"
            if len(piece) <= room:
                pieces.append(piece)
                room -= len(piece)
                break
            refused += 1
        else:
            return pieces, sum(len(other.findings) for other in live[place:])
    return pieces, 0


def _title(document: dict[str, Any]) -> str:
    counts = report_totals.of(document).counts
    found = f"{counts['critical']} critical, {count(counts['warning'], 'warning')}, {count(counts['info'], 'note')}"
    return f"## kubenode.doctor: {found}"


def _summary(document: dict[str, Any]) -> Iterator[str]:
    totals, started = report_totals.of(document), str(document["audit"].get("started", "an unknown time"))
    yield f"* audit of {prose(started)}: {totals.answered} of {count(totals.hosts, 'host')} answered"
    if not totals.answered:
        yield "* **nobody answered, so nothing was looked at**"
    yield f"* {_since(document['memory'])}"
    if totals.unknown:
        yield f"* {count(totals.unknown, 'answer')} unknown, which says nothing of being well"
    yield from (f"* **the bundle is damaged:** {prose(why)}" for why in document["damaged"][:_LINES])
    expired = [waiver for waiver in document["waivers"] if waiver["state"] == "expired"]
    for waiver in expired[:_LINES]:
        yield f"* **expired on {waiver['until']}:** the waiver of {code(waiver['rule'])}: {prose(waiver['reason'])}"
    if expired[_LINES:]:
        yield f"* **{len(expired[_LINES:])} more waivers have expired**"
    broken = {finding["host"] or CLUSTER_NAME for finding in document["findings"] if finding["broken"]}
    if broken:
        yield f"* **checks broke** on data that they could not read, and may have missed faults: {_names(broken)}"


def _since(memory: Mapping[str, Any]) -> str:
    if memory["why"]:
        return f"compared with nothing: {prose(memory['why'])}"
    counts = memory["counts"]
    unsure = f", {counts['unsure']} cannot be told this time" if counts["unsure"] else ""
    return f"since the last audit: {counts['new']} new, {counts['persists']} persist, {counts['gone']} gone{unsure}"


def _numbered(told: Sequence[Group]) -> Iterator[tuple[int, Group, int]]:
    """Yield each group with its number and the number of the one that explains it, 0 for none."""
    above: list[int] = []
    for number, group in enumerate(told, 1):
        del above[group.depth :]
        yield number, group, above[-1] if above else 0
        above.append(number)


def _brief(number: int, group: Group, cause: int) -> list[str]:
    first = group.findings[0]
    because = f" (because of {cause})" if cause else ""
    return [
        f"### {number}. {first['severity'].upper()}{because}: {prose(first['title'])}",
        "",
        f"{code(first['rule'])} on {_names([finding['host'] or CLUSTER_NAME for finding in group.findings])}{_age(group.findings)}",
    ]


def _full(number: int, group: Group, cause: int) -> list[str]:
    first, several = group.findings[0], len(group.findings) > 1
    lines = [*_brief(number, group, cause), "", f"**Why:** {prose(first['explanation'], 2000)}"]
    if first["evidence"]:
        more = len(first["evidence"]) - _EVIDENCE
        shown = [clean(fact) for fact in first["evidence"][:_EVIDENCE]]
        where = f" on {code(first['host'])}" if several and first["host"] else ""
        lines += ["", f"**Seen{where}:**", ""]
        lines += fenced([*shown, *([f"… and {more} more"] if more > 0 else [])], "text")
    for letter, remedy in enumerate(first["remedies"][:_CURES], 1):
        lines += ["", *_cure(f"**Cure {letter}:**" if len(first["remedies"]) > 1 else "**Cure:**", remedy)]
    if len(first["remedies"]) > _CURES:
        lines += ["", f"{len(first['remedies']) - _CURES} more cures are in findings.json."]
    return lines


def _cure(name: str, remedy: Mapping[str, Any]) -> list[str]:
    risk = f" **Risk:** {prose(remedy['risk'])}" if remedy["risk"] else ""
    by_hand = f" **By hand only:** {prose(remedy['by_hand'])}" if remedy["by_hand"] and not remedy["fix"] else ""
    fix = [f"# {finding_text.DONE}", finding_text.playbook(remedy)] if remedy["fix"] else []
    commands = [*finding_text.commands(remedy), *fix]
    return [f"{name} {prose(remedy['summary'])}{risk}{by_hand}", *(["", *fenced(commands, "sh")] if commands else [])]


def _age(findings: Sequence[Finding]) -> str:
    changes = {finding["change"] for finding in findings}
    if changes == {"new"}:
        return ", **new**"
    seen = min(
        (finding["first_seen"] for finding in findings if finding["first_seen"] and finding["change"]), default=""
    )
    since = f", since {prose(seen)}" if seen else ""
    return f"{since}, new on some hosts" if "new" in changes else since


def _ends(document: dict[str, Any], waived: Sequence[Group]) -> Iterator[tuple[str, list[str]]]:
    """What stands below the findings: one line each."""
    memory = document["memory"]
    yield "Gone since the last audit", [_was(past) for past in memory["gone"]]
    yield (
        "Found before, and not to be told this time",
        [f"{_was(past)}: {prose(past['why'])}" for past in memory["unsure"]],
    )
    yield "Waived", [_waived(group) for group in waived]
    yield (
        "Unknown, because it could not be seen",
        [
            f"on {_names([host or CLUSTER_NAME for host in reason.hosts])}: {prose(reason.why, 300)} ({count(len(reason.rules), 'check')} open)"
            for reason in reasons(document["findings"])
        ],
    )


def _was(past: Mapping[str, Any]) -> str:
    return f"{code(past['rule'])} on {_names([past['host'] or CLUSTER_NAME])}: {prose(past['title'])}"


def _waived(group: Group) -> str:
    first = group.findings[0]
    names = _names([finding["host"] or CLUSTER_NAME for finding in group.findings])
    return f"{first['severity']}: {prose(first['title'])}, {code(first['rule'])} on {names}; {prose(finding_text.waived(first['waived']))}"


def _list(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    more = [f"* … and {len(lines) - _LINES} more"] if len(lines) > _LINES else []
    return "\n".join(["", f"### {title}", "", *(f"* {line}" for line in lines[:_LINES]), *more, ""])


def _names(hosts: Collection[str]) -> str:
    names = sorted(set(hosts))
    shown = ", ".join(name if name == CLUSTER_NAME else code(name, 100) for name in names[:HOSTS_SHOWN])
    return shown if len(names) <= HOSTS_SHOWN else f"{shown} and {len(names) - HOSTS_SHOWN} more ({len(names)} in all)"
